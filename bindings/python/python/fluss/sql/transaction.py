# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Blocks that are transactions; calls block."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self, final

from fluss import _fluss
from fluss._waits import Timeout
from fluss.errors import FlussError

__all__ = ["Transaction"]


@final
class Transaction:
    """A block of ``with`` that is a transaction: see `Client.begin`. It is committed at its end, and rolled
    back if it raises.
    """

    def __init__(self, session: Callable[[], _fluss.SqlSession], timeout: Timeout = None) -> None:
        self._session = session
        self._timeout = timeout

    def __enter__(self) -> Self:
        core = self._session()
        core.begin().within(self._timeout).wait()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        core = self._session()
        if exc is None:
            return core.commit().within(self._timeout).wait()
        try:
            core.rollback().within(self._timeout).wait()
        except FlussError as error:
            exc.add_note(f"The transaction could not be rolled back: {error}")

"""Blocks that are transactions, to be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, final

from fluss import _fluss
from fluss._waits import Timeout
from fluss.errors import FlussError

__all__ = ["Transaction"]


@final
class Transaction:
    """A block of ``async with`` that is a transaction: see `AsyncClient.begin`. It is committed at its end, and rolled
    back if it raises.
    """

    def __init__(self, session: Callable[[], Awaitable[_fluss.SqlSession]], timeout: Timeout = None) -> None:
        self._session = session
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        core = await self._session()
        await core.begin().within(self._timeout)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        core = await self._session()
        if exc is None:
            return await core.commit().within(self._timeout)
        try:
            await core.rollback().within(self._timeout)
        except FlussError as error:
            exc.add_note(f"The transaction could not be rolled back: {error}")

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Prepared statements; calls block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._sql import Parameters, QueryResult, affected
from fluss._waits import Timeout

__all__ = ["Statement"]


@final
class Statement:
    """A statement that was parsed and checked, to be carried out many times. It is planned anew each time: tables may
    have changed. At the end of a ``with`` block it closes.
    """

    def __init__(self, core: _fluss.SqlPrepared, timeout: Timeout = None) -> None:
        self._core = core
        self._timeout = timeout

    @property
    def parameter_count(self) -> int:
        """How many parameters it has."""
        return self._core.parameter_count

    def execute(self, parameters: Parameters = None) -> int:
        """Carries it out, and returns how many rows were written."""
        return affected([self._core.execute(parameters).within(self._timeout).wait()])

    def query(self, parameters: Parameters = None, *, as_dict: bool | None = None) -> QueryResult[Any]:
        """All rows of the query that it is, as of `Client.query`."""
        return QueryResult(self._core.fetch(parameters).within(self._timeout).wait(), as_dict)

    def execute_many(self, rows: Iterable[Sequence[object]] | object) -> int:
        """Carries it out for each row of parameters, and returns how many rows were written."""
        return self._core.execute_many(rows).within(self._timeout).wait()

    def close(self) -> None:
        """Forgets it. Every later call raises `fluss.ClosedError`."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

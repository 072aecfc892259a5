"""Prepared statements, to be awaited."""

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
    have changed. At the end of an ``async with`` block it closes.
    """

    def __init__(self, core: _fluss.SqlPrepared, timeout: Timeout = None) -> None:
        self._core = core
        self._timeout = timeout

    @property
    def parameter_count(self) -> int:
        """How many parameters it has."""
        return self._core.parameter_count

    async def execute(self, parameters: Parameters = None) -> int:
        """Carries it out, and returns how many rows were written."""
        return affected([await self._core.execute(parameters).within(self._timeout)])

    async def query(self, parameters: Parameters = None, *, as_dict: bool | None = None) -> QueryResult[Any]:
        """All rows of the query that it is, as of `AsyncClient.query`."""
        return QueryResult(await self._core.fetch(parameters).within(self._timeout), as_dict)

    async def execute_many(self, rows: Iterable[Sequence[object]] | object) -> int:
        """Carries it out for each row of parameters, and returns how many rows were written."""
        return await self._core.execute_many(rows).within(self._timeout)

    async def close(self) -> None:
        """Forgets it. Every later call raises `fluss.ClosedError`."""
        self._core.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

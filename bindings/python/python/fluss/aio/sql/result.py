"""What `Connection.sql` returns, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Self, final

from fluss import _fluss, _grid
from fluss._fluss import ArrowTable
from fluss._sql import Parameters, plan_text, shown
from fluss._waits import Timeout
from fluss.errors import ArgumentError

__all__ = ["SqlResult"]


@final
class SqlResult:
    """A statement, and the rows of a query, which are read when they are asked for.

    It is carried out, once, when it is awaited or its rows are asked for: ``await connection.sql("INSERT …")``.
    Iterating gives the rows as dicts.

    The rows of a query may be read again: the query is carried out again then, on the rows that there are by then.
    Whoever leaves a loop stops the query.

    ``timeout`` is how long each wait may take; that for all rows in `to_arrow` and the like is one.
    """

    def __init__(
        self, session: _fluss.SqlSession, text: str, parameters: Parameters = None, timeout: Timeout = None
    ) -> None:
        self._core = session
        self._text = text
        self._parameters = parameters
        self._timeout = timeout
        self._has_run = False
        self._is_query = False
        self._affected: int | None = None
        self._unread: _fluss.SqlRows | None = None
        self._first: ArrowTable | None = None

    def __await__(self) -> Generator[object, None, Self]:
        return self._look().__await__()

    async def _look(self) -> Self:
        """Carries the statement out, and has the first rows ready to be shown."""
        await self._run()
        if self._is_query and self._first is None:
            core = await self._rows()
            self._first = await core.preview(_grid.ROWS + 1).within(self._timeout)
            self._unread = core
        return self

    async def _run(self) -> Self:
        """Carries the statement out, unless it was."""
        if not self._has_run:
            outcome = await self._core.execute(self._text, self._parameters).within(self._timeout)
            self._has_run = True
            if isinstance(outcome, _fluss.SqlRows):
                self._is_query, self._unread = True, outcome
            else:
                self._affected = outcome
        return self

    async def _rows(self) -> _fluss.SqlRows:
        """Rows that nobody has read."""
        await self._run()
        if not self._is_query:
            raise ArgumentError("the statement is no query: it has no rows")
        unread, self._unread = self._unread, None
        if unread is None:
            outcome = await self._core.execute(self._text, self._parameters).within(self._timeout)
            if not isinstance(outcome, _fluss.SqlRows):
                raise ArgumentError("the statement is no query: it has no rows")
            return outcome
        return unread

    @property
    def rows_affected(self) -> int | None:
        """How many rows a statement that writes has written; None of any other, and before it was carried out."""
        return self._affected

    async def columns(self) -> list[tuple[str, str]]:
        """Name and type of each column; none if the statement is no query."""
        await self._run()
        if not self._is_query:
            return []
        self._unread = await self._rows()
        return [(name, kind) for name, kind, _ in self._unread.columns]

    async def fetchall(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        core = await self._rows()
        rows: list[dict[str, Any]] = await core.all_rows(as_dict=True).within(self._timeout)
        return rows

    async def to_arrow(self) -> ArrowTable:
        """All rows as one Arrow table, which any Arrow library takes."""
        core = await self._rows()
        return await core.read_all().within(self._timeout)

    async def to_pandas(
        self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None
    ) -> Any:
        """All rows as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""
        return (await self.to_arrow()).to_pandas(dtype_backend=dtype_backend, types_mapper=types_mapper)

    async def to_polars(self) -> Any:
        """All rows as a ``polars.DataFrame``. Needs polars."""
        return (await self.to_arrow()).to_polars()

    async def to_batches(self) -> AsyncIterator[ArrowTable]:
        """The rows as they come, some at a time, for results that are larger than memory."""
        core = await self._rows()
        try:
            while (batch := await core.next_batch().within(self._timeout)) is not None:
                yield batch
        finally:
            core.cancel()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        core = await self._rows()
        try:
            while (rows := await core.next_rows(as_dict=True).within(self._timeout)) is not None:
                for row in rows:
                    yield row
        finally:
            core.cancel()

    async def explain(self, *, analyze: bool = False) -> str:
        """How the statement is carried out; with ``analyze`` it is, and the text says how long each step took."""
        text = f"EXPLAIN {'ANALYZE ' if analyze else ''}{self._text}"
        return plan_text(await self._core.fetch(text, self._parameters).within(self._timeout))

    def __repr__(self) -> str:
        return self._show(_grid.text)

    def _repr_html_(self) -> str:
        return self._show(_grid.html)

    def _show(self, show: Callable[..., str]) -> str:
        first = self._first
        if first is not None:
            return show(*shown(first))
        if self._affected is not None:
            return f"SqlResult(rows_affected={self._affected})"
        return f"SqlResult({self._text!r})"

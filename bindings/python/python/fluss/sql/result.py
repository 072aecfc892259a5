# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""What `Connection.sql` returns; calls block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    Iterating gives the rows as dicts. Any Arrow library takes it, as ``pyarrow.table(result)`` does.

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

    def _look(self) -> Self:
        """Carries the statement out, and has the first rows ready to be shown."""
        self._run()
        if self._is_query and self._first is None:
            core = self._rows()
            self._first = core.preview(_grid.ROWS + 1).within(self._timeout).wait()
            self._unread = core
        return self

    def _run(self) -> Self:
        """Carries the statement out, unless it was."""
        if not self._has_run:
            outcome = self._core.execute(self._text, self._parameters).within(self._timeout).wait()
            self._has_run = True
            if isinstance(outcome, _fluss.SqlRows):
                self._is_query, self._unread = True, outcome
            else:
                self._affected = outcome
        return self

    def _rows(self) -> _fluss.SqlRows:
        """Rows that nobody has read."""
        self._run()
        if not self._is_query:
            raise ArgumentError("the statement is no query: it has no rows")
        unread, self._unread = self._unread, None
        if unread is None:
            outcome = self._core.execute(self._text, self._parameters).within(self._timeout).wait()
            if not isinstance(outcome, _fluss.SqlRows):
                raise ArgumentError("the statement is no query: it has no rows")
            return outcome
        return unread

    @property
    def rows_affected(self) -> int | None:
        """How many rows a statement that writes has written; None of any other, and before it was carried out."""
        return self._affected

    def columns(self) -> list[tuple[str, str]]:
        """Name and type of each column; none if the statement is no query."""
        self._run()
        if not self._is_query:
            return []
        self._unread = self._rows()
        return [(name, kind) for name, kind, _ in self._unread.columns]

    def fetchall(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        core = self._rows()
        rows: list[dict[str, Any]] = core.all_rows(as_dict=True).within(self._timeout).wait()
        return rows

    def to_arrow(self) -> ArrowTable:
        """All rows as one Arrow table, which any Arrow library takes."""
        core = self._rows()
        return core.read_all().within(self._timeout).wait()

    def to_pandas(self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None) -> Any:
        """All rows as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""
        return self.to_arrow().to_pandas(dtype_backend=dtype_backend, types_mapper=types_mapper)

    def to_polars(self) -> Any:
        """All rows as a ``polars.DataFrame``. Needs polars."""
        return self.to_arrow().to_polars()

    def to_batches(self) -> Iterator[ArrowTable]:
        """The rows as they come, some at a time, for results that are larger than memory."""
        core = self._rows()
        try:
            while (batch := core.next_batch().within(self._timeout).wait()) is not None:
                yield batch
        finally:
            core.cancel()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        core = self._rows()
        try:
            while (rows := core.next_rows(as_dict=True).within(self._timeout).wait()) is not None:
                yield from rows
        finally:
            core.cancel()

    def explain(self, *, analyze: bool = False) -> str:
        """How the statement is carried out; with ``analyze`` it is, and the text says how long each step took."""
        text = f"EXPLAIN {'ANALYZE ' if analyze else ''}{self._text}"
        return plan_text(self._core.fetch(text, self._parameters).within(self._timeout).wait())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        core = self._rows()
        # While a library reads the stream, an interrupt is a failure to it: most are over before.
        core.preview(1).within(self._timeout).wait()
        return core.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return self._show(_grid.text)

    def _repr_html_(self) -> str:
        return self._show(_grid.html)

    def _show(self, show: Callable[..., str]) -> str:
        first = self._look()._first
        if first is not None:
            return show(*shown(first))
        if self._affected is not None:
            return f"SqlResult(rows_affected={self._affected})"
        return f"SqlResult({self._text!r})"

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Rows of a table that are read when they are asked for; calls block."""

from collections.abc import Iterator
from typing import Any, final

from fluss import _fluss
from fluss._fluss import ArrowTable
from fluss._libraries import library
from fluss._read import Moment, moment
from fluss._waits import Clock, Timeout
from fluss.client.frames import Frames
from fluss.predicate import Predicate

__all__ = ["TableRows"]


@final
class TableRows(Frames):
    """Rows of a table, which are read, anew each time, when they are asked for: what ``table.read(…)`` returns.

    Iterating gives them as dicts, as they come.
    They are those of one moment of each bucket, in no particular order.
    Any Arrow library takes it, and reads as it goes, as ``pyarrow.table(rows)`` does.
    """

    def __init__(
        self,
        core: _fluss.Table,
        columns: list[str | int] | None,
        predicate: Predicate | None,
        limit: int | None,
        as_of: Moment | None,
    ) -> None:
        self._core = core
        self._columns = columns
        self._predicate = predicate
        self._limit = limit
        self._as_of = as_of

    def to_arrow(self, *, timeout: Timeout = None) -> ArrowTable:
        """The rows as one Arrow table, which any Arrow library takes. ``timeout`` is how long all of it may take."""
        clock = Clock(timeout)
        if self._limit is None:
            return self._core.snapshot(self._columns, self._predicate, moment(self._as_of)).within(timeout).wait()
        if self._predicate is None and self._as_of is None:
            return self._core.limit(self._columns, self._limit).within(timeout).wait()
        core = self._open(clock.left)
        return ArrowTable.concat(core, [rows for rows in self._batches(clock, core)])

    def _read_whole(self, timeout: Timeout) -> ArrowTable:
        return self.to_arrow(timeout=timeout)

    def to_duckdb(self, connection: Any = None, *, timeout: Timeout = None) -> Any:
        """The rows as a ``duckdb.DuckDBPyRelation`` of a connection of DuckDB, or of its default one. Needs duckdb."""
        of = library("duckdb") if connection is None else connection
        return of.from_arrow(self.to_arrow(timeout=timeout))

    def to_batches(self) -> Iterator[ArrowTable]:
        """The rows as they come, some at a time, for tables that are larger than memory. With a limit, reading stops
        when so many have come.
        """
        return self._batches(Clock(None))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for rows in self.to_batches():
            yield from rows.to_pylist()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        if self._limit is None:
            return self._open(None).__arrow_c_stream__(requested_schema)
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _open(self, timeout: Timeout) -> _fluss.RowReader:
        core = self._core.plan(self._columns, self._predicate, moment(self._as_of)).within(timeout).wait()
        return core.reader()

    def _batches(self, clock: Clock, core: _fluss.RowReader | None = None) -> Iterator[ArrowTable]:
        """What a reader gives, up to the limit."""
        left = self._limit
        core = core or self._open(clock.left)
        try:
            while left != 0 and (read := core.next_batch().within(clock.left).wait()) is not None:
                rows = read[:left]
                left = left and left - len(rows)
                yield rows
        finally:
            core.close().wait()

    def __repr__(self) -> str:
        asked = {"columns": self._columns, "filter": self._predicate, "limit": self._limit, "as_of": self._as_of}
        told = "".join(f", {name}={value}" for name, value in asked.items() if value is not None)
        return f"TableRows('{self._core.info().table_path}'{told})"

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Tables, to be awaited: how they are written and read step by step, and the short ways."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, final

from fluss import _fluss
from fluss._data import Written, arrow_of, note_fate
from fluss._define import Names
from fluss._fluss import ArrowTable, OffsetSpec, ScanRecord, WriteHandle
from fluss._join import How, Lookup
from fluss._read import Bound, Moment, columns_of, condition, row_limit, start_of
from fluss._row import Key
from fluss._waits import Clock, Timeout
from fluss.client.lookup import TableLookup
from fluss.client.scan import LogScanner, RowReader, TableScan
from fluss.client.table_rows import TableRows
from fluss.client.write import TableAppend, TableUpsert
from fluss.metadata import Schema, TableBucket, TableInfo, TablePath
from fluss.predicate import Predicate

__all__ = ["Table"]

_LATEST = OffsetSpec.latest()


@final
class Table:
    """A table, as it stood when it was asked for."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core
        self._writer: _fluss.AppendWriter | _fluss.UpsertWriter | None = None
        self._lookuper: _fluss.Lookuper | None = None

    def get_table_info(self) -> TableInfo:
        """Its identity, schema and properties."""
        return self._core.info()

    def get_table_path(self) -> TablePath:
        """Its database and name."""
        return self._core.info().table_path

    def has_primary_key(self) -> bool:
        """Whether it has a primary key."""
        return self._core.info().has_primary_key()

    def new_append(self) -> TableAppend:
        """Begins to write to a log table."""
        return TableAppend(self._core)

    def new_upsert(self) -> TableUpsert:
        """Begins to write to a primary-key table."""
        return TableUpsert(self._core)

    def new_lookup(self) -> TableLookup:
        """Begins to look rows up by key."""
        return TableLookup(self._core)

    def new_scan(self) -> TableScan:
        """Begins to read."""
        return TableScan(self._core)

    def to_arrow(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> ArrowTable:
        """The whole table, or these columns of it: short for `TableScan.to_arrow`."""
        return self._scan(columns).to_arrow(as_of=as_of, timeout=timeout)

    def to_reader(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> RowReader:
        """The rows as they come, for tables that are larger than memory: short for `TableScan.to_reader`."""
        return self._scan(columns).to_reader(as_of=as_of, timeout=timeout)

    def to_pandas(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        return self._scan(columns).to_pandas(as_of=as_of, timeout=timeout)

    def to_polars(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return self._scan(columns).to_polars(as_of=as_of, timeout=timeout)

    def _scan(self, columns: Iterable[str | int] | None) -> TableScan:
        return self.new_scan() if columns is None else self.new_scan().project(columns)

    @property
    def schema(self) -> Schema:
        """Its columns, which any Arrow library takes: ``pyarrow.schema(table.schema)``."""
        return self._core.info().get_schema()

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self._core.info().get_column_names()

    def append(self, data: object, *, timeout: Timeout = None) -> Written:
        """Appends rows to a log table, and returns when all are stored.

        The rows are Arrow data (of pyarrow, pandas, polars or anything else with ``__arrow_c_stream__`` or
        ``__arrow_c_array__``); a list of dicts, lists, tuples or dataclasses; a dict of columns; a
        ``polars.LazyFrame``; a ``pyarrow.parquet.ParquetFile`` or a dataset of pyarrow; or an iterator of rows or of
        Arrow data. Columns are found by name.

        What the table cannot take raises `fluss.DataError`. Data in memory is written whole or not at all; of data that
        is read as it goes, what came before a fault may be written, and ``rows_taken`` of the error says how many rows.
        If the server refuses rows, or ``timeout`` passes, a note of the error says how many are known to be stored.
        Several calls may go on side by side. See `AppendWriter`.
        """
        clock = Clock(timeout)
        core = self._append_core()
        return self._written(core.append_arrow(arrow_of(data, core.rows)), clock)

    def upsert(self, data: object, *, timeout: Timeout = None) -> Written:
        """Upserts rows of a primary-key table, and returns when all are stored. It takes what `append` takes."""
        clock = Clock(timeout)
        core = self._upsert_core()
        return self._written(core.upsert_arrow(arrow_of(data, core.rows)), clock)

    def delete(self, keys: object, *, timeout: Timeout = None) -> Written:
        """Deletes the rows of keys, and returns when all are deleted; keys without a row are passed over.

        Keys are given as the rows of `append` are, with the columns of the primary key; Arrow data may have others. In
        a list, a key of a single column may be its bare value.
        """
        clock = Clock(timeout)
        core = self._upsert_core()
        return self._written(core.delete_arrow(arrow_of(keys, core.keys)), clock)

    def get(self, key: Key, *, exact: bool = False, timeout: Timeout = None) -> dict[str, Any] | None:
        """The row of a key as a dict, or None: a key is the bare value of a single column, or a tuple, list or dict.

        Calls of several tasks at the same time are sent together. See `Lookuper.lookup`.
        """
        core = self._lookup_core()
        return core.lookup(key, exact=exact).within(timeout).wait()

    def get_many(
        self, keys: Iterable[Key], *, exact: bool = False, timeout: Timeout = None
    ) -> list[dict[str, Any] | None]:
        """The rows of many keys, in their order, with None for those that are not there."""
        core = self._lookup_core()
        return core.lookup_many(keys, exact=exact).within(timeout).wait()

    def lookup(self, frame: object, on: Names = None, how: How = "left", *, timeout: Timeout = None) -> ArrowTable:
        """The rows of Arrow data, each with the columns of the row of its key beside its own.

        ``on`` names the columns of the data that hold the primary key, in its order; without it they are called as the
        table's. Rows whose keys are not there have nulls, or with ``how="inner"`` are left out. A column of the table
        that is called as one of the data gets ``_right`` behind its name. See `Lookuper.lookup_arrow`.
        """
        rows = Lookup(frame, self.schema, on, how)
        core = self._lookup_core()
        return rows.joined(core.lookup_arrow(rows.keys).within(timeout).wait())

    def read(
        self,
        columns: Iterable[str | int] | None = None,
        filter: Predicate | None = None,
        limit: int | None = None,
        as_of: Moment | None = None,
    ) -> TableRows:
        """The rows of the table: all, those for which ``filter`` is true, at most ``limit`` of them; with all columns
        or some; now, or as of a moment. Nothing is read before they are asked for: ``table.read(["id"]).to_pandas()``.

        See `TableScan.to_arrow` for moments, `TableScan.filter` for conditions. With ``limit``, reading stops when so
        many rows have come.
        """
        return TableRows(
            self._core,
            None if columns is None else columns_of(columns),
            None if filter is None else condition(filter),
            None if limit is None else row_limit(limit),
            as_of,
        )

    def head(self, n: int = 10, *, timeout: Timeout = None) -> ArrowTable:
        """A few rows, at the cost of one request a bucket: of a log table those that were stored last."""
        return self._core.limit(None, row_limit(n)).within(timeout).wait()

    def count(self, *, timeout: Timeout = None) -> int:
        """The number of rows, which servers know: nothing is read. See `Admin.get_row_count`."""
        core = self._core.admin()
        return core.get_row_count(self.get_table_path()).within(timeout).wait()

    def tail(self) -> Iterator[ScanRecord]:
        """New records as they come, for ever: in a primary-key table its changes.

        They are those behind what the table has when this is called. See `LogScanner`.
        """
        scanner = self.new_scan().create_log_scanner()
        scanner.subscribe_all(_LATEST)
        return self._tail(scanner)

    def _tail(self, scanner: LogScanner) -> Iterator[ScanRecord]:
        with scanner:
            yield from scanner

    def changes(self, since: datetime | int | Bound | None = None) -> Iterator[ScanRecord]:
        """The records from a time on, up to where the log ends now: in a primary-key table its changes.

        A time is a ``datetime`` or milliseconds since 1970. ``since`` may also be an `OffsetSpec`, or offsets of some
        buckets, of which only those are read. Without it, records come from the first on that is still there. `tail`
        gives those that are yet to come.
        """
        return self._changes(start_of(since))

    def _changes(self, start: OffsetSpec | dict[TableBucket, int | OffsetSpec]) -> Iterator[ScanRecord]:
        core = self._core.bounded_reader(None, None, start, _LATEST).wait()
        while (records := core.next_records().wait()) is not None:
            yield from records

    def drop(self, if_exists: bool = False, *, timeout: Timeout = None) -> None:
        """Drops the table with all its rows; `fluss.NotFoundError` if it is gone, unless ``if_exists``."""
        core = self._core.admin()
        core.drop_table(self.get_table_path(), if_exists).within(timeout).wait()

    def _append_core(self) -> _fluss.AppendWriter:
        """The writer of all calls of this table, which need no more than one."""
        if not isinstance(self._writer, _fluss.AppendWriter):
            self._writer = self._core.append_writer()
        return self._writer

    def _upsert_core(self) -> _fluss.UpsertWriter:
        if not isinstance(self._writer, _fluss.UpsertWriter):
            self._writer = self._core.upsert_writer(None, False)
        return self._writer

    def _lookup_core(self) -> _fluss.Lookuper:
        if self._lookuper is None:
            self._lookuper = self._core.lookuper(False)
        return self._lookuper

    def _written(self, core: "_fluss.Pending[WriteHandle]", clock: Clock) -> Written:
        """Waits for a write, and tells of it."""
        core_handle = None
        try:
            core_handle = core.within(clock.left).wait()
            core_handle.acknowledged().within(clock.left).wait()
        except Exception as error:
            note_fate(error, core_handle)
            raise
        return Written(core_handle.rows, core_handle.nbytes or 0, clock.seconds)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Table('{self.get_table_path()}')"

"""The blocking client: connections, tables, writers and scanners.

Every call that waits for a server blocks until it is answered, without the interpreter, so that other threads go on;
Ctrl-C ends it at once. `fluss.aio` has the same classes to be awaited.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._fluss import ArrowTable, OffsetSpec, Positions, RecordBatch, ScanRecord, ScanRecords, WriteHandle
from fluss._read import Bound, Moment, bound, moment
from fluss._row import Key, Row
from fluss._target import configuration, options
from fluss.client.admin import Admin
from fluss.config import Configuration
from fluss.errors import ArgumentError
from fluss.metadata import TableBucket, TableInfo, TablePath
from fluss.predicate import Predicate

__all__ = [
    "Admin",
    "AppendWriter",
    "ArrowTable",
    "BoundedReader",
    "Connection",
    "LogScanner",
    "Lookuper",
    "OffsetSpec",
    "Positions",
    "PrefixLookuper",
    "RecordBatch",
    "ScanRecord",
    "ScanRecords",
    "Table",
    "TableAppend",
    "TableLookup",
    "TablePrefixLookup",
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
    "WriteHandle",
    "connect",
]


_EARLIEST = OffsetSpec.earliest()
_LATEST = OffsetSpec.latest()


def connect(target: str, config: Configuration | Mapping[str, object] | None = None) -> "Connection":
    """Connects to a cluster: ``connect("fluss://host:9123,host2:9123")``, with the options of ``config``."""
    return Connection(configuration(target, config))


@final
class Connection:
    """A connection to a cluster. Everything else is had from it; threads may share it.

    Raises `fluss.ConnectionError` if no server can be reached or what is there is no Fluss server,
    `fluss.TimeoutError` after ``client.connect-timeout``, `fluss.AuthError` if the login is refused.
    Closes itself at the end of a ``with`` block.
    """

    def __init__(self, config: Configuration | Mapping[str, object]) -> None:
        self._core: _fluss.Connection = _fluss.Connection.open(options(config)).wait()

    @classmethod
    def create(cls, config: Configuration | Mapping[str, object]) -> Self:
        """Connects: the same as ``Connection(config)``."""
        return cls(config)

    def get_admin(self) -> Admin:
        """What administers databases, tables and partitions."""
        return Admin(self._core.admin())

    def get_table(self, table_path: TablePath | str) -> "Table":
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return Table(self._core.table(table_path).wait())

    def close(self) -> None:
        """Sends what writers have taken, and closes the connection. What was had from it raises `fluss.ClosedError`.

        Raises the first failure of a write that was still on its way; the connection is closed all the same.
        """
        return self._core.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._core)


@final
class Table:
    """A table, as it stood when it was asked for."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core

    def get_table_info(self) -> TableInfo:
        """Its identity, schema and properties."""
        return self._core.info()

    def get_table_path(self) -> TablePath:
        """Its database and name."""
        return self._core.info().table_path

    def has_primary_key(self) -> bool:
        """Whether it has a primary key."""
        return self._core.info().has_primary_key()

    def new_append(self) -> "TableAppend":
        """Begins to write to a log table."""
        return TableAppend(self._core)

    def new_upsert(self) -> "TableUpsert":
        """Begins to write to a primary-key table."""
        return TableUpsert(self._core)

    def new_lookup(self) -> "TableLookup":
        """Begins to look rows up by key."""
        return TableLookup(self._core)

    def new_scan(self) -> "TableScan":
        """Begins to read."""
        return TableScan(self._core)

    def to_arrow(self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None) -> ArrowTable:
        """The whole table, or these columns of it: short for `TableScan.to_arrow`."""
        return self._scan(columns).to_arrow(as_of=as_of)

    def to_pandas(self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        return self._scan(columns).to_pandas(as_of=as_of)

    def to_polars(self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return self._scan(columns).to_polars(as_of=as_of)

    def _scan(self, columns: Iterable[str | int] | None) -> "TableScan":
        return self.new_scan() if columns is None else self.new_scan().project(columns)

    def __repr__(self) -> str:
        return f"Table('{self.get_table_path()}')"


@final
class TableAppend:
    """A write to a log table, before it begins."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core

    def create_writer(self) -> "AppendWriter":
        """A writer; `fluss.ArgumentError` if the table has a primary key."""
        return AppendWriter(self._core.append_writer())


@final
class AppendWriter:
    """Appends rows and Arrow batches to a log table. At the end of a ``with`` block it flushes and closes.

    Rows are sent in batches, in the background: see ``client.writer.*`` in `fluss.config.Configuration`. A row that its
    table cannot take raises `fluss.DataError` and is not sent; the writer goes on.

    Rows of a partitioned table go to the partitions of their values. Those that are missing are created, unless
    ``client.writer.dynamic-create-partition.enabled`` is off; if that fails, so do their rows, and no others.
    """

    def __init__(self, core: _fluss.AppendWriter) -> None:
        self._core = core

    def append(self, row: Row) -> WriteHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer, and blocks only while the buffer is full."""
        return self._core.append(row)

    def append_arrow(self, data: object) -> WriteHandle:
        """Puts Arrow data into the buffer: anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, such as a
        pyarrow Table or RecordBatch, a polars DataFrame, a pandas DataFrame or an `ArrowTable`.

        Columns are found by name. Blocks only while the buffer is full.
        """
        return self._core.append_arrow(data).wait()

    def flush(self) -> None:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""
        return self._core.flush().wait()

    def close(self) -> None:
        """Flushes, and takes no more rows."""
        return self._core.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@final
class TableUpsert:
    """A write to a primary-key table, before it begins. Each method returns a new one."""

    def __init__(self, core: _fluss.Table, columns: list[str | int] | None = None, overwrite: bool = False) -> None:
        self._core = core
        self._columns = columns
        self._overwrite = overwrite

    def partial_update(self, columns: Iterable[str | int]) -> "TableUpsert":
        """Writes only these columns, by name or position, the primary key among them; rows are given in their order.

        The other columns stay as they are, or None in a row that is new. Deletes set the columns to None, and remove a
        row of which nothing else is left.
        """
        return TableUpsert(self._core, list(columns), self._overwrite)

    def overwrite(self) -> "TableUpsert":
        """Replaces what is there, whatever the table's merge engine would make of it."""
        return TableUpsert(self._core, self._columns, True)

    def create_writer(self) -> "UpsertWriter":
        """A writer; `fluss.ArgumentError` if the table has no primary key, `fluss.SchemaError` for columns that no
        partial update can have.

        Rows of a table with an auto-increment column are given without that column.
        """
        return UpsertWriter(self._core.upsert_writer(self._columns, self._overwrite))


@final
class UpsertWriter:
    """Upserts and deletes rows of a primary-key table. At the end of a ``with`` block it flushes and closes.

    Writes are sent in batches, in the background and in their order: see ``client.writer.*`` in
    `fluss.config.Configuration`. A row that its table cannot take raises `fluss.DataError` and is not sent; the writer
    goes on. What an acknowledged write has done is seen by look-ups.

    Rows of a partitioned table go to the partitions of their values. Those that are missing are created, unless
    ``client.writer.dynamic-create-partition.enabled`` is off; if that fails, so do their rows, and no others.
    """

    def __init__(self, core: _fluss.UpsertWriter) -> None:
        self._core = core

    def upsert(self, row: Row) -> WriteHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer, to be stored under its key.

        Blocks only while the buffer is full.
        """
        return self._core.upsert(row)

    def delete(self, key: Key) -> WriteHandle:
        """Puts a key into the buffer, whose row is to be deleted: the primary key's values, or a whole row.

        Blocks only while the buffer is full.
        """
        return self._core.delete(key)

    def upsert_arrow(self, data: object) -> WriteHandle:
        """Puts the rows of Arrow data into the buffer: anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``.

        Columns are found by name. Waits only while the buffer is full.
        """
        return self._core.upsert_arrow(data).wait()

    def delete_arrow(self, data: object) -> WriteHandle:
        """Puts the keys in Arrow data into the buffer, whose rows are to be deleted. Other columns are passed over."""
        return self._core.delete_arrow(data).wait()

    def flush(self) -> None:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""
        return self._core.flush().wait()

    def close(self) -> None:
        """Flushes, and takes no more rows."""
        return self._core.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@final
class TableLookup:
    """A look-up, before it begins. Each method returns a new one."""

    def __init__(self, core: _fluss.Table, insert_if_not_exists: bool = False) -> None:
        self._core = core
        self._insert_if_not_exists = insert_if_not_exists

    def insert_if_not_exists(self) -> "TableLookup":
        """Inserts a row for a key that has none: None beside the key, but for an auto-increment column.

        Not in a partitioned table, nor where columns beside the key take no None.
        """
        return TableLookup(self._core, True)

    def lookup_by(self, columns: Iterable[str | int]) -> "TablePrefixLookup":
        """Looks up all rows whose primary keys begin with the same values of these columns: the table's bucket key, and
        among them the columns that it is partitioned by.
        """
        return TablePrefixLookup(self._core, list(columns))

    def create_lookuper(self) -> "Lookuper":
        """A lookuper of rows by primary key; `fluss.ArgumentError` if the table has none."""
        return Lookuper(self._core.lookuper(self._insert_if_not_exists))


@final
class TablePrefixLookup:
    """A look-up by the beginning of the primary key, before it begins."""

    def __init__(self, core: _fluss.Table, columns: list[str | int]) -> None:
        self._core = core
        self._columns = columns

    def create_lookuper(self) -> "PrefixLookuper":
        """A lookuper; `fluss.SchemaError` if the columns are not the bucket key, or no beginning of the primary key."""
        return PrefixLookuper(self._core.prefix_lookuper(self._columns))


@final
class Lookuper:
    """Looks rows up by their primary key. Threads may share it: what they look up at the same time is sent together.

    A key is a list, tuple or dict of the primary key's columns; one of a single column may also be its bare value.
    """

    def __init__(self, core: _fluss.Lookuper) -> None:
        self._core = core

    def lookup(self, key: Key, *, exact: bool = False) -> dict[str, Any] | None:
        """The row of a key, or None; there is none in a partition that does not exist.

        With ``exact``, moments come as of `fluss.client.ScanRecord.get_row`.
        """
        return self._core.lookup(key, exact=exact).wait()

    def lookup_many(self, keys: Iterable[Key], *, exact: bool = False) -> list[dict[str, Any] | None]:
        """The rows of many keys, in their order, with None for those that are not there."""
        return self._core.lookup_many(keys, exact=exact).wait()

    def lookup_arrow(self, keys: object) -> ArrowTable:
        """The rows of the keys in Arrow data, in their order, as one table of all columns.

        Where a key has no row, all columns are null. Columns beside those of the primary key are passed over.
        """
        return self._core.lookup_arrow(keys).wait()


@final
class PrefixLookuper:
    """Looks up all rows whose primary keys begin with the same values. Threads may share it."""

    def __init__(self, core: _fluss.PrefixLookuper) -> None:
        self._core = core

    def lookup(self, prefix: Key, *, exact: bool = False) -> list[dict[str, Any]]:
        """The rows of a prefix, in the order of their encoded keys."""
        return self._core.lookup(prefix, exact=exact).wait()


@final
class TableScan:
    """A read of a table, before it begins. Each method returns a new one."""

    def __init__(
        self,
        core: _fluss.Table,
        columns: list[str | int] | None = None,
        predicate: Predicate | None = None,
        limit: int | None = None,
    ) -> None:
        self._core = core
        self._columns = columns
        self._predicate = predicate
        self._limit = limit

    def project(self, columns: Iterable[str | int]) -> "TableScan":
        """Reads only these columns, by name or position, in this order; the server sends no others."""
        return TableScan(self._core, list(columns), self._predicate, self._limit)

    def filter(self, predicate: Predicate) -> "TableScan":
        """Reads only the rows for which a condition is true, such as ``fluss.col("id") >= 200``; with a former one,
        only those for which both are.

        The columns that it looks at need not be among those that are projected. Of a primary-key table these are
        records of its changelog: an update may have only one side for which it is true. Partitions that cannot have
        such rows are not read by ``subscribe_all``. A condition that does not fit the table raises when reading
        begins: `fluss.SchemaError` for a column that there is not, `fluss.DataError` for a value that the column could
        not hold.
        """
        both = predicate if self._predicate is None else self._predicate & predicate
        return TableScan(self._core, self._columns, both, self._limit)

    def limit(self, rows: int) -> "TableScan":
        """Reads at most so many rows, over all buckets and partitions, at the cost of one request a bucket.

        Of a primary-key table any rows; of a log table those that were stored last, in the order of their batches'
        times. It takes no filter.
        """
        return TableScan(self._core, self._columns, self._predicate, rows)

    def create_log_scanner(self) -> "LogScanner":
        """A scanner of the log, which is subscribed to no bucket yet. It takes no limit."""
        self._need_no_limit()
        return LogScanner(self._core.log_scanner(self._columns, self._predicate))

    def create_bounded_reader(self, *, start: Bound = _EARLIEST, stop: Bound = _LATEST) -> "BoundedReader":
        """Reads the log from ``start`` to ``stop``, of all buckets and partitions that there are now: each is an
        `OffsetSpec`, or a dict of offsets and `OffsetSpec` by `fluss.TableBucket`, of whose buckets only is read.

        Both are found out at once. It stops before the record of an offset, which the log must reach, and before the
        first batch stored at a time or after. Columns are those of `LogScanner.poll_arrow`. It takes no limit.
        """
        self._need_no_limit()
        return BoundedReader(
            self._core.bounded_reader(self._columns, self._predicate, bound(start), bound(stop)).wait()
        )

    def to_arrow(self, *, as_of: Moment | None = None) -> ArrowTable:
        """The rows as one table, which any Arrow library takes: the whole table, or as many rows as the limit says.

        The whole table is that of one moment of each bucket, which `ArrowTable.offsets` tells: now, or with ``as_of`` a
        time (a datetime, or milliseconds since 1970), with exactly what was stored at or before it, or given offsets by
        bucket. The rows of a primary-key table are made of its changelog: `fluss.ExpiredError` if that does not reach
        back to the beginning.
        """
        if self._limit is None:
            return self._core.snapshot(self._columns, self._predicate, moment(as_of)).wait()
        if as_of is not None or self._predicate is not None:
            raise ArgumentError("rows up to a limit are those of now, whatever they hold")
        return self._core.limit(self._columns, self._limit).wait()

    def to_pandas(self, *, as_of: Moment | None = None) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        return self.to_arrow(as_of=as_of).to_pandas()

    def to_polars(self, *, as_of: Moment | None = None) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return self.to_arrow(as_of=as_of).to_polars()

    def _need_no_limit(self) -> None:
        if self._limit is not None:
            raise ArgumentError("the log is not read up to a limit of rows")


@final
class BoundedReader:
    """Reads parts of logs to their ends, which do not move while it reads. Iterating over it gives Arrow batches.

    Within a bucket batches come in the order of their offsets. A partition that is dropped meanwhile ends early.

    Any Arrow library takes it, and reads as it goes, as ``pyarrow.RecordBatchReader.from_stream(reader)`` does.
    """

    def __init__(self, core: _fluss.BoundedReader) -> None:
        self._core = core

    @property
    def ends(self) -> dict[TableBucket, int]:
        """Where reading ends: of each bucket, the offset behind the last record that is wanted."""
        return self._core.ends

    def read_all(self) -> ArrowTable:
        """All that is left, as one table."""
        return self._core.read_all().wait()

    def __iter__(self) -> Iterator[RecordBatch]:
        while (batch := self._core.next_batch().wait()) is not None:
            yield batch

    def __arrow_c_schema__(self) -> object:
        return self._core.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._core.__arrow_c_stream__(requested_schema)


@final
class LogScanner:
    """Reads the log of a table, bucket by bucket. At the end of a ``with`` block it closes.

    Iterating over it gives records one by one, for ever: it waits for those that are yet to come.
    A partition that is dropped ends quietly: what was fetched of it by then is still returned, and nothing follows.
    """

    def __init__(self, core: _fluss.LogScanner) -> None:
        self._core = core

    def subscribe(self, bucket_id: int, start_offset: int | OffsetSpec) -> None:
        """Reads a bucket from an offset on, or from where an `OffsetSpec` says."""
        return self._core.subscribe(bucket_id, start_offset).wait()

    def subscribe_from_beginning(self, bucket_id: int | None = None) -> None:
        """Reads a bucket, or all buckets of the table, from the first record that is still there."""
        return self._core.subscribe(bucket_id, OffsetSpec.earliest()).wait()

    def subscribe_all(self, start_offset: OffsetSpec) -> None:
        """Reads all buckets of the table from where the `OffsetSpec` says.

        Of a partitioned table these are the buckets of all partitions, and those of the partitions to come, from their
        first record on: they are looked for every ``client.scanner.partition-discovery-interval``.
        """
        return self._core.subscribe(None, start_offset).wait()

    def unsubscribe(self, bucket_id: int) -> None:
        """Reads a bucket no more."""
        return self._core.unsubscribe(bucket_id).wait()

    def subscribe_partition(self, partition_id: int, bucket_id: int | None, start_offset: int | OffsetSpec) -> None:
        """Reads a bucket of a partition, or with ``None`` the whole partition, from an offset on or from where an
        `OffsetSpec` says; `fluss.NotFoundError` if the table has no such partition.
        """
        return self._core.subscribe_partition(partition_id, bucket_id, start_offset).wait()

    def subscribe_partition_buckets(self, start_offsets: Mapping[tuple[int, int], int | OffsetSpec]) -> None:
        """Reads buckets of partitions, each given as ``(partition_id, bucket_id)``: all are subscribed, or none."""
        return self._core.subscribe_partition_buckets(dict(start_offsets)).wait()

    def unsubscribe_partition(self, partition_id: int, bucket_id: int | None = None) -> None:
        """Reads a bucket of a partition no more, or the whole partition."""
        return self._core.unsubscribe_partition(partition_id, bucket_id).wait()

    def positions(self) -> Positions:
        """Where the scanner stands: in each bucket that it reads, behind the last record that a poll has returned.

        What is fetched and not returned yet is not passed. A poll that is under way is waited for.
        """
        return self._core.positions().wait()

    def subscribe_positions(self, positions: Positions) -> None:
        """Reads on from saved positions, exactly where they were taken; what was read before is read no more.

        If new partitions were followed they are again, those included that have come since; those that were dropped
        since are passed over. `fluss.ArgumentError` if the positions are in another table, or in one that was dropped
        and created again since.
        """
        return self._core.subscribe_positions(positions).wait()

    def poll(self, timeout_ms: int) -> ScanRecords:
        """The next records, at most ``client.scanner.log.max-poll-records``; none if there are none in time."""
        return self._core.poll(timeout_ms).wait()

    def poll_arrow(self, timeout_ms: int) -> ArrowTable:
        """The next records as one Arrow table; an empty one if there are none in time.

        Of a primary-key table it has three more columns: ``_change_type`` (``+I``, ``-U``, ``+U``, ``-D``), ``_offset``
        and ``_timestamp`` (when the server stored the record).
        """
        return self._core.poll_arrow(timeout_ms).wait()

    def poll_record_batch(self, timeout_ms: int) -> list[RecordBatch]:
        """The next records as Arrow batches, each with its bucket and offsets; none if there are none in time.

        Columns are those of `poll_arrow`.
        """
        return self._core.poll_record_batch(timeout_ms).wait()

    def close(self) -> None:
        """Stops reading."""
        self._core.close()

    def __iter__(self) -> Iterator[ScanRecord]:
        while True:
            yield from self.poll(_ITERATION_POLL_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_ITERATION_POLL_MS = 1000

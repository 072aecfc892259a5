"""Reading logs and whole tables, to be awaited."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, final

from fluss import _bases, _fluss
from fluss._fluss import ArrowSchema, ArrowTable, OffsetSpec, Positions, RecordBatch, ScanRecord, ScanRecords
from fluss._read import Bound, Moment, Skipped, bound, columns_of, condition, millis, moment, row_limit
from fluss._waits import Timeout
from fluss.aio.frames import Frames
from fluss.aio.rows import Rows
from fluss.errors import ArgumentError
from fluss.metadata import TableBucket
from fluss.predicate import Predicate

__all__ = ["BoundedReader", "BucketRead", "LogScanner", "RowReader", "TableRead", "TableScan"]

_EARLIEST = OffsetSpec.earliest()
_LATEST = OffsetSpec.latest()
_ITERATION_POLL_MS = 1000


@final
class TableScan(_bases.TableScan):
    """A read of a table, before it begins. Each method returns a new one."""

    def __init__(
        self,
        core: _fluss.Table,
        columns: list[str | int] | None = None,
        predicate: Predicate | None = None,
        limit: int | None = None,
        skipped: tuple[Skipped, ...] = (),
    ) -> None:
        self._core = core
        self._columns = columns
        self._predicate = predicate
        self._limit = limit
        self._skipped = skipped

    def project(self, columns: Iterable[str | int]) -> "TableScan":
        """Reads only these columns, by name or position, in this order; the server sends no others."""
        return TableScan(self._core, columns_of(columns), self._predicate, self._limit, self._skipped)

    def filter(self, predicate: Predicate) -> "TableScan":
        """Reads only the rows for which a condition is true, such as ``fluss.col("id") >= 200``; with a former one,
        only those for which both are.

        The columns that it looks at need not be among those that are projected. Of a primary-key table these are
        records of its changelog: an update may have only one side for which it is true. Partitions that cannot have
        such rows are not read by ``subscribe_all``. A condition that does not fit the table raises when reading
        begins: `fluss.SchemaError` for a column that there is not, `fluss.DataError` for a value that the column could
        not hold.
        """
        new = condition(predicate)
        both = new if self._predicate is None else self._predicate & new
        return TableScan(self._core, self._columns, both, self._limit, self._skipped)

    def limit(self, rows: int) -> "TableScan":
        """Reads at most so many rows, over all buckets and partitions, at the cost of one request a bucket.

        Of a primary-key table any rows; of a log table those that were stored last, in the order of their batches'
        times. It takes no filter.
        """
        return TableScan(self._core, self._columns, self._predicate, row_limit(rows), self._skipped)

    def skip(self, bucket: TableBucket | int, offset: int) -> "TableScan":
        """Passes over one batch of the log with all its records, and logs a warning: the batch of a bucket whose first
        record has this offset.

        It is for a batch that cannot be read. The error says which: ``scan.skip(error.table_bucket, error.offset)``. A
        scanner that is open already reads on behind it when it is subscribed at ``error.last_offset + 1``. Nothing is
        ever left out otherwise.
        """
        skipped = (*self._skipped, (bucket, offset))
        return TableScan(self._core, self._columns, self._predicate, self._limit, skipped)

    def create_log_scanner(self) -> "LogScanner":
        """A scanner of the log, which is subscribed to no bucket yet. It takes no limit."""
        self._need_no_limit()
        return LogScanner(self._core.log_scanner(self._columns, self._predicate, skipped=[*self._skipped]))

    async def create_bounded_reader(
        self, *, start: Bound = _EARLIEST, stop: Bound = _LATEST, timeout: Timeout = None
    ) -> "BoundedReader":
        """Reads the log from ``start`` to ``stop``, of all buckets and partitions that there are now: each is an
        `OffsetSpec`, or a dict of offsets and `OffsetSpec` by `fluss.TableBucket`, of whose buckets only is read.

        Both are found out at once. It stops before the record of an offset, which the log must reach, and before the
        first batch stored at a time or after. Columns are those of `LogScanner.poll_arrow`. It takes no limit.
        """
        self._need_no_limit()
        return BoundedReader(
            await self._core.bounded_reader(
                self._columns, self._predicate, bound(start), bound(stop), skipped=[*self._skipped]
            ).within(timeout)
        )

    async def to_arrow(self, *, as_of: Moment | None = None, timeout: Timeout = None) -> ArrowTable:
        """The rows as one table, which any Arrow library takes: the whole table, or as many rows as the limit says.

        The whole table is that of one moment of each bucket, which `ArrowTable.offsets` tells: now, or with ``as_of`` a
        time (a datetime, or milliseconds since 1970), with exactly what was stored at or before it, or given offsets by
        bucket. The rows of a primary-key table are made of the latest snapshots that the cluster keeps and of the
        changelog behind them, or of the whole changelog: `fluss.ExpiredError` if that does not reach back to its
        beginning.

        ``timeout`` is how long all of it may take. Without one a read takes as long as it takes, as long as its servers
        answer.
        """
        if self._limit is None:
            return await self._core.snapshot(self._columns, self._predicate, moment(as_of), [*self._skipped]).within(
                timeout
            )
        if as_of is not None or self._predicate is not None:
            raise ArgumentError("rows up to a limit are those of now, whatever they hold")
        return await self._core.limit(self._columns, self._limit, [*self._skipped]).within(timeout)

    async def plan(self, *, as_of: Moment | None = None, timeout: Timeout = None) -> "TableRead":
        """Plans to read the whole table, as of a moment or now: bucket by bucket, or all as one. See `to_arrow`.

        Nothing is read before a reader of it is. It takes no limit.
        """
        self._need_no_limit()
        return TableRead(
            await self._core.plan(self._columns, self._predicate, moment(as_of), [*self._skipped]).within(timeout)
        )

    async def to_reader(self, *, as_of: Moment | None = None, timeout: Timeout = None) -> "RowReader":
        """The rows as they come, for tables that are larger than memory. See `to_arrow`, which holds them all.

        ``timeout`` is how long it may take to plan the read; each wait for rows has ``client.request-timeout``.

        ::

            async with await table.new_scan().to_reader() as reader:
                async for rows in reader:
                    print(rows.num_rows)
        """
        return (await self.plan(as_of=as_of, timeout=timeout)).to_reader()

    async def to_pandas(
        self,
        *,
        as_of: Moment | None = None,
        dtype_backend: str | None = None,
        types_mapper: Callable[[Any], Any] | None = None,
        timeout: Timeout = None,
    ) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""
        rows = await self.to_arrow(as_of=as_of, timeout=timeout)
        return rows.to_pandas(dtype_backend=dtype_backend, types_mapper=types_mapper)

    async def to_polars(self, *, as_of: Moment | None = None, timeout: Timeout = None) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return (await self.to_arrow(as_of=as_of, timeout=timeout)).to_polars()

    def _need_no_limit(self) -> None:
        if self._limit is not None:
            raise ArgumentError("the log is not read up to a limit of rows")


@final
class BoundedReader(Frames):
    """Reads parts of logs to their ends, which do not move while it reads. Iterating over it gives Arrow batches.

    Within a bucket batches come in the order of their offsets. A partition that is dropped meanwhile ends early.
    Whatever is cancelled or interrupted loses nothing: the next call returns what it would have.
    It is read once: a loop that was left goes on where it was, and one that was read to its end raises
    `fluss.ArgumentError` when it is to be read again.
    """

    def __init__(self, core: _fluss.BoundedReader) -> None:
        self._core = core

    @property
    def ends(self) -> dict[TableBucket, int]:
        """Where reading ends: of each bucket, the offset behind the last record that is wanted."""
        return self._core.ends

    @property
    def schema(self) -> ArrowSchema:
        """The columns of its batches."""
        return ArrowSchema(self)

    async def read_all(self, *, timeout: Timeout = None) -> ArrowTable:
        """All that is left, as one table."""
        return await self._core.read_all().within(timeout)

    async def _read_whole(self, timeout: Timeout) -> ArrowTable:
        return await self.read_all(timeout=timeout)

    def __aiter__(self) -> AsyncIterator[RecordBatch]:
        self._core.begin()
        return self._batches()

    async def _batches(self) -> AsyncIterator[RecordBatch]:
        # It may begin long after it was made.
        self._core.begin()
        while (batch := await self._core.next_batch()) is not None:
            yield batch

    def __arrow_c_schema__(self) -> object:
        return self._core.__arrow_c_schema__()


@final
class TableRead:
    """A read of a whole table that is planned: of which buckets, up to where, and how."""

    def __init__(self, core: _fluss.TableRead) -> None:
        self._core = core

    @property
    def buckets(self) -> "list[BucketRead]":
        """The buckets, to be read one by one, or side by side."""
        return [BucketRead(core) for core in self._core.buckets()]

    def to_reader(self) -> "RowReader":
        """Reads all buckets, a few at a time."""
        return RowReader(self._core.reader())


@final
class BucketRead:
    """The read of one bucket of a table."""

    def __init__(self, core: _fluss.BucketRead) -> None:
        self._core = core

    @property
    def bucket(self) -> TableBucket:
        """The bucket."""
        return self._core.bucket

    @property
    def end_offset(self) -> int | None:
        """Which moment of the bucket is read: the end of its log, from which a scanner goes on.

        Where servers give out rows as they are, it is known once the first have come; of a bucket that was dropped
        there is none.
        """
        return self._core.end_offset

    def to_reader(self) -> "RowReader":
        """Reads the bucket."""
        return RowReader(self._core.reader())


@final
class RowReader(Rows):
    """Reads the rows of a table, or of one bucket, as they come. Iterating over it gives Arrow tables of some rows.

    It reads never far ahead of the program, and holds a bounded amount, whatever the size of the table; only where the
    rows of a primary-key table are made of its changelog, as by clusters of Fluss 0.9, it holds two buckets whole.
    Whatever is cancelled or interrupted loses nothing: the next call returns what it would have.
    It is read once: a loop that was left goes on where it was, and one that was read to its end raises
    `fluss.ArgumentError` when it is to be read again. At the end of an ``async with`` block it closes.
    """

    _core: _fluss.RowReader

    @property
    def offsets(self) -> dict[TableBucket, int]:
        """Which moment of each bucket is read, as far as it is known: of all buckets, once all rows have come."""
        return self._core.offsets

    async def read_all(self, *, timeout: Timeout = None) -> ArrowTable:
        """All that is left, as one table."""
        return await self._core.read_all().within(timeout)


@final
class LogScanner(_bases.LogScanner):
    """Reads the log of a table, bucket by bucket. At the end of an ``async with`` block it closes.

    Iterating over it gives records one by one, for ever: it waits for those that are yet to come. Each is passed when
    the loop gets it: after a ``break`` the next loop or poll goes on with the record behind it, as `positions` says.

    Whatever is cancelled loses nothing, be it by ``asyncio.timeout``, ``asyncio.wait_for`` or a task group: what the
    call would have returned is returned by the next one.
    A partition that is dropped ends quietly: what was fetched of it by then is still returned, and nothing follows. A
    table that is dropped does not: every poll raises `fluss.NotFoundError`.
    """

    def __init__(self, core: _fluss.LogScanner) -> None:
        self._core = core

    async def subscribe(self, bucket_id: int, start_offset: int | OffsetSpec, *, timeout: Timeout = None) -> None:
        """Reads a bucket from an offset on, or from where an `OffsetSpec` says."""
        return await self._core.subscribe(bucket_id, start_offset).within(timeout)

    async def subscribe_from_beginning(self, bucket_id: int | None = None, *, timeout: Timeout = None) -> None:
        """Reads a bucket, or all buckets of the table, from the first record that is still there."""
        return await self._core.subscribe(bucket_id, OffsetSpec.earliest()).within(timeout)

    async def subscribe_all(self, start_offset: OffsetSpec, *, timeout: Timeout = None) -> None:
        """Reads all buckets of the table from where the `OffsetSpec` says.

        Of a partitioned table these are the buckets of all partitions, and those of the partitions to come, from their
        first record on: they are looked for every ``client.scanner.partition-discovery-interval``.
        """
        return await self._core.subscribe(None, start_offset).within(timeout)

    async def unsubscribe(self, bucket_id: int, *, timeout: Timeout = None) -> None:
        """Unsubscribes from a bucket."""
        return await self._core.unsubscribe(bucket_id).within(timeout)

    async def subscribe_partition(
        self, partition_id: int, bucket_id: int | None, start_offset: int | OffsetSpec, *, timeout: Timeout = None
    ) -> None:
        """Reads a bucket of a partition, or with ``None`` the whole partition, from an offset on or from where an
        `OffsetSpec` says; `fluss.NotFoundError` if the table has no such partition.
        """
        return await self._core.subscribe_partition(partition_id, bucket_id, start_offset).within(timeout)

    async def subscribe_partition_buckets(
        self, start_offsets: Mapping[tuple[int, int], int | OffsetSpec], *, timeout: Timeout = None
    ) -> None:
        """Reads buckets of partitions, each given as ``(partition_id, bucket_id)``: all are subscribed, or none."""
        return await self._core.subscribe_partition_buckets(dict(start_offsets)).within(timeout)

    async def unsubscribe_partition(
        self, partition_id: int, bucket_id: int | None = None, *, timeout: Timeout = None
    ) -> None:
        """Unsubscribes from a bucket of a partition, or from the whole partition."""
        return await self._core.unsubscribe_partition(partition_id, bucket_id).within(timeout)

    async def positions(self, *, timeout: Timeout = None) -> Positions:
        """Where the scanner stands: in each bucket that it reads, behind the last record that a poll has returned.

        What is fetched and not returned yet is not passed, nor what a poll that is under way will return.
        """
        return await self._core.positions().within(timeout)

    async def subscribe_positions(self, positions: Positions, *, timeout: Timeout = None) -> None:
        """Reads on from saved positions, exactly where they were taken; what was read before is read no more.

        If new partitions were followed they are again, those included that have come since; those that were dropped
        since are passed over. `fluss.ArgumentError` if the positions are in another table, or in one that was dropped
        and created again since.
        """
        return await self._core.subscribe_positions(positions).within(timeout)

    async def poll(self, timeout_ms: int | timedelta) -> ScanRecords:
        """The next records, at most ``client.scanner.log.max-poll-records``; none if there are none in time.

        The time is in milliseconds, or a ``timedelta``.
        """
        return await self._core.poll(millis(timeout_ms))

    async def poll_arrow(self, timeout_ms: int | timedelta) -> ArrowTable:
        """The next records as one Arrow table; an empty one if there are none in time.

        Of a primary-key table it has three more columns: ``_change_type`` (``+I``, ``-U``, ``+U``, ``-D``), ``_offset``
        and ``_timestamp`` (when the server stored the record). Where the table has a column of such a name, the added
        one has more ``_`` in front.
        """
        return await self._core.poll_arrow(millis(timeout_ms))

    async def poll_record_batch(self, timeout_ms: int | timedelta) -> list[RecordBatch]:
        """The next records as Arrow batches, each with its bucket and offsets; none if there are none in time.

        Columns are those of `poll_arrow`.
        """
        return await self._core.poll_record_batch(millis(timeout_ms))

    async def close(self) -> None:
        """Stops reading: a call that waits raises `fluss.ClosedError`, and so does every later one."""
        self._core.close()

    async def __aiter__(self) -> AsyncIterator[ScanRecord]:
        while True:
            while (record := self._core.next_record()) is not None:
                yield record
            await self._core.fetch(_ITERATION_POLL_MS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

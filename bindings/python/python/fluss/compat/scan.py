"""Scanners."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias, final

from fluss import _bases, _fluss
from fluss._fluss import OffsetSpec, Pending, Positions, RecordBatch, ScanRecord, ScanRecords
from fluss._read import columns_of, condition, millis
from fluss.compat._arrow import pyarrow, schema_of
from fluss.compat.rows import names_at, utc_predicate
from fluss.errors import ArgumentError, UnsupportedError
from fluss.metadata import TableBucket
from fluss.predicate import Predicate

__all__ = ["EARLIEST_OFFSET", "BatchScanner", "LogScanner", "TableScan"]

EARLIEST_OFFSET = -2
"""Begins to read a bucket at the first record that is still there."""

_ITERATION_POLL_MS = 1000

Starts: TypeAlias = dict[TableBucket, int | OffsetSpec]


@final
class TableScan(_bases.TableScan):
    """A read of a table, before it begins. Each method changes it and returns it."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core
        self._columns: list[str | int] | None = None
        self._predicate: Predicate | None = None
        self._limit: int | None = None

    def project(self, indices: Iterable[int]) -> "TableScan":
        """Reads only the columns at these positions, in this order."""
        self._columns = [*names_at(self._core.info().get_schema(), indices)]
        return self

    def project_by_name(self, names: Iterable[str]) -> "TableScan":
        """Reads only these columns, in this order."""
        self._columns = columns_of(names)
        return self

    def with_fixed_schema(self, fixed_schema: bool) -> "TableScan":
        """Reads the columns that the table had when it was asked for, which is always so: False raises
        `fluss.UnsupportedError`.
        """
        if not fixed_schema:
            raise _unsupported("batches in the schema that they were written with")
        return self

    def limit(self, n: int) -> "TableScan":
        """Sets how many rows are read, for `create_bucket_batch_scanner`."""
        if n <= 0:
            raise ArgumentError(f"a limit of {n} rows is not positive")
        self._limit = n
        return self

    def filter(self, predicate: Predicate) -> "TableScan":
        """Reads only the rows for which a condition is true, and exactly these; with a former one, only those for which
        both are. It is for log scanners.
        """
        new = utc_predicate(condition(predicate), self._core.info().get_schema())
        self._predicate = new if self._predicate is None else self._predicate & new
        return self

    def create_bucket_batch_scanner(self, bucket: TableBucket) -> "BatchScanner":
        """Reads a bucket once, up to the limit: of a log table the last rows, of a primary-key table any."""
        if self._limit is None:
            raise ArgumentError("a batch scanner takes a limit(n)")
        if self._predicate is not None:
            raise ArgumentError("rows up to a limit are read whatever they hold: a filter is not taken")
        return BatchScanner(self._core, self._columns, bucket, self._limit)

    async def create_log_scanner(self) -> "LogScanner":
        """A scanner of records, which is subscribed to no bucket yet."""
        return self._log_scanner(batches=False)

    async def create_record_batch_log_scanner(self) -> "LogScanner":
        """A scanner of Arrow batches, which is subscribed to no bucket yet; of log tables only."""
        if self._core.info().has_primary_key():
            path = self._core.info().table_path
            raise ArgumentError(
                f"table {path} has a primary key: create_log_scanner() reads its changelog, fluss.aio does so as Arrow"
            )
        return self._log_scanner(batches=True)

    def _log_scanner(self, *, batches: bool) -> "LogScanner":
        if self._limit is not None:
            raise ArgumentError("a log scanner takes no limit")
        return LogScanner(self._core, self._columns, self._predicate, batches=batches)


@final
class LogScanner(_bases.LogScanner):
    """Reads the log of a table, bucket by bucket: as records (`poll`), or as Arrow (all else), as it was created.

    Iterating over it gives records or batches one by one, for ever: it waits for those that are yet to come.
    """

    def __init__(
        self, table: _fluss.Table, columns: list[str | int] | None, predicate: Predicate | None, *, batches: bool
    ) -> None:
        self._table = table
        self._columns = columns
        self._predicate = predicate
        self._batches = batches
        self._core = table.log_scanner(columns, predicate, map_pairs=True)

    def subscribe(self, bucket_id: int, start_offset: int) -> None:
        """Reads a bucket of a table without partitions, from an offset on."""
        self._core.subscribe(bucket_id, _start(start_offset)).wait()

    def subscribe_buckets(self, bucket_offsets: Mapping[int, int]) -> None:
        """Reads buckets of a table without partitions, each from an offset on."""
        for bucket_id, start_offset in bucket_offsets.items():
            self.subscribe(bucket_id, start_offset)

    def subscribe_partition(self, partition_id: int, bucket_id: int, start_offset: int) -> None:
        """Reads a bucket of a partition, from an offset on."""
        self.subscribe_partition_buckets({(partition_id, bucket_id): start_offset})

    def subscribe_partition_buckets(self, partition_bucket_offsets: Mapping[tuple[int, int], int]) -> None:
        """Reads buckets of partitions, each given as ``(partition_id, bucket_id)``: all are subscribed, or none."""
        starts = {bucket: _start(offset) for bucket, offset in partition_bucket_offsets.items()}
        self._core.subscribe_partition_buckets(starts).wait()

    def unsubscribe(self, bucket_id: int) -> None:
        """Reads a bucket of a table without partitions no more."""
        self._core.unsubscribe(bucket_id).wait()

    def unsubscribe_partition(self, partition_id: int, bucket_id: int) -> None:
        """Unsubscribes from a bucket of a partition."""
        self._core.unsubscribe_partition(partition_id, bucket_id).wait()

    async def poll(self, timeout_ms: int) -> ScanRecords:
        """The next records; none if there are none in time."""
        self._need(batches=False)
        return await self._core.poll(millis(timeout_ms))

    async def poll_record_batch(self, timeout_ms: int) -> list[RecordBatch]:
        """The next records as Arrow batches, each with its bucket and offsets; none if there are none in time."""
        self._need(batches=True)
        return await self._core.poll_record_batch(millis(timeout_ms))

    async def poll_arrow(self, timeout_ms: int) -> Any:
        """The next records as a ``pyarrow.Table``; an empty one if there are none in time."""
        polled = await self.poll_record_batch(timeout_ms)
        return pyarrow().Table.from_batches([batch.to_pyarrow() for batch in polled], schema_of(self._core))

    def to_arrow_batch_reader(self) -> Any:
        """A ``pyarrow.RecordBatchReader`` of the subscribed buckets, from where they stand up to their ends as they are
        now. It reads as it is iterated over. The buckets are unsubscribed.
        """
        starts = self._starts(self._core.positions().wait())
        reader = self._bounded(starts).wait()
        for end in self._end(starts):
            end.wait()
        return pyarrow().RecordBatchReader.from_stream(reader)

    async def to_arrow(self) -> Any:
        """The subscribed buckets, from where they stand up to their ends as they are now, as a ``pyarrow.Table``. They
        are unsubscribed.
        """
        starts = self._starts(await self._core.positions())
        found = await (await self._bounded(starts)).read_all()
        # Not awaited: nobody may cancel this between the reading and the end of the subscriptions.
        for end in self._end(starts):
            end.wait()
        return pyarrow().table(found)

    async def to_pandas(self) -> Any:
        """The subscribed buckets up to their ends as they are now, as a ``pandas.DataFrame``."""
        return (await self.to_arrow()).to_pandas()

    async def __aiter__(self) -> AsyncIterator[ScanRecord | RecordBatch]:
        while self._batches:
            if (batch := await self._core.next_batch(_ITERATION_POLL_MS)) is not None:
                yield batch
        while True:
            while (record := self._core.next_record()) is not None:
                yield record
            await self._core.fetch(_ITERATION_POLL_MS)

    def _starts(self, positions: Positions) -> Starts:
        """Where the subscribed buckets stand."""
        self._need(batches=True)
        if not positions.offsets:
            raise ArgumentError("no bucket is subscribed, so there is nothing to read")
        return {
            bucket: OffsetSpec.earliest() if offset is None else offset for bucket, offset in positions.offsets.items()
        }

    def _bounded(self, starts: Starts) -> "Pending[_fluss.BoundedReader]":
        return self._table.bounded_reader(self._columns, self._predicate, starts, OffsetSpec.latest())

    def _end(self, starts: Starts) -> Iterator["Pending[None]"]:
        """Unsubscribes the buckets."""
        for bucket in starts:
            if bucket.partition_id is None:
                yield self._core.unsubscribe(bucket.bucket_id)
            else:
                yield self._core.unsubscribe_partition(bucket.partition_id, bucket.bucket_id)

    def _need(self, *, batches: bool) -> None:
        if batches != self._batches:
            name = "create_record_batch_log_scanner" if batches else "create_log_scanner"
            raise ArgumentError(f"this takes a scanner that was made by {name}()")


@final
class BatchScanner:
    """Reads a bucket up to a limit, once: had from `TableScan.create_bucket_batch_scanner`."""

    def __init__(self, table: _fluss.Table, columns: list[str | int] | None, bucket: TableBucket, limit: int) -> None:
        self._bucket = bucket
        self._read: Callable[[], Pending[RecordBatch]] | None = partial(table.limit_bucket, columns, bucket, limit)
        self._schema: Any = None

    @property
    def bucket(self) -> TableBucket:
        """The bucket."""
        return self._bucket

    async def next_batch(self) -> RecordBatch | None:
        """The rows, and then None; also after an error."""
        read, self._read = self._read, None
        return None if read is None else await read()

    async def collect_all_batches(self) -> list[RecordBatch]:
        """The batch that is left, if it is."""
        batch = await self.next_batch()
        return [] if batch is None else [batch]

    async def to_arrow(self) -> Any:
        """The rows that are left as a ``pyarrow.Table``."""
        batches = [batch.to_pyarrow() for batch in await self.collect_all_batches()]
        self._schema = batches[0].schema if batches else self._schema
        return pyarrow().Table.from_batches(batches, self._schema)

    async def to_pandas(self) -> Any:
        """The rows that are left as a ``pandas.DataFrame``."""
        return (await self.to_arrow()).to_pandas()


def _start(offset: int) -> int | OffsetSpec:
    return OffsetSpec.earliest() if offset == EARLIEST_OFFSET else offset


def _unsupported(what: str) -> UnsupportedError:
    return UnsupportedError(f"a scan cannot have {what} yet", operation="scan")

"""Scanners."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, final

from fluss import _fluss
from fluss._fluss import OffsetSpec, RecordBatch, ScanRecord, ScanRecords
from fluss.compat._arrow import pyarrow, schema_of
from fluss.compat.bounded import BoundedRead
from fluss.compat.rows import names_at
from fluss.errors import ArgumentError, UnsupportedError
from fluss.metadata import TableBucket
from fluss.predicate import Predicate

__all__ = ["EARLIEST_OFFSET", "BatchScanner", "LogScanner", "TableScan"]

EARLIEST_OFFSET = -2
"""Begins to read a bucket at the first record that is still there."""

_ITERATION_POLL_MS = 1000


@final
class TableScan:
    """A read of a table, before it begins. Each method changes it and returns it."""

    def __init__(self, core: _fluss.Table, admin: _fluss.Admin) -> None:
        self._core = core
        self._admin = admin
        self._columns: list[str | int] | None = None
        self._limit: int | None = None

    def project(self, indices: Iterable[int]) -> "TableScan":
        """Reads only the columns at these positions, in this order."""
        self._columns = [*names_at(self._core.info().get_schema(), indices)]
        return self

    def project_by_name(self, names: Iterable[str]) -> "TableScan":
        """Reads only these columns, in this order."""
        self._columns = list(names)
        return self

    def with_fixed_schema(self, fixed_schema: bool) -> "TableScan":
        """Reads the columns that the table had when it was asked for, which is always so: False raises
        `fluss.UnsupportedError`.
        """
        if not fixed_schema:
            raise _unsupported("batches in the schema that they were written with")
        return self

    def limit(self, n: int) -> "TableScan":
        """Sets how many rows are read, which no scanner that there is takes yet."""
        if n <= 0:
            raise ArgumentError(f"a limit of {n} rows is not positive")
        self._limit = n
        return self

    def filter(self, predicate: Predicate) -> "TableScan":
        """Raises `fluss.UnsupportedError`: servers are not asked to filter yet."""
        raise _unsupported(f"filters, such as {predicate!r}: read all rows, and filter what comes out")

    def create_bucket_batch_scanner(self, bucket: TableBucket) -> "BatchScanner":
        """Raises `fluss.UnsupportedError`: rows cannot be read up to a limit yet."""
        raise _unsupported(f"a limit (bucket {bucket.bucket_id})")

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
        core = self._core.log_scanner(self._columns, map_pairs=True)
        return LogScanner(core, self._core, self._admin, batches)


@final
class LogScanner:
    """Reads the log of a table, bucket by bucket: as records (`poll`), or as Arrow (all else), as it was created.

    Iterating over it gives records or batches one by one, for ever: it waits for those that are yet to come.
    """

    def __init__(self, core: _fluss.LogScanner, table: _fluss.Table, admin: _fluss.Admin, batches: bool) -> None:
        self._core = core
        self._table = table
        self._admin = admin
        self._batches = batches
        self._next: dict[TableBucket, int] = {}
        """Of each bucket, the offset that is read next, as far as it is known here."""

    def subscribe(self, bucket_id: int, start_offset: int) -> None:
        """Reads a bucket of a table without partitions, from an offset on."""
        self._core.subscribe(bucket_id, _start(start_offset)).wait()
        self._next[self._bucket(None, bucket_id)] = start_offset

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
        self._next.update({self._bucket(*bucket): offset for bucket, offset in partition_bucket_offsets.items()})

    def unsubscribe(self, bucket_id: int) -> None:
        """Reads a bucket of a table without partitions no more."""
        self._core.unsubscribe(bucket_id).wait()
        self._next.pop(self._bucket(None, bucket_id), None)

    def unsubscribe_partition(self, partition_id: int, bucket_id: int) -> None:
        """Reads a bucket of a partition no more."""
        self._core.unsubscribe_partition(partition_id, bucket_id).wait()
        self._next.pop(self._bucket(partition_id, bucket_id), None)

    async def poll(self, timeout_ms: int) -> ScanRecords:
        """The next records; none if there are none in time."""
        self._need(batches=False)
        return await self._core.poll(timeout_ms)

    async def poll_record_batch(self, timeout_ms: int) -> list[RecordBatch]:
        """The next records as Arrow batches, each with its bucket and offsets; none if there are none in time."""
        self._need(batches=True)
        polled = await self._core.poll_record_batch(timeout_ms)
        self._next.update({batch.bucket: batch.last_offset + 1 for batch in polled})
        return polled

    async def poll_arrow(self, timeout_ms: int) -> Any:
        """The next records as a ``pyarrow.Table``; an empty one if there are none in time."""
        polled = await self.poll_record_batch(timeout_ms)
        return pyarrow().Table.from_batches([batch.to_pyarrow() for batch in polled], schema_of(self._core))

    def to_arrow_batch_reader(self) -> Any:
        """A ``pyarrow.RecordBatchReader`` of the subscribed buckets, up to their ends as they are now.

        It reads as it is iterated over, and unsubscribes the buckets that it has read. Nothing else may poll meanwhile.
        """
        return self._read_to_end().reader(schema_of(self._core))

    async def to_arrow(self) -> Any:
        """The subscribed buckets up to their ends as they are now, as a ``pyarrow.Table``."""
        return await self._read_to_end().table(schema_of(self._core))

    async def to_pandas(self) -> Any:
        """The subscribed buckets up to their ends as they are now, as a ``pandas.DataFrame``."""
        return (await self.to_arrow()).to_pandas()

    async def __aiter__(self) -> AsyncIterator[ScanRecord | RecordBatch]:
        poll = self.poll_record_batch if self._batches else self.poll
        while True:
            for item in await poll(_ITERATION_POLL_MS):
                yield item

    def _read_to_end(self) -> BoundedRead:
        self._need(batches=True)
        if not self._next:
            raise ArgumentError("no bucket is subscribed, so there is nothing to read")
        return BoundedRead(self._core, self._table.info(), self._admin, self._next)

    def _need(self, *, batches: bool) -> None:
        if batches != self._batches:
            name = "create_record_batch_log_scanner" if batches else "create_log_scanner"
            raise ArgumentError(f"this takes a scanner that was made by {name}()")

    def _bucket(self, partition_id: int | None, bucket_id: int) -> TableBucket:
        return TableBucket(self._table.info().table_id, bucket_id, partition_id=partition_id)


@final
class BatchScanner:
    """Reads a bucket up to a limit, once there is a way: until then `TableScan` makes none."""

    def __init__(self) -> None:
        raise _unsupported("a limit")

    @property
    def bucket(self) -> TableBucket:
        """The bucket."""
        raise _unsupported("a limit")

    async def next_batch(self) -> RecordBatch | None:
        """The batch, and then None."""
        raise _unsupported("a limit")

    async def collect_all_batches(self) -> list[RecordBatch]:
        """All batches."""
        raise _unsupported("a limit")

    async def to_arrow(self) -> Any:
        """All rows as a ``pyarrow.Table``."""
        raise _unsupported("a limit")

    async def to_pandas(self) -> Any:
        """All rows as a ``pandas.DataFrame``."""
        raise _unsupported("a limit")


def _start(offset: int) -> int | OffsetSpec:
    return OffsetSpec.earliest() if offset == EARLIEST_OFFSET else offset


def _unsupported(what: str) -> UnsupportedError:
    return UnsupportedError(f"a scan cannot have {what} yet", operation="scan")

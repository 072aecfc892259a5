"""Reading to the end of a log, as it was when reading began."""

from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from fluss import _fluss
from fluss._fluss import OffsetSpec, Pending, RecordBatch
from fluss.compat._arrow import pyarrow
from fluss.metadata import TableBucket, TableInfo

__all__ = ["BoundedRead"]

_POLL_MS = 500

_T = TypeVar("_T")
_Steps = Generator[Any, Any, _T]
"""Yields operations, which it is sent the outcomes of, and batches that it has read."""


class BoundedRead:
    """Reads the buckets of ``positions``, which tells where each of them stands and is kept up to date, to their ends.

    A bucket that is read to its end is unsubscribed. What has to wait for a server is written once, as steps that are
    waited for or awaited.
    """

    def __init__(
        self, scanner: _fluss.LogScanner, table: TableInfo, admin: _fluss.Admin, positions: dict[TableBucket, int]
    ) -> None:
        self._scanner = scanner
        self._table = table
        self._admin = admin
        self._positions = positions
        self._ends: dict[TableBucket, int] = {}

    def reader(self, schema: Any) -> Any:
        """A ``pyarrow.RecordBatchReader`` that reads as it is iterated over, to where the ends are now."""
        for _ in _waited(self._find_ends()):
            pass
        return pyarrow().RecordBatchReader.from_batches(schema, _waited(self._batches()))

    async def table(self, schema: Any) -> Any:
        """A ``pyarrow.Table`` of everything."""
        batches = [*await _awaited(self._find_ends()), *await _awaited(self._batches())]
        return pyarrow().Table.from_batches(batches, schema)

    def _find_ends(self) -> _Steps[None]:
        self._ends = yield from self._offsets(OffsetSpec.latest())
        yield from self._finish()

    def _batches(self) -> _Steps[None]:
        while self._positions:
            polled = yield self._scanner.poll_record_batch(_POLL_MS)
            for batch in polled:
                yield from self._take(batch)
            if not polled:
                yield from self._skip_what_is_gone()
            yield from self._finish()

    def _take(self, batch: RecordBatch) -> _Steps[None]:
        """The part of the batch that was there when reading began."""
        wanted = self._end(batch.bucket) - batch.base_offset
        if wanted > 0:
            self._positions[batch.bucket] = batch.last_offset + 1
            yield batch.to_pyarrow().slice(0, wanted)

    def _skip_what_is_gone(self) -> _Steps[None]:
        """Records that the server has deleted since are not waited for, nor is a partition that it has dropped."""
        first = yield from self._offsets(OffsetSpec.earliest())
        for bucket, position in self._positions.items():
            self._positions[bucket] = max(position, first.get(bucket, self._end(bucket)))

    def _finish(self) -> _Steps[None]:
        finished = [bucket for bucket, position in self._positions.items() if position >= self._end(bucket)]
        for bucket in finished:
            del self._positions[bucket]
            if bucket.partition_id is None:
                yield self._scanner.unsubscribe(bucket.bucket_id)
            else:
                yield self._scanner.unsubscribe_partition(bucket.partition_id, bucket.bucket_id)

    def _end(self, bucket: TableBucket) -> int:
        return self._ends.get(bucket, 0)

    def _offsets(self, spec: OffsetSpec) -> _Steps[dict[TableBucket, int]]:
        """The offset of each bucket, but for those of partitions that are not there."""
        path = self._table.table_path
        if not self._table.is_partitioned():
            bucket_ids = {bucket.bucket_id: bucket for bucket in self._positions}
            offsets = yield self._admin.list_offsets(path, list(bucket_ids), spec)
            return {bucket: offsets[bucket_id] for bucket_id, bucket in bucket_ids.items()}
        found: dict[TableBucket, int] = {}
        for partition in (yield self._admin.list_partition_infos(path, None)):
            bucket_ids = {b.bucket_id: b for b in self._positions if b.partition_id == partition.partition_id}
            if not bucket_ids:
                continue
            name = partition.partition_name
            offsets = yield self._admin.list_partition_offsets(path, name, list(bucket_ids), spec)
            found |= {bucket: offsets[bucket_id] for bucket_id, bucket in bucket_ids.items()}
        return found


def _waited(steps: _Steps[None]) -> Iterator[Any]:
    """What the steps read, waiting for their operations."""
    step = next(steps, None)
    while step is not None:
        if isinstance(step, Pending):
            step = _sent(steps, step.wait())
        else:
            yield step
            step = next(steps, None)


async def _awaited(steps: _Steps[None]) -> list[Any]:
    """What the steps read, awaiting their operations."""
    found = []
    step = next(steps, None)
    while step is not None:
        if isinstance(step, Pending):
            step = _sent(steps, await step)
        else:
            found.append(step)
            step = next(steps, None)
    return found


def _sent(steps: _Steps[None], outcome: object) -> Any:
    """The next step after an operation with this outcome, or None."""
    try:
        return steps.send(outcome)
    except StopIteration:
        return None

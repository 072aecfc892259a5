"""Reading to the end of a log, as it was when reading began."""

from collections.abc import Iterable, Iterator
from threading import Event
from typing import Any

from fluss import _fluss
from fluss._fluss import OffsetSpec, RecordBatch
from fluss.compat._arrow import pyarrow
from fluss.metadata import TableBucket, TableInfo

__all__ = ["BoundedRead"]

_POLL_MS = 500


class BoundedRead:
    """Reads the buckets of ``positions``, which tells where each of them stands and is kept up to date, to their ends.

    A bucket that is read to its end is unsubscribed.
    """

    def __init__(
        self, scanner: _fluss.LogScanner, table: TableInfo, admin: _fluss.Admin, positions: dict[TableBucket, int]
    ) -> None:
        self._scanner = scanner
        self._table = table
        self._admin = admin
        self._positions = positions
        self._stopped = Event()
        self._ends = self._offsets(list(positions), OffsetSpec.latest())
        self._finish()

    def reader(self, schema: Any) -> Any:
        """A ``pyarrow.RecordBatchReader`` that reads as it is iterated over."""
        return pyarrow().RecordBatchReader.from_batches(schema, self._batches())

    def stop(self) -> None:
        """Ends the reading with the poll that goes on now."""
        self._stopped.set()

    def _batches(self) -> Iterator[Any]:
        while self._positions and not self._stopped.is_set():
            polled = self._scanner.poll_record_batch(_POLL_MS).wait()
            for batch in polled:
                yield from self._take(batch)
            if not polled:
                self._skip_what_is_gone()
            self._finish()

    def _take(self, batch: RecordBatch) -> Iterator[Any]:
        """The part of the batch that was there when reading began."""
        wanted = self._ends.get(batch.bucket, 0) - batch.base_offset
        if wanted > 0:
            self._positions[batch.bucket] = batch.last_offset + 1
            yield batch.to_pyarrow().slice(0, wanted)

    def _skip_what_is_gone(self) -> None:
        """Records that the server has deleted since are not waited for, nor is a partition that it has dropped."""
        first = self._offsets(list(self._positions), OffsetSpec.earliest())
        for bucket, position in list(self._positions.items()):
            self._positions[bucket] = max(position, first.get(bucket, self._ends.get(bucket, 0)))

    def _finish(self) -> None:
        for bucket, position in list(self._positions.items()):
            if position >= self._ends.get(bucket, 0):
                self._unsubscribe(bucket)
                del self._positions[bucket]

    def _unsubscribe(self, bucket: TableBucket) -> None:
        if bucket.partition_id is None:
            self._scanner.unsubscribe(bucket.bucket_id).wait()
        else:
            self._scanner.unsubscribe_partition(bucket.partition_id, bucket.bucket_id).wait()

    def _offsets(self, buckets: Iterable[TableBucket], spec: OffsetSpec) -> dict[TableBucket, int]:
        """The offset of each bucket, but for those of partitions that are not there."""
        by_partition: dict[int | None, list[TableBucket]] = {}
        for bucket in buckets:
            by_partition.setdefault(bucket.partition_id, []).append(bucket)
        names = self._partition_names()
        found: dict[TableBucket, int] = {}
        for partition, members in by_partition.items():
            if partition in names:
                offsets = self._ask(names[partition], [bucket.bucket_id for bucket in members], spec)
                found.update({bucket: offsets[bucket.bucket_id] for bucket in members})
        return found

    def _partition_names(self) -> dict[int | None, str]:
        if not self._table.is_partitioned():
            return {None: ""}
        listed = self._admin.list_partition_infos(self._table.table_path, None).wait()
        return {partition.partition_id: partition.partition_name for partition in listed}

    def _ask(self, partition: str, bucket_ids: list[int], spec: OffsetSpec) -> dict[int, int]:
        if not partition:
            return self._admin.list_offsets(self._table.table_path, bucket_ids, spec).wait()
        return self._admin.list_partition_offsets(self._table.table_path, partition, bucket_ids, spec).wait()

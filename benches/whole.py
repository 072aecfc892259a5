"""Reads a large primary-key table whole and checks it against a model.

``whole.py [--scale 1] [--servers 3] [--snapshots 4s]``

1 M keys get 3 M changes on a real cluster. The table is read as it stood at three past times and as it is, and again
and again while the last of the changes are written. Each time it must hold exactly what the changes before the offsets
that it states have left, by a model that was kept beside it.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from run import Cluster

import fluss
from fluss.types import DataTypes

KEYS = 1_000_000
CHANGES = 3_000_000
BUCKETS = 6
# The changes that are written at once: to different keys, of which this share are deletes once all keys are there.
BATCH = 50_000
DELETED = 0.1
TABLE = "fluss.whole"

Array = NDArray[np.int64]
NOTHING = -1
"""The value of a key without a row."""


@dataclass
class Model:
    """Every change in the order of writing: its key, its value, and how many records of the changelog it makes."""

    rows: Array
    changes: list[tuple[Array, Array, Array]] = field(default_factory=list)

    def change(self, keys: Array, values: Array) -> None:
        """Notes changes of different keys, before they are written."""
        was_there, is_there = self.rows[keys] != NOTHING, values != NOTHING
        self.changes.append((keys, values, was_there.astype(np.int64) + is_there))
        self.rows[keys] = values

    def at(self, offsets: dict[fluss.TableBucket, int], bucket_of: Array) -> Array:
        """The value of each key, by the offset at which the log of its bucket ends."""
        rows = np.full_like(self.rows, NOTHING)
        keys, values, records = (np.concatenate(parts) for parts in zip(*self.changes, strict=True))
        for bucket, end in offsets.items():
            here = bucket_of[keys] == bucket.bucket_id
            ends = np.cumsum(records[here])
            count = np.searchsorted(ends, end, side="right")
            assert (ends[count - 1] if count else 0) == end, f"{bucket} ends within a change"
            rows[keys[here][:count]] = values[here][:count]
        return rows


def batches(dice: np.random.Generator, keys: int, changes: int) -> list[tuple[Array, Array]]:
    """All keys once, in no order, and then changes of some of them."""
    first = dice.permutation(keys)
    made, found = 0, []
    while made < changes:
        taken = first[made : made + BATCH] if made < keys else dice.choice(keys, min(BATCH, keys), replace=False)
        values = np.arange(made, made + len(taken))
        if made >= keys:
            values[dice.random(len(taken)) < DELETED] = NOTHING
        found.append((taken, values))
        made += len(taken)
    return found


def write(writer: fluss.client.UpsertWriter, model: Model, keys: Array, values: Array) -> None:
    """Notes changes and writes them: upserts first, then deletes."""
    upserted = values != NOTHING
    model.change(keys[upserted], values[upserted])
    writer.upsert_arrow(pa.table({"id": keys[upserted], "value": values[upserted]}))
    model.change(keys[~upserted], values[~upserted])
    writer.delete_arrow(pa.table({"id": keys[~upserted]}))


def check(name: str, read: fluss.client.ArrowTable, begun: float, expected: Array) -> None:
    """Compares a table with the model's, and prints how long it took."""
    seconds = time.perf_counter() - begun
    table = pa.table(read)
    found = np.full_like(expected, NOTHING)
    found[table["id"].to_numpy()] = table["value"].to_numpy()
    assert table.num_rows == np.count_nonzero(found != NOTHING), f"{name}: a key comes twice"
    assert np.array_equal(found, expected), f"{name}: {np.count_nonzero(found != expected):,} keys differ"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:24} {table.num_rows:>10,} rows {seconds:>8.2f} s {peak:>8,.0f} MiB at most so far", flush=True)


def buckets_of(table: fluss.client.Table, keys: int) -> Array:
    """The bucket of each key, by the changelog."""
    bucket_of = np.full(keys, NOTHING)
    for batch in table.new_scan().project(["id"]).create_bounded_reader():
        bucket_of[batch.to_pyarrow()["id"].to_numpy()] = batch.bucket.bucket_id
    return bucket_of


def create(connection: fluss.Connection) -> fluss.client.Table:
    schema = fluss.Schema.new_builder().column("id", DataTypes.BIGINT()).column("value", DataTypes.BIGINT())
    descriptor = fluss.TableDescriptor(schema.primary_key(["id"]).build(), bucket_count=BUCKETS)
    connection.get_admin().create_table(TABLE, descriptor)
    return connection.get_table(TABLE)


def fill(table: fluss.client.Table, model: Model, work: list[tuple[Array, Array]]) -> list[tuple[int, Array]]:
    """Writes changes. Returns three moments at which nothing was on its way, with what there was."""
    moments: list[tuple[int, Array]] = []
    with table.new_upsert().create_writer() as writer:
        for number, (keys, values) in enumerate(work, 1):
            write(writer, model, keys, values)
            if number in (len(work) // 3, len(work) // 2, len(work) - 1):
                writer.flush()
                # Nothing else is stored in the millisecond that is asked for.
                time.sleep(0.01)
                moments.append((time.time_ns() // 1_000_000, model.rows.copy()))
                time.sleep(0.01)
    return moments


def read_beside(table: fluss.client.Table, model: Model, work: list[tuple[Array, Array]], bucket_of: Array) -> None:
    """Reads the table while changes are written."""

    def write_all() -> None:
        with table.new_upsert().create_writer() as writer:
            for keys, values in work:
                write(writer, model, keys, values)

    writing = threading.Thread(target=write_all)
    writing.start()
    for number in itertools.count(1):
        begun = time.perf_counter()
        read = table.to_arrow()
        check(f"while writes go on, {number}", read, begun, model.at(read.offsets, bucket_of))
        if not writing.is_alive():
            break
    writing.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of keys and changes")
    parser.add_argument("--servers", type=int, default=3, help="tablet servers")
    parser.add_argument("--snapshots", default="10min", help="how often servers take snapshots")
    arguments = parser.parse_args()
    keys, changes = (max(BATCH, int(number * arguments.scale)) for number in (KEYS, CHANGES))
    model = Model(np.full(keys, NOTHING))
    work = batches(np.random.default_rng(1), keys, changes)
    middle = len(work) * 4 // 5
    with (
        Cluster(tablet_servers=arguments.servers, properties={"kv.snapshot.interval": arguments.snapshots}) as cluster,
        fluss.connect(f"fluss://{cluster.bootstrap}") as connection,
    ):
        table = create(connection)
        moments = fill(table, model, work[:middle])
        bucket_of = buckets_of(table, keys)
        for number, (moment, rows) in enumerate(moments, 1):
            begun = time.perf_counter()
            check(f"as of time {number}", table.to_arrow(as_of=moment), begun, rows)
        read_beside(table, model, work[middle:], bucket_of)
        begun = time.perf_counter()
        check("at the end", table.to_arrow(), begun, model.rows)


if __name__ == "__main__":
    main()

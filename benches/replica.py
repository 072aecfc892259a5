"""A replica beside embedded stores: ``replica.py [--rows N] [--rounds N]``.

The same rows in a replica, in SQLite and in RocksDB, read by the same keys from Python; and, by `bench-replica`, what a
replica costs in Rust beside LMDB, and while changes come. IKV's own client cannot be had: it needs an account.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import run
import servers

import fluss

KEYS = 200_000
AT_ONCE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--followed", type=int, default=10, help="seconds for which changes are followed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluss-replica-") as scratch, servers.node(Path(scratch) / "node") as node:
        rust = [run.program("bench-replica"), node.target]
        numbers = [arguments.rows, arguments.rounds, arguments.followed]
        subprocess.run([*map(str, rust), *map(str, numbers)], check=True)
        from_python(node.target, Path(scratch), arguments.rows, arguments.rounds)


def rows(count: int) -> pa.Table:
    ids = range(count)
    names = [f"name-{10_000 + number % 90_000}" for number in ids]
    values = [number * 0.5 for number in ids]
    first = 1_704_067_200_000_000
    at = pa.array([first + number for number in ids], pa.timestamp("us"))
    return pa.table({"id": pa.array(ids, pa.int64()), "name": names, "value": values, "at": at})


def from_python(target: str, scratch: Path, count: int, rounds: int) -> None:
    """The same reads of the same rows, of each store."""
    table = rows(count)
    picked = random.Random(7)
    keys = [picked.randrange(count) for _ in range(KEYS)]
    parts = [keys[begin : begin + AT_ONCE] for begin in range(0, KEYS, AT_ONCE)]
    stores = [replica(target, scratch, table), sqlite(scratch, table), *rocksdb(scratch, table)]
    print(f"{'reads a second from Python':28}{'get':>12}{'multiget':>12}")
    for name, get, multiget in stores:
        gets, multigets = [], []
        for _ in range(rounds):
            gets.append(KEYS / seconds(lambda get=get: [get(key) for key in keys]))
            multigets.append(KEYS / seconds(lambda multiget=multiget: [multiget(part) for part in parts]))
        print(f"{name:28}{median(gets):>12,.0f}{median(multigets):>12,.0f}")


Store = tuple[str, Callable[[int], Any], Callable[[list[int]], Any]]


def replica(target: str, scratch: Path, table: pa.Table) -> Store:
    connection = fluss.connect(target)
    descriptor = run.descriptor(keyed=True, buckets=4)
    connection.get_admin().create_table("fluss.from_python", descriptor)
    writer = connection.get_table("fluss.from_python").new_upsert().create_writer()
    writer.upsert_arrow(table)
    writer.flush()
    opened = fluss.open_replica(connection, "fluss.from_python", scratch / "replica")
    opened.startup()
    assert opened.get_value(7, "name") == "name-10007"
    return "replica", opened.get, opened.multiget


def sqlite(scratch: Path, table: pa.Table) -> Store:
    database = sqlite3.connect(scratch / "sqlite.db")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL, at INTEGER)")
    columns = [table["at"].cast(pa.int64()) if name == "at" else table[name] for name in table.column_names]
    columns = [column.to_pylist() for column in columns]
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", zip(*columns, strict=True))
    database.commit()
    one = database.cursor()
    names = table.column_names

    def get(key: int) -> dict[str, Any]:
        found = one.execute("SELECT id, name, value, at FROM t WHERE id = ?", (key,)).fetchone()
        return dict(zip(names, found, strict=True))

    def multiget(keys: list[int]) -> list[dict[str, Any]]:
        places = ",".join("?" * len(keys))
        found = one.execute(f"SELECT id, name, value, at FROM t WHERE id IN ({places})", keys).fetchall()
        there = {row[0]: dict(zip(names, row, strict=True)) for row in found}
        return [there[key] for key in keys]

    return "SQLite", get, multiget


def rocksdb(scratch: Path, table: pa.Table) -> list[Store]:
    """RocksDB by `rocksdict`, if it is installed."""
    try:
        from rocksdict import Rdict, WriteBatch
    except ImportError:
        return []
    store = Rdict(str(scratch / "rocksdb"))
    for batch in table.to_batches(100_000):
        writes = WriteBatch()
        for row in batch.to_pylist():
            writes.put(row["id"], row)
        store.write(writes)
    store.flush()
    return [("RocksDB (rocksdict)", store.get, store.get)]


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()

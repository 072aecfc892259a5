"""Tables whose bucket count changes while they are written, looked up and read: both faces, and beside Java 1.0.0."""

import asyncio
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests" / "peers"))

import fluss
import peers
from faces import beside, create_table, settle
from fluss import Schema, TableDescriptor
from fluss.client import Positions
from fluss.client.admin import OffsetSpec
from fluss_cluster import Node

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]
COUNTS = {"a": 1, "b": 4, "c": 2, "d": 8}
"""The partitions, and how many buckets each is made with, in turn."""
IDS = 30
PATIENCE = 120
_numbers = count()


@pytest.fixture(params=["memory", "node"])
def run(request: pytest.FixtureRequest, face: ModuleType) -> Callable[[Body], None]:
    """Runs a test with a connection of either face to a server of 1.0, which looks for new partitions often."""
    served = request.param == "node"
    target = f"fluss://{request.getfixturevalue('node').bootstrap}" if served else "embedded::memory:tests"

    def in_face(body: Body) -> None:
        async def main() -> None:
            connection = await settle(face.connect(target, {"client.scanner.partition-discovery-interval": "50 ms"}))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


async def create(connection: Any, *, keyed: bool) -> Any:
    path = f"fluss.rescaled_{next(_numbers)}"
    schema = Schema.new_builder().column("id", "INT NOT NULL").column("p", "STRING NOT NULL").column("n", "BIGINT")
    if keyed:
        schema = schema.primary_key(["id", "p"])
    descriptor = TableDescriptor(schema.build(), partition_keys=["p"], bucket_count=1, bucket_keys=["id"])
    await create_table(connection.get_admin(), path, descriptor)
    return await settle(connection.get_table(path))


class Writing:
    """What is written, always more: each value is greater than those before it."""

    def __init__(self, table: Any, *, keyed: bool) -> None:
        self.partitions = ["a"]
        self.stop = threading.Event()
        self.ended = threading.Event()
        """Nothing more is written."""
        self.rounds: dict[str, int] = {}
        self.values: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.acknowledged: dict[tuple[str, int], int] = {}
        self._table = table
        self._keyed = keyed

    async def go_on(self) -> None:
        writer = (self._table.new_upsert() if self._keyed else self._table.new_append()).create_writer()
        one, many = (writer.upsert, writer.upsert_arrow) if self._keyed else (writer.append, writer.append_arrow)
        values = count()
        while not self.stop.is_set():
            partitions = tuple(self.partitions)
            for partition in partitions:
                for key in range(IDS):
                    one([key, partition, self._next(partition, key, values)])
                keys = range(IDS // 2, IDS)
                columns = {
                    "id": pa.array(keys, pa.int32()),
                    "p": [partition] * len(keys),
                    "n": pa.array([self._next(partition, key, values) for key in keys], pa.int64()),
                }
                await settle(many(pa.table(columns)))
            await settle(writer.flush())
            self.acknowledged = {place: values[-1] for place, values in self.values.items()}
            self.rounds = {partition: self.rounds.get(partition, 0) + 1 for partition in partitions}
        self.ended.set()
        await settle(writer.close())

    def _next(self, partition: str, key: int, values: Iterator[int]) -> int:
        value = next(values)
        self.values[partition, key].append(value)
        return value

    async def until(self, partition: str, rounds: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.rounds.get(partition, 0) < rounds:
                await asyncio.sleep(0.01)


async def look_up(table: Any, writing: Writing) -> None:
    """Looks all keys up, again and again: what was acknowledged is found, or what was written later."""
    lookuper = table.new_lookup().create_lookuper()
    while not writing.stop.is_set():
        acknowledged = dict(writing.acknowledged)
        found = await settle(lookuper.lookup_many([(key, partition) for partition, key in acknowledged]))
        for (place, value), row in zip(acknowledged.items(), found, strict=True):
            assert row is not None and row["n"] >= value, place


async def follow(table: Any, writing: Writing) -> dict[tuple[str, int], list[int]]:
    """The values of each key in their order, read by one scanner after the other, each from where the last stood."""
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    saved, seen = "", 0
    while not writing.ended.is_set() or seen < sum(map(len, writing.values.values())):
        scanner = table.new_scan().create_log_scanner()
        if saved:
            await settle(scanner.subscribe_positions(Positions.from_json(saved)))
        else:
            await settle(scanner.subscribe_all(OffsetSpec.earliest()))
        for _ in range(5):
            for record in await settle(scanner.poll(50)):
                if record.row["p"] not in COUNTS or record.change_type.short_string() in ("-U", "-D"):
                    continue
                found[record.row["p"], record.row["id"]].append(record.row["n"])
                seen += 1
        saved = (await settle(scanner.positions())).to_json()
        await settle(scanner.close())
    return found


@pytest.mark.parametrize("keyed", [False, True], ids=["log", "key"])
def test_all_goes_on_while_the_bucket_count_changes(run: Callable[[Body], None], face: ModuleType, keyed: bool) -> None:
    async def body(connection: Any) -> None:
        admin, table = connection.get_admin(), await create(connection, keyed=keyed)
        path = table.get_table_path()
        writing = Writing(table, keyed=keyed)
        work = [writing.go_on(), follow(table, writing)]
        work += [look_up(table, writing)] if keyed else []
        running = [beside(face, each) for each in work]
        for partition, buckets in COUNTS.items():
            if partition != "a":
                await settle(admin.set_bucket_count(path, buckets))
                writing.partitions.append(partition)
            await writing.until(partition, 3)
            await come_and_go(admin, table, f"passing {buckets}", keyed=keyed)
        middle = await settle(table.to_arrow())
        writing.stop.set()
        async with asyncio.timeout(PATIENCE):
            _, found, *_ = await asyncio.gather(*running)

        infos = await settle(admin.list_partition_infos(path))
        assert {info.partition_name: info.bucket_count for info in infos} == COUNTS
        assert found == writing.values
        final = {key: values[-1:] if keyed else values for key, values in writing.values.items()}
        assert by_key(await settle(table.to_arrow())) == {key: sorted(values) for key, values in final.items()}
        assert set(by_key(middle)) <= set(final)
        assert by_key(await settle(table.to_arrow(as_of=middle.offsets))) == by_key(middle)

    run(body)


async def come_and_go(admin: Any, table: Any, partition: str, *, keyed: bool) -> None:
    """A partition is made, written, dropped, and made again by a write."""
    path = table.get_table_path()
    writer = (table.new_upsert() if keyed else table.new_append()).create_writer()
    partition = partition.replace(" ", "_")
    for _ in range(2):
        for key in range(IDS):
            (writer.upsert if keyed else writer.append)([key, partition, key])
        await settle(writer.flush())
        await settle(admin.drop_partition(path, {"p": partition}))
    await settle(writer.close())


def by_key(rows: Any) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in rows.to_pyarrow().to_pylist():
        found[row["p"], row["id"]].append(row["n"])
    return {key: sorted(values) for key, values in found.items() if key[0] in COUNTS}


def write_with_java(java: peers.Peer, **request: Any) -> None:
    """Java gives rows back that it had collected by an older bucket count, maybe not all of a call: some come twice."""
    try:
        java.ask(**request)
    except peers.PeerError as error:
        assert "BucketRescaleException" in str(error)
        java.ask(**request)


@pytest.mark.usefixtures("needs_java")
@pytest.mark.parametrize("keyed", [False, True], ids=["log", "key"])
def test_java_finds_what_we_wrote_and_we_what_java_wrote(node: Node, keyed: bool) -> None:
    with fluss.connect(f"fluss://{node.bootstrap}") as connection, peers.java_1_0() as java:
        table, admin = asyncio.run(create(connection, keyed=keyed)), connection.get_admin()
        path = table.get_table_path()
        where = {"database": path.database_name, "table": path.table_name}
        java.ask(op="connect", bootstrap=node.bootstrap)
        writer = (table.new_upsert() if keyed else table.new_append()).create_writer()
        expected: dict[tuple[str, int], list[int]] = {}
        for turn, (partition, buckets) in enumerate(COUNTS.items()):
            if turn:
                admin.set_bucket_count(path, buckets)
            ours, theirs = range(IDS), range(IDS, 2 * IDS)
            # Whoever comes first makes the partition; the others' caches are of before.
            for ids in ((ours, theirs), (theirs, ours))[turn % 2]:
                if ids is ours:
                    for key in ours:
                        (writer.upsert if keyed else writer.append)([key, partition, key])
                    writer.flush()
                else:
                    rows = [[key, partition, key] for key in theirs]
                    write_with_java(java, op="upsert" if keyed else "append", **where, rows=rows)
            expected |= {(partition, key): [key] for key in range(2 * IDS)}
        found = by_key(table.to_arrow())
        assert {key: values if key[1] < IDS or keyed else values[:1] for key, values in found.items()} == expected
        if keyed:
            keys = [[key, partition] for partition, key in expected]
            rows = [[[key, partition, key]] for partition, key in expected]
            assert java.ask(op="lookup", **where, keys=keys)["found"] == rows
            found = table.new_lookup().create_lookuper().lookup_many(keys)
            assert [row and row["n"] for row in found] == [key for _, key in expected]

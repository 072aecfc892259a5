"""Partitioned tables on a real cluster, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss import Schema, TableDescriptor
from fluss.client.admin import OffsetSpec

POLL_MS = 10_000
Body = Callable[[Any], Coroutine[Any, Any, None]]
_numbers = count()


@pytest.fixture
def run(face: ModuleType, target: str) -> Callable[..., None]:
    """Runs a test with a connection of either face, which looks for new partitions often."""

    def in_face(body: Body, **options: object) -> None:
        async def main() -> None:
            config = {"client.scanner.partition-discovery-interval": "100 ms", **options}
            connection = await settle(face.connect(target, config))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


async def create(connection: Any, *, keys: list[str], properties: dict[str, str] | None = None) -> Any:
    path = f"fluss.partitioned_{next(_numbers)}"
    schema = Schema.new_builder().column("id", "INT").column("day", "DATE").column("land", "STRING").build()
    descriptor = TableDescriptor(schema, partition_keys=keys, bucket_count=2, properties=properties)
    await create_table(connection.get_admin(), path, descriptor)
    return await settle(connection.get_table(path))


async def names(connection: Any, table: Any) -> dict[str, int]:
    infos = await settle(connection.get_admin().list_partition_infos(table.get_table_path()))
    return {info.partition_name: info.partition_id for info in infos}


async def read(scanner: Any, rows: int) -> dict[int, list[int]]:
    """The ids of so many rows, by partition."""
    found: dict[int, list[int]] = {}
    seen = 0
    while seen < rows:
        records = await settle(scanner.poll(POLL_MS))
        assert len(records) > 0, f"{seen} of {rows} rows came"
        seen += len(records)
        for record in records:
            found.setdefault(record.bucket.partition_id, []).append(record.row["id"])
    assert seen == rows
    return {partition: sorted(ids) for partition, ids in found.items()}


DAY, NEXT = dt.date(2024, 2, 3), dt.date(2024, 2, 4)


def test_rows_and_batches_are_sent_to_their_partitions(run: Callable[..., None]) -> None:
    pa = pytest.importorskip("pyarrow")

    async def body(connection: Any) -> None:
        table = await create(connection, keys=["day", "land"])
        writer = table.new_append().create_writer()
        places = [(DAY, "de"), (DAY, "fr"), (NEXT, "de")]
        for number in range(30):
            writer.append([number, *places[number % 3]])
        columns = {
            "id": pa.array(range(30, 60), pa.int32()),
            "day": [places[number % 3][0] for number in range(30, 60)],
            "land": [places[number % 3][1] for number in range(30, 60)],
        }
        await settle(writer.append_arrow(pa.table(columns)))
        await settle(writer.close())

        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.earliest()))
        found = await read(scanner, 60)
        partitions = await names(connection, table)
        assert set(partitions) == {"2024-02-03$de", "2024-02-03$fr", "2024-02-04$de"}
        for place, name in enumerate(["2024-02-03$de", "2024-02-03$fr", "2024-02-04$de"]):
            assert found[partitions[name]] == list(range(place, 60, 3))
        assert await settle(connection.get_admin().get_row_count(table.get_table_path())) == 60

    run(body)


def test_a_scanner_follows_partitions_as_they_appear(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, keys=["land"])
        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.latest()))
        writer = table.new_append().create_writer()
        for number in range(10):
            writer.append([number, DAY, f"n{number}"])
            await settle(writer.flush())
        found = await read(scanner, 10)
        assert sorted(ids for (ids,) in found.values()) == list(range(10))

    run(body)


def test_partitions_are_read_by_number(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        admin, table = connection.get_admin(), await create(connection, keys=["land"])
        path = table.get_table_path()
        writer = table.new_append().create_writer()
        for number in range(20):
            writer.append([number, DAY, ["de", "fr"][number % 2]])
        await settle(writer.close())
        partition = (await names(connection, table))["fr"]
        ends = await settle(admin.list_partition_offsets(path, "fr", [0, 1], OffsetSpec.latest()))
        assert sum(ends.values()) == 10

        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_partition(partition, None, OffsetSpec.earliest()))
        assert await read(scanner, 10) == {partition: list(range(1, 20, 2))}
        await settle(scanner.unsubscribe_partition(partition))

        last = {(partition, bucket): end - 1 for bucket, end in ends.items() if end}
        await settle(scanner.subscribe_partition_buckets(last))
        assert len((await read(scanner, len(last)))[partition]) == len(last)
        bucket = next(bucket for _, bucket in last)
        await settle(scanner.subscribe_partition(partition, bucket, 0))
        await read(scanner, ends[bucket])
        with pytest.raises(fluss.NotFoundError, match="no partition 9999"):
            await settle(scanner.subscribe_partition(9_999, 0, 0))
        with pytest.raises(fluss.NotFoundError) as raised:
            await settle(admin.list_partition_offsets(path, "it", [0], OffsetSpec.latest()))
        assert raised.value.partition == "it"

    run(body)


def test_a_bad_partition_fails_its_row_only(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, keys=["land"])
        writer = table.new_append().create_writer()
        for bad in ["", "a b", "a$b", None]:
            with pytest.raises(fluss.DataError) as raised:
                writer.append([0, DAY, bad])
            assert raised.value.column == "land"
        writer.append([1, DAY, "de"])
        await settle(writer.close())
        assert set(await names(connection, table)) == {"de"}

    run(body)


def test_without_creation_a_missing_partition_is_named(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        admin, table = connection.get_admin(), await create(connection, keys=["land"])
        path = table.get_table_path()
        writer = table.new_append().create_writer()
        handle = writer.append([0, DAY, "de"])
        with pytest.raises(fluss.NotFoundError) as raised:
            await settle(writer.flush())
        assert (raised.value.table, raised.value.partition) == (str(path), "de")
        assert handle.done()
        await settle(admin.create_partition(path, {"land": "de"}))
        await settle(admin.create_partition(path, {"land": "de"}, ignore_if_exists=True))
        writer.append([0, DAY, "de"])
        await settle(writer.close())
        await settle(admin.drop_partition(path, {"land": "de"}))
        await settle(admin.drop_partition(path, {"land": "de"}, ignore_if_not_exists=True))
        assert await settle(admin.list_partition_infos(path, {"land": "de"})) == []

    run(body, **{"client.writer.dynamic-create-partition.enabled": False})


def test_the_clock_creates_partitions(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        properties = {"table.auto-partition.enabled": "true", "table.auto-partition.time-unit": "DAY"}
        table = await create(connection, keys=["land"], properties=properties)
        now = dt.datetime.now()
        today, earlier = f"{now:%Y%m%d}", f"{now - dt.timedelta(days=3):%Y%m%d}"
        async with asyncio.timeout(60):
            while len(found := await names(connection, table)) < 2:
                await asyncio.sleep(0.02)
        writer = table.new_append().create_writer()
        for number, day in enumerate([*found, earlier]):
            writer.append([number, DAY, day])
        await settle(writer.close())
        assert set(await names(connection, table)) == {*found, earlier} and min(found) >= today

    run(body)

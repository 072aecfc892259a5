"""Saved positions: a scanner goes on exactly where another stood, in both faces."""

import asyncio
import pickle
import random
from collections.abc import Callable, Coroutine
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import beside, create_table, settle
from fluss import Schema, TableDescriptor
from fluss.client import Positions
from fluss.client.admin import OffsetSpec

STOPS = 100
Body = Callable[[Any], Coroutine[Any, Any, None]]
_numbers = count()


@pytest.fixture
def run(face: ModuleType, target: str) -> Callable[[Body], None]:
    """Runs a test with a connection of either face, which looks for new partitions often."""

    def in_face(body: Body) -> None:
        async def main() -> None:
            config = {
                "client.scanner.partition-discovery-interval": "50 ms",
                "client.scanner.log.max-poll-records": 7,
            }
            connection = await settle(face.connect(target, config))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


async def create(connection: Any) -> Any:
    path = f"fluss.positions_{next(_numbers)}"
    schema = Schema.new_builder().column("id", "INT").column("land", "STRING").build()
    descriptor = TableDescriptor(schema, partition_keys=["land"], bucket_count=2)
    await create_table(connection.get_admin(), path, descriptor)
    return await settle(connection.get_table(path))


async def write(table: Any, stop: asyncio.Event) -> int:
    """Appends rows to more and more partitions, until it is told to stop; returns how many."""
    writer, rows = table.new_append().create_writer(), 0
    while not stop.is_set():
        for _ in range(20):
            writer.append([rows, f"n{rows // 300 % 15}"])
            rows += 1
        await settle(writer.flush())
    await settle(writer.close())
    return rows


async def poll(scanner: Any, arrow: bool) -> list[int]:
    """The ids that a poll of either kind returns."""
    if not arrow:
        return [record.row["id"] for record in await settle(scanner.poll(20))]
    found = await settle(scanner.poll_arrow(20))
    return found.to_pyarrow()["id"].to_pylist()  # type: ignore[no-any-return]


def test_a_scanner_that_is_stopped_100_times_gives_every_row_once(
    run: Callable[[Body], None], face: ModuleType
) -> None:
    pytest.importorskip("pyarrow")
    draw = random.Random(6)

    async def body(connection: Any) -> None:
        table, stop = await create(connection), asyncio.Event()
        writing = beside(face, write(table, stop))
        found: set[int] = set()
        saved, stops, rows = "", 0, -1
        async with asyncio.timeout(120):
            while len(found) != rows:
                scanner = table.new_scan().create_log_scanner()
                if saved:
                    await settle(scanner.subscribe_positions(Positions.from_json(saved)))
                else:
                    await settle(scanner.subscribe_all(OffsetSpec.earliest()))
                for _ in range(draw.randrange(5)):
                    ids = await poll(scanner, draw.randrange(5) == 0)
                    assert found.isdisjoint(ids) and len(set(ids)) == len(ids)
                    found.update(ids)
                saved = (await settle(scanner.positions())).to_json()
                await settle(scanner.close())
                stops += 1
                if stops == STOPS:
                    stop.set()
                    rows = await writing
        assert stops >= STOPS and found == set(range(rows))

    run(body)


def test_positions_are_a_value(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection)
        writer = table.new_append().create_writer()
        writer.append([1, "de"])
        await settle(writer.close())
        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.earliest()))
        before = await settle(scanner.positions())
        assert len(await settle(scanner.poll(10_000))) == 1
        after = await settle(scanner.positions())
        assert before != after and after.follows_partitions
        assert (after.table_path, after.table_id) == (table.get_table_path(), table.get_table_info().table_id)
        assert sorted(after.offsets.values(), key=str) == [0, 1] or None in after.offsets.values()
        assert 1 in after.offsets.values()
        for same in (Positions.from_json(after.to_json()), pickle.loads(pickle.dumps(after)), eval(repr(after))):
            assert same == after
        with pytest.raises(fluss.ArgumentError, match="version"):
            Positions.from_json("{}")
        other = (await create(connection)).new_scan().create_log_scanner()
        with pytest.raises(fluss.ArgumentError, match="the positions are in table fluss.positions_"):
            await settle(other.subscribe_positions(after))

    run(body)

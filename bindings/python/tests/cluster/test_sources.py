"""Arrow data whose source reads with this client, or is slow: it is asked for where waiting is allowed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss import aio

pa = pytest.importorskip("pyarrow")

_numbers = count()


async def tables(opened: Any) -> tuple[Any, Any, Any]:
    """A log table with three rows, an empty one, and an empty primary-key table."""
    found = []
    for key in (False, False, True):
        path = f"fluss.sources_{next(_numbers)}"
        schema = fluss.Schema.new_builder().column("id", "INT")
        if key:
            schema.primary_key(["id"])
        await create_table(opened.get_admin(), path, fluss.TableDescriptor(schema.build(), bucket_count=1))
        found.append(await settle(opened.get_table(path)))
    writer = found[0].new_append().create_writer()
    for number in range(3):
        writer.append([number])
    await settle(writer.close())
    return found[0], found[1], found[2]


SCHEMA = pa.schema([("id", pa.int32())])


def direct(source: fluss.client.Table) -> Any:
    return source.new_scan().create_bounded_reader()


def through_pyarrow(source: fluss.client.Table) -> Any:
    return pa.RecordBatchReader.from_stream(direct(source))


def through_a_generator(source: fluss.client.Table) -> Any:
    def batches() -> Iterator[Any]:
        for batch in direct(source):
            yield batch.to_pyarrow()

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def through_another_stream(source: fluss.client.Table) -> Any:
    return pa.RecordBatchReader.from_stream(through_a_generator(source))


@pytest.mark.parametrize("way", [direct, through_pyarrow, through_a_generator, through_another_stream])
def test_every_reader_may_be_handed_to_every_writer(
    run: Any, connection: fluss.Connection, way: Callable[[Any], Any]
) -> None:
    async def body(opened: Any) -> None:
        source, log, keyed = await tables(opened)
        # What is read is read by the blocking face, which Arrow libraries can do alone.
        source = connection.get_table(source.get_table_path())
        appends, upserts = log.new_append().create_writer(), keyed.new_upsert().create_writer()
        await settle(appends.append_arrow(way(source)))
        await settle(appends.flush())
        assert (await settle(log.to_arrow())).to_pyarrow().column("id").to_pylist() == [0, 1, 2]
        await settle(upserts.upsert_arrow(way(source)))
        await settle(upserts.flush())
        found = await settle(keyed.new_lookup().create_lookuper().lookup_arrow(way(source)))
        assert found.to_pyarrow().column("id").to_pylist() == [0, 1, 2]
        await settle(upserts.delete_arrow(way(source)))
        await settle(upserts.close())
        assert (await settle(keyed.to_arrow())).num_rows == 0
        await settle(appends.close())

    run(body)


def test_a_source_is_asked_on_the_thread_of_the_call_that_blocks(connection: fluss.Connection) -> None:
    threads = set()

    def batches() -> Iterator[Any]:
        threads.add(threading.get_ident())
        connection.get_admin().list_databases()
        yield pa.record_batch({"id": pa.array([7], pa.int32())})

    _, log, _ = asyncio.run(tables(connection))
    with log.new_append().create_writer() as writer:
        writer.append_arrow(pa.RecordBatchReader.from_batches(SCHEMA, batches()))
    assert threads == {threading.get_ident()}
    assert log.to_arrow().to_pyarrow().column("id").to_pylist() == [7]


def test_a_slow_source_does_not_hold_up_the_event_loop(target: str) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def batches() -> Iterator[Any]:
        asked.set()
        assert go_on.wait(30)
        yield pa.record_batch({"id": pa.array([7], pa.int32())})

    async def main() -> None:
        async with aio.connect(target) as opened:
            _, log, _ = await tables(opened)
            writer = log.new_append().create_writer()
            source = pa.RecordBatchReader.from_batches(SCHEMA, batches())
            written = asyncio.create_task(writer.append_arrow(source))
            # The loop goes on while the source waits, and it is the loop that lets the source go on.
            async with asyncio.timeout(30):
                while not asked.is_set():
                    await asyncio.sleep(0)
            go_on.set()
            await (await written)
            assert (await log.to_arrow()).num_rows == 1

    asyncio.run(main())


def test_a_source_that_fails_says_why(connection: fluss.Connection) -> None:
    def batches() -> Iterator[Any]:
        yield from ()
        raise ValueError("no more luck")

    _, log, _ = asyncio.run(tables(connection))
    with log.new_append().create_writer() as writer, pytest.raises(fluss.DataError, match="no more luck"):
        writer.append_arrow(pa.RecordBatchReader.from_batches(SCHEMA, batches()))

"""What was had from a connection or scanner that is closed raises ClosedError, at once and everywhere."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import fluss
from faces import create_table_now, settle
from fluss import aio

pa = pytest.importorskip("pyarrow")

NewTable = Callable[..., str]
AT_ONCE_SECONDS = 2.0


def test_everything_of_a_closed_connection_raises(
    run: Any, target: str, face: Any, connection: fluss.Connection, new_table: NewTable
) -> None:
    log = new_table(id="INT")
    keyed = f"{log}_keyed"
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
    create_table_now(connection.get_admin(), keyed, fluss.TableDescriptor(schema, bucket_count=1))

    async def body(_: Any) -> None:
        opened = await settle(face.connect(target))
        table, keys = await settle(opened.get_table(log)), await settle(opened.get_table(keyed))
        admin = opened.get_admin()
        writer, unused = table.new_append().create_writer(), table.new_append().create_writer()
        upserts = keys.new_upsert().create_writer()
        lookuper = keys.new_lookup().create_lookuper()
        writer.append([0])
        upserts.upsert([0])
        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        reader = await settle(table.new_scan().create_bounded_reader())
        await settle(opened.close())
        rows = pa.table({"id": pa.array([1], pa.int32())})
        calls: dict[str, Callable[[], Any]] = {
            "append": lambda: writer.append([1]),
            "append_arrow": lambda: writer.append_arrow(rows),
            "flush": writer.flush,
            "close": writer.close,
            "append of an unused writer": lambda: unused.append([1]),
            "flush of an unused writer": unused.flush,
            "close of an unused writer": unused.close,
            "upsert": lambda: upserts.upsert([1]),
            "delete": lambda: upserts.delete([1]),
            "upsert_arrow": lambda: upserts.upsert_arrow(rows),
            "delete_arrow": lambda: upserts.delete_arrow(rows),
            "flush of upserts": upserts.flush,
            "close of upserts": upserts.close,
            "lookup": lambda: lookuper.lookup([0]),
            "lookup_many": lambda: lookuper.lookup_many([[0]]),
            "lookup_arrow": lambda: lookuper.lookup_arrow(rows),
            "subscribe": lambda: scanner.subscribe(0, 0),
            "subscribe_from_beginning": scanner.subscribe_from_beginning,
            "subscribe_all": lambda: scanner.subscribe_all(fluss.OffsetSpec.latest()),
            "unsubscribe": lambda: scanner.unsubscribe(0),
            "positions": scanner.positions,
            "poll": lambda: scanner.poll(10),
            "poll_arrow": lambda: scanner.poll_arrow(10),
            "poll_record_batch": lambda: scanner.poll_record_batch(10),
            "read_all": reader.read_all,
            "next_batch": lambda: reader._core.next_batch().wait(),
            "create_writer": lambda: table.new_append().create_writer(),
            "create_upsert_writer": lambda: keys.new_upsert().create_writer(),
            "create_lookuper": lambda: keys.new_lookup().create_lookuper(),
            "create_log_scanner": lambda: table.new_scan().create_log_scanner(),
            "create_bounded_reader": lambda: table.new_scan().create_bounded_reader(),
            "to_arrow": table.to_arrow,
            "limit": lambda: table.new_scan().limit(1).to_arrow(),
            "list_databases": admin.list_databases,
            "create_database": lambda: admin.create_database("never"),
            "get_admin": opened.get_admin,
            "get_table": lambda: opened.get_table(log),
        }
        silent = {}
        begun = time.monotonic()
        for name, call in calls.items():
            try:
                silent[name] = await settle(call())
            except fluss.ClosedError:
                pass
        assert silent == {}
        assert time.monotonic() - begun < AT_ONCE_SECONDS
        await settle(opened.close())
        assert connection.get_table(log).to_arrow().num_rows == 1
        assert connection.get_table(keyed).to_arrow().num_rows == 1

    run(body)


@pytest.mark.parametrize("what", ["scanner", "connection"])
def test_a_close_ends_a_poll_that_waits(target: str, new_table: NewTable, what: str) -> None:
    path = new_table(id="INT")
    opened = fluss.connect(target)
    scanner = opened.get_table(path).new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    assert len(scanner.poll(0)) == 0
    closer = threading.Timer(0.2, (scanner if what == "scanner" else opened).close)
    closer.start()
    begun = time.monotonic()
    with pytest.raises(fluss.ClosedError):
        scanner.poll(60_000)
    assert time.monotonic() - begun < 0.2 + AT_ONCE_SECONDS
    closer.join()
    with pytest.raises(fluss.ClosedError):
        scanner.poll(0)
    with pytest.raises(fluss.ClosedError):
        scanner.positions()
    opened.close()


def test_a_close_ends_an_awaited_poll_and_a_loop(target: str, new_table: NewTable) -> None:
    path = new_table(id="INT")

    async def main() -> None:
        async with aio.connect(target) as opened:
            table = await opened.get_table(path)
            polled, looped = table.new_scan().create_log_scanner(), table.new_scan().create_log_scanner()

            async def loop() -> None:
                async for _ in looped:
                    pass

            async with asyncio.timeout(AT_ONCE_SECONDS * 5):
                for scanner, begin in ((polled, polled.poll(60_000)), (looped, loop())):
                    await scanner.subscribe_from_beginning()
                    waiting = asyncio.create_task(begin)
                    await asyncio.sleep(0)
                    await scanner.close()
                    with pytest.raises(fluss.ClosedError):
                        await waiting

    asyncio.run(main())

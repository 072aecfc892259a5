"""Reads that are cancelled, interrupted or left lose nothing: the next one returns what they would have."""

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

import fluss
from faces import settle
from fluss import aio

pa = pytest.importorskip("pyarrow")

NewTable = Callable[..., str]
Silence = Callable[[], AbstractContextManager[None]]
MODES = ("poll", "poll_arrow", "poll_record_batch", "next_batch")


def fill(connection: fluss.Connection, path: str, rows: int) -> None:
    with connection.get_table(path).new_append().create_writer() as writer:
        for number in range(rows):
            writer.append([number])


def ids(polled: Any) -> list[int]:
    """The values of the one column of whatever a read returned."""
    if polled is None:
        return []
    if isinstance(polled, fluss.client.ScanRecords):
        return [record.row["id"] for record in polled]
    if isinstance(polled, list):
        return [number for batch in polled for number in ids(batch)]
    return [number for number in polled.to_pyarrow().column("id").to_pylist()]


async def end_unheard(pending: Any) -> None:
    """Begins an operation and cancels whoever awaits it, once it has ended and before that is heard of."""
    awaiting = pending.__await__()
    await asyncio.wait([next(awaiting)])
    with pytest.raises(asyncio.CancelledError):
        awaiting.throw(asyncio.CancelledError())


@pytest.mark.parametrize("mode", MODES)
def test_what_a_poll_found_that_was_cancelled_is_found_by_the_next(
    target: str, connection: fluss.Connection, new_table: NewTable, mode: str
) -> None:
    path = new_table(id="INT")
    fill(connection, path, 100)

    async def main() -> None:
        async with aio.connect(target) as opened:
            scanner = (await opened.get_table(path)).new_scan().create_log_scanner()
            await scanner.subscribe_from_beginning()
            for _ in range(3):
                await end_unheard(getattr(scanner._core, mode)(10_000))
                assert set((await scanner.positions()).offsets.values()) <= {0, None}
            found: list[int] = []
            while len(found) < 100:
                found += ids(await getattr(scanner._core, mode)(10_000))
            assert found == list(range(100))
            assert list((await scanner.positions()).offsets.values()) == [100]

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES[:3])
def test_polls_that_are_cancelled_all_the_time_return_every_row(target: str, new_table: NewTable, mode: str) -> None:
    path, rows = new_table(id="INT"), 300

    async def main() -> None:
        async with aio.connect(target, {"writer.batch-timeout": "1 ms"}) as opened:
            table = await opened.get_table(path)
            scanner = table.new_scan().create_log_scanner()
            await scanner.subscribe_from_beginning()

            async def produce() -> None:
                writer = table.new_append().create_writer()
                for number in range(rows):
                    await writer.append([number])

            found: list[int] = []
            async with asyncio.TaskGroup() as group:
                producer = group.create_task(produce())
                while not producer.done():
                    try:
                        found += ids(await asyncio.wait_for(getattr(scanner, mode)(1000), 0.002))
                    except TimeoutError:
                        pass
            async with asyncio.timeout(30):
                while len(found) < rows:
                    found += ids(await getattr(scanner, mode)(1000))
            assert found == list(range(rows))

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["next_batch", "read_all"])
def test_a_bounded_reader_that_is_cancelled_goes_on_where_it_was(
    target: str, connection: fluss.Connection, new_table: NewTable, mode: str
) -> None:
    path = new_table(id="INT")
    for begin in range(0, 100, 10):
        with connection.get_table(path).new_append().create_writer() as writer:
            for number in range(begin, begin + 10):
                writer.append([number])

    async def main() -> None:
        async with aio.connect(target) as opened:
            reader = await (await opened.get_table(path)).new_scan().create_bounded_reader()
            found: list[int] = []
            await end_unheard(getattr(reader._core, mode)())
            async for batch in reader:
                found += ids(batch)
                if len(found) < 100:
                    await end_unheard(getattr(reader._core, mode)())
            assert found == list(range(100))

    asyncio.run(main())


def test_a_loop_that_is_left_goes_on_behind_its_last_record(
    run: Any, connection: fluss.Connection, new_table: NewTable
) -> None:
    path = new_table(id="INT")
    fill(connection, path, 2000)

    async def one(scanner: Any) -> Any:
        if isinstance(scanner, aio.LogScanner):
            async for record in scanner:
                return record
        for record in scanner:
            return record
        return None

    async def body(opened: Any) -> None:
        table = await settle(opened.get_table(path))
        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        assert [(await one(scanner)).offset for _ in range(3)] == [0, 1, 2]
        positions = await settle(scanner.positions())
        assert list(positions.offsets.values()) == [3]
        other = table.new_scan().create_log_scanner()
        await settle(other.subscribe_positions(positions))
        assert (await settle(other.poll(10_000)))[0].offset == 3
        # A poll within a loop takes what is left; the loop goes on behind it.
        polled = await settle(scanner.poll(10_000))
        assert polled[0].offset == 3
        assert (await one(scanner)).offset == 3 + len(polled)
        batches = await settle(scanner.poll_record_batch(10_000))
        assert batches[0].base_offset == 4 + len(polled)

    run(body)


def test_ctrl_c_loses_no_row(connection: fluss.Connection, target: str, new_table: NewTable) -> None:
    """The handler raises only while a poll is running: what the program itself does with rows is not interrupted."""
    path = new_table(id="INT")
    is_polling, done = False, threading.Event()

    def interrupt(*_: object) -> None:
        if is_polling:
            raise KeyboardInterrupt

    def produce() -> None:
        with fluss.connect(target, {"writer.batch-timeout": "1 ms"}) as opened:
            writer = opened.get_table(path).new_append().create_writer()
            while not done.wait(0.002):
                writer.append([0]).wait(timeout=30)

    former = signal.signal(signal.SIGINT, interrupt)
    producer = threading.Thread(target=produce)
    producer.start()
    try:
        scanner = connection.get_table(path).new_scan().create_log_scanner()
        scanner.subscribe_from_beginning()
        passed, interrupts = 0, 0
        while interrupts < 20:
            threading.Timer(random.uniform(0.01, 0.03), os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                is_polling = True
                while True:
                    records = scanner.poll(10_000)
                    is_polling = False
                    assert records[0].offset == passed
                    passed += len(records)
                    is_polling = True
            except KeyboardInterrupt:
                is_polling = False
                interrupts += 1
                assert set(scanner.positions().offsets.values()) <= {passed, None if passed == 0 else passed}
    finally:
        done.set()
        producer.join()
        signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")
def test_ctrl_c_in_a_stream_that_another_library_reads_is_raised(
    target: str, silence: Silence, new_table: NewTable
) -> None:
    """Arrow streams can only fail: the interrupt comes right behind the error, whatever becomes of that."""
    path = new_table(id="INT")
    small = {"writer.batch-size": "4 kb", "scanner.log.fetch.max-bytes": "4 kb"}
    with fluss.connect(target, small) as opened:
        table = opened.get_table(path)
        with table.new_append().create_writer() as writer:
            writer.append_arrow(pa.table({"id": pa.array(range(100_000), pa.int32())}))
        reader = table.new_scan().create_bounded_reader()
        with silence():
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                with suppress(pa.ArrowException, OSError):
                    pa.table(reader)
                # Raised again as soon as Python runs; it comes by itself if all was read before the stop.
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    os.getpid()


def test_each_row_and_kind_of_change_is_made_once(connection: fluss.Connection, new_table: NewTable) -> None:
    path = new_table(id="INT")
    fill(connection, path, 2)
    scanner = connection.get_table(path).new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    for number, record in zip(range(2), scanner, strict=False):
        assert record.row is record.row and record.row == {"id": number}
        assert record.change_type is record.change_type is fluss.metadata.ChangeType.AppendOnly
        assert record.get_row() is not record.row

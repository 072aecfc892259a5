"""Rows that nobody flushes: they are sent all the same, and a warning names the writer."""

import asyncio
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import pytest

import fluss
from faces import create_table_now
from fluss import aio

NewTable = Callable[..., str]
Silence = Callable[[], AbstractContextManager[None]]

PROGRAM = """
import gc, sys
import fluss

target, path, case = sys.argv[1:]

def write():
    connection = fluss.connect(target, {"writer.batch-timeout": "60 s"})
    writer = connection.get_table(path).new_append().create_writer()
    for number in range(100):
        writer.append([number])
    if case == "raises":
        raise ValueError("the program fails")
    return (connection, writer) if case == "ends" else None

kept = write()
gc.collect()
"""


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")
@pytest.mark.parametrize("case", ["ends", "lets go", "raises"])
def test_rows_are_stored_that_a_program_never_flushed(
    target: str, connection: fluss.Connection, new_table: NewTable, case: str
) -> None:
    path = new_table(id="INT")
    program = [sys.executable, "-W", "default::ResourceWarning", "-c", PROGRAM, target, path, case]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == (1 if case == "raises" else 0), done.stderr
    assert connection.get_table(path).to_arrow().num_rows == 100
    assert "ResourceWarning" in done.stderr and f"AppendWriter of table {path}" in done.stderr


SILENT = """
import sys
import fluss

target, path = sys.argv[1:]
connection = fluss.connect(target)
writer = connection.get_table(path).new_append().create_writer()
writer.append([0]).wait(timeout=30)
print("stored", flush=True)
sys.stdin.readline()
writer.append([1])
"""


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")
def test_a_program_whose_server_is_silent_ends_all_the_same(target: str, silence: Silence, new_table: NewTable) -> None:
    """Long before the 120 s that a write may take."""
    path = new_table(id="INT")
    program = [sys.executable, "-W", "default::ResourceWarning", "-c", SILENT, target, path]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(program, text=True, **pipes) as running:  # type: ignore[call-overload]
        assert running.stdout.readline() == "stored\n"
        with silence():
            _, errors = running.communicate("go on\n", timeout=60)
    assert running.returncode == 0 and "panicked" not in errors, errors
    assert "ResourceWarning" in errors and f"AppendWriter of table {path}" in errors, errors


def test_a_writer_that_was_flushed_or_waited_for_is_let_go_in_silence(
    connection: fluss.Connection, new_table: NewTable
) -> None:
    table = connection.get_table(new_table(id="INT"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer = table.new_append().create_writer()
        writer.append([0])
        writer.flush()
        del writer
        writer = table.new_append().create_writer()
        writer.append([1]).wait(timeout=30)
        del writer
        with table.new_append().create_writer() as writer:
            writer.append([2])
        del writer
    assert table.to_arrow().num_rows == 3


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")
def test_an_awaited_writer_never_holds_up_its_event_loop(
    target: str, silence: Silence, connection: fluss.Connection, new_table: NewTable
) -> None:
    path = new_table(id="INT", content="BYTES")
    config = {"writer.buffer.memory-size": "256 kb", "writer.batch-size": "64 kb"}

    async def main() -> int:
        async with aio.connect(target, config) as opened:
            writer = (await opened.get_table(path)).new_append().create_writer()
            await writer.append([0, b"first"])
            handles: list[Any] = []
            with silence():
                longest = 0.0
                with pytest.raises(fluss.BufferFullError, match=path) as raised:
                    while True:
                        begun = time.monotonic()
                        handles.append(writer.append([len(handles) + 1, os.urandom(1000)]))
                        longest = max(longest, time.monotonic() - begun)
                assert isinstance(raised.value, BufferError)
                # As many rows wait as the buffer takes.
                assert 300 < len(handles) < 800
                assert longest < 1.0
            await writer.flush()
            assert all(handle.done() for handle in handles)
            offsets = [await handle for handle in handles]
            assert offsets == list(range(1, len(handles) + 1))
            await writer.append([-1, b"last"])
            return len(handles) + 2

    written = asyncio.run(main())
    assert connection.get_admin().get_row_count(path) == written


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")
def test_appends_that_are_awaited_wait_for_room(
    target: str, silence: Silence, connection: fluss.Connection, new_table: NewTable
) -> None:
    """However many tasks append at once, and however large their rows are: none is told that the buffer is full, the
    loop goes on, and a task that is cancelled leaves its row where it is, once.
    """
    path = new_table(id="INT", content="BYTES")
    config = {"writer.buffer.memory-size": "256 kb", "writer.batch-size": "64 kb"}
    tasks, cancelled = 1000, range(300, 700)

    async def main() -> int:
        async with aio.connect(target, config) as opened:
            writer = (await opened.get_table(path)).new_append().create_writer()
            content, last = os.urandom(8 << 10), tasks

            async def append(number: int) -> int | None:
                return await writer.append([number, content])

            await append(-1)
            with silence():
                appends = [asyncio.create_task(append(number)) for number in range(tasks)]
                turns = 0
                while turns < 50:
                    await asyncio.sleep(0)
                    turns += 1
                assert not any(task.done() for task in appends)
                for number in cancelled:
                    appends[number].cancel()
                await asyncio.wait(appends[cancelled.start : cancelled.stop])
                # Rows that nobody awaits are those that are bounded: with what the cancelled tasks have left they are
                # soon too much.
                with pytest.raises(fluss.BufferFullError):
                    for last in count(tasks):
                        writer.append([last, content])
            offsets = await asyncio.gather(*appends, return_exceptions=True)
            assert {type(offset) for offset in offsets} == {int, asyncio.CancelledError}
            await writer.flush()
            await append(last)
            return last

    last = asyncio.run(main())
    found = connection.get_table(path).to_arrow(["id"]).to_pyarrow().column("id").to_pylist()
    assert found == list(range(-1, last + 1))
    assert last - tasks <= (256 << 10) / (8 << 10)


def test_upserts_that_are_awaited_wait_for_room(target: str, connection: fluss.Connection) -> None:
    """On a node, too, whose memory is never the same for long."""
    path = "fluss.awaited_upserts"
    schema = fluss.Schema.new_builder().column("id", "INT").column("content", "BYTES").primary_key(["id"]).build()
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1), True)
    config = {"writer.buffer.memory-size": "64 kb", "writer.batch-size": "16 kb"}

    async def main() -> None:
        async with aio.connect(target, config) as opened:
            table = await opened.get_table(path)
            writer, content = table.new_upsert().create_writer(), os.urandom(4 << 10)

            async def change(number: int) -> None:
                await writer.upsert([number, content])
                if number % 2:
                    await writer.delete([number])

            async with asyncio.TaskGroup() as group:
                for number in range(1000):
                    group.create_task(change(number))
            assert sorted((await table.to_arrow(["id"])).to_pyarrow()["id"].to_pylist()) == list(range(0, 1000, 2))

    asyncio.run(main())

"""Calls that have deadlines of their own, in both faces."""

import asyncio
import importlib
import inspect
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle

ITSELF = "it takes its time as timeout_ms"
NOBODY = "it waits for no server"
WITHOUT = {
    "LogScanner.poll": ITSELF,
    "LogScanner.poll_arrow": ITSELF,
    "LogScanner.poll_record_batch": ITSELF,
    "LogScanner.close": NOBODY,
    "RowReader.close": NOBODY,
}
"""Calls that take no timeout. `test_faces` sees to it that those of the blocking face are the same."""

PARTS = ["", ".admin", ".frames", ".lookup", ".scan", ".table", ".table_rows", ".write"]


def test_every_call_that_waits_takes_a_timeout() -> None:
    waits = {}
    for part in PARTS:
        module = importlib.import_module(f"fluss.aio{part}")
        kinds = {name: kind for name in module.__all__ if inspect.isclass(kind := getattr(module, name))}
        own = {name: kind for name, kind in kinds.items() if kind.__module__.startswith("fluss.aio")}
        for name, kind in own.items():
            for method, function in inspect.getmembers(kind, inspect.isroutine):
                if inspect.iscoroutinefunction(function) and not method.startswith("_"):
                    waits[f"{name}.{method}"] = inspect.signature(function).parameters.get("timeout")
    for opens in (fluss.connect, fluss.aio.connect, fluss.Connection, fluss.aio.Connection):
        waits[f"{opens.__module__}.{opens.__name__}"] = inspect.signature(opens).parameters.get("timeout")
    assert len(waits) > 60
    assert {call for call, timeout in waits.items() if timeout is None} == WITHOUT.keys()
    for call, timeout in waits.items():
        assert timeout is None or (timeout.kind, timeout.default) == (timeout.KEYWORD_ONLY, None), call


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node of its own, which a test may stop, and where it is."""
    program = Path(sys.executable).with_name("fluss")
    arguments = ["serve", "--data-dir", str(tmp_path), "--listen", "127.0.0.1:0"]
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().removeprefix("serving at ").strip()
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(30)


def stop(process: subprocess.Popen[str]) -> None:
    """Stops a process, with all of its threads."""
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    deadline = time.monotonic() + 30
    while any((thread / "stat").read_text().rpartition(")")[2].split()[0] != "T" for thread in threads.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_call_has_a_deadline_of_its_own(server: tuple[subprocess.Popen[str], str], face: ModuleType) -> None:
    process, target = server

    async def body() -> None:
        connection = await settle(face.connect(f"{target}?defaultDeadline=500ms"))
        admin = connection.get_admin()
        assert await settle(admin.list_databases()) == ["fluss"]
        stop(process)
        for options in ({}, {"timeout": 0.7}, {"timeout": timedelta(seconds=1)}):
            begun = time.monotonic()
            with pytest.raises(fluss.FlussError) as raised:
                await settle(admin.list_databases(**options))
            assert raised.value.retriable, raised.value
            assert time.monotonic() - begun < 20
        # The one of a call may also be longer than that of the string.
        waking = threading.Timer(2, process.send_signal, [signal.SIGCONT])
        waking.start()
        assert await settle(admin.list_databases(timeout=60)) == ["fluss"]
        waking.join()
        await settle(connection.close())

    asyncio.run(body())


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_what_is_no_time_is_no_deadline(face: ModuleType, timeout: float) -> None:
    async def body() -> None:
        connection = await settle(face.connect("embedded::memory:"))
        with pytest.raises(ValueError, match="is no duration"):
            await settle(connection.get_admin().list_databases(timeout=timeout))
        await settle(connection.close())

    asyncio.run(body())


async def create(connection: Any, name: str, *, keyed: bool) -> Any:
    """A table with a row."""
    builder = fluss.Schema.new_builder().column("id", "BIGINT NOT NULL")
    schema = (builder.primary_key(["id"]) if keyed else builder).build()
    await create_table(connection.get_admin(), name, fluss.TableDescriptor(schema, bucket_count=2))
    table = await settle(connection.get_table(name))
    writer = (table.new_upsert() if keyed else table.new_append()).create_writer()
    writer.upsert([1]) if keyed else writer.append([1])
    await settle(writer.close())
    return table


def test_reads_and_writes_end_in_the_time_that_they_have(
    server: tuple[subprocess.Popen[str], str], face: ModuleType
) -> None:
    pa = pytest.importorskip("pyarrow")
    process, target = server
    rows = pa.table({"id": pa.array(range(20_000), pa.int64())})

    async def body() -> None:
        options = "requestTimeout=10min&writerDeliveryTimeout=10min&connectTimeout=10min"
        connection = await settle(face.connect(f"{target}?{options}&writerBufferMemorySize=64kb&writerBatchSize=16kb"))
        log = await create(connection, "fluss.log_in_time", keyed=False)
        keyed = await create(connection, "fluss.keys_in_time", keyed=True)
        appends, upserts = log.new_append().create_writer(), keyed.new_upsert().create_writer()
        handle = keyed.new_upsert().create_writer().upsert([2])
        stop(process)
        calls: dict[str, Callable[[], Any]] = {
            "to_arrow": lambda: log.to_arrow(timeout=0.3),
            "to_pandas": lambda: log.to_pandas(timeout=0.3),
            "to_polars": lambda: keyed.to_polars(timeout=0.3),
            "to_arrow, of keys": lambda: keyed.to_arrow(timeout=timedelta(milliseconds=300)),
            "to_arrow, with a limit": lambda: keyed.new_scan().limit(1).to_arrow(timeout=0.3),
            "to_reader": lambda: log.to_reader(timeout=0.3),
            "plan": lambda: keyed.new_scan().plan(timeout=0.3),
            "create_bounded_reader": lambda: log.new_scan().create_bounded_reader(timeout=0.3),
            "append_arrow": lambda: appends.append_arrow(rows, timeout=0.3),
            "upsert_arrow": lambda: upserts.upsert_arrow(rows, timeout=0.3),
            "delete_arrow": lambda: upserts.delete_arrow(rows, timeout=0.3),
            "connect": lambda: face.connect(f"{target}?{options}", timeout=0.3),
            "close": lambda: connection.close(timeout=0.3),
        }
        for name, call in calls.items():
            begun = time.monotonic()
            try:
                await settle(call())
            except fluss.FlussError as error:
                told = str(error)
            else:
                pytest.fail(f"{name} does without the node")
            assert time.monotonic() - begun < 60, name
            assert "300ms" in told, (name, told)
        # It is closed all the same.
        with pytest.raises(fluss.ClosedError):
            connection.get_admin()
        with pytest.raises(fluss.FlussError):
            handle.wait(timeout=timedelta(seconds=60))

    asyncio.run(body())


def test_a_read_may_take_longer_than_others(server: tuple[subprocess.Popen[str], str], face: ModuleType) -> None:
    process, target = server

    async def body() -> None:
        connection = await settle(face.connect(f"{target}?defaultDeadline=300ms"))
        table = await create(connection, "fluss.patient", keyed=False)
        reader = await settle(table.new_scan().create_bounded_reader(timeout=60))
        reads: list[Callable[[], Any]] = [lambda: reader.read_all(timeout=60), lambda: table.to_arrow(timeout=60)]
        for read in reads:
            stop(process)
            waking = threading.Timer(1.5, process.send_signal, [signal.SIGCONT])
            waking.start()
            assert (await settle(read())).num_rows == 1
            waking.join()
        await settle(connection.close(timeout=60))

    asyncio.run(body())

"""Calls that have deadlines of their own, in both faces."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

import fluss
from faces import settle


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

"""Ctrl-C and deadlines against servers of both kinds, and that everything works on after them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

import fluss

pytestmark = pytest.mark.parametrize("target", ["cluster", "node"], indirect=True, scope="session")

AT_ONCE_SECONDS = 2.0
NewTable = Callable[..., str]
Silence = Callable[[], AbstractContextManager[None]]


def interrupt(seconds: float = 0.3) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_ends_a_poll_and_the_scanner_works_on(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT"))
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        begun = time.monotonic()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            scanner.poll(60_000)
        assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS
        with table.new_append().create_writer() as writer:
            writer.append([1])
        assert [record.row for record in scanner.poll(10_000)] == [{"a": 1}]


def test_ctrl_c_ends_an_append_that_waits_for_memory(target: str, silence: Silence, new_table: NewTable) -> None:
    path = new_table(a="BYTES")
    with fluss.connect(target, {"writer.buffer.memory-size": "256 kb", "writer.batch-size": "64 kb"}) as connection:
        table = connection.get_table(path)
        writer = table.new_append().create_writer()
        writer.append([b"first"]).wait(timeout=10)
        appended = 0
        with silence():
            begun = time.monotonic()
            interrupt()
            with pytest.raises(KeyboardInterrupt):
                while True:
                    writer.append([os.urandom(1000)])
                    appended += 1
            assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS
            assert 100 < appended < 400
        writer.append([b"last"])
        writer.close()
        assert connection.get_admin().get_row_count(path) == appended + 2


def test_a_handle_is_waited_for_no_longer_than_asked(
    connection: fluss.Connection, silence: Silence, new_table: NewTable
) -> None:
    writer = connection.get_table(new_table(a="INT")).new_append().create_writer()
    writer.append([0]).wait(timeout=10)
    with silence():
        handle = writer.append([1])
        with pytest.raises(TimeoutError):
            handle.wait(timeout=0.2)
        assert not handle.done()
    assert handle.wait(timeout=30) == 1


IDLE = """
import os, sys, threading, time
from pathlib import Path
import fluss

def wakes():
    statuses = [task.joinpath("status").read_text() for task in Path("/proc/self/task").iterdir()]
    lines = [line for status in statuses for line in status.splitlines() if line.startswith("voluntary")]
    return sum(int(line.split()[1]) for line in lines)

def count():
    before = wakes()
    time.sleep(2)
    print((wakes() - before) / 2, flush=True)
    os._exit(0)

with fluss.connect(sys.argv[1]) as connection:
    scanner = connection.get_table(sys.argv[2]).new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    scanner.poll(500)
    threading.Thread(target=count).start()
    for record in scanner:
        raise SystemExit("the table is empty")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not count wake-ups")
def test_an_idle_scanner_sleeps(target: str, new_table: NewTable) -> None:
    """A scanner that waits looks for signals ten times a second, and hears of each fetch that found nothing."""
    program = [sys.executable, "-c", IDLE, target, new_table(a="INT")]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    assert 0 < float(done.stdout) < 60, done.stdout

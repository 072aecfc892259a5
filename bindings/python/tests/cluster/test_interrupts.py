"""Ctrl-C and deadlines against a real cluster, and that everything works on after them."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

import fluss
from fluss_cluster import Cluster

pytestmark = pytest.mark.parametrize("target", ["cluster"], indirect=True, scope="session")

AT_ONCE_SECONDS = 2.0
NewTable = Callable[..., str]


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


def test_ctrl_c_ends_an_append_that_waits_for_memory(target: str, cluster: Cluster, new_table: NewTable) -> None:
    path = new_table(a="BYTES")
    with fluss.connect(target, {"writer.buffer.memory-size": "256 kb", "writer.batch-size": "64 kb"}) as connection:
        table = connection.get_table(path)
        writer = table.new_append().create_writer()
        writer.append([b"first"]).wait(timeout=10)
        appended = 0
        cluster.stop(0)
        try:
            begun = time.monotonic()
            interrupt()
            with pytest.raises(KeyboardInterrupt):
                while True:
                    writer.append([os.urandom(1000)])
                    appended += 1
            assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS
            assert 100 < appended < 400
        finally:
            cluster.cont(0)
        writer.append([b"last"])
        writer.close()
        assert connection.get_admin().get_row_count(path) == appended + 2


def test_a_handle_is_waited_for_no_longer_than_asked(
    connection: fluss.Connection, cluster: Cluster, new_table: NewTable
) -> None:
    writer = connection.get_table(new_table(a="INT")).new_append().create_writer()
    writer.append([0]).wait(timeout=10)
    cluster.stop(0)
    try:
        handle = writer.append([1])
        with pytest.raises(TimeoutError):
            handle.wait(timeout=0.2)
        assert not handle.done()
    finally:
        cluster.cont(0)
    assert handle.wait(timeout=30) == 1

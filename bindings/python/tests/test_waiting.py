"""Waits end: by a signal, a deadline, a cancellation, a fork. The server here accepts connections and never answers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import fluss
from fluss import aio

AT_ONCE_SECONDS = 2.0


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"fluss://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def gibberish() -> Iterator[str]:
    """A server that is not Fluss."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                peer.recv(1024)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"fluss://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_ctrl_c_ends_a_blocked_call(silent: str) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fluss.connect(silent, {"connect-timeout": "60 s"})
    assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS


def test_other_threads_run_during_a_blocked_call(silent: str) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.01):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(fluss.TimeoutError):
        fluss.connect(silent, {"connect-timeout": "500 ms"})
    done.set()
    thread.join()
    assert ticks > 5


def test_a_connect_that_takes_too_long_is_a_timeout(silent: str) -> None:
    with pytest.raises(TimeoutError) as raised:
        fluss.connect(silent, {"connect-timeout": "300 ms"})
    assert isinstance(raised.value, fluss.TimeoutError)
    assert raised.value.retriable and silent.removeprefix("fluss://") in str(raised.value)


def test_an_unreachable_server_is_named(silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port}") as raised:
        fluss.connect(f"fluss://127.0.0.1:{port}")
    assert isinstance(raised.value, fluss.ConnectionError)
    assert raised.value.__cause__ is not None


def test_a_server_that_is_not_fluss_is_told(gibberish: str) -> None:
    with pytest.raises(fluss.ConnectionError, match="does not speak the Fluss protocol"):
        fluss.connect(gibberish)


def test_a_cancelled_task_ends(silent: str) -> None:
    async def main() -> None:
        begun = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.2):
                await aio.connect(silent, {"connect-timeout": "60 s"})
        assert time.monotonic() - begun < 0.2 + AT_ONCE_SECONDS

    asyncio.run(main())


def test_awaiting_leaves_the_event_loop_free(silent: str) -> None:
    async def main() -> None:
        with pytest.raises(fluss.TimeoutError):
            await asyncio.gather(aio.connect(silent, {"connect-timeout": "300 ms"})._open(), asyncio.sleep(0.1))

    asyncio.run(main())


def test_an_async_connection_is_not_open_before_it_is_awaited(silent: str) -> None:
    connection = aio.connect(silent)
    with pytest.raises(fluss.ClosedError, match="await it"):
        connection.get_admin()


FORK = """
import asyncio, os, sys
import fluss
from fluss import aio

def told(call):
    try:
        call()
    except fluss.ForkError:
        return
    raise SystemExit(f"{call} was not refused")

def write_and_read(target):
    with fluss.connect(target) as connection:
        schema = fluss.Schema.new_builder().column("id", "INT").build()
        path = f"fluss.forked_{os.getpid()}"
        connection.get_admin().create_table(path, fluss.TableDescriptor(schema, bucket_count=1))
        table = connection.get_table(path)
        with table.new_append().create_writer() as writer:
            writer.append([1]).wait(timeout=30)
        scanner = table.new_scan().create_log_scanner()
        scanner.subscribe_from_beginning()
        assert [record.row for record in scanner.poll(30_000)] == [{"id": 1}]

async def awaited(target):
    async with aio.connect(target) as connection:
        assert await connection.get_admin().list_tables("fluss") == []

target = sys.argv[1]
path = f"fluss.forked_{os.getpid()}"
parent = fluss.connect(target)
admin = parent.get_admin()
schema = fluss.Schema.new_builder().column("id", "INT").build()
admin.create_table(path, fluss.TableDescriptor(schema, bucket_count=1))
table = parent.get_table(path)
writer, reader = table.new_append().create_writer(), table.new_scan().create_bounded_reader()
scanner = table.new_scan().create_log_scanner()
handle = writer.append([0])
handle.wait(timeout=30)
if child := os.fork():
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert writer.append([1]).wait(timeout=30) == 1
    parent.close()
    sys.exit(code)
for call in (
    admin.list_databases, parent.get_admin, lambda: parent.get_table(path), parent.close, writer.flush,
    lambda: writer.append([1]), handle.wait, reader.read_all, lambda: scanner.poll(0), scanner.positions,
    table.to_arrow, table.new_append().create_writer, table.new_scan().create_log_scanner,
):
    told(call)
asyncio.run(awaited("embedded::memory:"))
write_and_read(target)
del parent, admin, table, writer, reader, scanner, handle, call
print("connected anew", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_connects_anew_and_is_told_what_it_cannot_use(target: str) -> None:
    program = [sys.executable, "-c", FORK, target]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "connected anew\n"), done.stderr


EXIT = """
import asyncio, sys, time
import fluss
from fluss import aio

class Late:
    def __del__(self, sleep=time.sleep):
        sleep(0.6)  # the interpreter is still ending when the call below comes back

sys.late = Late()

class Slow(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, *args, **options):
        handle = super().call_soon_threadsafe(*args, **options)
        time.sleep(0.3)
        return handle

async def main():
    try:
        await aio.connect("fluss://127.0.0.1:1")
    except fluss.ConnectionError:
        print("refused")

with asyncio.Runner(loop_factory=Slow) as runner:
    runner.run(main())
"""


def test_a_program_can_end_while_its_last_outcome_is_still_being_handed_over() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr

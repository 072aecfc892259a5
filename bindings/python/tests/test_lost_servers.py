"""A server that is away, or behind a connection that leads nowhere: it is told once, and tried again."""

import contextlib
import logging
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fluss
from fluss import DataTypes
from fluss.metadata import Schema, TableDescriptor

BUCKETS = 100
PATIENCE_SECONDS = 60.0


class Relay:
    """A way to a server. Connections that are `lost` stay open, and nothing comes through them any more."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.server = ("127.0.0.1", 0)
        self._ways: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self) -> None:
        """Loses the connections that there are."""
        for way in self._ways:
            way.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.server)
            except OSError:
                return
            lost = threading.Event()
            self._ways.append(lost)
            threading.Thread(target=_relay, args=(client, server, lost), daemon=True).start()


def _relay(client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
    other = {client: server, server: client}
    with client, server, contextlib.suppress(OSError):
        while True:
            for source in select.select(list(other), [], [])[0]:
                if not (data := source.recv(1 << 16)):
                    return
                if not lost.is_set():
                    other[source].sendall(data)


def serve(directory: Path, relay: Relay) -> subprocess.Popen[str]:
    program = Path(sys.executable).with_name("fluss")
    config = directory / "options"
    config.write_text(f"advertised.listener: 127.0.0.1:{relay.port}\n")
    arguments = ["serve", "--data-dir", str(directory / "data"), "--listen", "127.0.0.1:0", "--config", str(config)]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().removeprefix("serving at fluss://").strip()
    host, port = address.rsplit(":", 1)
    relay.server = (host, int(port))
    return server


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
def server(relay: Relay, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with serve(tmp_path, relay) as server:
        yield server
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)


@pytest.fixture
def connection(relay: Relay, server: subprocess.Popen[str]) -> Iterator[fluss.Connection]:
    options = {"request-timeout": "4 s", "connect-timeout": "2 s"}
    with fluss.connect(f"fluss://127.0.0.1:{relay.port}", options) as connection:
        yield connection


def create(connection: fluss.Connection, buckets: int, *, keyed: bool) -> Any:
    schema = Schema.new_builder().column("id", DataTypes.BIGINT())
    schema = schema.primary_key(["id"]) if keyed else schema
    connection.get_admin().create_table("fluss.t", TableDescriptor(schema.build(), bucket_count=buckets))
    return connection.get_table("fluss.t")


def until(is_so: Callable[[], bool], work: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        work()


def test_a_look_up_on_a_connection_that_leads_nowhere_is_tried_again_on_another(
    connection: fluss.Connection, relay: Relay
) -> None:
    table = create(connection, 1, keyed=True)
    with table.new_upsert().create_writer() as writer:
        writer.upsert([1])
    lookuper = table.new_lookup().create_lookuper()
    assert lookuper.lookup([1]) == {"id": 1}
    relay.lose()
    assert lookuper.lookup([1]) == {"id": 1}
    relay.lose()
    assert lookuper.lookup_many([[1], [2]]) == [{"id": 1}, None]
    relay.lose()
    assert connection.get_admin().list_tables("fluss") == ["t"]
    relay.lose()
    assert table.to_arrow().num_rows == 1


def test_an_outage_is_one_warning_however_many_buckets_there_are(
    connection: fluss.Connection,
    server: subprocess.Popen[str],
    caplog: pytest.LogCaptureFixture,
    logged: Callable[[str], list[str]],
) -> None:
    table = create(connection, BUCKETS, keyed=False)
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    scanner.poll(500)
    failures = 0

    def poll() -> None:
        nonlocal failures
        try:
            scanner.poll(500)
        except fluss.TimeoutError as error:
            failures += 1
            assert error.retriable

    with caplog.at_level(logging.WARNING, logger="fluss"):
        server.kill()
        until(lambda: failures >= 2, poll)
    assert logged("cannot connect")
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    # One of the connection that was lost, of each role of the server, and one of the first attempt to connect again.
    assert len(warnings) < 6, warnings
    assert not any("Some(" in warning for warning in warnings), warnings


AT_THE_END = """
import os, sys, time
import fluss

class Late:
    def __del__(self, kill=os.kill, server=int(sys.argv[2]), sleep=time.sleep):
        kill(server, 9)
        sleep(1)  # the client tells of the lost server while the interpreter ends

sys.late = Late()
sys.connection = fluss.connect(sys.argv[1])
assert sys.connection.get_admin().list_databases()
"""


def test_a_server_that_is_lost_while_the_interpreter_ends_is_no_panic(
    relay: Relay, server: subprocess.Popen[str]
) -> None:
    program = [sys.executable, "-c", AT_THE_END, f"fluss://127.0.0.1:{relay.port}", str(server.pid)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_log_line_has_no_notation_of_rust(
    connection: fluss.Connection,
    server: subprocess.Popen[str],
    caplog: pytest.LogCaptureFixture,
    logged: Callable[[str], list[str]],
) -> None:
    table = create(connection, 1, keyed=True)
    lookuper = table.new_lookup().create_lookuper()
    assert lookuper.lookup([1]) is None
    with caplog.at_level(logging.DEBUG, logger="fluss"):
        server.kill()
        with pytest.raises(fluss.FlussError):
            lookuper.lookup([1])
    assert logged("")
    messages = [record.getMessage() for record in caplog.records]
    assert not any("Some(" in message or "None" in message for message in messages), messages

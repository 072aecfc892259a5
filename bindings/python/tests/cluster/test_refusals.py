"""What a server refuses again and again: what waiting may heal is tried until the deadline, and the error says what the
server answered last; what it does not heal is told after a few times."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TypeAlias

import frames
import pytest

import fluss
from faces import create_table_now
from fluss_cluster import Cluster, Node

DELIVERY_SECONDS = 3
NUMBERS = count()
Writer: TypeAlias = fluss.client.AppendWriter | fluss.client.UpsertWriter
WRITES = {frames.PRODUCE_LOG, frames.PUT_KV}


class Refusals:
    """A way to a server, on which the answers to writes to the first bucket, or to fetches from it, say that they were
    refused.

    The server's metadata name the port of this way instead of its own."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        host, port = address.rsplit(":", 1)
        self._server = (host, int(port))
        self._ports = frames.number(3, int(port)), frames.number(3, self.port)
        assert len({len(port) for port in self._ports}) == 1, "a message keeps its length"
        self.codes: list[int] = []
        """The codes that are answered next; the last one stays."""
        self.table_id: int | None = None
        """The table whose fetches are refused, instead of writes."""
        self.answered = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                asked: dict[int, int] = {}
                for way in ((client, server, asked, False), (server, client, asked, True)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, asked: dict[int, int], answers: bool) -> None:
        with source, contextlib.suppress(OSError, AssertionError):
            while True:
                (length,) = struct.unpack(">i", frames.read(source, 4))
                frame = frames.read(source, length)
                if answers:
                    frame = self._answer(frame, asked)
                else:
                    api, _, number = struct.unpack_from(">hhi", frame)
                    asked[number] = api
                sink.sendall(struct.pack(">i", len(frame)) + frame)

    def _answer(self, frame: bytes, asked: dict[int, int]) -> bytes:
        api = asked.pop(struct.unpack_from(">i", frame, 1)[0])
        if api == frames.GET_METADATA:
            return frame.replace(*self._ports)
        refused = WRITES if self.table_id is None else {frames.FETCH_LOG}
        if api not in refused or not self.codes:
            return frame
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        self.answered += 1
        bucket = frames.number(2, 0) + frames.number(3, code)
        if self.table_id is None:
            return frame[:5] + frames.field(1, bucket)
        return frame[:5] + frames.field(1, frames.number(1, self.table_id) + frames.field(2, bucket))


@pytest.fixture
def refusals(server: Cluster | Node) -> Iterator[Refusals]:
    # The last of a cluster is its tablet server.
    way = Refusals(server.bootstrap.split(",")[-1])
    yield way
    way.close()


@pytest.fixture(params=["append", "upsert"])
def writer(request: pytest.FixtureRequest, refusals: Refusals) -> Iterator[Writer]:
    """A writer of either kind, which has written its first row."""
    options = {"writer.delivery-timeout": f"{DELIVERY_SECONDS} s", "writer.batch-timeout": "1 ms"}
    with fluss.connect(f"fluss://127.0.0.1:{refusals.port}", options) as connection:
        schema = fluss.Schema.new_builder().column("id", "INT")
        if request.param == "upsert":
            schema.primary_key(["id"])
        path = f"fluss.refused_{next(NUMBERS)}"
        create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema.build(), bucket_count=1))
        table = connection.get_table(path)
        writes = table.new_upsert() if request.param == "upsert" else table.new_append()
        writer = writes.create_writer()
        write_at_last(writer)
        yield writer
        refusals.codes = []


def write(writer: Writer) -> fluss.client.WriteHandle:
    return writer.append([0]) if isinstance(writer, fluss.client.AppendWriter) else writer.upsert([0])


def write_at_last(writer: Writer) -> None:
    """Writes a row, however long a busy machine takes for it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(fluss.TimeoutError):
            write(writer).wait(30)
            return
    pytest.fail("the writer does not work")


@pytest.mark.parametrize("code", [9, 10, 11, 12, 26, 29])
def test_a_deadline_tells_what_the_server_answered_last(refusals: Refusals, writer: Writer, code: int) -> None:
    refusals.codes = [code]
    with pytest.raises(fluss.TimeoutError) as raised:
        write(writer).wait(60)
    error = raised.value
    assert "the last answer was: " in str(error) and f"({code})]" in str(error), error
    assert str(error.table).startswith("fluss.refused_") and (error.bucket, error.retriable) == (0, True)
    assert f"127.0.0.1:{refusals.port}" in str(error.server)
    # What the server refused is not stored.
    assert not error.outcome_unknown
    assert refusals.answered > 5


@pytest.mark.parametrize("code", [3, 14])
def test_what_waiting_does_not_change_is_told_after_a_few_answers(
    refusals: Refusals, writer: Writer, code: int
) -> None:
    refusals.codes = [code]
    with pytest.raises(fluss.FlussError) as raised:
        write(writer).wait(60)
    assert (raised.value.code, raised.value.retriable) == (code, False), raised.value
    assert refusals.answered == 5


def test_a_few_refusals_cost_nothing(refusals: Refusals, writer: Writer) -> None:
    refusals.codes = [14, 12, 9, 26, 0]
    assert isinstance(write(writer).wait(60), int | None)
    assert refusals.answered == 5


def poll_all(table: fluss.client.Table) -> list[int]:
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    found: list[int] = []
    while len(found) < 3:
        found += [record.row["id"] for record in scanner.poll(1000)]
    return found


def read_whole(table: fluss.client.Table) -> list[int]:
    found: list[int] = table.to_arrow().to_pyarrow().column("id").to_pylist()
    return found


@pytest.mark.parametrize("code", [3, 10, 12, 14, 21, 26])
@pytest.mark.parametrize("read", [poll_all, read_whole])
def test_a_read_that_is_refused_for_ever_is_told(
    refusals: Refusals, read: Callable[[fluss.client.Table], list[int]], code: int
) -> None:
    target, path = f"fluss://127.0.0.1:{refusals.port}", f"fluss.refused_{next(NUMBERS)}"
    with fluss.connect(target) as connection:
        schema = fluss.Schema.new_builder().column("id", "INT").build()
        create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
        with connection.get_table(path).new_append().create_writer() as writer:
            for number in range(3):
                writer.append([number])
    with fluss.connect(target, {"request-timeout": "3 s"}) as connection:
        table = connection.get_table(path)
        refusals.table_id, refusals.codes = table.get_table_info().table_id, [code]
        with pytest.raises(fluss.FlussError) as raised:
            read(table)
        assert f"({code})]" in str(raised.value) and raised.value.table == path, raised.value
        assert refusals.answered >= 5
        refusals.codes = []
        assert read(table) == [0, 1, 2]

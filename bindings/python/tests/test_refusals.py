"""Writes that a server refuses again and again: what waiting may heal is tried until the deadline, and the error says
what the server answered last; what it does not heal is told after a few times."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import TypeAlias

import frames
import pytest

import fluss
from fluss_cluster import Node

DELIVERY_SECONDS = 3
Writer: TypeAlias = fluss.client.AppendWriter | fluss.client.UpsertWriter
ANSWERS = {frames.PRODUCE_LOG, frames.PUT_KV}


class Refusals:
    """A way to a node, on which the answers to writes to the first bucket say that they were refused."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.server = ("127.0.0.1", 0)
        self.codes: list[int] = []
        """The codes that are answered next; the last one stays."""
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
                server = socket.create_connection(self.server)
                writes: set[int] = set()
                for way in ((client, server, writes, False), (server, client, writes, True)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, writes: set[int], answers: bool) -> None:
        with source, contextlib.suppress(OSError, AssertionError):
            while True:
                (length,) = struct.unpack(">i", frames.read(source, 4))
                frame = frames.read(source, length)
                if answers:
                    frame = self._answer(frame, writes)
                elif struct.unpack_from(">h", frame)[0] in ANSWERS:
                    writes.add(struct.unpack_from(">i", frame, 4)[0])
                sink.sendall(struct.pack(">i", len(frame)) + frame)

    def _answer(self, frame: bytes, writes: set[int]) -> bytes:
        if not self.codes or struct.unpack_from(">i", frame, 1)[0] not in writes:
            return frame
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        self.answered += 1
        return frame[:5] + frames.field(1, frames.number(2, 0) + frames.number(3, code))


@pytest.fixture
def refusals() -> Iterator[Refusals]:
    way = Refusals()
    with Node(properties={"advertised.listener": f"127.0.0.1:{way.port}"}) as node:
        host, port = node.bootstrap.rsplit(":", 1)
        way.server = (host, int(port))
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
        connection.get_admin().create_table("fluss.t", fluss.TableDescriptor(schema.build(), bucket_count=1))
        table = connection.get_table("fluss.t")
        writes = table.new_upsert() if request.param == "upsert" else table.new_append()
        writer = writes.create_writer()
        write(writer).wait(30)
        yield writer
        refusals.codes = []


def write(writer: Writer) -> fluss.client.WriteHandle:
    return writer.append([0]) if isinstance(writer, fluss.client.AppendWriter) else writer.upsert([0])


@pytest.mark.parametrize("code", [9, 10, 11, 12, 26, 29])
def test_a_deadline_tells_what_the_server_answered_last(refusals: Refusals, writer: Writer, code: int) -> None:
    refusals.codes = [code]
    with pytest.raises(fluss.TimeoutError) as raised:
        write(writer).wait(60)
    error = raised.value
    assert "the last answer was: " in str(error) and f"({code})]" in str(error), error
    assert (error.table, error.bucket, error.retriable) == ("fluss.t", 0, True)
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

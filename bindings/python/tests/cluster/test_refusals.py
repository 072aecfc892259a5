"""What a server refuses again and again: what waiting may heal is tried until the deadline, and the error says what the
server answered last; what it does not heal is told after a few times."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import TypeAlias

import frames
import pytest

import fluss
from faces import create_table_now
from fluss_cluster import Cluster, Node

DELIVERY_SECONDS = 3
NUMBERS = count()
Writer: TypeAlias = fluss.client.AppendWriter | fluss.client.UpsertWriter


class Refusals:
    """A way to a server, on which the answers to some requests say that the first bucket of them was refused.

    The server's metadata name the port of this way instead of its own."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        host, port = address.rsplit(":", 1)
        self._server = (host, int(port))
        self._ports = frames.number(3, int(port)), frames.number(3, self.port)
        assert len({len(port) for port in self._ports}) == 1, "a message keeps its length"
        self.codes: Iterator[int] = iter(())
        """The codes that are answered next. What comes after them is what the server answers."""
        self.kinds = {frames.PRODUCE_LOG, frames.PUT_KV}
        """The requests that are refused."""
        self.table_id = 0
        """The table whose fetches are refused."""
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
        code = next(self.codes, None) if api in self.kinds else None
        if code is None:
            return frame
        self.answered += 1
        return frame[:5] + self._refusal(api, code)

    def _refusal(self, api: int, code: int) -> bytes:
        """An answer that has a code for the first bucket, and is good for the rest."""
        bucket = frames.number(2, 0) + frames.number(3, code)
        if api == frames.LIMIT_SCAN:
            return frames.number(1, code)
        if api == frames.LIST_OFFSETS:
            return frames.field(1, frames.number(1, 0) + frames.number(2, code))
        if api == frames.FETCH_LOG:
            return frames.field(1, frames.number(1, self.table_id) + frames.field(2, bucket))
        return frames.field(1, bucket)


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
        refusals.codes = iter(())


def write(writer: Writer, number: int = 0) -> fluss.client.WriteHandle:
    row: list[object] = [number]
    return writer.append(row) if isinstance(writer, fluss.client.AppendWriter) else writer.upsert(row)


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
    refusals.codes = repeat(code)
    # The deadline may come while an attempt is on its way, of which it is then not known what came of it.
    for _ in range(5):
        with pytest.raises(fluss.TimeoutError) as raised:
            write(writer).wait(60)
        error = raised.value
        if not error.outcome_unknown:
            break
    assert "the last answer was: " in str(error) and f"({code})]" in str(error), error
    assert str(error.table).startswith("fluss.refused_") and (error.bucket, error.retriable) == (0, True)
    assert f"127.0.0.1:{refusals.port}" in str(error.server)
    # What the server refused is not stored.
    assert not error.outcome_unknown
    assert refusals.answered >= 5


@pytest.mark.parametrize("code", [-1, 3, 14])
def test_what_waiting_does_not_change_is_told_after_a_few_answers(
    refusals: Refusals, writer: Writer, code: int
) -> None:
    refusals.codes = repeat(code)
    with pytest.raises(fluss.FlussError) as raised:
        write(writer).wait(60)
    assert (raised.value.code, raised.value.retriable) == (code, False), raised.value
    assert refusals.answered == 5


def test_a_few_refusals_cost_nothing(refusals: Refusals, writer: Writer) -> None:
    refusals.codes = iter([14, 12, 9, -1, 26])
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
    return ids(table.to_arrow())


def read_some(table: fluss.client.Table) -> list[int]:
    return ids(table.new_scan().limit(5).to_arrow())


def look_up(table: fluss.client.Table) -> list[int]:
    lookuper = table.new_lookup().create_lookuper()
    return [row["id"] for key in range(3) if (row := lookuper.lookup([key]))]


def ids(table: fluss.client.ArrowTable) -> list[int]:
    found: list[int] = table.to_pyarrow().column("id").to_pylist()
    return sorted(found)


@pytest.fixture(
    params=[
        (frames.FETCH_LOG, [], poll_all),
        (frames.FETCH_LOG, [], read_whole),
        (frames.LIST_OFFSETS, [], read_whole),
        (frames.LIMIT_SCAN, ["id"], read_some),
        (frames.LOOKUP, ["id"], look_up),
    ],
    ids=["poll", "whole", "ends", "limit", "look_up"],
)
def read(request: pytest.FixtureRequest, refusals: Refusals) -> Iterator[Callable[[], list[int]]]:
    """A read of a table of three rows, by requests that are refused."""
    kind, keys, read = request.param
    target, path = f"fluss://127.0.0.1:{refusals.port}", f"fluss.refused_{next(NUMBERS)}"
    with fluss.connect(target) as connection:
        schema = fluss.Schema.new_builder().column("id", "INT")
        if keys:
            schema.primary_key(keys)
        create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema.build(), bucket_count=1))
        table = connection.get_table(path)
        with (table.new_upsert() if keys else table.new_append()).create_writer() as writer:
            for number in range(3):
                write(writer, number)
    with fluss.connect(target, {"request-timeout": "3 s"}) as connection:
        table = connection.get_table(path)
        refusals.table_id, refusals.kinds = table.get_table_info().table_id, {kind}
        yield lambda: read(table)
        refusals.codes = iter(())


@pytest.mark.parametrize("code", [-1, 3, 10, 12, 14, 21, 26])
def test_a_read_that_is_refused_for_ever_is_told(refusals: Refusals, read: Callable[[], list[int]], code: int) -> None:
    refusals.codes = repeat(code)
    with pytest.raises(fluss.FlussError) as raised:
        read()
    assert f"({code})]" in str(raised.value) and raised.value.table, raised.value
    assert refusals.answered >= 5
    refusals.codes = iter(())
    assert read() == [0, 1, 2]


def test_a_few_refusals_of_a_read_cost_nothing(refusals: Refusals, read: Callable[[], list[int]]) -> None:
    refusals.codes = iter([-1, 12, 14, 26])
    assert read() == [0, 1, 2]
    assert refusals.answered == 4

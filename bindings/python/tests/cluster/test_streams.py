"""Event streams with expected versions, in both faces."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

import fluss
import streams_race
from faces import settle
from fluss import aio
from fluss.client import Positions
from fluss.streams import (
    CaughtUp,
    NewEvent,
    RecordedEvent,
    StreamDeletedError,
    StreamNotFoundError,
    StreamState,
    WrongCurrentVersionError,
)
from fluss_cluster import Cluster, Node
from streams_race import Told

pa = pytest.importorskip("pyarrow")

PROCESSES = 4
Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
_numbers = count()


def module(face: ModuleType) -> ModuleType:
    return import_module("fluss.aio.streams" if face is aio else "fluss.streams")


async def opened(face: ModuleType, connection: Any, buckets: int = 1) -> Any:
    """The streams of a table of its own."""
    path = f"fluss.streams_{face.__name__.replace('.', '_')}_{next(_numbers)}"
    admin = connection.get_admin()
    for _ in range(3):
        store = await settle(module(face).open(connection, path, buckets=buckets))
        try:
            await settle(admin.list_offsets(path, list(range(buckets)), fluss.OffsetSpec.earliest()))
        except fluss.FlussError as error:
            # Of many tables that a cluster 0.9.1 creates, now and then one never gets leaders.
            assert error.retriable
            await settle(admin.drop_table(path))
        else:
            return store
    raise AssertionError("no table gets leaders")


async def collect(events: Any) -> list[Any]:
    events = await settle(events)
    if hasattr(events, "__aiter__"):
        return [event async for event in events]
    return list(events)


async def until_caught_up(subscription: Any) -> list[RecordedEvent]:
    events: list[RecordedEvent] = []
    while not isinstance(event := await settle(subscription.next_event(30)), CaughtUp):
        assert event is not None
        events.append(event)
    return events


def types(events: list[RecordedEvent]) -> list[str]:
    return [event.type for event in events]


def test_the_code_of_the_guide_runs(target: str, connection: fluss.Connection) -> None:
    """What a newcomer of another event store types first."""
    path = f"fluss.guide_{next(_numbers)}"
    from fluss import streams
    from fluss.streams import NewEvent, StreamState

    client = streams.open(target, path)
    assert client.get_commit_position() == 0
    client.append_to_stream(
        stream_name="order:123",
        events=[
            NewEvent(type="OrderCreated", data=b'{"name": "Greg"}'),
        ],
        current_version=StreamState.NO_STREAM,
    )
    for event in client.read_stream("order:123"):
        print(event)
    assert event.type == "OrderCreated" and event.version == 0
    client.close()

    async def awaited() -> None:
        from fluss.aio import streams

        client = await streams.open(target, path)
        assert await client.get_commit_position() == 1
        await client.append_to_stream(
            stream_name="order:124",
            events=[
                NewEvent(type="OrderCreated", data=b'{"name": "Greg"}'),
            ],
            current_version=StreamState.NO_STREAM,
        )
        async for event in await client.read_stream("order:124"):
            print(event)
        assert event.type == "OrderCreated" and event.stream_name == "order:124"
        await client.close()

    asyncio.run(awaited())


def test_appends_hold_what_they_expect(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        store = await opened(face, connection, buckets=2)
        assert await settle(store.get_current_version("s")) is StreamState.NO_STREAM
        with pytest.raises(StreamNotFoundError) as missing:
            await collect(store.read_stream("s"))
        assert missing.value.stream_name == "s"
        first = [NewEvent("A", b"1", b"m", "text/plain"), NewEvent("B", b"2")]
        await settle(store.append_to_stream("s", first, StreamState.NO_STREAM))
        await settle(store.append_to_stream("s", NewEvent("C", b"3"), 1))
        for expected in (StreamState.NO_STREAM, 0, 1, 3):
            with pytest.raises(WrongCurrentVersionError, match="is at version 2") as refused:
                await settle(store.append_to_stream("s", NewEvent("D", b""), expected))
            assert (refused.value.current_version, refused.value.stream_name) == (2, "s")
        with pytest.raises(WrongCurrentVersionError) as nothing:
            await settle(store.append_to_stream("other", NewEvent("D", b""), StreamState.EXISTS))
        assert nothing.value.current_version is None
        # An append that is tried again is stored once.
        await settle(store.append_to_stream("s", first, StreamState.NO_STREAM))
        assert await settle(store.get_current_version("s")) == 2

        events = await collect(store.read_stream("s"))
        assert types(events) == ["A", "B", "C"]
        assert [event.version for event in events] == [0, 1, 2]
        assert (events[0].id, events[0].data, events[0].metadata) == (first[0].id, b"1", b"m")
        assert events[0].content_type == "text/plain" and events[0].stream_name == "s"
        assert types(await collect(store.read_stream("s", 1))) == ["B", "C"]
        assert types(await collect(store.read_stream("s", backwards=True, limit=2))) == ["C", "B"]
        assert types(await collect(store.read_stream("s", 1, backwards=True))) == ["B", "A"]

        await settle(store.delete_stream("s", 2))
        assert await settle(store.get_current_version("s")) is StreamState.NO_STREAM
        await settle(store.append_to_stream("s", NewEvent("E", b""), StreamState.NO_STREAM))
        assert [(event.version, event.type) for event in await collect(store.read_stream("s"))] == [(3, "E")]
        await settle(store.tombstone_stream("s", StreamState.ANY))
        with pytest.raises(StreamDeletedError):
            await settle(store.append_to_stream("s", NewEvent("F", b""), StreamState.ANY))
        with pytest.raises(StreamDeletedError):
            await collect(store.read_stream("s"))

        for wrong in ([], [first[0], first[0]]):
            with pytest.raises(fluss.errors.ArgumentError):
                await settle(store.append_to_stream("t", wrong, StreamState.ANY))
        with pytest.raises(fluss.errors.ArgumentTypeError):
            await settle(store.append_to_stream("t", ["text"], StreamState.ANY))
        with pytest.raises(fluss.errors.ArgumentTypeError):
            await settle(store.append_to_stream("t", NewEvent("A", b""), "ANY"))
        await settle(store.append_to_stream("t", NewEvent("A", b"", id=uuid4()), StreamState.ANY, timeout=20))
        assert types(await collect(store.read_stream("t"))) == ["A"]

    run(body)


def test_events_come_as_they_are_appended(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        store = await opened(face, connection)
        positions = [
            await settle(store.append_to_stream("order:1", [NewEvent("A", b""), NewEvent("B", b"")], StreamState.ANY)),
            await settle(store.append_to_stream("user:1", NewEvent("C", b""), StreamState.ANY)),
            await settle(store.append_to_stream("order:1", NewEvent("D", b""), 1)),
        ]
        assert positions == sorted(positions)
        assert await settle(store.get_commit_position()) == 3
        everything = await collect(store.read_all())
        assert types(everything) == ["A", "B", "C", "D"]
        # A batch of appends is told its end; the position of an event is exact.
        assert [event.commit_position for event in everything] == [1, 1, 2, 3]
        assert all(position >= event for position, event in zip(positions, (1, 2, 3), strict=True))
        assert types(await collect(store.read_all(1))) == ["C", "D"]
        assert types(await collect(store.read_all(stream_prefix="order:", types=["A", "D"]))) == ["A", "D"]
        table = await settle((await settle(store.read_all())).to_arrow())
        assert table.num_rows == 4
        assert table.to_pyarrow().column("type").to_pylist() == ["A", "B", "C", "D"]
        if face is fluss:
            columns = pa.RecordBatchReader.from_stream(store.read_stream("order:1")).read_all()
            assert columns.column("type").to_pylist() == ["A", "B", "D"]
            assert pa.schema(store.read_all()).names == columns.column_names
        frame = await settle((await settle(store.read_stream("order:1"))).to_pandas())
        assert list(frame["version"]) == [0, 1, 2]

        following = await settle(store.subscribe_to_all(include_caught_up=True, consumer="books"))
        # Half of an append: it comes again to who goes on from here.
        assert (await settle(following.next_event())).type == "A"
        assert following.position.to_json() == (await at_start(store)).to_json()
        assert types(await until_caught_up(following)) == ["B", "C", "D"]
        assert following.is_caught_up
        await settle(following.save())
        of_one = await settle(store.subscribe_to_stream("order:1", 1, include_caught_up=True))
        assert types(await until_caught_up(of_one)) == ["B", "D"]
        assert await settle(following.next_event(0.02)) is None
        await settle(store.append_to_stream("order:1", NewEvent("E", b""), 2))
        assert (await settle(following.next_event(30))).type == "E"
        assert (await settle(of_one.next_event(30))).type == "E"

        again = await settle(store.subscribe_to_all(consumer="books"))
        assert (await settle(again.next_event(30))).type == "E"
        saved = Positions.from_json(following.position.to_json())
        later = await settle(store.subscribe_to_all(saved))
        from_end = await settle(store.subscribe_to_all(from_end=True))
        await settle(store.append_to_stream("user:2", NewEvent("F", b""), StreamState.NO_STREAM))
        for subscription in (later, from_end):
            assert (await settle(subscription.next_event(30))).type == "F"
        for subscription in (following, of_one, again, later, from_end):
            subscription.close()
            assert await settle(subscription.next_event()) is None
        with pytest.raises(fluss.errors.ArgumentError):
            await settle(of_one.save())

    run(body)


async def at_start(store: Any) -> Positions:
    subscription = await settle(store.subscribe_to_all({0: 0}))
    position: Positions = subscription.position
    subscription.close()
    return position


def test_a_cancelled_wait_loses_no_event(target: str) -> None:
    async def main() -> None:
        async with aio.connect(target) as connection:
            store = await opened(aio, connection)
            subscription = await store.subscribe_to_all()

            async def append() -> None:
                for number in range(200):
                    await store.append_to_stream("s", NewEvent(str(number), b""), StreamState.ANY)

            appending = asyncio.ensure_future(append())
            seen: list[str] = []
            cancelled = 0
            while len(seen) < 200:
                waiting = asyncio.ensure_future(subscription.next_event())
                for _ in range(cancelled % 7):
                    await asyncio.sleep(0)
                waiting.cancel()
                try:
                    event = await waiting
                except asyncio.CancelledError:
                    cancelled += 1
                    if cancelled % 50:
                        continue
                    event = await subscription.next_event()
                assert isinstance(event, RecordedEvent)
                seen.append(event.type)
            assert seen == [str(number) for number in range(200)] and cancelled
            await appending
            subscription.close()

    asyncio.run(main())


def test_a_position_is_of_one_bucket(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        store = await opened(face, connection, buckets=2)
        for number in range(6):
            await settle(store.append_to_stream(f"s{number}", NewEvent("A", b""), StreamState.NO_STREAM))
        assert await settle(store.get_commit_position()) == 6
        with pytest.raises(fluss.errors.ArgumentError, match="2 buckets"):
            await settle(store.read_all(1))
        events = await collect(store.read_all())
        last = {event.bucket: event.commit_position for event in events}
        assert len(events) == 6 and set(last) == {0, 1}
        assert await collect(store.read_all(last)) == []

    run(body)


def race(server: Cluster | Node, tmp_path: Path, seconds: float, beside: Callable[[Any], list[Told]]) -> int:
    """Runs the writers while something happens beside them, and some time more, and checks their history."""
    target, stop = f"fluss://{server.bootstrap}", tmp_path / "stop"
    with fluss.connect(target) as connection:
        store = asyncio.run(opened(fluss, connection, buckets=3))
        path = str(store).split("'")[1]
        outs = [tmp_path / f"{number}.json" for number in range(PROCESSES)]
        command = [sys.executable, streams_race.__file__, target, path]
        processes = [
            subprocess.Popen([*command, str(number), str(stop), str(out)], stderr=subprocess.PIPE, text=True)
            for number, out in enumerate(outs)
        ]
        try:
            told = beside(store)
            until = time.monotonic() + seconds
            while time.monotonic() < until and all(process.poll() is None for process in processes):
                time.sleep(0.05)
        finally:
            stop.touch()
            ends = [process.communicate(timeout=120)[1] for process in processes]
        assert all(process.returncode == 0 for process in processes), "\n".join(ends)
        told += [Told(**entry) for out in outs for entry in json.loads(out.read_text())]
        names = sorted({append.stream for append in told if append.stored})
        by_stream = {name: list(store.read_stream(name)) for name in names}
        stored = streams_race.check(told, by_stream, list(store.read_all()))
        # They got into each other's way.
        assert any(not append.stored for append in told)
        return stored


def test_no_two_of_sixteen_writers_share_a_version(node: Node, tmp_path: Path) -> None:
    assert race(node, tmp_path, 5, lambda store: []) > streams_race.STREAMS


@pytest.mark.usefixtures("needs_java")
def test_no_version_is_lost_or_shared_when_leaders_are_killed(tmp_path: Path) -> None:
    with Cluster(tablet_servers=3) as cluster:

        def work(store: Any, told: list[Told]) -> None:
            """Appends to a few streams, until each has got an event."""
            for stream in (f"stream {number}" for number in range(10)):
                event, deadline = NewEvent("E", b""), time.monotonic() + streams_race.PATIENCE
                while True:
                    try:
                        store.append_to_stream(stream, event, StreamState.ANY)
                    except fluss.FlussError as error:
                        assert time.monotonic() < deadline, repr(error)
                    else:
                        break
                told.append(Told(stream, [str(event.id)], "ANY", True))

        def kill(store: Any) -> list[Told]:
            told: list[Told] = []
            for server in (0, 1):
                work(store, told)
                cluster.kill(server)
                # Others lead by the time that all of it is done.
                work(store, told)
                cluster.restart(server)
                cluster.wait_ready()
            return told

        assert race(cluster, tmp_path, 5, kill) > streams_race.STREAMS

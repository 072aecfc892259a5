"""Writers that append to the same streams from several processes, and what their history has to be.

``streams_race.py TARGET TABLE SEED STOP OUT`` runs a few of them, threads and tasks, until the file ``STOP`` is there,
and writes what they were told into ``OUT``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fluss import FlussError, streams
from fluss.aio import streams as awaited
from fluss.streams import NewEvent, RecordedEvent, StreamState, WrongCurrentVersionError

STREAMS = 100
THREADS = 2
TASKS = 2
PATIENCE = 60.0


@dataclass
class Told:
    """What a writer was told of an append."""

    stream: str
    ids: list[str]
    expected: int | str
    stored: bool


class Writer:
    """Decides what to append next, whichever face does it."""

    def __init__(self, seed: str, stop: Path) -> None:
        self.random = random.Random(seed)
        self.stop = stop
        self.told: list[Told] = []
        self.versions: dict[str, int | StreamState] = {}

    def next(self) -> tuple[str, list[NewEvent], int | StreamState] | None:
        if self.stop.exists():
            return None
        stream = f"stream {self.random.randrange(STREAMS)}"
        events = [NewEvent(type="E", data=b"x" * 20) for _ in range(self.random.randint(1, 3))]
        expected = self.versions.get(stream, StreamState.NO_STREAM)
        if self.random.random() < 0.2:
            expected = StreamState.ANY
        return stream, events, expected

    def tell(self, stream: str, events: list[NewEvent], expected: int | StreamState, error: Exception | None) -> None:
        name = expected.value if isinstance(expected, StreamState) else expected
        self.told.append(Told(stream, [str(event.id) for event in events], name, error is None))
        if error is None and not isinstance(expected, StreamState):
            self.versions[stream] = expected + len(events)
        elif isinstance(error, WrongCurrentVersionError):
            current = error.current_version
            self.versions[stream] = StreamState.NO_STREAM if current is None else current
        else:
            self.versions.pop(stream, None)


Work = tuple[str, list[NewEvent], int | StreamState]


@contextmanager
def settling(writer: Writer, work: Work, deadline: float) -> Iterator[list[bool]]:
    """Tells the writer what came of an append. What it gives is empty where nobody knows, until the deadline."""
    settled: list[bool] = []
    try:
        yield settled
    except WrongCurrentVersionError as error:
        writer.tell(*work, error)
    except FlussError as error:
        assert error.retriable or error.outcome_unknown, repr(error)
        assert time.monotonic() < deadline, repr(error)
        return
    else:
        writer.tell(*work, None)
    settled.append(True)


def write(target: str, table: str, writer: Writer) -> None:
    """Appends by a thread, and tries again what nobody knows of."""
    with streams.open(target, table, create=False, timeout=PATIENCE) as store:
        while (work := writer.next()) is not None:
            stream, events, expected = work
            deadline = time.monotonic() + PATIENCE
            while True:
                with settling(writer, work, deadline) as settled:
                    store.append_to_stream(stream, events, expected)
                if settled:
                    break


async def write_awaited(store: awaited.EventStreams, writer: Writer) -> None:
    """The same by a task."""
    while (work := writer.next()) is not None:
        stream, events, expected = work
        deadline = time.monotonic() + PATIENCE
        while True:
            with settling(writer, work, deadline) as settled:
                await store.append_to_stream(stream, events, expected)
            if settled:
                break


async def tasks(target: str, table: str, writers: Iterable[Writer]) -> None:
    async with await awaited.open(target, table, create=False, timeout=PATIENCE) as store:
        await asyncio.gather(*(write_awaited(store, writer) for writer in writers))


def main(target: str, table: str, seed: str, stop: str, out: str) -> None:
    writers = [Writer(f"{seed} {number}", Path(stop)) for number in range(THREADS + TASKS)]
    failures: list[BaseException] = []

    def guarded(writer: Writer) -> None:
        try:
            write(target, table, writer)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(writer,)) for writer in writers[:THREADS]]
    for thread in threads:
        thread.start()
    asyncio.run(tasks(target, table, writers[THREADS:]))
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    Path(out).write_text(json.dumps([asdict(told) for writer in writers for told in writer.told]))


def check(told: Iterable[Told], by_stream: dict[str, list[RecordedEvent]], of_all: list[RecordedEvent]) -> int:
    """Insists that every success is there once, in one piece, where it was expected, and nothing else; that versions
    have no gap; and that who reads all streams sees the same. It returns how many appends succeeded."""
    found: dict[str, list[str]] = {}
    for stream, events in by_stream.items():
        assert [event.version for event in events] == list(range(len(events))), stream
        found[stream] = [str(event.id) for event in events]
    places = {identity: (stream, place) for stream, ids in found.items() for place, identity in enumerate(ids)}
    assert len(places) == sum(map(len, found.values())), "no event is there twice"
    stored = 0
    claimed: set[tuple[str, int]] = set()
    for append in told:
        if not append.stored:
            assert not any(identity in places for identity in append.ids), append
            continue
        stored += 1
        first = places[append.ids[0]][1]
        assert [places[identity] for identity in append.ids] == [
            (append.stream, first + number) for number in range(len(append.ids))
        ], append
        versions = {(append.stream, first + number) for number in range(len(append.ids))}
        assert not versions & claimed, append
        claimed |= versions
        if append.expected != "ANY":
            assert first == (0 if append.expected == "NO_STREAM" else int(append.expected) + 1), append
    assert len(claimed) == len(places), "nothing is there that nobody was told of"
    seen: dict[str, list[Any]] = defaultdict(list)
    for event in of_all:
        seen[event.stream_name].append((event.version, str(event.id)))
    assert seen == {stream: list(enumerate(ids)) for stream, ids in found.items() if ids}
    return stored


if __name__ == "__main__":
    main(*sys.argv[1:])

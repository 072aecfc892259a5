"""Appends events to streams, and reads them: ``event_streams.py [--servers node,cluster] [--events N] [--rounds N]``.

No other event store runs beside it: none can be had here without a container.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import servers

from fluss import streams
from fluss.aio import streams as awaited
from fluss.streams import NewEvent, StreamState
from fluss_cluster import Cluster

DATA = b"x" * 200
IN_FLIGHT = 200
STREAMS = 1_000
BATCH = 100
_names = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="node,cluster")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.servers.split(","):
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluss-streams-")))
            target = stack.enter_context(opened(name, scratch))
            measure(name, target, arguments.events, arguments.rounds)


@contextmanager
def opened(name: str, scratch: Path) -> Iterator[str]:
    """Where a server is that is started for this."""
    if name == "node":
        with servers.node(scratch) as node:
            yield node.target
    else:
        with Cluster(tablet_servers=1) as cluster:
            yield f"fluss://{cluster.bootstrap}"


def measure(name: str, target: str, events: int, rounds: int) -> None:
    with streams.open(target, f"fluss.bench_{next(_names)}") as store:
        latencies: list[float] = []
        alone = events // 10

        def one_by_one() -> None:
            stream = f"one {next(_names)}"
            for version in range(-1, alone - 1):
                expected = StreamState.NO_STREAM if version < 0 else version
                begun = time.perf_counter()
                store.append_to_stream(stream, NewEvent("E", DATA), expected)
                latencies.append((time.perf_counter() - begun) * 1000)

        def in_batches() -> None:
            stream = f"batch {next(_names)}"
            for _ in range(events // BATCH):
                store.append_to_stream(stream, [NewEvent("E", DATA) for _ in range(BATCH)], StreamState.ANY)

        def many() -> None:
            asyncio.run(at_once(target, store_path(store), events))

        def read_one() -> None:
            assert sum(1 for _ in store.read_stream(long)) == events

        def read_all() -> None:
            found = store.read_all().to_arrow()
            assert found.num_rows >= events

        def read_all_one_by_one() -> None:
            assert sum(1 for _ in store.read_all()) >= events

        long = "long"
        for _ in range(events // BATCH):
            store.append_to_stream(long, [NewEvent("E", DATA) for _ in range(BATCH)], StreamState.ANY)
        tries = [
            ("appends, one after the other", one_by_one, alone),
            (f"appends, {IN_FLIGHT} at a time on {STREAMS:,} streams", many, events),
            (f"events, {BATCH} an append", in_batches, events),
            ("events of a stream, read", read_one, events),
        ]
        for what, work, number in tries:
            report(name, what, number, [timed(work) for _ in range(rounds)])
        everything = sum(1 for _ in store.read_all())
        for what, work in (("of all streams, read", read_all_one_by_one), ("of all streams, as Arrow", read_all)):
            report(name, f"events {what}", everything, [timed(work) for _ in range(rounds)])
        hundredths = quantiles(latencies, n=100)
        print(f"{name}: an append takes {median(latencies):.2f} ms, p99 {hundredths[98]:.2f} ms", flush=True)


def store_path(store: streams.EventStreams) -> str:
    return repr(store).split("'")[1]


async def at_once(target: str, path: str, events: int) -> None:
    """Appends one event at a time to many streams, many of them under way."""
    async with await awaited.open(target, path) as store:
        prefix = next(_names)
        versions = [StreamState.NO_STREAM] * STREAMS
        await asyncio.gather(*(worker(store, prefix, versions, number, events) for number in range(IN_FLIGHT)))


async def worker(store: awaited.EventStreams, prefix: int, versions: list[Any], first: int, events: int) -> None:
    # Each has streams of its own, so that versions are known.
    own = range(first, STREAMS, IN_FLIGHT)
    for number in range(events // IN_FLIGHT):
        stream = own[number % len(own)]
        await store.append_to_stream(f"{prefix} {stream}", NewEvent("E", DATA), versions[stream])
        current = versions[stream]
        versions[stream] = 0 if isinstance(current, StreamState) else current + 1


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def report(name: str, what: str, number: int, seconds: list[float]) -> None:
    print(f"{name}: {number / median(seconds):>12,.0f}/s  {what}", flush=True)


if __name__ == "__main__":
    main()

"""What the Python programs of the benchmark have in common: rows and clocks. Only pyarrow is needed."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

Json = dict[str, Any]
FIRST = dt.datetime(2024, 1, 1)
FIRST_MICROS = 1_704_067_200_000_000
POLL_MS = 200
MANY = 10_000
"""How many keys are looked up at once."""


class Clock:
    """Wall clock and the processor time of the whole process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return time.perf_counter() - self._wall

    def stop(self) -> Json:
        return {"seconds": self.seconds, "cpu_seconds": time.process_time() - self._cpu}


class Calls:
    """How long calls took, each of them a ``with`` block."""

    def __init__(self) -> None:
        self._taken: list[float] = []

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._taken.append(time.perf_counter() - self._begun)

    def __len__(self) -> int:
        return len(self._taken)

    def percentiles(self) -> Json:
        taken = sorted(self._taken)
        last = len(taken) - 1
        return {f"p{percent}_micros": int(taken[last * percent // 100] * 1e6) for percent in (50, 99)}


def row(i: int) -> list[Any]:
    """Row ``i`` of the benchmark's table."""
    return [i, f"name-{10_000 + i % 90_000}", i * 0.5, FIRST + dt.timedelta(microseconds=i)]


def batches(job: Json) -> Iterator[pa.RecordBatch]:
    """The rows of a job; made before the clock starts, for the bench is about the client."""
    for begin in range(0, job["rows"], job["batch_rows"]):
        ids = range(begin, min(begin + job["batch_rows"], job["rows"]))
        columns = {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"name-{10_000 + i % 90_000}" for i in ids]),
            "value": pa.array([i * 0.5 for i in ids]),
            "at": pa.array([FIRST_MICROS + i for i in ids], pa.timestamp("us")),
        }
        yield pa.record_batch(columns)


def keys(job: Json) -> Iterator[int]:
    """The keys that a job looks up: all over the table, of which ``stored`` says the number of rows."""
    return (index * 7_919 % job["stored"] for index in range(job["rows"]))


def keys_in_time(job: Json, clock: Clock) -> Iterator[int]:
    """The same, until the time of the job is up."""
    return itertools.takewhile(lambda _: clock.seconds < job["seconds"], keys(job))


def peak_rss_kib() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

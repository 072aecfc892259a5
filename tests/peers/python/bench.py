"""The jobs of benches/README.md on pyfluss."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import fluss
import pyarrow as pa
import pyarrow.compute as pc

Json = dict[str, Any]
FIRST = dt.datetime(2024, 1, 1)
FIRST_MICROS = 1_704_067_200_000_000
POLL_MS = 200


async def run(job: Json) -> Json:
    """Does one job; the result is what benches/README.md says."""
    jobs = {
        "append_arrow": _append_arrow,
        "append_rows": _append_rows,
        "scan_arrow": _scan_arrow,
        "scan_rows": _scan_rows,
        "scan_projected": _scan_projected,
        "connect": _connect,
    }
    result = {"client": "pyfluss", "op": job["op"], **await jobs[job["op"]](job)}
    return {**result, "peak_rss_kib": _peak_rss_kib()}


class Clock:
    """Wall clock and the processor time of the whole process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Json:
        return {"seconds": time.perf_counter() - self._wall, "cpu_seconds": time.process_time() - self._cpu}


async def _open(job: Json) -> tuple[fluss.FlussConnection, fluss.FlussTable]:
    options = {"bootstrap.servers": job["bootstrap"], **job.get("properties", {})}
    connection = await fluss.FlussConnection.create(fluss.Config(options))
    table = await connection.get_table(fluss.TablePath(job["database"], job["table"]))
    return connection, table


async def _append_arrow(job: Json) -> Json:
    connection, table = await _open(job)
    batches = list(_batches(job["rows"], job["batch_rows"], table.arrow_schema))
    writer = table.new_append().create_writer()
    clock = Clock()
    for batch in batches:
        writer.write_arrow_batch(batch)
    await writer.flush()
    times = clock.stop()
    await connection.close()
    return {"rows": job["rows"], **times}


async def _append_rows(job: Json) -> Json:
    connection, table = await _open(job)
    writer = table.new_append().create_writer()
    clock = Clock()
    for i in range(job["rows"]):
        at = FIRST + dt.timedelta(microseconds=i)
        writer.append([i, f"name-{10_000 + i % 90_000}", i * 0.5, at])
    await writer.flush()
    times = clock.stop()
    await connection.close()
    return {"rows": job["rows"], **times}


async def _scan_arrow(job: Json) -> Json:
    return await _scan_batches(job, None)


async def _scan_projected(job: Json) -> Json:
    return await _scan_batches(job, [0, 2])


async def _scan_batches(job: Json, columns: list[int] | None) -> Json:
    connection, table = await _open(job)
    scan = table.new_scan().project(columns) if columns else table.new_scan()
    clock = Clock()
    scanner = await scan.create_record_batch_log_scanner()
    _subscribe(table, scanner)
    rows = total = 0
    while rows < job["rows"]:
        for polled in await scanner.poll_record_batch(POLL_MS):
            rows += polled.batch.num_rows
            total += pc.sum(polled.batch.column(0)).as_py() or 0
    times = clock.stop()
    await connection.close()
    return {"rows": rows, "sum_id": total, **times}


async def _scan_rows(job: Json) -> Json:
    connection, table = await _open(job)
    clock = Clock()
    scanner = await table.new_scan().create_log_scanner()
    _subscribe(table, scanner)
    rows = total = 0
    while rows < job["rows"]:
        for record in await scanner.poll(POLL_MS):
            total += record.row["id"]
            rows += 1
    times = clock.stop()
    await connection.close()
    return {"rows": rows, "sum_id": total, **times}


async def _connect(job: Json) -> Json:
    options = fluss.Config({"bootstrap.servers": job["bootstrap"], **job.get("properties", {})})
    taken: list[float] = []
    clock = Clock()
    for _ in range(job["rows"]):
        begun = time.perf_counter()
        connection = await fluss.FlussConnection.create(options)
        await connection.get_admin().get_server_nodes()
        taken.append(time.perf_counter() - begun)
        await connection.close()
    times = clock.stop()
    taken.sort()
    last = len(taken) - 1
    return {
        "rows": len(taken),
        "p50_micros": int(taken[last // 2] * 1e6),
        "p99_micros": int(taken[last * 99 // 100] * 1e6),
        **times,
    }


def _subscribe(table: fluss.FlussTable, scanner: fluss.LogScanner) -> None:
    buckets = range(table.get_table_info().num_buckets)
    scanner.subscribe_buckets({bucket: fluss.EARLIEST_OFFSET for bucket in buckets})


def _batches(rows: int, batch_rows: int, schema: pa.Schema):
    """Made before the clock starts: the bench is about the client."""
    for begin in range(0, rows, batch_rows):
        ids = range(begin, min(begin + batch_rows, rows))
        columns = [
            pa.array(ids, pa.int64()),
            pa.array([f"name-{10_000 + i % 90_000}" for i in ids]),
            pa.array([i * 0.5 for i in ids]),
            pa.array([FIRST_MICROS + i for i in ids], pa.timestamp("us")),
        ]
        yield pa.record_batch(columns, schema=schema)


def _peak_rss_kib() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

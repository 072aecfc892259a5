"""The jobs of benches/README.md on pyfluss."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pyarrow.compute as pc

import fluss

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benches" / "peer" / "python"))

from bench_peer import MANY, POLL_MS, Calls, Clock, Json, batches, keys, keys_in_time, peak_rss_kib, row


async def run(job: Json) -> Json:
    """Does one job; the result is what benches/README.md says."""
    jobs = {
        "append_arrow": _append_arrow,
        "append_rows": _append_rows,
        "append_one": _append_one,
        "scan_arrow": _scan_arrow,
        "scan_rows": _scan_rows,
        "scan_projected": _scan_projected,
        "changelog_rows": _scan_rows,
        "upsert_rows": _upsert_rows,
        "lookup_one": _lookup_one,
        "lookup_1000": _lookup_in_flight,
        "lookup_many": _lookup_many,
    }
    if job["op"] not in (*jobs, "connect"):
        raise NotImplementedError(f"not offered by this client: {job['op']}")
    if job["op"] == "connect":
        measured = await _connect(job)
    else:
        connection = await fluss.FlussConnection.create(_config(job))
        table = await connection.get_table(fluss.TablePath(job["database"], job["table"]))
        measured = await jobs[job["op"]](job, table)
        await connection.close()
    return {"client": "pyfluss", "op": job["op"], **measured, "peak_rss_kib": peak_rss_kib()}


def _config(job: Json) -> fluss.Config:
    return fluss.Config({"bootstrap.servers": job["bootstrap"], **job.get("properties", {})})


async def _append_arrow(job: Json, table: fluss.FlussTable) -> Json:
    ready = [batch.cast(table.arrow_schema) for batch in batches(job)]
    writer = table.new_append().create_writer()
    clock = Clock()
    for batch in ready:
        writer.write_arrow_batch(batch)
    await writer.flush()
    return {"rows": job["rows"], **clock.stop()}


async def _append_rows(job: Json, table: fluss.FlussTable) -> Json:
    writer = table.new_append().create_writer()
    clock = Clock()
    for i in range(job["rows"]):
        writer.append(row(i))
    await writer.flush()
    return {"rows": job["rows"], **clock.stop()}


async def _append_one(job: Json, table: fluss.FlussTable) -> Json:
    writer = table.new_append().create_writer()
    clock, calls = Clock(), Calls()
    for i in range(job["rows"]):
        with calls:
            writer.append(row(i))
            await writer.flush()
    return {"rows": job["rows"], **clock.stop(), **calls.percentiles()}


async def _scan_arrow(job: Json, table: fluss.FlussTable) -> Json:
    return await _scan_batches(job, table, table.new_scan())


async def _scan_projected(job: Json, table: fluss.FlussTable) -> Json:
    return await _scan_batches(job, table, table.new_scan().project_by_name(["id", "value"]))


async def _scan_batches(job: Json, table: fluss.FlussTable, scan: fluss.TableScan) -> Json:
    clock = Clock()
    scanner = await scan.create_record_batch_log_scanner()
    _subscribe(table, scanner)
    rows = total = 0
    while rows < job["rows"]:
        for polled in await scanner.poll_record_batch(POLL_MS):
            rows += polled.batch.num_rows
            total += pc.sum(polled.batch.column(0)).as_py() or 0
    return {"rows": rows, "sum_id": total, **clock.stop()}


async def _scan_rows(job: Json, table: fluss.FlussTable) -> Json:
    clock = Clock()
    scanner = await table.new_scan().create_log_scanner()
    _subscribe(table, scanner)
    rows = total = 0
    while rows < job["rows"]:
        for record in await scanner.poll(POLL_MS):
            total += record.row["id"]
            rows += 1
    return {"rows": rows, "sum_id": total, **clock.stop()}


async def _upsert_rows(job: Json, table: fluss.FlussTable) -> Json:
    writer = table.new_upsert().create_writer()
    clock = Clock()
    for i in range(job["rows"]):
        writer.upsert(row(i))
    await writer.flush()
    return {"rows": job["rows"], **clock.stop()}


async def _find(lookuper: fluss.Lookuper, key: int) -> None:
    if await lookuper.lookup([key]) is None:
        raise LookupError(f"key {key} was not found")


async def _lookup_one(job: Json, table: fluss.FlussTable) -> Json:
    lookuper = table.new_lookup().create_lookuper()
    clock, calls = Clock(), Calls()
    for key in keys_in_time(job, clock):
        with calls:
            await _find(lookuper, key)
    return {"rows": len(calls), **clock.stop(), **calls.percentiles()}


async def _lookup_in_flight(job: Json, table: fluss.FlussTable) -> Json:
    """Each waiting look-up has a lookuper of its own: those of one lookuper wait for each other."""
    lookupers = [table.new_lookup().create_lookuper() for _ in range(1000)]
    waiting = list(keys(job))

    async def find(lookuper: fluss.Lookuper) -> None:
        while waiting:
            await _find(lookuper, waiting.pop())

    clock = Clock()
    await asyncio.gather(*(find(lookuper) for lookuper in lookupers))
    return {"rows": job["rows"], **clock.stop()}


async def _lookup_many(job: Json, table: fluss.FlussTable) -> Json:
    """There is no call for many keys: 10,000 look-ups are begun together, and waited for together."""
    lookupers = [table.new_lookup().create_lookuper() for _ in range(MANY)]
    wanted = list(keys(job))
    clock = Clock()
    for begin in range(0, len(wanted), MANY):
        pairs = zip(lookupers, wanted[begin : begin + MANY], strict=False)
        await asyncio.gather(*(_find(lookuper, key) for lookuper, key in pairs))
    return {"rows": job["rows"], **clock.stop()}


async def _connect(job: Json) -> Json:
    config = _config(job)
    clock, calls = Clock(), Calls()
    done = 0
    while done < job["rows"] and clock.seconds < job["seconds"]:
        with calls:
            connection = await fluss.FlussConnection.create(config)
            await connection.get_admin().get_server_nodes()
        await connection.close()
        done += 1
    return {"rows": done, **clock.stop(), **calls.percentiles()}


def _subscribe(table: fluss.FlussTable, scanner: fluss.LogScanner) -> None:
    buckets = range(table.get_table_info().num_buckets)
    scanner.subscribe_buckets({bucket: fluss.EARLIEST_OFFSET for bucket in buckets})

"""This client's Python package in the benchmark: one job a line in, one result a line out (benches/README.md)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

import fluss

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "peer" / "python"))

from bench_peer import MANY, POLL_MS, Calls, Clock, Json, batches, keys, keys_in_time, peak_rss_kib, row


def run(job: Json) -> Json:
    """Does one job."""
    if job["op"] == "connect":
        measured = connect(job)
    else:
        with _open(job) as connection:
            table = connection.get_table(f"{job['database']}.{job['table']}")
            measured = JOBS[job["op"]](job, table)
    return {"client": "ours-python", "op": job["op"], **measured, "peak_rss_kib": peak_rss_kib()}


def _open(job: Json) -> fluss.Connection:
    return fluss.connect(f"fluss://{job['bootstrap']}")


def append_arrow(job: Json, table: fluss.Table) -> Json:
    ready = list(batches(job))
    writer = table.new_append().create_writer()
    clock = Clock()
    for batch in ready:
        writer.append_arrow(batch)
    writer.flush()
    return {"rows": job["rows"], **clock.stop()}


def append_rows(job: Json, table: fluss.Table) -> Json:
    writer = table.new_append().create_writer()
    clock = Clock()
    for i in range(job["rows"]):
        writer.append(row(i))
    writer.flush()
    return {"rows": job["rows"], **clock.stop()}


def append_one(job: Json, table: fluss.Table) -> Json:
    writer = table.new_append().create_writer()
    clock, calls = Clock(), Calls()
    for i in range(job["rows"]):
        with calls:
            writer.append(row(i))
            writer.flush()
    return {"rows": job["rows"], **clock.stop(), **calls.percentiles()}


def scan_rows(job: Json, table: fluss.Table) -> Json:
    clock = Clock()
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    rows = total = 0
    while rows < job["rows"]:
        for record in scanner.poll(POLL_MS):
            total += record.row["id"]
            rows += 1
    return {"rows": rows, "sum_id": total, **clock.stop()}


def scan_arrow(job: Json, table: fluss.Table) -> Json:
    return _scan_batches(job, table.new_scan())


def scan_projected(job: Json, table: fluss.Table) -> Json:
    return _scan_batches(job, table.new_scan().project(["id", "value"]))


def _scan_batches(job: Json, scan: fluss.TableScan) -> Json:
    clock = Clock()
    scanner = scan.create_log_scanner()
    scanner.subscribe_from_beginning()
    rows = total = 0
    while rows < job["rows"]:
        for polled in scanner.poll_record_batch(POLL_MS):
            rows += polled.num_rows
            total += pc.sum(pa.record_batch(polled).column(0)).as_py() or 0
    return {"rows": rows, "sum_id": total, **clock.stop()}


def read_whole(job: Json, table: fluss.Table) -> Json:
    """Reads a whole table as its rows come, and lets each batch go before the next."""
    # What pyarrow needs for itself does not count.
    pc.sum(pa.table({"id": [1]})["id"])
    resting, clock = peak_rss_kib(), Clock()
    first, rows, total = 0.0, 0, 0
    for polled in table.to_reader():
        first = first or clock.seconds
        rows += polled.num_rows
        total += pc.sum(pa.table(polled)["id"]).as_py() or 0
    return {"rows": rows, "sum_id": total, "first_seconds": first, "resting_rss_kib": resting, **clock.stop()}


def changelog_rows(job: Json, table: fluss.Table) -> Json:
    return scan_rows(job, table)


def changelog_arrow(job: Json, table: fluss.Table) -> Json:
    """Changes with their types, offsets and times as columns."""
    clock = Clock()
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    rows = total = 0
    while rows < job["rows"]:
        polled = pa.table(scanner.poll_arrow(POLL_MS))
        rows += polled.num_rows
        total += pc.sum(polled["id"]).as_py() or 0
    return {"rows": rows, "sum_id": total, **clock.stop()}


def upsert_rows(job: Json, table: fluss.Table) -> Json:
    writer = table.new_upsert().create_writer()
    clock = Clock()
    for i in range(job["rows"]):
        writer.upsert(row(i))
    writer.flush()
    return {"rows": job["rows"], **clock.stop()}


def upsert_arrow(job: Json, table: fluss.Table) -> Json:
    ready = list(batches(job))
    writer = table.new_upsert().create_writer()
    clock = Clock()
    for batch in ready:
        writer.upsert_arrow(batch)
    writer.flush()
    return {"rows": job["rows"], **clock.stop()}


def lookup_one(job: Json, table: fluss.Table) -> Json:
    lookuper = table.new_lookup().create_lookuper()
    clock, calls = Clock(), Calls()
    for key in keys_in_time(job, clock):
        with calls:
            found = lookuper.lookup([key])
        assert found is not None, f"key {key} was not found"
    return {"rows": len(calls), **clock.stop(), **calls.percentiles()}


def lookup_1000(job: Json, table: fluss.Table) -> Json:
    """On the awaited face: threads do not wait by the thousand."""

    async def main() -> Json:
        async with fluss.aio.connect(f"fluss://{job['bootstrap']}") as connection:
            opened = await connection.get_table(table.get_table_path())
            lookuper = opened.new_lookup().create_lookuper()
            waiting = list(keys(job))

            async def find() -> None:
                while waiting:
                    assert await lookuper.lookup([waiting.pop()]) is not None, "a key was not found"

            clock = Clock()
            await asyncio.gather(*(find() for _ in range(1000)))
            return clock.stop()

    return {"rows": job["rows"], **asyncio.run(main())}


def lookup_many(job: Json, table: fluss.Table) -> Json:
    lookuper = table.new_lookup().create_lookuper()
    wanted = list(keys(job))
    clock = Clock()
    for begin in range(0, len(wanted), MANY):
        found = lookuper.lookup_many(wanted[begin : begin + MANY])
        assert None not in found, "a key was not found"
    return {"rows": job["rows"], **clock.stop()}


def connect(job: Json) -> Json:
    clock, calls = Clock(), Calls()
    done = 0
    while done < job["rows"] and clock.seconds < job["seconds"]:
        with calls:
            connection = _open(job)
            connection.get_admin().get_server_nodes()
        connection.close()
        done += 1
    return {"rows": done, **clock.stop(), **calls.percentiles()}


JOBS = {
    function.__name__: function
    for function in (
        *(append_arrow, append_rows, append_one, scan_arrow, scan_rows, scan_projected, read_whole),
        *(changelog_rows, changelog_arrow, upsert_rows, upsert_arrow),
        *(lookup_one, lookup_1000, lookup_many),
    )
}


def main() -> None:
    for line in sys.stdin:
        try:
            answer = {"ok": True, **run(json.loads(line))}
        except Exception as error:  # whatever it is, the driver has to see it
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""This client's Python package in the benchmark: one job a line in, one result a line out (benches/README.md)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

import fluss

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "peer" / "python"))

from bench_peer import POLL_MS, Calls, Clock, Json, batches, peak_rss_kib, row


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


def connect(job: Json) -> Json:
    clock, calls = Clock(), Calls()
    for _ in range(job["rows"]):
        with calls:
            connection = _open(job)
            connection.get_admin().get_server_nodes()
        connection.close()
    return {"rows": job["rows"], **clock.stop(), **calls.percentiles()}


JOBS = {
    function.__name__: function
    for function in (append_arrow, append_rows, append_one, scan_arrow, scan_rows, scan_projected)
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

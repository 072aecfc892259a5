"""The published pyfluss as a peer.

``peer.py serve`` obeys the requests of tests/peers/README.md, ``peer.py bench`` the jobs of benches/README.md. Both
read one JSON object a line and answer with one. It runs in an environment of its own, with what requirements.txt names.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pyarrow as pa

import fluss
from bench import run as run_bench
from values import to_notation, to_python

Json = dict[str, Any]


class Session:
    """One connection, then operations on tables."""

    def __init__(self) -> None:
        self._connection: fluss.FlussConnection | None = None

    async def run(self, request: Json) -> Json:
        operations = {
            "connect": self.connect,
            "close": self.close,
            "append": self.append,
            "append_arrow": self.append_arrow,
            "scan": self.scan,
            "scan_arrow": self.scan_arrow,
        }
        return await operations[request["op"]](request)

    async def connect(self, request: Json) -> Json:
        options = {"bootstrap.servers": request["bootstrap"], **request.get("properties", {})}
        self._connection = await fluss.FlussConnection.create(fluss.Config(options))
        return {}

    async def close(self, _: Json) -> Json:
        await self._connection.close()
        return {}

    async def append(self, request: Json) -> Json:
        table = await self._table(request)
        writer = table.new_append().create_writer()
        for row in request["rows"]:
            writer.append([to_python(value, field.type) for value, field in zip(row, table.arrow_schema, strict=True)])
        await writer.flush()
        return {"written": len(request["rows"])}

    async def append_arrow(self, request: Json) -> Json:
        table = await self._table(request)
        schema = table.arrow_schema
        columns = zip(*request["rows"], strict=True)
        arrays = [
            pa.array([to_python(value, field.type) for value in column], field.type)
            for column, field in zip(columns, schema, strict=True)
        ]
        writer = table.new_append().create_writer()
        writer.write_arrow_batch(pa.record_batch(arrays, schema=schema))
        await writer.flush()
        return {"written": len(request["rows"])}

    async def scan(self, request: Json) -> Json:
        table = await self._table(request)
        scanner = await _scan(table, request).create_log_scanner()
        _subscribe(table, scanner)
        kinds = {field.name: field.type for field in table.arrow_schema}

        async def poll() -> list[Json]:
            polled = await scanner.poll(200)
            return [
                {
                    "bucket": bucket.bucket_id,
                    "offset": record.offset,
                    "timestamp": record.timestamp,
                    "change": record.change_type.short_string(),
                    "row": [to_notation(value, kinds[name]) for name, value in record.row.items()],
                }
                for bucket, records in polled.items()
                for record in records
            ]

        return {"records": await _collect(poll, request)}

    async def scan_arrow(self, request: Json) -> Json:
        table = await self._table(request)
        scanner = await _scan(table, request).create_record_batch_log_scanner()
        _subscribe(table, scanner)

        async def poll() -> list[Json]:
            polled = await scanner.poll_record_batch(200)
            return [
                {"bucket": batch.bucket.bucket_id, "offset": batch.base_offset + index, "row": row}
                for batch in polled
                for index, row in enumerate(_rows(batch.batch))
            ]

        return {"records": await _collect(poll, request)}

    async def _table(self, request: Json) -> fluss.FlussTable:
        return await self._connection.get_table(fluss.TablePath(request["database"], request["table"]))


def _scan(table: fluss.FlussTable, request: Json) -> fluss.TableScan:
    scan = table.new_scan()
    return scan.project_by_name(request["project"]) if "project" in request else scan


def _subscribe(table: fluss.FlussTable, scanner: fluss.LogScanner) -> None:
    buckets = range(table.get_table_info().num_buckets)
    scanner.subscribe_buckets({bucket: fluss.EARLIEST_OFFSET for bucket in buckets})


async def _collect(poll: Callable[[], Awaitable[list[Json]]], request: Json) -> list[Json]:
    """Until there are enough rows, or the deadline: then what there is."""
    end = time.monotonic() + request.get("seconds", 30)
    records: list[Json] = []
    while len(records) < request["rows"] and time.monotonic() < end:
        records += await poll()
    return records


def _rows(batch: pa.RecordBatch) -> list[list[Any]]:
    columns = [[to_notation(value.as_py(), column.type) for value in column] for column in batch.columns]
    return [list(row) for row in zip(*columns, strict=True)]


async def main(mode: str) -> None:
    run = run_bench if mode == "bench" else Session().run
    for line in sys.stdin:
        try:
            answer = {"ok": True, **await run(json.loads(line))}
        except Exception as error:  # whatever it is, the test that asked has to see it
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

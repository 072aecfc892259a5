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
from columns import from_array, to_array
from values import to_arrow, to_notation, to_python

Json = dict[str, Any]


class Session:
    """One connection, then operations on tables."""

    def __init__(self) -> None:
        self._connection: fluss.FlussConnection | None = None

    async def run(self, request: Json) -> Json:
        operations = {
            "connect": self.connect,
            "close": self.close,
            "create_database": self.create_database,
            "create_table": self.create_table,
            "create_partition": self.create_partition,
            "drop_partition": self.drop_partition,
            "append": self.append,
            "append_arrow": self.append_arrow,
            "upsert": self.upsert,
            "delete": self.delete,
            "lookup": self.lookup,
            "scan": self.scan,
            "scan_arrow": self.scan_arrow,
            "limit_scan": self.limit_scan,
        }
        return await operations[request["op"]](request)

    async def connect(self, request: Json) -> Json:
        options = {"bootstrap.servers": request["bootstrap"], **request.get("properties", {})}
        self._connection = await fluss.FlussConnection.create(fluss.Config(options))
        return {}

    async def close(self, _: Json) -> Json:
        await self._connection.close()
        return {}

    async def create_database(self, request: Json) -> Json:
        await self._connection.get_admin().create_database(request["database"], ignore_if_exists=True)
        return {}

    async def create_table(self, request: Json) -> Json:
        columns = zip(request["names"], request["types"], strict=True)
        schema = pa.schema([pa.field(name, *to_arrow(data_type)) for name, data_type in columns])
        names = {"partitioned_by": "partition_keys", "bucket_key": "bucket_keys", "properties": "properties"}
        options = {option: request[name] for name, option in names.items() if name in request}
        descriptor = fluss.TableDescriptor(
            fluss.Schema(schema, primary_keys=request.get("primary_key")),
            bucket_count=request.get("buckets", 1),
            **options,
        )
        await self._connection.get_admin().create_table(_path(request), descriptor, ignore_if_exists=False)
        return {}

    async def create_partition(self, request: Json) -> Json:
        await self._connection.get_admin().create_partition(_path(request), request["partition"])
        return {}

    async def drop_partition(self, request: Json) -> Json:
        await self._connection.get_admin().drop_partition(_path(request), request["partition"])
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
        arrays = [to_array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        writer = table.new_append().create_writer()
        writer.write_arrow_batch(pa.record_batch(arrays, schema=schema))
        await writer.flush()
        return {"written": len(request["rows"])}

    async def upsert(self, request: Json) -> Json:
        table = await self._table(request)
        writer = _upsert_writer(table, request)
        columns = request.get("target_columns", table.arrow_schema.names)
        for row in request["rows"]:
            writer.upsert(_named(row, table, columns))
        await writer.flush()
        return {"written": len(request["rows"])}

    async def delete(self, request: Json) -> Json:
        table = await self._table(request)
        writer = _upsert_writer(table, request)
        for row in request["rows"]:
            writer.delete(_named(row, table, table.get_table_info().get_primary_keys()))
        await writer.flush()
        return {"written": len(request["rows"])}

    async def lookup(self, request: Json) -> Json:
        table = await self._table(request)
        by_prefix = "prefix" in request
        columns = request["prefix"] if by_prefix else table.get_table_info().get_primary_keys()
        lookup = table.new_lookup()
        lookuper = (lookup.lookup_by(columns) if by_prefix else lookup).create_lookuper()
        kinds = [table.arrow_schema.field(name).type for name in columns]
        keys = [[to_python(value, kind) for value, kind in zip(key, kinds, strict=True)] for key in request["keys"]]
        answers = [await lookuper.lookup(dict(zip(columns, key, strict=True))) for key in keys]
        found = answers if by_prefix else [[] if row is None else [row] for row in answers]
        return {"found": [[_values(row, table) for row in rows] for rows in found]}

    async def limit_scan(self, request: Json) -> Json:
        table = await self._table(request)
        bucket = fluss.TableBucket(table.get_table_info().table_id, request.get("bucket", 0))
        scanned = await table.new_scan().limit(request["limit"]).create_bucket_batch_scanner(bucket).to_arrow()
        return {"rows": [row for batch in scanned.to_batches() for row in _rows(batch)]}

    async def scan(self, request: Json) -> Json:
        table = await self._table(request)
        scanner = await _scan(table, request).create_log_scanner()
        await self._subscribe(table, scanner)
        kinds = {field.name: field.type for field in table.arrow_schema}

        async def poll() -> list[Json]:
            polled = await scanner.poll(200)
            return [
                {
                    **_place(bucket, record.offset),
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
        await self._subscribe(table, scanner)

        async def poll() -> list[Json]:
            polled = await scanner.poll_record_batch(200)
            return [
                {**_place(batch.bucket, batch.base_offset + index), "row": row}
                for batch in polled
                for index, row in enumerate(_rows(batch.batch))
            ]

        return {"records": await _collect(poll, request)}

    async def _table(self, request: Json) -> fluss.FlussTable:
        return await self._connection.get_table(_path(request))

    async def _subscribe(self, table: fluss.FlussTable, scanner: fluss.LogScanner) -> None:
        """To every bucket, of every partition that there is, from the beginning."""
        buckets = range(table.get_table_info().num_buckets)
        if not table.get_table_info().is_partitioned():
            scanner.subscribe_buckets({bucket: fluss.EARLIEST_OFFSET for bucket in buckets})
            return
        for partition in await self._connection.get_admin().list_partition_infos(table.get_table_path()):
            for bucket in buckets:
                scanner.subscribe_partition(partition.partition_id, bucket, fluss.EARLIEST_OFFSET)


def _path(request: Json) -> fluss.TablePath:
    return fluss.TablePath(request["database"], request["table"])


def _upsert_writer(table: fluss.FlussTable, request: Json) -> fluss.UpsertWriter:
    change = table.new_upsert()
    if "target_columns" in request:
        change = change.partial_update_by_name(request["target_columns"])
    return change.create_writer()


def _place(bucket: fluss.TableBucket, offset: int) -> Json:
    return {"partition_id": bucket.partition_id, "bucket": bucket.bucket_id, "offset": offset}


def _named(row: list[Any], table: fluss.FlussTable, columns: list[str]) -> Json:
    """A whole row of the notation as the values of some columns."""
    values = zip(row, table.arrow_schema, strict=True)
    return {field.name: to_python(value, field.type) for value, field in values if field.name in columns}


def _values(row: Json, table: fluss.FlussTable) -> list[Any]:
    return [to_notation(row[field.name], field.type) for field in table.arrow_schema]


def _scan(table: fluss.FlussTable, request: Json) -> fluss.TableScan:
    scan = table.new_scan()
    return scan.project_by_name(request["project"]) if "project" in request else scan


async def _collect(poll: Callable[[], Awaitable[list[Json]]], request: Json) -> list[Json]:
    """Until there are enough rows, or the deadline: then what there is."""
    end = time.monotonic() + request.get("seconds", 30)
    records: list[Json] = []
    while len(records) < request["rows"] and time.monotonic() < end:
        records += await poll()
    return records


def _rows(batch: pa.RecordBatch) -> list[list[Any]]:
    return [list(row) for row in zip(*map(from_array, batch.columns), strict=True)]


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

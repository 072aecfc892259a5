"""Everything that a program for pyfluss does, from creating databases to reading Arrow.

``tour.py BOOTSTRAP DATABASE`` prints one JSON object: what each step came to, types included. It is written for pyfluss
1.0 and runs on whatever ``fluss`` is installed, so that two clients can be compared. Numbers that the server hands out
and times are left out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pandas as pd
import pyarrow as pa

import fluss

EVENTS = pa.schema(
    [
        ("id", pa.int32()),
        ("name", pa.string()),
        ("score", pa.float64()),
        ("price", pa.decimal128(10, 2)),
        ("day", pa.date32()),
        ("at", pa.timestamp("us")),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.int64())),
        ("nested", pa.struct([("x", pa.int32()), ("more", pa.map_(pa.int32(), pa.string()))])),
    ]
)
ACCOUNTS = pa.schema(
    [
        ("region", pa.string()),
        ("id", pa.int64()),
        ("balance", pa.float64()),
        ("limits", pa.map_(pa.string(), pa.int32())),
    ]
)
VISITS = pa.schema([("id", pa.int32()), ("country", pa.string())])


def event(i: int) -> dict[str, Any]:
    moment = dt.datetime(2024, 2, 29, 12, 0, i, 123_456)
    return {
        "id": i,
        "name": f"n{i}",
        "score": i / 4,
        "price": decimal.Decimal(i) / 4,
        "day": moment.date(),
        "at": moment,
        "seen": moment.replace(tzinfo=dt.UTC),
        "raw": bytes([i]),
        "tags": ["a", None],
        "attributes": {"k": i},
        "nested": {"x": i, "more": [(1, "one"), (2, None)]},
    }


def shown(value: Any) -> Any:
    """A value with its types, for JSON. Of a decimal number the value matters, not how many digits it is told with."""
    if isinstance(value, dict):
        return {"dict": [[shown(key), shown(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [shown(item) for item in value]}
    if isinstance(value, decimal.Decimal):
        return ["Decimal", str(value.normalize())]
    if isinstance(value, pa.Table):
        return {"Table": [str(value.schema.names), [shown(row) for row in value.to_pylist()]]}
    return [type(value).__name__, repr(value)]


class Tour:
    """The steps, and what they came to."""

    def __init__(self, connection: fluss.FlussConnection, database: str) -> None:
        self.told: dict[str, Any] = {}
        self.connection = connection
        self.admin = connection.get_admin()
        self.database = database

    def tell(self, step: str, value: Any) -> None:
        assert step not in self.told, step
        self.told[step] = shown(value)

    async def refused(self, step: str, act: Callable[[], Any]) -> None:
        """Tells the number of the error that a step ends with."""
        try:
            result = act()
            await result if isinstance(result, Awaitable) else None
        except fluss.FlussError as error:
            self.tell(step, [error.error_code, error.is_retriable, type(error.message).__name__])

    def path(self, table: str) -> fluss.TablePath:
        return fluss.TablePath(self.database, table)

    async def create(self, table: str, schema: fluss.Schema, **options: Any) -> fluss.FlussTable:
        await self.admin.create_table(
            self.path(table), fluss.TableDescriptor(schema, **options), ignore_if_exists=False
        )
        return await self.connection.get_table(self.path(table))


async def databases(tour: Tour) -> None:
    admin, name = tour.admin, tour.database
    await admin.create_database(name, fluss.DatabaseDescriptor("a comment", {"owner": "me"}), ignore_if_exists=False)
    await admin.create_database(name, ignore_if_exists=True)
    descriptor = (await admin.get_database_info(name)).get_database_descriptor()
    tour.tell("database", [descriptor.comment, descriptor.get_custom_properties(), await admin.database_exists(name)])
    tour.tell("no database", await admin.database_exists("nowhere"))
    tour.tell("listed", name in await admin.list_databases())
    nodes = await admin.get_server_nodes()
    tour.tell("servers", sorted((node.server_type, node.uid, node.id, type(node.port).__name__) for node in nodes))
    await tour.refused("a database again", lambda: admin.create_database(name))
    await tour.refused("drop no database", lambda: admin.drop_database("nowhere"))


async def tables(tour: Tour) -> None:
    options: dict[str, Any] = {"comment": "events", "properties": {"table.log.ttl": "3 d"}}
    table = await tour.create("events", fluss.Schema(EVENTS), bucket_count=1, custom_properties={"k": "v"}, **options)
    info = await tour.admin.get_table_info(tour.path("events"))
    tour.tell("columns", [info.get_column_names(), info.get_column_count(), info.get_schema().get_columns()])
    tour.tell("keys", [info.get_primary_keys(), info.get_bucket_keys(), info.get_partition_keys()])
    tour.tell("properties", [info.get_properties()["table.log.ttl"], info.get_custom_properties(), info.comment])
    tour.tell("numbers", [info.num_buckets, info.schema_id, type(info.created_time).__name__])
    tour.tell("kinds", [info.has_primary_key(), info.is_partitioned(), table.has_primary_key()])
    tour.tell("path", [info.table_path == tour.path("events"), table.get_table_path() == tour.path("events")])
    tour.tell("arrow types", [table.arrow_schema.equals(EVENTS), table.arrow_schema.names])
    tour.tell("arrow list", str(table.arrow_schema.field("tags").type))
    tour.tell("tables", [await tour.admin.list_tables(tour.database), await tour.admin.table_exists(tour.path("x"))])
    await tour.refused("a table again", lambda: tour.create("events", fluss.Schema(EVENTS)))
    await tour.refused("no table", lambda: tour.connection.get_table(tour.path("nothing")))
    await tour.refused("drop no table", lambda: tour.admin.drop_table(tour.path("nothing")))
    await tour.refused("a bad key", lambda: fluss.Schema(EVENTS, primary_keys=["nothing"]))


async def appends(tour: Tour) -> None:
    table = await tour.connection.get_table(tour.path("events"))
    writer = table.new_append().create_writer()
    await writer.append(event(0)).wait()
    writer.append(list(event(1).values()))
    writer.append({"id": 2, "name": "only these", "nested": {"x": 5}})
    writer.append((3, *[None] * 10))
    await tour.refused("a bad value", lambda: writer.append({"id": "text"}))
    await tour.refused("a short row", lambda: writer.append([1]))
    await tour.refused("an unknown column", lambda: writer.append({"nothing": 1}))
    batch = pa.RecordBatch.from_pylist([event(4), event(5)], schema=EVENTS)
    await writer.write_arrow_batch(batch).wait()
    writer.write_arrow(pa.Table.from_batches([batch.slice(1)]))
    await writer.flush()
    writer.write_pandas(pd.DataFrame([event(6)]))
    async with table.new_append().create_writer() as second:
        second.append(event(7))
    await tour.refused("an upsert writer", lambda: table.new_upsert().create_writer())
    for name, spec in {"earliest": fluss.OffsetSpec.earliest(), "latest": fluss.OffsetSpec.latest()}.items():
        tour.tell(name, await tour.admin.list_offsets(tour.path("events"), [0], spec))
    later = fluss.OffsetSpec.timestamp(0)
    tour.tell("since 1970", await tour.admin.list_offsets(tour.path("events"), bucket_ids=[0], offset_spec=later))


async def polled(scanner: fluss.LogScanner, count: int) -> list[fluss.ScanRecord]:
    records: list[fluss.ScanRecord] = []
    while len(records) < count:
        records += await scanner.poll(500)
    return records


async def scans(tour: Tour) -> None:
    table = await tour.connection.get_table(tour.path("events"))
    scanner = await table.new_scan().create_log_scanner()
    scanner.subscribe(bucket_id=0, start_offset=fluss.EARLIEST_OFFSET)
    records = await polled(scanner, 9)
    tour.tell("rows", [record.row for record in records])
    tour.tell("offsets", [(record.offset, record.change_type == fluss.ChangeType.AppendOnly) for record in records])
    tour.tell("change", [records[0].change_type.short_string(), type(records[0].timestamp).__name__])
    scanner.unsubscribe(0)
    scanner.subscribe_buckets({0: 8})
    at_once = await scanner.poll(5000)
    bucket = at_once.buckets()[0]
    tour.tell("buckets", [bucket.bucket_id, bucket.partition_id, at_once.keys() == [bucket], bucket in at_once])
    tour.tell("counts", [len(at_once), at_once.count(), at_once.is_empty(), len(at_once[bucket]), len(at_once[:1])])
    tour.tell("by place", [at_once[0].offset, at_once[-1].row["id"], [r.offset for r in at_once.records(bucket)]])
    tour.tell("as a mapping", [[len(v) for v in at_once.values()], [k == bucket for k, _ in at_once.items()]])
    tour.tell("nothing more", [len(await scanner.poll(50)), (await scanner.poll(50)).is_empty()])
    projected = await table.new_scan().project([10, 0]).create_log_scanner()
    projected.subscribe(0, 7)
    tour.tell("projected", [record.row for record in await polled(projected, 2)])
    iterated = await table.new_scan().project_by_name(["name"]).create_log_scanner()
    iterated.subscribe(0, 5)
    async for record in iterated:
        tour.tell("iterated", record.row)
        break


async def arrow(tour: Tour) -> None:
    table = await tour.connection.get_table(tour.path("events"))

    async def scanner(*, start: int = fluss.EARLIEST_OFFSET, columns: list[str] | None = None) -> fluss.LogScanner:
        scan = table.new_scan() if columns is None else table.new_scan().project_by_name(columns)
        made = await scan.create_record_batch_log_scanner()
        made.subscribe(0, start)
        return made

    everything = await (await scanner()).to_arrow()
    tour.tell("to_arrow", everything)
    tour.tell("to_arrow types", everything.schema.equals(table.arrow_schema))
    named = await (await scanner(columns=["name", "id"])).to_arrow()
    tour.tell("to_arrow, projected", named)
    frame = await (await scanner(columns=["id", "score"])).to_pandas()
    tour.tell("to_pandas", [list(frame.columns), str(frame.dtypes.to_list()), frame["id"].to_list()])
    reader = (await scanner(columns=["id"], start=4)).to_arrow_batch_reader()
    tour.tell("reader", [type(reader).__name__, reader.schema.names, reader.read_all().to_pylist()])
    batches = await (await scanner(columns=["id"], start=6)).poll_record_batch(5000)
    first = batches[0]
    tour.tell("a batch", [type(first.batch).__name__, first.base_offset, first.bucket.bucket_id])
    tour.tell("its end", first.last_offset - first.base_offset + 1 == first.batch.num_rows)
    at_end = await scanner(columns=["id"], start=9)
    empty = await at_end.poll_arrow(50)
    tour.tell("empty", [type(empty).__name__, empty.num_rows, empty.schema.names, await at_end.poll_record_batch(50)])
    tour.tell("at its end", (await at_end.to_arrow()).num_rows)
    async for item in await scanner(columns=["id"], start=8):
        tour.tell("an iterated batch", item.batch.to_pylist())
        break
    await tour.refused("records of batches", lambda: at_end.poll(10))
    await tour.refused("nothing subscribed", lambda: at_end.to_arrow())


async def keys(tour: Tour) -> None:
    schema = fluss.Schema(ACCOUNTS, primary_keys=["region", "id"])
    table = await tour.create("accounts", schema, bucket_count=1, bucket_keys=["region"])
    writer = table.new_upsert().create_writer()
    await writer.upsert(["eu", 1, 10.0, {"day": 5}]).wait()
    writer.upsert({"region": "eu", "id": 2, "balance": 20})
    writer.upsert(("us", 1, None, [("day", 7)]))
    await writer.flush()
    partial = table.new_upsert().partial_update_by_name(["region", "id", "balance"]).create_writer()
    await partial.upsert({"region": "eu", "id": 1, "balance": 11.5}).wait()
    await partial.upsert(["us", 1, 3.25]).wait()
    by_index = table.new_upsert().partial_update_by_index([0, 1, 3]).create_writer()
    await by_index.upsert(["eu", 2, {"week": None}]).wait()
    await writer.delete({"region": "us", "id": 1}).wait()
    await writer.upsert(["us", 9, 1.0, None]).wait()
    await writer.delete(["us", 9]).wait()
    lookuper = table.new_lookup().create_lookuper()
    tour.tell("found", [await lookuper.lookup(["eu", 1]), await lookuper.lookup({"region": "eu", "id": 2})])
    tour.tell("not found", await lookuper.lookup(("us", 1)))
    many = await asyncio.gather(*(lookuper.lookup(["eu", i]) for i in range(4)))
    tour.tell("at once", many)
    prefixes = table.new_lookup().lookup_by(["region"]).create_lookuper()
    tour.tell("by prefix", [await prefixes.lookup(["eu"]), await prefixes.lookup({"region": "asia"})])
    scanner = await table.new_scan().create_log_scanner()
    scanner.subscribe(0, fluss.EARLIEST_OFFSET)
    records = await polled(scanner, 12)
    tour.tell("changelog", [(r.offset, r.change_type.short_string(), r.row) for r in records])
    await tour.refused("a bad prefix", lambda: table.new_lookup().lookup_by(["id"]).create_lookuper())
    await tour.refused("a key too short", lambda: lookuper.lookup(["eu"]))
    await tour.refused("no key", lambda: table.new_upsert().partial_update_by_name(["balance"]).create_writer())
    await tour.refused("changelog as batches", lambda: table.new_scan().create_record_batch_log_scanner())
    await tour.refused("no such position", lambda: table.new_upsert().partial_update_by_index([0, 9]).create_writer())
    await tour.refused("an append writer", lambda: table.new_append().create_writer())


async def partitions(tour: Tour) -> None:
    table = await tour.create("visits", fluss.Schema(VISITS), bucket_count=1, partition_keys=["country"])
    admin, path = tour.admin, tour.path("visits")
    for country in ("DE", "FR"):
        await admin.create_partition(path, {"country": country})
    await admin.create_partition(path, {"country": "DE"}, ignore_if_exists=True)
    writer = table.new_append().create_writer()
    for row in ([1, "DE"], [2, "FR"], [3, "DE"]):
        writer.append(row)
    await writer.flush()
    infos = await admin.list_partition_infos(path)
    tour.tell("partitions", sorted(info.partition_name for info in infos))
    tour.tell("one of them", [i.partition_name for i in await admin.list_partition_infos(path, {"country": "FR"})])
    tour.tell("its end offset", await admin.list_partition_offsets(path, "DE", [0], fluss.OffsetSpec.latest()))
    ids = {info.partition_name: info.partition_id for info in infos}
    scanner = await table.new_scan().create_log_scanner()
    scanner.subscribe_partition(partition_id=ids["DE"], bucket_id=0, start_offset=fluss.EARLIEST_OFFSET)
    tour.tell("of DE", [record.row for record in await polled(scanner, 2)])
    scanner.unsubscribe_partition(ids["DE"], 0)
    scanner.subscribe_partition_buckets({(ids["DE"], 0): 1, (ids["FR"], 0): fluss.EARLIEST_OFFSET})
    tour.tell("of both", sorted((r.row["country"], r.row["id"]) for r in await polled(scanner, 2)))
    batches = await table.new_scan().create_record_batch_log_scanner()
    batches.subscribe_partition_buckets({(ids["DE"], 0): 0, (ids["FR"], 0): 0})
    tour.tell("of both as Arrow", sorted((await batches.to_arrow())["id"].to_pylist()))
    await tour.refused("subscribe without partition", lambda: scanner.subscribe(0, 0))
    await tour.refused("no such partition", lambda: scanner.subscribe_partition(10**9, 0, 0))
    await tour.refused("a partition again", lambda: admin.create_partition(path, {"country": "DE"}))
    await admin.drop_partition(path, {"country": "DE"}, ignore_if_not_exists=False)
    await tour.refused("drop no partition", lambda: admin.drop_partition(path, {"country": "DE"}))


async def goodbye(tour: Tour, config: fluss.Config) -> None:
    async with await fluss.FlussConnection.create(config) as connection:
        table = await connection.get_table(tour.path("events"))
        for i in range(3):
            table.new_append().create_writer().append({"id": i})
    latest = fluss.OffsetSpec.latest()
    tour.tell("sent before it closed", await tour.admin.list_offsets(tour.path("events"), [0], latest))
    await tour.admin.drop_table(tour.path("accounts"))
    await tour.refused("drop a database with tables", lambda: tour.admin.drop_database(tour.database, cascade=False))
    await tour.admin.drop_database(tour.database, cascade=True)
    tour.tell("dropped", tour.database in await tour.admin.list_databases())
    await tour.connection.close()


async def main(bootstrap: str, database: str) -> None:
    config = fluss.Config({"bootstrap.servers": bootstrap, "writer.batch-timeout-ms": "5"})
    tour = Tour(await fluss.FlussConnection.create(config), database)
    for visit in (databases, tables, appends, scans, arrow, keys, partitions):
        await visit(tour)
    await goodbye(tour, config)
    print(json.dumps(tour.told))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

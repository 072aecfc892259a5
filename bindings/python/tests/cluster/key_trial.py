"""A random sequence of writes to a primary-key table and to the model of it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from random import Random
from types import ModuleType
from typing import Any

import pytest

import fluss
from all_types import VALUES
from faces import acknowledged, create_table, settle
from fluss.client.admin import OffsetSpec
from key_model import COUNTED, Key, Mode, Model, Row, aggregate

pa = pytest.importorskip("pyarrow")

# So few keys that they are written again and again.
KEYS = 8
STEPS = 48
# Steps between two looks at the table.
STRIDE = 16
POLL_MS = 10_000
# How long nothing more may come of a changelog that is read to its end.
QUIET_MS = 50
# Values that can be put together many times, and short ones, where `VALUES` are too great for it.
TAME: dict[str, list[Any]] = {
    "INT": [-(2**31), -7, 0, 1, 8, 2**31 - 1],
    "STRING": ["", "a", "äöü🎉", ","],
    "BYTES": [b"", b"\0\xff"],
    "CHAR(3)": ["abc", "äöü", "🎉 x"],
    "ROW<x INT,z STRING>": [{"x": 1, "z": None}, {"x": None, "z": "äöü"}],
    "FLOAT": [1.0, -1.0, 2.0, 0.5],
    "DOUBLE": [1.0, -1.0, 2.0, 0.5],
    "DECIMAL(38,2)": [Decimal("1.00"), Decimal("-1.00"), Decimal("2.00")],
}
DELIMITER = " | "
Changes = dict[fluss.TableBucket, list[tuple[str, Row]]]
_numbers = count()


@dataclass
class Case:
    """A table to try, and how it is written."""

    columns: dict[str, str]
    key: list[str] = field(default_factory=lambda: ["k"])
    modes: list[Mode] = field(default_factory=lambda: [Mode()])
    properties: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    """What the model is told of the properties."""
    functions: dict[str, str] = field(default_factory=dict)
    """Aggregation functions by column. A ``string_agg`` has a delimiter of its own."""
    counter: str | None = None
    buckets: int = 3
    bucket_key: list[str] = field(default_factory=list)
    partitioned_by: list[str] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)
    """What is written to a column, instead of what is written to all of its type."""
    inserts: bool = False
    """Whether look-ups insert what they do not find, too."""

    def descriptor(self) -> fluss.TableDescriptor:
        builder = fluss.Schema.new_builder()
        for name, data_type in self.columns.items():
            builder.column(name, data_type)
            if function := self.functions.get(name):
                builder.with_aggregate(function, {"delimiter": DELIMITER} if function == "string_agg" else None)
        if self.counter:
            builder.enable_auto_increment(self.counter)
        schema = builder.primary_key(self.key).build()
        descriptor = fluss.TableDescriptor.builder().schema(schema).distributed_by(self.buckets, self.bucket_key)
        return descriptor.partitioned_by(self.partitioned_by).properties(self.properties).build()

    def model(self) -> Model:
        rules = dict(self.rules)
        if self.properties.get("table.merge-engine") == "aggregation":
            rules["aggregates"] = {
                name: aggregate(self.functions.get(name, "last_value_ignore_nulls"), data_type, DELIMITER)
                for name, data_type in self.columns.items()
            }
        return Model(list(self.columns), self.key, counter=self.counter, **rules)

    def choices(self, name: str) -> list[Any]:
        data_type = self.columns[name]
        values = self.values.get(name) or TAME.get(data_type) or VALUES[data_type]
        return values if name in self.key else [*values, None]


async def create(connection: Any, case: Case) -> Any:
    """A new table of a case."""
    path = f"fluss.key_table_{next(_numbers)}"
    await create_table(connection.get_admin(), path, case.descriptor())
    return await settle(connection.get_table(path))


class Trial:
    """A case, the table made for it, and what is known of both."""

    def __init__(self, face: ModuleType, connection: Any, case: Case, table: Any) -> None:
        self.face = face
        self.admin = connection.get_admin()
        self.case = case
        self.table = table
        self.schema = pa.schema(table.get_table_info().get_schema())
        self.random = Random(str(case))
        self.model = case.model()
        self.keys = list(dict.fromkeys(self.model.key_of(self.row()) for _ in range(KEYS)))

    async def run(self) -> None:
        """Writes to the table, and compares what it holds and tells with the model, under way and at the end."""
        writers = [(mode, self.writer(mode)) for mode in self.case.modes]
        last = writers[0]
        await self.check_lookups()
        for step in range(1, STEPS + 1):
            chosen = self.random.choice(writers)
            if chosen is not last:
                await settle(last[1].flush())
            last = chosen
            await self.write(*chosen)
            if step % STRIDE == 0:
                await settle(last[1].flush())
                await self.insert()
                await self.check_lookups()
                await self.check_prefixes()
        for _, writer in writers:
            await settle(writer.close())
        await self.check_changelog()
        if not self.model.wal:
            assert await settle(self.admin.get_row_count(self.table.get_table_path())) == len(self.model.rows)

    def row(self) -> Row:
        return {name: self.random.choice(self.case.choices(name)) for name in self.case.columns}

    def writer(self, mode: Mode) -> Any:
        upsert = self.table.new_upsert()
        upsert = upsert.partial_update(mode.columns) if mode.columns else upsert
        return (upsert.overwrite() if mode.overwrite else upsert).create_writer()

    async def write(self, mode: Mode, writer: Any) -> None:
        """Writes a few rows, or deletes them, in any form."""
        keys = self.random.choices(self.keys, k=self.random.randint(1, 6))
        rows = [self.row() | dict(zip(self.case.key, key, strict=True)) for key in keys]
        if self.random.random() < 0.2:
            handles = await self.delete(writer, keys, rows)
            for key in keys:
                self.model.delete(mode, key)
        else:
            handles = await self.upsert(mode, writer, rows)
            for row in rows:
                self.model.upsert(mode, row)
        if self.random.random() < 0.2:
            for handle in handles:
                await acknowledged(self.face, handle)

    async def upsert(self, mode: Mode, writer: Any, rows: list[Row]) -> list[Any]:
        names = list(mode.columns or (name for name in self.case.columns if name != self.case.counter))
        if self.random.random() < 0.5:
            return [await settle(writer.upsert_arrow(self.arrow(names, rows)))]
        return [writer.upsert(self.formed(names, row)) for row in rows]

    async def delete(self, writer: Any, keys: list[Key], rows: list[Row]) -> list[Any]:
        names = self.random.choice([self.case.key, list(self.case.columns)])
        if self.random.random() < 0.5:
            return [await settle(writer.delete_arrow(self.arrow(names, rows)))]
        return [writer.delete(self.formed(names, row)) for row in rows]

    def formed(self, names: list[str], row: Row) -> Any:
        """A row as a list, a tuple or a dict in any order."""
        values = [row[name] for name in names]
        shuffled = {name: row[name] for name in self.random.sample(names, len(names))}
        return self.random.choice([values, tuple(values), shuffled])

    def arrow(self, names: list[str], rows: list[Row]) -> Any:
        """Rows as columns in any order, in batches of any size."""
        shuffled = self.random.sample(names, len(names))
        schema = pa.schema([self.schema.field(name) for name in shuffled])
        table = pa.Table.from_pylist([{name: row[name] for name in shuffled} for row in rows], schema)
        return table.to_reader(max_chunksize=self.random.randint(1, len(rows)))

    async def insert(self) -> None:
        """Looks a few keys up that are there and that are not, and has these inserted."""
        if not self.case.inserts:
            return
        keys = self.random.sample(self.keys, min(3, len(self.keys)))
        found = await settle(self.table.new_lookup().insert_if_not_exists().create_lookuper().lookup_many(keys))
        for key in keys:
            self.model.insert_if_missing(key)
        assert self.masked(found) == [self.model.rows[key] for key in keys]

    async def check_lookups(self) -> None:
        """Looks all keys up in every way."""
        lookuper = self.table.new_lookup().create_lookuper()
        expected = [self.model.rows.get(key) for key in self.keys]
        assert self.masked(await settle(lookuper.lookup_many(self.keys))) == expected
        dicts = [dict(zip(self.case.key, key, strict=True)) for key in self.keys]
        assert self.masked([await settle(lookuper.lookup(key)) for key in dicts]) == expected
        found = (await settle(lookuper.lookup_arrow(self.arrow(self.case.key, dicts)))).to_pyarrow()
        nothing = dict.fromkeys(self.case.columns)
        assert self.masked(found.to_pylist()) == [row or nothing for row in expected]

    async def check_prefixes(self) -> None:
        """Looks all beginnings of keys up."""
        if not self.case.bucket_key:
            return
        names = [*self.case.partitioned_by, *self.case.bucket_key]
        lookuper = self.table.new_lookup().lookup_by(names).create_lookuper()
        for key in self.keys:
            values = dict(zip(self.case.key, key, strict=True))
            prefix = {name: values[name] for name in names}
            expected = [row for row in self.model.rows.values() if prefix.items() <= row.items()]
            found = self.masked(await settle(lookuper.lookup(prefix)))
            assert sorted(map(repr, found)) == sorted(map(repr, expected))

    async def check_changelog(self) -> None:
        """In each bucket, the changes of its keys in their order, as rows and as columns."""
        found = await self.changes()
        homes = {self.model.key_of(row): bucket for bucket, changes in found.items() for _, row in changes}
        expected: dict[fluss.TableBucket | None, list[tuple[str, Row]]] = defaultdict(list)
        for change, row in self.model.changes:
            expected[homes.get(self.model.key_of(row))].append((change, row))
        self.check_numbers(found.values())
        for bucket, changes in found.items():
            assert_same([(change, self.mask(row)) for change, row in changes], expected.pop(bucket))
        assert not expected, "a key is missing"
        assert await self.arrow_changes() == found

    async def changes(self) -> Changes:
        """The whole changelog by bucket."""
        found: Changes = defaultdict(list)
        async for records in self.polls("poll"):
            for record in records:
                found[record.bucket].append((record.change_type.short_string(), record.row))
        return dict(found)

    async def arrow_changes(self) -> Changes:
        """The same, read as columns."""
        found: Changes = defaultdict(list)
        async for batches in self.polls("poll_record_batch"):
            for batch in batches:
                for row in batch.to_pyarrow().to_pylist():
                    own = {name: row[name] for name in self.case.columns}
                    found[batch.bucket].append((row["_change_type"], own))
        return dict(found)

    async def polls(self, poll: str) -> Any:
        """What a scanner of the whole table gives until nothing more comes."""
        scanner = self.table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.earliest()))
        left = len(self.model.changes)
        while records := await settle(getattr(scanner, poll)(POLL_MS if left > 0 else QUIET_MS)):
            left -= sum(map(len, records)) if isinstance(records, list) else len(records)
            yield records
        await settle(scanner.close())

    def check_numbers(self, changes: Iterable[list[tuple[str, Row]]]) -> None:
        """A row keeps its number, which no other has."""
        if not self.case.counter:
            return
        current: dict[Key, Any] = {}
        given = []
        for change, row in (change for bucket in changes for change in bucket):
            key, number = self.model.key_of(row), row[self.case.counter]
            if change == "+I":
                given.append(number)
                current[key] = number
            assert number == current[key]
        assert len(given) == len(set(given))

    def mask(self, row: Row) -> Row:
        """A row without what only the server knows."""
        counter = self.case.counter
        return row if not counter or row[counter] is None else row | {counter: COUNTED}

    def masked(self, rows: list[Row | None]) -> list[Row | None]:
        return [row and self.mask(row) for row in rows]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    for number, pair in enumerate(zip(found, expected, strict=False)):
        assert pair[0] == pair[1], f"number {number} after {expected[max(0, number - 3) : number]}"
    assert len(found) == len(expected)

"""Clients that do the same: ours in both faces, as rows and as Arrow, and the peers of `tests/peers`."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import pytest

import peers
from columns import from_array, to_array
from drawn.kinds import Kind
from drawn.tables import Table
from drawn.values import fits_python, from_notation, from_python, to_notation, to_python
from drawn.writes import Write
from faces import create_table, settle
from fluss.client.admin import OffsetSpec
from key_model import Row

pa = pytest.importorskip("pyarrow")

DATABASE = "drawn"
POLL_MS = 10_000
# How long nothing more may come of a log that is read to its end.
QUIET_MS = 20
SECONDS = 20


class Place(NamedTuple):
    """Where a record is."""

    partition: int | None
    bucket: int
    offset: int


class Record(NamedTuple):
    """A record, as far as the client tells it."""

    row: Row
    change: str | None = None
    timestamp: int | None = None


Records = dict[Place, Record]


@dataclass(frozen=True)
class Target:
    """A table that was made."""

    name: str
    table: Table

    @property
    def path(self) -> str:
        return f"{DATABASE}.{self.name}"


class Client(Protocol):
    """A client that is connected."""

    def write(self, target: Target, write: Write) -> None:
        """Writes rows and waits until they are stored."""

    def read(self, target: Target, count: int) -> list[Records]:
        """The records of a table from the first on, so many or what there is, in each way in which the client reads."""

    def look_up(self, target: Target, keys: list[Row]) -> list[list[list[Row]]]:
        """The rows of each key, or beginning of a key, in each way in which the client looks up."""


class Ours:
    """Our client in one of its faces."""

    def __init__(self, face: ModuleType, server: Any) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._run(_connect(face, server))

    def close(self) -> None:
        self._run(_settled(self._connection.close()))
        self._runner.close()

    def create(self, target: Target) -> None:
        """Makes the table."""
        self._run(self._create(target))

    def drop(self, target: Target) -> None:
        """Removes the table."""
        self._run(_settled(self._connection.get_admin().drop_table(target.path)))

    def write(self, target: Target, write: Write) -> None:
        self._run(self._write(target, write))

    def read(self, target: Target, count: int) -> list[Records]:
        return [self._run(self._read_rows(target, count)), self._run(self._read_arrow(target, count))]

    def look_up(self, target: Target, keys: list[Row]) -> list[list[list[Row]]]:
        if target.table.is_prefix(keys[0]):
            return [self._run(self._look_up_by(target, keys))]
        return [self._run(self._look_up(target, keys)), self._run(self._look_up_arrow(target, keys))]

    def all_rows(self, target: Target) -> list[Row]:
        """The rows that the table holds now."""
        rows: list[Row] = self._run(self._all_rows(target))
        return rows

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    async def _create(self, target: Target) -> None:
        await create_table(self._connection.get_admin(), target.path, target.table.descriptor())
        info = await settle(self._connection.get_admin().get_table_info(target.path))
        assert info.get_schema().data_types == target.table.schema().data_types

    async def _table(self, target: Target) -> Any:
        return await settle(self._connection.get_table(target.path))

    async def _write(self, target: Target, write: Write) -> None:
        table = await self._table(target)
        new = table.new_append() if write.op == "append" else table.new_upsert()
        writer = (new.partial_update(write.columns) if write.columns else new).create_writer()
        names = target.table.key if write.op == "delete" else write.columns or tuple(target.table.columns)
        rows = [{name: row[name] for name in names} for row in write.rows]
        if write.arrow or not all(fits_python(target.table.columns[name], row[name]) for row in rows for name in names):
            await settle(getattr(writer, f"{write.op}_arrow")(to_columns(target.table, names, rows)))
        else:
            for row in rows:
                getattr(writer, write.op)(python_values(target.table.columns, row))
        await settle(writer.close())

    async def _read_rows(self, target: Target, count: int) -> Records:
        found = {}
        async for record in self._polled(target, count, "poll"):
            place = Place(record.bucket.partition_id, record.bucket.bucket_id, record.offset)
            row = python_row(target.table.columns, record.get_row(exact=True))
            found[place] = Record(row, record.change_type.short_string(), record.timestamp)
        return found

    async def _read_arrow(self, target: Target, count: int) -> Records:
        found = {}
        async for batch in self._polled(target, count, "poll_record_batch"):
            columns = batch.to_pyarrow()
            changes = columns["_change_type"].to_pylist() if target.table.key else ["+A"] * len(batch)
            rows = arrow_rows(target.table.columns, columns)
            for offset, change, row in zip(batch.offsets, changes, rows, strict=True):
                place = Place(batch.bucket.partition_id, batch.bucket.bucket_id, offset)
                found[place] = Record(row, change, batch.timestamp)
        return found

    async def _polled(self, target: Target, count: int, poll: str) -> Any:
        """What a scanner of the whole table gives until nothing more comes."""
        scanner = (await self._table(target)).new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.earliest()))
        while polled := await settle(getattr(scanner, poll)(POLL_MS if count > 0 else QUIET_MS)):
            count -= sum(map(len, polled)) if isinstance(polled, list) else len(polled)
            for one in polled:
                yield one
        await settle(scanner.close())

    async def _look_up(self, target: Target, keys: list[Row]) -> list[list[Row]]:
        lookuper = (await self._table(target)).new_lookup().create_lookuper()
        asked = [python_values(target.table.columns, key) for key in keys]
        found = await settle(lookuper.lookup_many(asked, exact=True))
        return [[python_row(target.table.columns, row)] if row else [] for row in found]

    async def _look_up_arrow(self, target: Target, keys: list[Row]) -> list[list[Row]]:
        lookuper = (await self._table(target)).new_lookup().create_lookuper()
        found = await settle(lookuper.lookup_arrow(to_columns(target.table, list(keys[0]), keys)))
        rows = arrow_rows(target.table.columns, found.to_pyarrow())
        return [[row] if row[target.table.key[0]] is not None else [] for row in rows]

    async def _look_up_by(self, target: Target, prefixes: list[Row]) -> list[list[Row]]:
        lookuper = (await self._table(target)).new_lookup().lookup_by(list(prefixes[0])).create_lookuper()
        asked = [python_values(target.table.columns, prefix) for prefix in prefixes]
        found = [await settle(lookuper.lookup(prefix, exact=True)) for prefix in asked]
        return [[python_row(target.table.columns, row) for row in rows] for rows in found]

    async def _all_rows(self, target: Target) -> list[Row]:
        table = await self._table(target)
        return arrow_rows(target.table.columns, (await settle(table.to_arrow())).to_pyarrow())


async def _connect(face: ModuleType, server: Any) -> Any:
    connection = await settle(face.connect(f"fluss://{server.bootstrap}"))
    await settle(connection.get_admin().create_database(DATABASE, ignore_if_exists=True))
    return connection


async def _settled(value: Any) -> Any:
    return await settle(value)


def python_values(columns: dict[str, Kind], row: Row) -> list[Any]:
    """A row, or a part of one, as our client takes it."""
    return [to_python(columns[name], value) for name, value in row.items()]


def python_row(columns: dict[str, Kind], row: dict[str, Any]) -> Row:
    """A row as our client gives it."""
    assert list(row) == list(columns)
    return {name: from_python(kind, row[name]) for name, kind in columns.items()}


def arrow_rows(columns: dict[str, Kind], batch: Any) -> list[Row]:
    """The rows of a batch or a table."""
    told = [from_array(column) for column in (_whole(batch[name]) for name in columns)]
    return [_row(columns, row) for row in zip(*told, strict=True)]


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _row(columns: dict[str, Kind], values: Iterable[Any]) -> Row:
    """A row as a peer tells it."""
    return {name: from_notation(columns[name], value) for name, value in zip(columns, values, strict=True)}


def to_columns(table: Table, names: Sequence[str], rows: list[Row]) -> Any:
    """Some columns of rows, as a batch of Arrow."""
    schema = pa.schema(table.schema())
    schema = pa.schema([schema.field(name) for name in names])
    columns = [[to_notation(table.columns[name], row[name]) for row in rows] for name in names]
    return pa.record_batch([to_array(*column) for column in zip(columns, schema.types, strict=True)], schema=schema)


class Peer:
    """A client that we did not write, which has tables as rows or, as pyfluss, as Arrow."""

    def __init__(self, peer: peers.Peer, *, arrow: bool = False) -> None:
        self._peer = peer
        self._suffix = "_arrow" if arrow else ""

    def _ask(self, op: str, target: Target, **request: Any) -> Any:
        return self._peer.ask(op=op, database=DATABASE, table=target.name, **request)

    def write(self, target: Target, write: Write) -> None:
        columns = {"target_columns": write.columns} if write.columns else {}
        rows = [list(map(to_notation, target.table.columns.values(), row.values())) for row in write.rows]
        self._ask(write.op + self._suffix, target, rows=rows, **columns)

    def read(self, target: Target, count: int) -> list[Records]:
        told = self._ask(f"scan{self._suffix}", target, rows=count, seconds=SECONDS)["records"]
        return [dict(self._record(target.table, record) for record in told)]

    @staticmethod
    def _record(table: Table, told: dict[str, Any]) -> tuple[Place, Record]:
        row = _row(table.columns, told["row"])
        place = Place(told["partition_id"], told["bucket"], told["offset"])
        return place, Record(row, told.get("change"), told.get("timestamp"))

    def look_up(self, target: Target, keys: list[Row]) -> list[list[list[Row]]]:
        names = list(keys[0])
        kinds = [target.table.columns[name] for name in names]
        prefix = {"prefix": names} if target.table.is_prefix(keys[0]) else {}
        asked = [list(map(to_notation, kinds, key.values())) for key in keys]
        found = self._ask("lookup", target, keys=asked, **prefix)["found"]
        return [[[_row(target.table.columns, row) for row in rows] for rows in found]]

"""The top-level names of writers, scanners and look-ups are true of what each face gives."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fluss
from fluss import aio

TARGET = "embedded::memory:"
NAMES = [
    "AppendWriter",
    "LogScanner",
    "Lookuper",
    "PrefixLookuper",
    "TableAppend",
    "TableLookup",
    "TablePrefixLookup",
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
]


async def blocking() -> Any:
    return fluss.connect(TARGET)


async def awaited() -> Any:
    return await aio.connect(TARGET)


async def of_pyfluss() -> Any:
    return await fluss.FlussConnection.create(fluss.Config({"bootstrap.servers": TARGET}))


async def settled(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


async def everything(connection: Any) -> dict[str, Any]:
    """One of each, by its name."""
    for path, key in (("fluss.log", []), ("fluss.keys", ["id", "part"])):
        schema = fluss.Schema.new_builder().column("id", "INT NOT NULL").column("part", "INT NOT NULL")
        built = (schema.primary_key(key) if key else schema).build()
        descriptor = fluss.TableDescriptor(built, bucket_count=1, bucket_keys=["id"])
        await settled(connection.get_admin().create_table(path, descriptor, True))
    log = await settled(connection.get_table("fluss.log"))
    keys = await settled(connection.get_table("fluss.keys"))
    append, upsert, lookup, scan = log.new_append(), keys.new_upsert(), keys.new_lookup(), log.new_scan()
    prefix = lookup.lookup_by(["id"])
    return {
        "AppendWriter": append.create_writer(),
        "LogScanner": await settled(scan.create_log_scanner()),
        "Lookuper": lookup.create_lookuper(),
        "PrefixLookuper": prefix.create_lookuper(),
        "TableAppend": append,
        "TableLookup": lookup,
        "TablePrefixLookup": prefix,
        "TableScan": scan.project([0]) if isinstance(connection, fluss.FlussConnection) else scan.project(["id"]),
        "TableUpsert": upsert,
        "UpsertWriter": upsert.create_writer(),
    }


@pytest.mark.parametrize("connect", [blocking, awaited, of_pyfluss])
def test_what_a_face_gives_is_an_instance_of_the_top_level_s_name(connect: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        connection = await connect()
        given = await everything(connection)
        assert list(given) == NAMES
        for name, thing in given.items():
            of = [other for other in NAMES if isinstance(thing, getattr(fluss, other))]
            assert of == [name], type(thing)
        await settled(connection.close())

    asyncio.run(main())


@pytest.mark.parametrize("name", NAMES)
def test_what_a_base_offers_every_face_has(name: str) -> None:
    base = getattr(fluss, name)
    for face in (fluss.client, fluss.aio, fluss.compat):
        kind = getattr(face, name)
        assert issubclass(kind, base) and not inspect.isabstract(kind)
        assert inspect.getdoc(kind) != inspect.getdoc(base)
    with pytest.raises(TypeError, match="abstract"):
        base()


def write(writer: fluss.AppendWriter, rows: list[list[object]]) -> Any:
    """A function whose hints hold for every face; type checkers look at it."""
    for row in rows:
        writer.append(row)
    return writer.flush()


def read(scan: fluss.TableScan) -> Any:
    return scan.create_log_scanner()


@pytest.mark.parametrize("connect", [blocking, awaited, of_pyfluss])
def test_functions_may_be_written_for_every_face(connect: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        connection = await connect()
        given = await everything(connection)
        await settled(write(given["AppendWriter"], [[1, 2], [3, 4]]))
        scanner: fluss.LogScanner = await settled(read(given["TableScan"]))
        await settled(scanner.subscribe(0, 0))
        records = await settled(scanner.poll(10_000))
        assert [record.row for record in records] == [{"id": 1}, {"id": 3}]
        await settled(connection.close())

    asyncio.run(main())


def test_hints_with_the_names_are_right_for_every_face() -> None:
    """Type checkers look at it: what a face gives is what the names say, and keeps its own types."""

    def blocking(table: fluss.client.Table) -> None:
        writer: fluss.AppendWriter = table.new_append().create_writer()
        lookup: fluss.TableLookup = table.new_lookup()
        lookuper: fluss.Lookuper = lookup.create_lookuper()
        lookuper.lookup([1], exact=True)
        writer.flush()

    async def awaited(table: aio.Table) -> None:
        writer: fluss.UpsertWriter = table.new_upsert().create_writer()
        scanner: fluss.LogScanner = table.new_scan().create_log_scanner()
        await scanner.poll(1)
        await writer.flush()

    async def of_pyfluss(table: fluss.FlussTable) -> None:
        writer: fluss.AppendWriter = table.new_append().create_writer()
        lookuper: fluss.Lookuper = table.new_lookup().create_lookuper()
        await lookuper.lookup(pk=[1])
        await writer.flush()

    assert all(map(callable, (blocking, awaited, of_pyfluss)))

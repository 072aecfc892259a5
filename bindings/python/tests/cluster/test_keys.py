"""Primary-key tables on a real cluster, in both faces: upsert, delete, partial updates, look-ups, the changelog."""

import asyncio
from collections.abc import Callable
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from all_types import VALUES, rows_of_every_type
from faces import create_table, settle
from fluss.types import Timestamp

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Any]
POLL_MS = 10_000
_numbers = count()


@pytest.fixture
def run_anywhere(face: ModuleType, options: dict[str, str]) -> Callable[[Body], None]:
    """Runs a test with a connection of either face, to a cluster of three servers, plain and with a login."""

    def in_face(body: Body) -> None:
        async def main() -> None:
            connection = await settle(face.Connection.create(options))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


async def create(
    connection: Any,
    columns: dict[str, str],
    key: list[str],
    buckets: int = 3,
    bucket_key: list[str] | None = None,
    **properties: str,
) -> Any:
    """A new table."""
    path = f"fluss.keys_{next(_numbers)}"
    builder = fluss.Schema.new_builder()
    for name, data_type in columns.items():
        builder.column(name, data_type)
    schema = builder.primary_key(key).build()
    descriptor = fluss.TableDescriptor.builder().schema(schema).distributed_by(buckets, bucket_key or [])
    for name, value in properties.items():
        descriptor.property(name.replace("__", ".").replace("_", "-"), value)
    await create_table(connection.get_admin(), path, descriptor.build())
    return await settle(connection.get_table(path))


async def changes(table: Any, number: int) -> list[tuple[str, dict[str, Any]]]:
    """So many records of the changelog of a table of one bucket."""
    scanner = table.new_scan().create_log_scanner()
    await settle(scanner.subscribe_from_beginning())
    found: list[tuple[str, dict[str, Any]]] = []
    while len(found) < number:
        records = await settle(scanner.poll(POLL_MS))
        assert len(records) > 0, f"only {found} came"
        found += [(record.change_type.short_string(), record.get_row()) for record in records]
    await settle(scanner.close())
    return found


NAMES = {"id": "INT", "name": "STRING", "age": "INT"}


@pytest.mark.parametrize("buckets", [1, 3, 7])
def test_what_is_upserted_is_looked_up(run: Callable[[Body], None], buckets: int) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, NAMES, ["id"], buckets)
        writer = table.new_upsert().create_writer()
        for number in range(100):
            writer.upsert([number, f"first {number}", number])
        for number in range(0, 100, 2):
            writer.upsert({"name": f"second {number}", "id": number, "age": None})
        for number in range(0, 100, 5):
            writer.delete([number] if number % 10 else {"id": number})
        await settle(writer.close())
        lookuper = table.new_lookup().create_lookuper()

        def expected(number: int) -> dict[str, Any] | None:
            if number % 5 == 0 or number >= 100:
                return None
            first = {"id": number, "name": f"first {number}", "age": number}
            return first if number % 2 else {"id": number, "name": f"second {number}", "age": None}

        numbers = range(105)
        assert await settle(lookuper.lookup_many([[number] for number in numbers])) == list(map(expected, numbers))
        found = await settle(lookuper.lookup_arrow(pa.table({"id": pa.array(numbers, pa.int32())})))
        nothing = dict.fromkeys(NAMES)
        assert found.to_pyarrow().to_pylist() == [expected(number) or nothing for number in numbers]
        for key in ([1], (1,), {"id": 1}, 1):
            assert await settle(lookuper.lookup(key)) == expected(1)
        assert await settle(lookuper.lookup(5)) is None

    run(body)


COLUMNS = {"id": "INT", **{f"c{index}": data_type for index, data_type in enumerate(VALUES)}}
ROWS = [dict(zip(COLUMNS, [number, *row], strict=True)) for number, row in enumerate(rows_of_every_type())]


async def check_rows(table: Any) -> list[Any]:
    """Insists that a table holds and tells of `ROWS`, and returns them as Arrow: looked up, and of the changelog."""
    lookuper = table.new_lookup().create_lookuper()
    keys = [row["id"] for row in ROWS]
    assert await settle(lookuper.lookup_many(keys)) == ROWS
    assert await settle(lookuper.lookup({"id": keys[-1]})) == ROWS[-1]
    assert await changes(table, len(ROWS)) == [("+I", row) for row in ROWS]
    scanner = table.new_scan().project(list(COLUMNS)).create_log_scanner()
    await settle(scanner.subscribe_from_beginning())
    told: list[Any] = []
    while sum(map(len, told)) < len(ROWS):
        told.append(await settle(scanner.poll_arrow(POLL_MS)))
        assert len(told[-1]) > 0, "the changes did not come as Arrow"
    await settle(scanner.close())
    return [await settle(lookuper.lookup_arrow(pa.table({"id": pa.array(keys, pa.int32())}))), *told]


@pytest.mark.parametrize("kv_format", ["COMPACTED", "INDEXED"])
def test_every_type_goes_there_and_back(run_anywhere: Callable[[Body], None], kv_format: str) -> None:
    async def body(connection: Any) -> None:
        async def new_table() -> Any:
            return await create(connection, COLUMNS, ["id"], 1, table__kv__format=kv_format)

        table = await new_table()
        writer = table.new_upsert().create_writer()
        for number, row in enumerate(ROWS):
            writer.upsert([row, [*row.values()], (*row.values(),)][number % 3])
        await settle(writer.close())
        looked_up, *told = await check_rows(table)
        for data in ([looked_up], [batch.to_pyarrow().select(list(COLUMNS)) for batch in told]):
            again = await new_table()
            writer = again.new_upsert().create_writer()
            for batch in data:
                await settle(writer.upsert_arrow(batch))
            await settle(writer.close())
            await check_rows(again)

    run_anywhere(body)


def test_rows_of_fixed_text_are_deleted_as_they_are_read(run_anywhere: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, {"k": "CHAR(3)", "v": "CHAR(4)"}, ["k"], 1, table__kv__format="INDEXED")
        writer = table.new_upsert().create_writer()
        rows = [{"k": "a", "v": "b"}, {"k": "cc", "v": "dddd"}]
        for row in rows:
            writer.upsert(row)
        await settle(writer.flush())
        read = (await settle(table.to_arrow())).to_pyarrow().to_pylist()
        assert sorted(read, key=lambda row: row["k"]) == rows
        for row in read:
            writer.delete({"k": row["k"]})
        await settle(writer.close())
        assert len(await settle(table.to_arrow())) == 0

    run_anywhere(body)


KEYS: dict[str, list[Any]] = {
    "BOOLEAN": [True, False],
    "TINYINT": [-128, 0, 127],
    "BIGINT": [-(2**63), 2**63 - 1, 5],
    "DOUBLE": [0.5, -1.0],
    "CHAR(5)": ["a", "äöü"],
    "STRING": ["", "x" * 1000, "äöü🎉"],
    "BYTES": [b"", b"\0\xff"],
    "DECIMAL(20,2)": VALUES["DECIMAL(5,2)"],
    "DATE": VALUES["DATE"],
    "TIME(3)": VALUES["TIME(3)"],
    "TIMESTAMP(6)": VALUES["TIMESTAMP(6)"],
    "TIMESTAMP_LTZ(3)": VALUES["TIMESTAMP_LTZ(3)"],
}


def test_keys_are_of_every_type(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        for data_type, values in KEYS.items():
            table = await create(connection, {"v": "INT", "b": data_type, "a": "INT"}, ["a", "b"])
            writer = table.new_upsert().create_writer()
            keys = [(number, value) for number in (1, 2) for value in values]
            for number, (a, b) in enumerate(keys):
                writer.upsert([number, b, a])
            await settle(writer.close())
            found = await settle(table.new_lookup().create_lookuper().lookup_many([*keys, (3, values[0])]))
            assert [row and row["v"] for row in found] == [*range(len(keys)), None], data_type

    run(body)


def test_closing_a_connection_sends_what_its_writers_have(
    run: Callable[[Body], None], face: ModuleType, target: str
) -> None:
    async def body(connection: Any) -> None:
        path = (await create(connection, NAMES, ["id"])).get_table_path()
        for kept in (True, False):
            writing = await settle(face.connect(target))
            writer = (await settle(writing.get_table(path))).new_upsert().create_writer()
            for number in range(50):
                writer.upsert([number, str(kept), 1])
            if not kept:
                del writer
            await settle(writing.close())
            found = await settle((await settle(connection.get_table(path))).new_lookup().create_lookuper().lookup([49]))
            assert found == {"id": 49, "name": str(kept), "age": 1}
        with pytest.raises(fluss.ClosedError):
            await settle(writing.get_table(path))

    run(body)


def test_moments_are_looked_up_exactly(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, {"id": "INT", "sub": "INT", "t": "TIMESTAMP(6)"}, ["id", "sub"], 1, ["id"])
        writer = table.new_upsert().create_writer()
        moment = Timestamp(-62_167_219_200_001, 7_000)
        writer.upsert([1, 2, moment])
        await settle(writer.close())
        row = {"id": 1, "sub": 2, "t": moment}
        lookuper = table.new_lookup().create_lookuper()
        assert await settle(lookuper.lookup([1, 2], exact=True)) == row
        assert await settle(lookuper.lookup_many([[1, 2]], exact=True)) == [row]
        with pytest.raises(fluss.DataError, match="exact=True"):
            await settle(lookuper.lookup([1, 2]))
        prefixes = table.new_lookup().lookup_by(["id"]).create_lookuper()
        assert await settle(prefixes.lookup([1], exact=True)) == [row]

    run(body)


def test_some_columns_are_updated(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, NAMES, ["id"], buckets=1)
        whole = table.new_upsert().create_writer()
        whole.upsert([1, "one", 10])
        await settle(whole.flush())
        part = table.new_upsert().partial_update(["age", "id"]).create_writer()
        part.upsert([11, 1])
        part.upsert({"id": 2, "age": 22})
        await settle(part.upsert_arrow(pa.table({"id": pa.array([3], pa.int32()), "age": pa.array([33], pa.int32())})))
        await settle(part.flush())
        lookuper = table.new_lookup().create_lookuper()
        assert await settle(lookuper.lookup_many([1, 2, 3])) == [
            {"id": 1, "name": "one", "age": 11},
            {"id": 2, "name": None, "age": 22},
            {"id": 3, "name": None, "age": 33},
        ]
        part.delete(1)
        part.delete(2)
        await settle(part.close())
        assert await settle(lookuper.lookup_many([1, 2])) == [{"id": 1, "name": "one", "age": None}, None]
        with pytest.raises(fluss.SchemaError, match="'id'"):
            table.new_upsert().partial_update(["age"]).create_writer()

    run(body)


def test_the_changelog_tells_what_happened(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, NAMES, ["id"], buckets=1)
        writer = table.new_upsert().create_writer()
        writer.upsert([1, "a", 1])
        writer.upsert([1, "b", 1])
        writer.delete(1)
        await settle(writer.delete_arrow(pa.table({"id": pa.array([7], pa.int32()), "name": ["passed over"]})))
        await settle(writer.close())
        a, b = ({"id": 1, "name": name, "age": 1} for name in "ab")
        assert await changes(table, 4) == [("+I", a), ("-U", a), ("+U", b), ("-D", b)]
        scanner = table.new_scan().project(["name"]).create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        found = (await settle(scanner.poll_arrow(POLL_MS))).to_pyarrow()
        await settle(scanner.close())
        assert found.column_names == ["name", "_change_type", "_offset", "_timestamp"]
        assert found.select([0, 1, 2]).to_pydict() == {
            "name": ["a", "a", "b", "b"],
            "_change_type": ["+I", "-U", "+U", "-D"],
            "_offset": [0, 1, 2, 3],
        }

    run(body)


def test_a_column_that_a_changelog_adds_is_not_there_twice(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        for taken in ["_offset", "_timestamp"]:
            table = await create(connection, {"id": "INT", taken: "STRING"}, ["id"], buckets=1)
            writer = table.new_upsert().create_writer()
            writer.upsert([1, "mine"])
            await settle(writer.close())
            scanner = table.new_scan().create_log_scanner()
            await settle(scanner.subscribe_from_beginning())
            found = (await settle(scanner.poll_arrow(POLL_MS))).to_pyarrow()
            await settle(scanner.close())
            added = [f"_{name}" if name == taken else name for name in ["_change_type", "_offset", "_timestamp"]]
            assert found.column_names == ["id", taken, *added]
            assert found[taken].to_pylist() == ["mine"]
            assert found[added[1]].to_pylist() == [0]
            # Nothing else is in the way.
            assert await changes(table, 1) == [("+I", {"id": 1, taken: "mine"})]
            assert (await settle(table.new_scan().to_arrow())).to_pyarrow().to_pydict() == {"id": [1], taken: ["mine"]}

    run(body)


def test_rows_are_looked_up_by_the_beginning_of_their_key(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        columns = {"a": "STRING", "b": "INT", "v": "STRING"}
        table = await create(connection, columns, ["a", "b"], bucket_key=["a"])
        writer = table.new_upsert().create_writer()
        for a in "xyz":
            for b in range(5):
                writer.upsert([a, b, f"{a}{b}"])
        await settle(writer.close())
        lookuper = table.new_lookup().lookup_by(["a"]).create_lookuper()
        assert [row["v"] for row in await settle(lookuper.lookup(["y"]))] == [f"y{b}" for b in range(5)]
        assert await settle(lookuper.lookup("nobody")) == []
        with pytest.raises(fluss.SchemaError, match="bucket key"):
            table.new_lookup().lookup_by(["b"]).create_lookuper()

    run(body)


def test_what_is_wrong_is_told_and_the_writer_goes_on(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, NAMES, ["id"])
        writer = table.new_upsert().create_writer()
        rows: list[Any] = [[None, "x", 1], [1, 2, 3], [1, "x"], {"id": 1}, [2**31, "x", 1]]
        for row in rows:
            with pytest.raises(fluss.DataError):
                writer.upsert(row)
        keys: list[Any] = [None, "1", [1, "x"], {"name": "x"}]
        for key in keys:
            with pytest.raises(fluss.DataError):
                writer.delete(key)
        with pytest.raises(fluss.DataError, match="'id'"):
            await settle(writer.upsert_arrow(pa.table({"name": ["x"], "age": pa.array([1], pa.int32())})))
        writer.upsert([1, "x", 1])
        await settle(writer.close())
        lookuper = table.new_lookup().create_lookuper()
        for key in keys:
            with pytest.raises(fluss.DataError):
                await settle(lookuper.lookup(key))
        assert await settle(lookuper.lookup(1)) == {"id": 1, "name": "x", "age": 1}
        with pytest.raises(fluss.ClosedError):
            writer.upsert([1, "x", 1])
        path = f"fluss.log_{next(_numbers)}"
        log = fluss.TableDescriptor(fluss.Schema.new_builder().column("a", "INT").build())
        await settle(connection.get_admin().create_table(path, log, False))  # not written
        log_table = await settle(connection.get_table(path))
        with pytest.raises(fluss.ArgumentError, match="primary key"):
            log_table.new_upsert().create_writer()
        with pytest.raises(fluss.ArgumentError, match="primary key"):
            log_table.new_lookup().create_lookuper()

    run(body)


def test_a_slice_of_nested_rows_is_taken_as_its_rows(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, {"id": "INT", "r": "ROW<x INT,y ROW<z STRING>>"}, ["id"])
        rows = [{"id": number, "r": {"x": number, "y": {"z": str(number)}}} for number in range(6)]
        schema = pa.schema(table.get_table_info().get_schema())
        data = pa.Table.from_pylist(rows, schema)
        writer = table.new_upsert().create_writer()
        for part in (data.slice(1, 2), data.slice(4).to_batches()[0]):
            await settle(writer.upsert_arrow(part))
        await settle(writer.close())
        found = await settle(table.new_lookup().create_lookuper().lookup_many(list(range(6))))
        assert found == [None, *rows[1:3], None, *rows[4:]]

    run(body)

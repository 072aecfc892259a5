"""Tables are altered while handles of every age read and write them, in both faces."""

from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss.metadata import TableChange

Body = Callable[[Any], Coroutine[Any, Any, None]]
SEGMENTS = "table.log.tiered.local-segments"


async def create(connection: Any, path: str, schema: fluss.Schema, **options: Any) -> Any:
    admin = connection.get_admin()
    await settle(admin.drop_table(path, True))
    await create_table(admin, path, fluss.TableDescriptor(schema, bucket_count=1, **options))
    return await settle(connection.get_table(path))


async def alter(connection: Any, path: str, *changes: TableChange) -> Any:
    await settle(connection.get_admin().alter_table(path, changes))
    return await settle(connection.get_table(path))


async def append(table: Any, *rows: Any) -> None:
    writer = table.new_append().create_writer()
    for row in rows:
        writer.append(row)
    await settle(writer.close())


async def upsert(table: Any, *rows: Any) -> None:
    writer = table.new_upsert().create_writer()
    for row in rows:
        writer.upsert(row)
    await settle(writer.close())


async def read(table: Any, count: int, columns: list[str] | None = None) -> list[dict[str, Any]]:
    scan = table.new_scan()
    scanner = (scan.project(columns) if columns else scan).create_log_scanner()
    await settle(scanner.subscribe_from_beginning())
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        records = await settle(scanner.poll(10_000))
        assert len(records) > 0, f"{len(rows)} of {count} rows came"
        rows += [record.get_row() for record in records]
    await settle(scanner.close())
    return rows


@pytest.mark.parametrize("log_format", ["ARROW", "INDEXED", "COMPACTED"])
def test_a_log_is_read_and_written_by_handles_of_both_ages(run: Callable[[Body], None], log_format: str) -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").column("name", "STRING").build()

    async def body(connection: Any) -> None:
        path = f"fluss.evolved_{log_format.lower()}"
        old = await create(connection, path, schema, log_format=log_format)
        await append(old, [1, "a"])
        new = await alter(connection, path, TableChange.add_column("score", "DECIMAL(4,1)", "of ten"))
        assert new.get_table_info().schema_id == old.get_table_info().schema_id + 1
        assert new.get_table_info().get_schema().get_comment("score") == "of ten"
        await append(new, [2, "b", Decimal("7.5")])
        await append(old, {"id": 3, "name": "c"})
        scores = [None, Decimal("7.5"), None]
        pairs = list(zip([1, 2, 3], "abc", strict=True))
        assert await read(old, 3) == [{"id": number, "name": name} for number, name in pairs]
        assert await read(new, 3) == [
            {"id": number, "name": name, "score": score} for (number, name), score in zip(pairs, scores, strict=True)
        ]
        assert await read(new, 3, ["score"]) == [{"score": score} for score in scores]
        assert await read(new, 3, ["score", "id"]) == [{"score": s, "id": n} for n, s in enumerate(scores, 1)]

    run(body)


def test_rows_are_found_by_handles_of_both_ages(run: Callable[[Body], None]) -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").column("name", "STRING").primary_key(["id"]).build()

    async def body(connection: Any) -> None:
        path = "fluss.evolved_keys"
        old = await create(connection, path, schema)
        await upsert(old, [1, "a"], [2, "b"])
        new = await alter(connection, path, TableChange.add_column("tags", "ARRAY<STRING>"))
        await upsert(new, [2, "c", ["x", None]], [3, "d", None])
        await upsert(old, [3, "e"])
        rows = {1: ("a", None), 2: ("c", ["x", None]), 3: ("e", None)}
        for number, (name, tags) in rows.items():
            found = await settle(old.new_lookup().create_lookuper().lookup([number]))
            assert found == {"id": number, "name": name}
            found = await settle(new.new_lookup().create_lookuper().lookup([number]))
            assert found == {"id": number, "name": name, "tags": tags}
        changes = await read(new, 7)
        assert [(row["id"], row["name"]) for row in changes] == [
            (1, "a"),
            (2, "b"),
            (2, "b"),
            (2, "c"),
            (3, "d"),
            (3, "d"),
            (3, "e"),
        ]
        assert [row["tags"] for row in changes] == [None, None, None, ["x", None], None, None, None]

    run(body)


def test_a_column_is_added_with_a_function_that_merges_it(run: Callable[[Body], None]) -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()

    async def body(connection: Any) -> None:
        path = "fluss.evolved_engine"
        old = await create(connection, path, schema, properties={"table.merge-engine": "aggregation"})
        change = TableChange.add_column("most", "INT", aggregate="max")
        try:
            new = await alter(connection, path, change)
        except fluss.UnsupportedError as error:
            # A server before 1.0 would add the column, and merge it otherwise.
            assert "ALTER_TABLE" in str(error)
            assert (await settle(connection.get_table(path))).get_table_info().schema_id == 1
            return
        await upsert(old, [1])
        await upsert(new, [1, 3], [1, 7], [1, 5])
        found = await settle(new.new_lookup().create_lookuper().lookup([1]))
        assert found == {"id": 1, "most": 7}

    run(body)


def test_properties_are_set_and_reset(run: Callable[[Body], None]) -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").build()

    async def body(connection: Any) -> None:
        path, admin = "fluss.evolved_properties", connection.get_admin()
        await create(connection, path, schema)
        table = await alter(connection, path, TableChange.set(SEGMENTS, "3"), TableChange.set("owner", "me"))
        assert table.get_table_info().get_properties()[SEGMENTS] == "3"
        assert table.get_table_info().get_custom_properties() == {"owner": "me"}
        table = await alter(connection, path, TableChange.reset(SEGMENTS), TableChange.reset("owner"))
        assert SEGMENTS not in table.get_table_info().get_properties()
        assert table.get_table_info().get_custom_properties() == {}
        for changes in (
            [TableChange.set("table.log.format", "INDEXED")],
            [TableChange.add_column("id", "INT")],
            [TableChange.set("mine", "1"), TableChange.add_column("b", "INT")],
        ):
            with pytest.raises(fluss.FlussError) as raised:
                await settle(admin.alter_table(path, changes))
            assert getattr(raised.value, "code", None) == fluss.ErrorCode.INVALID_ALTER_TABLE_EXCEPTION
        with pytest.raises(fluss.SchemaError, match="column 'b' has to take nulls"):
            await settle(admin.alter_table(path, [TableChange.add_column("b", "INT NOT NULL")]))
        with pytest.raises(fluss.NotFoundError):
            await settle(admin.alter_table("fluss.nowhere", [TableChange.reset("x")]))
        await settle(admin.alter_table("fluss.nowhere", [TableChange.reset("x")], True))
        with pytest.raises(TypeError):
            await settle(admin.alter_table(path, ["set x"]))

    run(body)


def test_every_version_of_a_schema_can_be_asked_for(run: Callable[[Body], None]) -> None:
    schema = fluss.Schema.new_builder().column("r", "ROW<x INT>").build()

    async def body(connection: Any) -> None:
        path, admin = "fluss.evolved_twice", connection.get_admin()
        await create(connection, path, schema)
        for name in ("b", "c"):
            await alter(connection, path, TableChange.add_column(name, "ROW<y INT, z DATE>"))
        for number, columns in enumerate([["r"], ["r", "b"], ["r", "b", "c"]], 1):
            found, version = await settle(admin.get_table_schema(path, number))
            assert (found, version.get_column_names()) == (number, columns)
        assert (await settle(admin.get_table_schema(path)))[0] == 3
        with pytest.raises(fluss.FlussError, match="schema 4"):
            await settle(admin.get_table_schema(path, 4))

    run(body)


def test_changes_are_values() -> None:
    assert TableChange.set("k", "v") == TableChange.set("k", "v") != TableChange.reset("k")
    assert repr(TableChange.add_column("a", "INT", "why")) == 'TableChange.add_column("a", "INT", "why")'
    summed = TableChange.add_column("a", "INT", aggregate="sum")
    assert summed != TableChange.add_column("a", "INT")
    assert repr(summed) == 'TableChange.add_column("a", "INT", aggregate="sum")'
    with pytest.raises(ValueError, match="no aggregate function"):
        TableChange.add_column("a", "INT", parameters={"delimiter": "|"})

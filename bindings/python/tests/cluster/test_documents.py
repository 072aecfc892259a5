"""Documents, changed field by field, in both faces."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from importlib import import_module
from itertools import count
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

import fluss
from faces import acknowledged, create_table, create_table_now, settle
from fluss import aio

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
_numbers = count()
PROFILE = {"firstname": "STRING", "age": "STRING", "city": "STRING", "city_code": "INT"}


def module(face: ModuleType) -> ModuleType:
    return import_module("fluss.aio.replica" if face is aio else "fluss.replica")


def table(
    columns: dict[str, str],
    key: list[str],
    *,
    partitions: tuple[str, ...] = (),
    buckets: int = 3,
    properties: dict[str, str] | None = None,
) -> tuple[str, fluss.TableDescriptor]:
    """A table of its own: its path, and what it is."""
    builder = fluss.Schema.new_builder()
    for name, data_type in columns.items():
        builder.column(name, data_type)
    schema = (builder.primary_key(key) if key else builder).build()
    descriptor = fluss.TableDescriptor(
        schema, partition_keys=list(partitions), bucket_count=buckets, properties=properties
    )
    return f"fluss.documents_{next(_numbers)}", descriptor


async def opened(face: ModuleType, connection: Any, *args: Any, **options: Any) -> Any:
    """The documents of a table of their own."""
    path, descriptor = table(*args, **options)
    await create_table(connection.get_admin(), path, descriptor)
    return await settle(module(face).open_documents(connection, path))


async def rows(connection: Any, documents: Any) -> list[dict[str, Any]]:
    """All rows, by their keys."""
    await settle(documents.flush())
    pa = pytest.importorskip("pyarrow")
    path = repr(documents).split("'")[1]
    found = await settle((await settle(connection.get_table(path))).new_scan().to_arrow())
    return sorted(pa.table(found).to_pylist(), key=lambda row: str(list(row.values())))


def test_the_first_steps_of_another_store(target: str, connection: fluss.Connection) -> None:
    """The writes and reads of its quick start, by their names here."""
    path, descriptor = table({"firstname": "STRING", "age": "STRING", "city": "STRING"}, ["firstname"])
    create_table_now(connection.get_admin(), path, descriptor)
    from fluss import replica

    writer = replica.open_documents(target, path)
    writer.startup()
    writer.upsert_fields({"firstname": "Alice", "age": "22"})
    writer.upsert_fields({"firstname": "Alice", "city": "San Francisco"})
    writer.upsert_fields({"firstname": "Bob", "age": "25"})
    writer.shutdown()

    lookuper = connection.get_table(path).new_lookup().create_lookuper()
    assert lookuper.lookup("Alice") == {"firstname": "Alice", "age": "22", "city": "San Francisco"}
    assert lookuper.lookup("Bob") == {"firstname": "Bob", "age": "25", "city": None}

    async def awaited() -> None:
        from fluss.aio import replica

        async with await replica.open_documents({"bootstrap.servers": target}, path) as writer:
            await writer.startup()
            await writer.upsert_fields({"firstname": "Alice", "age": "23"})
            await (await writer.delete_fields("Alice", "city"))
            await writer.delete_document("Bob")
        with pytest.raises(fluss.errors.ClosedError):
            await writer.delete_document("Bob")
        await writer.close()

    asyncio.run(awaited())
    assert lookuper.lookup("Alice") == {"firstname": "Alice", "age": "23", "city": None}
    assert lookuper.lookup("Bob") is None
    with replica.open_documents(connection, path) as documents:
        documents.upsert_fields({"firstname": "Carol"})
    assert lookuper.lookup("Carol") is not None


def test_writes_of_other_columns_keep_their_order(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        documents = await opened(face, connection, PROFILE, ["firstname"])
        for turn in range(12):
            for name in ("Alice", "Bob"):
                await settle(documents.upsert_fields({"firstname": name, "age": str(turn)}))
                await settle(documents.upsert_fields({"city": str(turn), "firstname": name}))
                if turn % 4 == 3:
                    await settle(documents.delete_document(name))
        assert await rows(connection, documents) == []
        handle = await settle(documents.upsert_fields({"firstname": "Alice", "age": "1", "city": "a"}))
        await settle(documents.upsert_fields({"firstname": "Alice", "age": "2"}))
        assert handle.done()
        # A write to another key does not wait, and the look-up of this one sees what was written before.
        await settle(documents.upsert_fields(MappingProxyType({"firstname": "Bob", "city_code": 7})))
        handle = await settle(documents.delete_fields("Alice", ["age"]))
        await acknowledged(face, handle)
        assert await rows(connection, documents) == [
            {"firstname": "Alice", "age": None, "city": "a", "city_code": None},
            {"firstname": "Bob", "age": None, "city": None, "city_code": 7},
        ]
        handle = await settle(documents.delete_fields({"firstname": "Nobody"}, ["age", "city"]))
        assert handle.done() and handle.ends == {}
        assert len(await rows(connection, documents)) == 2

    run(body)


def test_columns_are_cleared_in_all_documents(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        documents = await opened(face, connection, PROFILE, ["firstname"])
        for number in range(300):
            field = [("age", "1"), ("city", "a"), ("city_code", 7)][number % 3]
            await settle(documents.upsert_fields({"firstname": f"name {number}", field[0]: field[1]}))
        assert await settle(documents.clear_columns(["age", "firstname"])) == 100
        assert await settle(documents.clear_columns("age")) == 0
        assert await settle(documents.clear_columns([])) == 0
        assert await settle(documents.clear_columns(prefix=["country", "first"])) == 0
        assert await settle(documents.clear_columns(prefix="city", timeout=60)) == 200
        found = await rows(connection, documents)
        assert len(found) == 300
        assert all(row["age"] is row["city"] is row["city_code"] is None for row in found)
        assert await settle(documents.truncate()) == 300
        assert await settle(documents.truncate()) == 0
        assert await rows(connection, documents) == []
        await settle(documents.upsert_fields({"firstname": "Alice"}))
        assert await settle(documents.truncate()) == 1

    run(body)


def test_what_makes_no_sense_is_refused_before_anything_is_sent(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        documents = await opened(face, connection, PROFILE, ["firstname"])

        async def refused(kind: type[Exception], words: str, call: Callable[[], Any]) -> None:
            with pytest.raises(kind, match=words):
                await settle(call())

        argument, data = fluss.errors.ArgumentError, fluss.errors.DataError
        upsert = documents.upsert_fields
        await refused(argument, "'citty'; did you mean 'city'", lambda: upsert({"firstname": "A", "citty": 1}))
        await refused(argument, "lacks 'firstname'", lambda: upsert({"age": "22"}))
        await refused(data, "city_code", lambda: upsert({"firstname": "A", "city_code": "x"}))
        await refused(data, "firstname", lambda: upsert({"firstname": None, "age": "22"}))
        await refused(data, "name of a column", lambda: upsert({1: "A"}))
        await refused(data, "firstname", lambda: documents.delete_document(7))
        await refused(data, "a key of 2 values", lambda: documents.delete_document(("A", "B")))
        await refused(argument, "primary key", lambda: documents.delete_fields("A", ["firstname"]))
        await refused(argument, "no column", lambda: documents.delete_fields("A", ["nothing"]))
        await refused(argument, "no column 'nothing'", lambda: documents.clear_columns(["nothing"]))
        await refused(argument, "names, or by a prefix", lambda: documents.clear_columns())
        await refused(argument, "names, or by a prefix", lambda: documents.clear_columns("age", prefix="a"))
        await settle(documents.upsert_fields({"firstname": "A", "age": "22"}))
        assert await rows(connection, documents) == [
            {"firstname": "A", "age": "22", "city": None, "city_code": None},
        ]

        whole = await opened(face, connection, {"id": "INT", "a": "INT NOT NULL", "b": "INT"}, ["id"])
        await settle(whole.upsert_fields({"id": 1, "a": 2, "b": 3}))
        await refused(argument, "'a' takes no null", lambda: whole.upsert_fields({"id": 1, "a": 2}))
        await refused(argument, "'a' takes no null", lambda: whole.clear_columns(["a"]))
        await refused(argument, "'a' takes no null", lambda: whole.delete_fields(1, "b"))
        assert await settle(whole.truncate()) == 1

        with pytest.raises(argument, match="no primary key"):
            await opened(face, connection, PROFILE, [])
        with pytest.raises(argument, match="'first_row'"):
            await opened(face, connection, PROFILE, ["firstname"], properties={"table.merge-engine": "first_row"})
        with pytest.raises(fluss.errors.NotFoundError):
            await settle(module(face).open_documents(connection, "fluss.nowhere"))

    run(body)


def test_keys_have_many_columns_and_partitions(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        columns = {"note": "STRING", "id": "BIGINT", "tags": "ARRAY<STRING>", "region": "STRING"}
        documents = await opened(face, connection, columns, ["region", "id"], partitions=("region",), buckets=2)
        for number in range(10):
            key = {"id": number, "region": ("eu", "us")[number % 2]}
            await settle(documents.upsert_fields(key | {"note": "n"}))
            await settle(documents.upsert_fields(key | {"tags": ["t", None]}))
        await settle(documents.delete_document(("eu", 0)))
        await settle(documents.delete_document({"id": 3, "region": "us"}))
        await settle(documents.delete_fields(["us", 1], ["tags"]))
        await settle(documents.delete_fields(("us", 0), ["tags"]))
        assert await settle(documents.clear_columns(prefix=["tag", "reg"])) == 7
        found = await rows(connection, documents)
        assert [row["id"] for row in sorted(found, key=lambda row: row["id"])] == [1, 2, 4, 5, 6, 7, 8, 9]
        assert all(row["note"] == "n" and row["tags"] is None for row in found)
        assert await settle(documents.truncate()) == 8

    run(body)


def test_fields_are_aggregated_and_set_to_null(run: Run, face: ModuleType) -> None:
    async def body(connection: Any) -> None:
        engine = {"table.merge-engine": "aggregation"}
        documents = await opened(face, connection, {"k": "INT", "a": "INT", "b": "INT"}, ["k"], properties=engine)
        await settle(documents.upsert_fields({"k": 1, "a": 2, "b": 3}))
        # Without a function of its own a column keeps the last value that is not null.
        await settle(documents.upsert_fields({"k": 1, "a": None}))
        assert await rows(connection, documents) == [{"k": 1, "a": 2, "b": 3}]
        await settle(documents.delete_fields(1, ["a"]))
        assert await rows(connection, documents) == [{"k": 1, "a": None, "b": 3}]
        assert await settle(documents.clear_columns(["b"])) == 1
        assert await rows(connection, documents) == [{"k": 1, "a": None, "b": None}]
        for call in (documents.truncate, lambda: documents.delete_document(1)):
            with pytest.raises(fluss.errors.ArgumentError, match=r"table\.delete\.behavior"):
                await settle(call())

    run(body)


def test_who_lets_documents_go_with_writes_under_way_is_warned(connection: fluss.Connection, target: str) -> None:
    path, descriptor = table(PROFILE, ["firstname"])
    create_table_now(connection.get_admin(), path, descriptor)
    from fluss import replica

    slow = fluss.connect(target, {"client.writer.batch-timeout": "1h"})
    documents = replica.open_documents(slow, path)
    documents.upsert_fields({"firstname": "Alice"})
    with pytest.warns(ResourceWarning, match=f"Documents of table {path} was let go"):
        del documents
        gc.collect()
    slow.close()
    lookuper = connection.get_table(path).new_lookup().create_lookuper()
    assert lookuper.lookup("Alice") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with replica.open_documents(target, path) as documents:
            documents.upsert_fields({"firstname": "Bob"})
        del documents
        gc.collect()
    assert lookuper.lookup("Bob") is not None

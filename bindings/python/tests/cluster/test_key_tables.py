"""Primary-key tables hold and tell what a model of them foretells, whatever is written, and however, in both faces."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import beside, settle
from key_model import Mode, bitmap32, bitmap64
from key_trial import Case, Trial, create

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]
WAL = {"table.changelog.image": "WAL"}
FIRST_ROW = {"table.merge-engine": "first_row"}
AGGREGATION = {"table.merge-engine": "aggregation"}
ALLOW = {"table.delete.behavior": "allow"}
IGNORE = {"table.delete.behavior": "ignore"}
WHOLE, OVERWRITE = Mode(), Mode(overwrite=True)
NUMBERS = {"k": "INT", "a": "INT", "b": "INT"}


def part(*columns: str) -> Mode:
    return Mode(columns=columns)


def replaced(kv_format: str, buckets: int) -> Case:
    """Rows of any type, replaced and updated in part."""
    types = ["DOUBLE", "TIMESTAMP(6)", "ARRAY<ARRAY<STRING>>", "ROW<x INT,z STRING>", "BYTES"]
    columns = {"c0": types[0], "k0": "STRING", **{f"c{n}": types[n] for n in range(1, 5)}, "k1": "BIGINT", "d": "DATE"}
    modes = [WHOLE, part("k0", "c4", "d", "c0", "k1", "c1"), part("c3", "c2", "k0", "k1"), part("k1", "k0")]
    properties = {"table.kv.format": kv_format}
    return Case(columns, ["k1", "k0"], modes, properties, buckets=buckets, inserts=True)


def versioned(data_type: str, *modes: Mode, **properties: str) -> Case:
    properties = {"table.merge-engine": "versioned", "table.merge-engine.versioned.ver-column": "v", **properties}
    rules = {"version": "v", "deletes": False}
    case = Case({"k": "INT", "v": data_type, "a": "INT"}, ["k"], [WHOLE, *modes], properties, rules)
    # To the server null is the least INT or BIGINT itself, not less.
    return replace(case, values={"v": [-1, 0, 7]} if data_type in ("INT", "BIGINT") else {})


def aggregated(function: str, *types: str, deletes: bool = False) -> Case:
    """A column of each type by one function."""
    columns = {"k": "INT", **{f"c{n}": data_type for n, data_type in enumerate(types)}}
    names = list(columns)
    modes = [WHOLE, part(*names[::2], *names[1:2]), part(*names[-1:], "k")]
    functions = dict.fromkeys(names[1:], function)
    properties = AGGREGATION | (ALLOW if deletes else {})
    return Case(columns, ["k"], modes, properties, {"deletes": deletes}, functions, inserts=True)


def bitmaps(function: str, bitmap: Callable[[set[int]], bytes]) -> Case:
    values = [bitmap({1, 3}), bitmap({3, 65_535}), bitmap({0, 7, 11, 300})]
    return replace(aggregated(function, "BYTES"), values={"c0": values})


def kept(deletes: bool) -> Case:
    """A column of each function that keeps a value or another, and one without function."""
    functions = ["last_value", "last_value_ignore_nulls", "first_value", "first_value_ignore_nulls"]
    columns = {f"c{n}": data_type for n, data_type in enumerate(["DATE", "ARRAY<INT>", "STRING", "BYTES", "INT"])}
    return Case(
        {"k": "INT", **columns},
        modes=[WHOLE, part("k", "c0", "c2", "c4"), part("c1", "c3", "k"), part("k"), OVERWRITE],
        properties=AGGREGATION | (ALLOW if deletes else {}),
        rules={"deletes": deletes},
        functions={f"c{n}": function for n, function in enumerate(functions)},
        inserts=True,
    )


def numbered(data_type: str, **properties: str) -> Case:
    columns = {"a": "INT", "number": data_type, "k": "INT", "b": "STRING"}
    modes = [WHOLE, part("a", "k", "b"), part("k", "a")]
    rules = {"wal": "table.changelog.image" in properties}
    return Case(columns, ["k"], modes, properties, rules, counter="number", inserts=True)


SUMMED = ["TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(38,2)"]
ORDERED = ["SMALLINT", "DOUBLE", "DECIMAL(38,10)", "CHAR(3)", "STRING", "DATE", "TIME(3)", "TIMESTAMP(6)"]
CASES = {
    **{f"{kv} in {n}": replaced(kv, n) for kv in ("COMPACTED", "INDEXED") for n in (1, 3, 7)},
    "only keys": Case({"l": "STRING", "k": "INT"}, ["l", "k"], inserts=True),
    "prefixes": Case({"a": "INT", "k0": "STRING", "k1": "SMALLINT"}, ["k0", "k1"], bucket_key=["k0"]),
    "long prefixes": Case(
        {"k2": "BIGINT", "k1": "DATE", "k0": "BOOLEAN", "a": "INT"},
        ["k0", "k1", "k2"],
        [WHOLE, part("k2", "k1", "k0")],
        bucket_key=["k0", "k1"],
    ),
    "WAL": Case(NUMBERS, properties=WAL, rules={"wal": True}),
    "WAL in part": Case(NUMBERS, ["k"], [WHOLE, part("b", "k"), part("k", "a")], WAL, {"wal": True}, inserts=True),
    "deletes ignored": Case(NUMBERS, ["k"], [WHOLE, part("k", "a")], IGNORE, {"deletes": False}, inserts=True),
    "first row": Case(NUMBERS, ["k"], [WHOLE, OVERWRITE], FIRST_ROW, {"first_row": True, "deletes": False}),
    "first row WAL": Case(
        NUMBERS, ["k"], [WHOLE, OVERWRITE], FIRST_ROW | WAL, {"first_row": True, "deletes": False, "wal": True}
    ),
    "versioned INT": versioned("INT"),
    "versioned BIGINT": versioned("BIGINT", OVERWRITE),
    "versioned TIMESTAMP": versioned("TIMESTAMP(6)"),
    "versioned TIMESTAMP_LTZ": versioned("TIMESTAMP_LTZ(6)", OVERWRITE),
    "sum": aggregated("sum", *SUMMED),
    "product": aggregated("product", *SUMMED, deletes=True),
    "max": aggregated("max", *ORDERED, "TIMESTAMP_LTZ(6)"),
    "min": aggregated("min", *ORDERED, "TIMESTAMP_LTZ(6)", deletes=True),
    "listagg": aggregated("listagg", "STRING"),
    "string_agg": aggregated("string_agg", "STRING", deletes=True),
    "bool_and": aggregated("bool_and", "BOOLEAN"),
    "bool_or": aggregated("bool_or", "BOOLEAN", deletes=True),
    "rbm32": bitmaps("rbm32", bitmap32),
    "rbm64": bitmaps("rbm64", bitmap64),
    "kept": kept(deletes=False),
    "kept or deleted": kept(deletes=True),
    "numbered INT": numbered("INT"),
    "numbered BIGINT": numbered("BIGINT", **WAL),
}


@pytest.fixture
def run(face: ModuleType, target: str) -> Callable[..., None]:
    """Runs a test with a connection of either face."""

    def in_face(body: Body, **options: object) -> None:
        async def main() -> None:
            # Whoever waits for a handle waits for no other rows.
            connection = await settle(face.connect(target, {"client.writer.batch-timeout": "1 ms", **options}))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


@pytest.mark.parametrize("name", CASES)
def test_a_table_holds_and_tells_what_its_model_foretells(
    face: ModuleType, run: Callable[..., None], name: str
) -> None:
    async def body(connection: Any) -> None:
        case = CASES[name]
        await Trial(face, connection, case, await create(connection, case)).run()

    run(body)


def partitioned(**properties: str) -> Case:
    columns = {"a": "STRING", "land": "STRING", "k": "INT", "day": "DATE"}
    case = Case(columns, ["land", "k", "day"], [WHOLE, part("k", "land", "day")], properties, bucket_key=["k"])
    return replace(case, buckets=2, partitioned_by=["land"], values={"land": ["de", "fr", "it"]})


def test_partitions_that_writers_create_hold_and_tell_it_too(face: ModuleType, run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        case = partitioned()
        await Trial(face, connection, case, await create(connection, case)).run()

    run(body)


def test_partitions_that_somebody_created_hold_and_tell_it_too(face: ModuleType, run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        case = partitioned()
        table = await create(connection, case)
        for land in case.values["land"]:
            await settle(connection.get_admin().create_partition(table.get_table_path(), {"land": land}))
        await Trial(face, connection, case, table).run()

    run(body, **{"client.writer.dynamic-create-partition.enabled": False})


def test_partitions_that_the_clock_created_hold_and_tell_it_too(face: ModuleType, run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        clock = {"table.auto-partition.enabled": "true", "table.auto-partition.time-unit": "HOUR"}
        case = partitioned(**clock)
        table = await create(connection, case)
        async with asyncio.timeout(60):
            while not (found := await settle(connection.get_admin().list_partition_infos(table.get_table_path()))):
                await asyncio.sleep(0.02)
        case = replace(case, values={"land": [info.partition_name for info in found]})
        await Trial(face, connection, case, table).run()

    run(body, **{"client.writer.dynamic-create-partition.enabled": False})


def test_deletes_may_be_refused(run: Callable[..., None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, Case(NUMBERS, properties={"table.delete.behavior": "disable"}))
        writer = table.new_upsert().create_writer()
        writer.upsert([1, 2, 3])
        with pytest.raises(fluss.ArgumentError, match="table.delete.behavior") as raised:
            writer.delete(1)
        assert (raised.value.operation, raised.value.table) == ("delete", str(table.get_table_path()))
        with pytest.raises(fluss.ArgumentError, match="table.delete.behavior"):
            await settle(writer.delete_arrow(pa.table({"k": pa.array([1], pa.int32())})))
        await settle(writer.close())
        assert await settle(table.new_lookup().create_lookuper().lookup(1)) == {"k": 1, "a": 2, "b": 3}

    run(body)


def test_a_row_is_inserted_once_however_many_look_for_it(
    face: ModuleType, target: str, run: Callable[..., None]
) -> None:
    keys, there = range(40), range(10, 20)

    async def find(path: fluss.TablePath, first: int) -> list[dict[str, Any]]:
        """The rows of all keys, from another one on, found one by one or all at once."""
        connection = await settle(face.connect(target))
        table = await settle(connection.get_table(path))
        lookuper = table.new_lookup().insert_if_not_exists().create_lookuper()
        order = [*keys[first:], *keys[:first]]
        one_by_one = [await settle(lookuper.lookup(key)) for key in order] if first % 2 else []
        found: list[dict[str, Any]] = one_by_one or await settle(lookuper.lookup_many(order))
        await settle(connection.close())
        return found

    async def body(connection: Any) -> None:
        case = Case({"number": "BIGINT", "k": "INT", "a": "INT"}, counter="number")
        table = await create(connection, case)
        writer = table.new_upsert().create_writer()
        for key in there:
            writer.upsert({"k": key, "a": 1})
        await settle(writer.close())
        path = table.get_table_path()
        found = await asyncio.gather(*(beside(face, find(path, first)) for first in range(0, 40, 5)))
        rows = {row["k"]: row for row in found[0]}
        assert all(row == rows[row["k"]] for some in found for row in some)
        assert {row["k"]: row["a"] for row in rows.values()} == {key: 1 if key in there else None for key in keys}
        assert len({row["number"] for row in rows.values()}) == len(keys)
        trial = Trial(face, connection, case, table)
        trial.model.changes = [("+I", row) for row in rows.values()]
        told = [change for changes in (await trial.changes()).values() for change in changes]
        assert sorted(told, key=lambda change: change[1]["k"]) == sorted(trial.model.changes, key=lambda c: c[1]["k"])

    run(body)

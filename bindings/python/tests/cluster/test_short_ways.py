"""Tables in one call: created, looked up and followed, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest
from short import ROWS, SCHEMA, listed, new_path, stored, table

import fluss
from faces import created, settle
from fluss import aio

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]


def test_a_table_is_created_of_the_columns_of_anything(run: Callable[[Body], None]) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    arrow = pa.table({"id": pa.array([1], pa.int32()), "name": ["a"], "n": [2]}, SCHEMA)
    schemas = [SCHEMA, arrow, arrow.to_batches()[0], polars.DataFrame(arrow), arrow.to_pandas(), fluss.Schema(SCHEMA)]
    schemas.append(pandas.DataFrame({"id": [1], "name": ["a"], "n": [2]}).astype({"id": "int32"}))

    async def body(connection: Any) -> None:
        for schema in schemas:
            path = new_path()
            made = await created(connection, path, schema, buckets=3, comment="of columns")
            info = made.get_table_info()
            assert made.columns == ["id", "name", "n"] and info.get_schema().get_column_types()[1:] == [
                "string",
                "bigint",
            ]
            assert (info.num_buckets, info.comment, info.has_primary_key()) == (3, "of columns", False)
            assert pa.schema(made.schema).types == [pa.int32(), pa.string(), pa.int64()]
            await settle(made.drop())

        path = new_path()
        properties = {"table.log.ttl": "3 d", "table.log.tiered.local-segments": 5, "owner": "data-team"}
        keys: dict[str, Any] = {"primary_key": ["id", "name"], "partitioned_by": "name"}
        made = await created(connection, path, SCHEMA, **keys, properties=properties)
        info = made.get_table_info()
        assert (info.get_primary_keys(), info.get_partition_keys()) == (["id", "name"], ["name"])
        assert info.get_properties()["table.log.tiered.local-segments"] == "5"
        assert info.get_custom_properties() == {"owner": "data-team"}
        with pytest.raises(fluss.AlreadyExistsError):
            await created(connection, path, SCHEMA)
        again = await settle(connection.create_table(path, SCHEMA, if_not_exists=True))  # not written
        assert again.get_table_info().table_id == info.table_id
        assert path in await settle(connection.tables()) and path in await settle(connection.tables("fluss"))
        assert (await settle(connection[path])).get_table_path() == info.table_path
        await settle(connection.drop_table(path))
        with pytest.raises(fluss.NotFoundError):
            await settle(connection[path])
        for drop in (connection.drop_table, lambda _, **options: made.drop(**options)):
            with pytest.raises(fluss.NotFoundError):
                await settle(drop(path))
            await settle(drop(path, if_exists=True))
        with pytest.raises(fluss.NotFoundError):
            await settle(connection.tables("no_database"))

    run(body)


def test_what_has_no_columns_creates_nothing(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        keyed = fluss.Schema(SCHEMA, primary_keys=["id"])
        refused: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
            ({"id": "INT"}, {}, fluss.ArgumentTypeError, "and not of dict"),
            (None, {}, fluss.ArgumentTypeError, "and not of NoneType"),
            (pa.array([1]), {}, fluss.DataError, "columns are needed"),
            (pa.schema([("d", pa.duration("s"))]), {}, fluss.SchemaError, "'d'"),
            (SCHEMA, {"primary_key": "ids"}, fluss.SchemaError, "ids"),
            (keyed, {"primary_key": "name"}, fluss.ArgumentError, r"\['id'\], and not \['name'\]"),
            (SCHEMA, {"buckets": 0}, fluss.SchemaError, "at least 1"),
            (SCHEMA, {"partitioned_by": "land"}, fluss.SchemaError, "land"),
        ]
        for schema, options, error, message in refused:
            path = new_path()
            with pytest.raises(error, match=message):
                await settle(connection.create_table(path, schema, **options))  # not written
            assert path not in await settle(connection.tables("fluss"))

    run(body)


def test_a_served_node_is_one_as_any_other(face: Any, node: Any) -> None:
    async def main() -> None:
        connection = await settle(face.connect(f"fluss://{node.bootstrap}", request_timeout=dt.timedelta(seconds=60)))
        made = await table(connection, key=True)
        assert (await settle(made.upsert(iter(ROWS)))).rows == 6
        assert await settle(made.get(3)) == ROWS[3]
        assert (await settle(made.read(["id"], filter=fluss.col("n") >= 20, limit=3).to_arrow())).num_rows == 3
        assert (await settle(made.delete([0, 1]))).rows == 2 and await stored(made) == ROWS[2:]
        assert len(await listed(made.changes())) == 8
        await settle(made.drop())
        await settle(connection.close())

    asyncio.run(main())


def test_a_user_logs_in_by_name_and_password(face: Any, guarded: Any) -> None:
    async def main() -> None:
        target = f"fluss://{guarded.bootstrap}"
        connection = await settle(face.connect(target, user="root", password=guarded.users["root"]))
        assert isinstance(await settle(connection.tables("fluss")), list)
        await settle(connection.close())
        with pytest.raises(fluss.AuthenticationError):
            await settle(face.connect(target, user="root", password="another"))

    asyncio.run(main())


def test_rows_are_looked_up_by_their_keys(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=True)
        await settle(made.upsert(ROWS))
        for key in (3, (3,), [3], {"id": 3}):
            assert await settle(made.get(key)) == ROWS[3]
        assert await settle(made.get(77)) is None
        assert await settle(made.get_many([5, (77,), {"id": 0}, 5])) == [ROWS[5], None, ROWS[0], ROWS[5]]
        assert await settle(made.get_many(iter([]))) == []
        for bad in ("three", (1, 2), {"name": "n1"}):
            with pytest.raises(fluss.DataError):
                await settle(made.get(bad))
        log = await table(connection, key=False)
        with pytest.raises(fluss.ArgumentError, match="primary key"):
            await settle(log.get(3))

        path = new_path()
        lands = await created(connection, path, SCHEMA, primary_key=["id", "name"], partitioned_by="name", buckets=1)
        await settle(lands.upsert(ROWS))
        assert await settle(lands.get((4, "n1"))) == await settle(lands.get({"name": "n1", "id": 4})) == ROWS[4]
        assert await settle(lands.get((4, "n9"))) is None
        assert await settle(lands.count()) == 6

    run(body)


def test_columns_are_looked_up_for_the_rows_of_a_frame(run: Callable[[Body], None]) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")

    async def body(connection: Any) -> None:
        made = await table(connection, key=True)
        await settle(made.upsert(ROWS))
        orders = pa.table({"order": [10, 11, 12, 13], "id": pa.array([3, 77, None, 3], pa.int32()), "n": list("abcd")})
        found = await settle(made.lookup(orders, timeout=60))
        nothing = {"name": None, "n_right": None}
        assert found.to_pylist() == [
            {"order": 10, "id": 3, "n": "a", "name": "n0", "n_right": 30},
            {"order": 11, "id": 77, "n": "b", **nothing},
            {"order": 12, "id": None, "n": "c", **nothing},
            {"order": 13, "id": 3, "n": "d", "name": "n0", "n_right": 30},
        ]
        frame = polars.DataFrame(orders).rename({"id": "person"})
        found = await settle(made.lookup(frame, on="person", how="inner"))
        rest = {"person": 3, "name": "n0", "n_right": 30}
        assert found.to_pylist() == [{"order": 10, "n": "a", **rest}, {"order": 13, "n": "d", **rest}]
        people = pandas.DataFrame({"id": [5, 0]}).astype("int32")
        assert (await settle(made.lookup(people)))["name"].to_pylist() == ["n2", "n0"]
        assert len(await settle(made.lookup(orders[:0]))) == 0
        for data, options, error in (
            (orders, {"on": "person"}, fluss.SchemaError),
            (orders, {"on": ["order", "id"]}, fluss.ArgumentError),
            (orders, {"how": "outer"}, fluss.ArgumentError),
            (orders, {"on": "n"}, fluss.DataError),
            ([{"id": 1}], {}, fluss.ArgumentTypeError),
        ):
            with pytest.raises(error):
                await settle(made.lookup(data, **options))

    run(body)


def test_changes_and_new_records_are_iterated_over(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=True, buckets=1)
        assert await listed(made.changes()) == []
        await settle(made.upsert(ROWS[:2]))
        middle = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=1)
        while dt.datetime.now(dt.UTC) < middle:
            await asyncio.sleep(0)
        await settle(made.upsert([{**ROWS[0], "n": 1}]))
        await settle(made.delete([1]))
        records = await listed(made.changes())
        told = [(record.change_type.short_string(), record["id"], record["n"]) for record in records]
        assert told == [("+I", 0, 0), ("+I", 1, 10), ("-U", 0, 0), ("+U", 0, 1), ("-D", 1, 10)]
        assert dict(records[0]) == records[0].row == ROWS[0]
        assert [record.offset for record in records] == [0, 1, 2, 3, 4]
        bucket = records[0].bucket
        millis = int(middle.timestamp() * 1000)
        for since in (middle, millis, fluss.OffsetSpec.timestamp(middle), {bucket: 2}):
            assert [record.offset for record in await listed(made.changes(since))] == [2, 3, 4]
        with pytest.raises(KeyError):
            records[0]["no such column"]

        async def add(until: Callable[[], bool]) -> None:
            for number in count(100):
                if until():
                    return
                await settle(made.upsert([{"id": number, "name": "new", "n": number}]))
                await asyncio.sleep(0)

        new = made.tail()
        if isinstance(made, aio.Table):
            async with asyncio.timeout(60):
                first = asyncio.ensure_future(anext(new))
                await add(first.done)
                second = asyncio.ensure_future(anext(new))
                await add(second.done)
                found = [await first, await second]
                await new.aclose()
        else:
            await settle(made.upsert(ROWS[2:4]))
            found = [next(new), next(new)]
            assert [record["id"] for record in found] == [2, 3]
            new.close()
        assert found[0].offset >= 5 and found[1].offset == found[0].offset + 1

    run(body)

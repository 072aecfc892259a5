"""Tables that are read in one call, in all the forms that rows come in, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from short import by_id, listed, table

import fluss
from faces import settle
from fluss import aio, col

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"n{number % 3}", "n": None if number % 5 == 0 else number} for number in ids]


async def filled(connection: Any, *, key: bool, total: int = 100) -> Any:
    """A table with so many rows."""
    made = await table(connection, key=key, buckets=3)
    await settle((made.upsert if key else made.append)(rows(*range(total))))
    return made


@pytest.mark.parametrize("key", [False, True])
def test_rows_come_in_every_form(run: Callable[[Body], None], key: bool) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")

    async def body(connection: Any) -> None:
        made = await filled(connection, key=key)
        everything = rows(*range(100))
        read = made.read()
        for _ in range(2):
            columns = await settle(read.to_arrow(timeout=60))
            assert by_id(columns.to_pylist()) == everything and sum(columns.offsets.values()) == 100
        assert by_id(pa.table(columns).to_pylist()) == everything
        assert by_id([row for part in await listed(read.to_batches()) for row in part.to_pylist()]) == everything
        assert by_id(await listed(read)) == everything
        assert by_id((await settle(read.to_polars())).to_dicts()) == everything
        frame = await settle(read.to_pandas())
        assert frame["n"].dtype == "Int64" and sorted(frame["id"]) == [*range(100)]
        frame = await settle(read.to_pandas(dtype_backend="pyarrow"))
        assert frame["id"].dtype == pandas.ArrowDtype(pa.int32())
        frame = await settle(read.to_pandas(types_mapper={pa.int32(): pandas.Int32Dtype()}.get))
        assert frame["id"].dtype == "Int32"
        relation = await settle(read.to_duckdb(duckdb.connect()))
        assert relation.filter("id >= 90").aggregate("count(*), sum(id)").fetchall() == [(10, 945)]
        assert relation.count("*").fetchall() == [(100,)]
        if not isinstance(made, aio.Table):
            assert by_id(pa.table(read).to_pylist()) == by_id(polars.DataFrame(read).to_dicts()) == everything
            assert pa.table(made.read(limit=7)).num_rows == 7
        assert repr(made.read(["id"], limit=3)) == f"TableRows('{made.get_table_path()}', columns=['id'], limit=3)"

    run(body)


@pytest.mark.parametrize("key", [False, True])
def test_columns_conditions_limits_and_moments_go_together(run: Callable[[Body], None], key: bool) -> None:
    async def body(connection: Any) -> None:
        made = await filled(connection, key=key)
        past = (await settle(made.to_arrow())).offsets
        await settle((made.upsert if key else made.append)(rows(*range(100, 200))))
        large = col("id") >= 50
        reads: list[tuple[Any, set[int], int]] = [
            (made.read(), {*range(200)}, 200),
            (made.read(filter=large), {*range(50, 200)}, 150),
            (made.read(limit=7), {*range(200)}, 7),
            (made.read(limit=1000), {*range(200)}, 200),
            (made.read(filter=large, limit=7), {*range(50, 200)}, 7),
            (made.read(filter=large, limit=151), {*range(50, 200)}, 150),
            (made.read(as_of=past), {*range(100)}, 100),
            (made.read(as_of=past, filter=large, limit=60), {*range(50, 100)}, 50),
            (made.read(as_of=past, limit=60), {*range(100)}, 60),
            (made.read(as_of=past, limit=0), set(), 0),
            (made.read(limit=0), set(), 0),
            (made.read(filter=col("id") > 1000, limit=5), set(), 0),
        ]
        for read, among, number in reads:
            columns = await settle(read.to_arrow())
            ids = columns["id"].to_pylist()
            assert len({*ids}) == len(ids) == number and among.issuperset(ids), read
            assert columns.column_names == ["id", "name", "n"], read
            assert sum(len(part) for part in await listed(read.to_batches())) == number, read
        columns = await settle(made.read(["n", 0], filter=(col("name") == "n1"), limit=5).to_arrow())
        assert columns.column_names == ["n", "id"] and len(columns) == 5
        assert all(number % 3 == 1 for number in columns["id"])
        assert len(await settle(made.head())) == 10 and len(await settle(made.head(3, timeout=60))) == 3
        assert await settle(made.count()) == 200
        if not isinstance(made, aio.Table):
            assert len(made) == 200 and made

    run(body)


def test_reading_stops_when_enough_rows_have_come(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await filled(connection, key=False, total=0)
        for begin in range(0, 20_000, 1000):
            await settle(made.append(rows(*range(begin, begin + 1000))))
        path = str(made.get_table_path())
        assert len(await settle(made.read(filter=col("id") >= 0, limit=5).to_arrow())) == 5
        enough = read_so_far(path)
        assert len(await settle(made.read(filter=col("id") >= 0).to_arrow())) == 20_000
        assert 5 <= enough < 20_000 <= read_so_far(path) - enough

    run(body)


def read_so_far(path: str) -> int:
    """How many rows of a table were handed to this program."""
    counters = [metric for metric in fluss.metrics() if metric.name == "fluss_client_scanner_rows_total"]
    values = [counter.value for counter in counters if counter.labels.get("table") == path]
    return sum(value for value in values if isinstance(value, int))


def test_a_read_of_nonsense_is_refused(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await filled(connection, key=False, total=3)
        refused: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"columns": "id"}, fluss.ArgumentTypeError, "columns are given as a list"),
            ({"filter": "id > 1"}, fluss.ArgumentTypeError, "SQL is for connection.sql"),
            ({"filter": True}, fluss.ArgumentTypeError, "fluss.col"),
            ({"limit": -1}, fluss.ArgumentError, "negative"),
        ]
        for arguments, error, message in refused:
            with pytest.raises(error, match=message):
                made.read(**arguments)
        future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        wrong: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"columns": ["nome"]}, fluss.SchemaError),
            ({"filter": col("nome") == 1, "limit": 2}, fluss.SchemaError),
            ({"filter": col("id") == "one"}, fluss.DataError),
            ({"as_of": future}, fluss.ServerError),
        ]
        for arguments, error in wrong:
            read = made.read(**arguments)
            for give in (read.to_arrow, lambda: listed(read.to_batches())):  # noqa: B023
                with pytest.raises(error):
                    await settle(give())
        with pytest.raises(fluss.ArgumentError, match="negative"):
            await settle(made.head(-1))
        assert len(await settle(made.read().to_arrow())) == 3

    run(body)


def test_an_arrow_table_is_taken_apart_without_another_library(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await filled(connection, key=False, total=50)
        columns = await settle(made.to_arrow())
        everything = columns.to_pylist()
        assert by_id(everything) == rows(*range(50))
        assert columns.schema.names == ["id", "name", "n"] and len(columns.schema) == 3
        assert pa.schema(columns.schema) == pa.table(columns).schema
        assert columns.schema == (await settle(made.head(1))).schema != (await settle(made.to_arrow(["id"]))).schema
        assert columns.nbytes > 0
        ranges = [slice(None), slice(7, 33), slice(-3, None), slice(40, 400), slice(9, 3)]
        for part in (*ranges, slice(0, 50, 7), slice(None, None, -3), slice(3, 9, -1)):
            assert columns[part].to_pylist() == everything[part], part
            assert columns[part].schema == columns.schema
        column = columns["n"]
        assert column.name == "n" and len(column) == 50
        assert column.to_pylist() == list(column) == [row["n"] for row in everything]
        assert column.to_pyarrow() == pa.table(columns)["n"]
        assert pa.chunked_array(column).type == pa.int64()
        polars = pytest.importorskip("polars")
        assert polars.Series("n", column).to_list() == column.to_polars().to_list() == column.to_pylist()
        with pytest.raises(KeyError, match="nome"):
            columns["nome"]
        wrong: Any = 3
        with pytest.raises(fluss.ArgumentTypeError, match="a slice of rows"):
            columns[wrong]

    run(body)


def test_a_reader_and_polled_records_go_into_libraries(run: Callable[[Body], None]) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("polars")

    async def body(connection: Any) -> None:
        made = await filled(connection, key=True, total=20)
        scan = made.new_scan().project(["id", "n"])

        async def reader() -> Any:
            return await settle(scan.create_bounded_reader())

        names = ["id", "n", "_change_type", "_offset", "_timestamp"]
        assert (await reader()).schema.names == names
        frame = await settle((await reader()).to_pandas(timeout=60))
        assert [*frame.columns] == names and sorted(frame["id"]) == [*range(20)] and frame["n"].dtype == "Int64"
        assert sorted((await settle((await reader()).to_polars()))["id"]) == [*range(20)]

        scanner = scan.create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        found: list[int] = []
        while len(found) < 20:
            records = await settle(scanner.poll(dt.timedelta(seconds=10)))
            columns = records.to_arrow()
            assert columns.column_names == names
            assert columns["_offset"].to_pylist() == [record.offset for record in records]
            assert columns["_change_type"].to_pylist() == ["+I"] * len(records)
            assert records.to_pandas()["id"].to_list() == records.to_polars()["id"].to_list()
            assert columns["id"].to_pylist() == [record["id"] for record in records]
            found += columns["id"]
        assert sorted(found) == [*range(20)]
        nothing = await settle(scanner.poll(dt.timedelta(0)))
        assert nothing.to_pandas().empty and nothing.to_arrow().column_names == names
        for poll in (scanner.poll, scanner.poll_arrow, scanner.poll_record_batch):
            assert len(await settle(poll(dt.timedelta(microseconds=1)))) == 0
            with pytest.raises(fluss.ArgumentError, match="waits for nothing has 0"):
                await settle(poll(dt.timedelta(seconds=-1)))
        await settle(scanner.close())

    run(body)


def test_a_table_is_asked_by_many_at_once(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await filled(connection, key=True, total=100)

        def one(number: int) -> Any:
            return made.upsert([{"id": number, "name": "new", "n": number}])

        if isinstance(made, aio.Table):
            written = await asyncio.gather(*(one(number) for number in range(100, 150)))
            found = await asyncio.gather(*(made.get(number) for number in range(150)))
        else:
            written = await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(100, 150)))
            found = await asyncio.gather(*(asyncio.to_thread(made.get, number) for number in range(150)))
        assert [part.rows for part in written] == [1] * 50
        assert [row and row["id"] for row in found] == [*range(150)]

    run(body)

"""Arrow data in and out of log tables of a real cluster."""

from collections.abc import Callable
from typing import Any

import pytest

import fluss
from fluss import aio

pa = pytest.importorskip("pyarrow")

NewTable = Callable[..., str]
ROWS = 10_000


def numbers(start: int = 0, count: int = ROWS) -> Any:
    values = range(start, start + count)
    return pa.table({"a": pa.array(values, pa.int32()), "b": pa.array([f"row {v}" for v in values])})


def read(table: Any, count: int) -> Any:
    tables: list[Any] = []
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        while sum(map(len, tables)) < count:
            tables.append(scanner.poll_arrow(10_000).to_pyarrow())
            assert len(tables[-1]) > 0, "no rows came"
    return pa.concat_tables(tables).sort_by("a")


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_table_comes_back(connection: fluss.Connection, new_table: NewTable, buckets: int) -> None:
    table = connection.get_table(new_table(buckets=buckets, a="INT", b="STRING"))
    with table.new_append().create_writer() as writer:
        handle = writer.append_arrow(numbers())
        assert handle.wait() is None and handle.done()
    assert read(table, ROWS).equals(numbers())


def test_anything_that_exports_arrow_is_taken(connection: fluss.Connection, new_table: NewTable) -> None:
    pl, pd = pytest.importorskip("polars"), pytest.importorskip("pandas")
    table = connection.get_table(new_table(a="INT", b="STRING"))
    whole = numbers(0, 5)
    frame = pl.DataFrame({"a": [10], "b": ["polars"]}, schema={"a": pl.Int32, "b": pl.String})
    with table.new_append().create_writer() as writer:
        writer.append_arrow(whole)
        writer.append_arrow(numbers(5, 1).to_batches()[0])
        writer.append_arrow(numbers(6, 4).to_reader(max_chunksize=1))
        writer.append_arrow(frame)
        writer.append_arrow(pd.DataFrame({"a": pd.array([11], "int32"), "b": ["pandas"]}))
    expected = numbers(0, 10).to_pylist() + [{"a": 10, "b": "polars"}, {"a": 11, "b": "pandas"}]
    assert read(table, 12).to_pylist() == expected


def test_what_was_read_goes_anywhere(connection: fluss.Connection, new_table: NewTable) -> None:
    pytest.importorskip("polars"), pytest.importorskip("pandas")
    table = connection.get_table(new_table(a="INT", b="STRING"))
    other = connection.get_table(new_table(a="INT", b="STRING"))
    with table.new_append().create_writer() as writer:
        writer.append_arrow(numbers(0, 3))
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        found = scanner.poll_arrow(10_000)
    assert (len(found), found.num_columns, found.column_names) == (3, 2, ["a", "b"])
    assert found.to_pandas()["a"].tolist() == found.to_polars()["a"].to_list() == [0, 1, 2]
    with other.new_append().create_writer() as writer:
        writer.append_arrow(found)
    assert read(other, 3).equals(numbers(0, 3))


def test_batches_know_where_they_are(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT", b="STRING"))
    with table.new_append().create_writer() as writer:
        for start in range(0, 30, 10):
            writer.append_arrow(numbers(start, 10))
            writer.flush()
    batches: list[Any] = []
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        while sum(map(len, batches)) < 30:
            batches += scanner.poll_record_batch(10_000)
    assert [(batch.base_offset, batch.last_offset) for batch in batches] == [(0, 9), (10, 19), (20, 29)]
    assert batches[1].to_pyarrow().column("a").to_pylist() == list(range(10, 20))
    assert batches[1].bucket.bucket_id == 0


def test_an_empty_poll_has_the_columns(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT", z="TIMESTAMP_LTZ(6)"))
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        empty = scanner.poll_arrow(0)
    schema = pa.schema([("a", pa.int32()), ("z", pa.timestamp("us", "UTC"))])
    assert len(empty) == 0 and empty.to_pyarrow().schema.equals(schema)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pa.table({"a": pa.array([1], pa.int32())}), "b"),
        (pa.table({"a": pa.array([1], pa.int32()), "b": ["x"], "c": [1]}), "c"),
        (pa.table({"a": ["x"], "b": ["x"]}), "a"),
    ],
)
def test_data_of_another_shape_is_refused(
    connection: fluss.Connection, new_table: NewTable, data: Any, message: str
) -> None:
    table = connection.get_table(new_table(a="INT", b="STRING"))
    with table.new_append().create_writer() as writer:
        with pytest.raises(fluss.DataError, match=f"column '{message}'"):
            writer.append_arrow(data)
        with pytest.raises((TypeError, ValueError), match="__arrow_c_stream__"):
            writer.append_arrow([1, 2])
        writer.append_arrow(numbers(0, 1))
    assert len(read(table, 1)) == 1


def test_arrow_works_awaited(target: str, new_table: NewTable) -> None:
    import asyncio

    path = new_table(a="INT", b="STRING")

    async def main() -> None:
        async with aio.connect(target) as connection:
            table = await connection.get_table(path)
            async with table.new_append().create_writer() as writer:
                await (await writer.append_arrow(numbers(0, 100)))
            async with table.new_scan().create_log_scanner() as scanner:
                await scanner.subscribe_from_beginning()
                assert (await scanner.poll_arrow(10_000)).to_pyarrow().equals(numbers(0, 100))

    asyncio.run(main())


def test_a_schema_comes_from_arrow_and_goes_there() -> None:
    arrow = pa.schema([pa.field("id", pa.int32(), nullable=False), ("tags", pa.list_(pa.string())), ("d", pa.date32())])
    schema = fluss.Schema(arrow, primary_keys=["id"])
    assert schema.get_columns() == [("id", "int NOT NULL"), ("tags", "array<string>"), ("d", "date")]
    assert pa.schema(schema).names == arrow.names
    with pytest.raises(fluss.SchemaError, match="u"):
        fluss.Schema(pa.schema([("u", pa.month_day_nano_interval())]))

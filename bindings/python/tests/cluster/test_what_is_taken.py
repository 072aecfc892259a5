"""What values are taken, in every way in, and that nothing else is: no table may become one that nobody can read."""

import asyncio
import datetime as dt
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

import fluss
from faces import create_table_now
from fluss import compat

pa = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

UTC = dt.UTC
_numbers = count()

New = Callable[..., Any]


@pytest.fixture
def new(connection: fluss.Connection) -> New:
    """Creates a table and gives it: ``new(["k"], k="INT", v="STRING")``."""

    def create(
        keys: list[str] | None = None, partitions: list[str] | None = None, format: str = "ARROW", **columns: str
    ) -> Any:
        builder = fluss.Schema.new_builder()
        for name, data_type in columns.items():
            builder.column(name, data_type)
        if keys:
            builder.primary_key(keys)
        properties = {"table.kv.format": format} if keys and format != "ARROW" else {"table.log.format": format}
        path = f"fluss.taken_{next(_numbers)}"
        descriptor = fluss.TableDescriptor(
            builder.build(), bucket_count=1, partition_keys=partitions, properties=properties
        )
        create_table_now(connection.get_admin(), path, descriptor)
        return connection.get_table(path)

    return create


def refused(call: Callable[..., Any], *args: Any, match: str = "", **named: Any) -> None:
    with pytest.raises(fluss.DataError, match=match) as raised:
        call(*args, **named)
    assert raised.value.column


def latin1() -> Any:
    """A text that is none: Arrow does not look."""
    data = pa.array([b"fine", b"caf\xe9"], pa.binary())
    return pa.Array.from_buffers(pa.string(), 2, data.buffers())


BAD: list[tuple[str, Any, str]] = [
    ("STRING", latin1(), "row 1 is not UTF-8"),
    ("CHAR(9)", latin1(), "row 1 is not UTF-8"),
    ("ARRAY<STRING>", pa.ListArray.from_arrays([0, 1, 2], latin1()), "row 1 is not UTF-8"),
    ("TIME(0)", pa.array([0, 86_400], pa.int32()).view(pa.time32("s")), "row 1 is not a time of day"),
    ("TIME(3)", pa.array([0, 86_400_000], pa.int32()).view(pa.time32("ms")), "row 1 is not a time of day"),
    ("TIME(6)", pa.array([0, -1_000], pa.int64()).view(pa.time64("us")), "row 1 is not a time of day"),
    ("TIME(9)", pa.array([0, 2**62], pa.int64()).view(pa.time64("ns")), "row 1 is not a time of day"),
    ("TIMESTAMP(0)", pa.array([0, 2**63 - 1], pa.timestamp("s")), "row 1 is too far from 1970"),
    ("TIMESTAMP(3)", pa.array([0, 2**63 - 1], pa.timestamp("s")), "row 1 does not fit"),
    ("TIMESTAMP_LTZ(9)", pa.array([0, -(2**62)], pa.timestamp("us", "UTC")), "row 1 does not fit"),
]


@pytest.mark.parametrize(("data_type", "column", "message"), BAD, ids=[kind for kind, _, _ in BAD])
@pytest.mark.parametrize("format", ["ARROW", "INDEXED"])
def test_what_no_reader_would_get_past_is_not_sent(
    new: New, data_type: str, column: Any, message: str, format: str
) -> None:
    log = new(format=format, v=data_type)
    with log.new_append().create_writer() as writer:
        refused(writer.append_arrow, pa.table({"v": column}), match=message)
        writer.append_arrow(pa.table({"v": column.slice(0, 1)})).wait(10)
    assert log.to_arrow().num_rows == 1
    keyed = new(["k"], k="INT", v=data_type)
    data = pa.table({"k": pa.array([1, 2], pa.int32()), "v": column})
    for writer in (
        keyed.new_upsert().create_writer(),
        keyed.new_upsert().partial_update(["v", "k"]).create_writer(),
    ):
        with writer:
            refused(writer.upsert_arrow, data, match=message)
            writer.upsert_arrow(data.slice(0, 1)).wait(10)
    assert keyed.to_arrow().num_rows == 1


def test_keys_are_looked_at_as_rows_are(new: New) -> None:
    table = new(["k"], k="STRING", v="INT")
    keys = pa.table({"k": latin1()})
    with table.new_upsert().create_writer() as writer:
        refused(writer.delete_arrow, keys, match="row 1 is not UTF-8")
    refused(table.new_lookup().create_lookuper().lookup_arrow, keys, match="row 1 is not UTF-8")


NAIVE = dt.datetime(2024, 3, 10, 2, 30)


def naive_tables() -> list[Any]:
    units = [pa.table({"t": pa.array([NAIVE], pa.timestamp(unit))}) for unit in ("s", "ms", "us", "ns")]
    return [*units, pd.DataFrame({"t": [NAIVE]}), pl.DataFrame({"t": [NAIVE]})]


@pytest.mark.parametrize("precision", [0, 3, 6, 9])
def test_a_time_without_zone_is_no_instant_whoever_gives_it(new: New, precision: int) -> None:
    log = new(t=f"TIMESTAMP_LTZ({precision})")
    with log.new_append().create_writer() as writer:
        refused(writer.append, [NAIVE], match="TIMESTAMP_LTZ takes a datetime.datetime with tzinfo")
        refused(writer.append, [np.datetime64(NAIVE)], match="TIMESTAMP_LTZ takes")
        for data in naive_tables():
            refused(writer.append_arrow, data, match="a time with a zone goes into TIMESTAMP_LTZ")
    assert log.to_arrow().num_rows == 0
    scanner = log.new_scan().filter(fluss.col("t") == NAIVE).create_log_scanner
    refused(scanner, match="TIMESTAMP_LTZ takes")
    plain = new(t=f"TIMESTAMP({precision})")
    with plain.new_append().create_writer() as writer:
        refused(writer.append, [NAIVE.replace(tzinfo=UTC)], match="TIMESTAMP takes")
        aware = pa.table({"t": pa.array([NAIVE], pa.timestamp("us", "UTC"))})
        refused(writer.append_arrow, aware, match="one without into TIMESTAMP")


def test_for_programs_of_pyfluss_a_time_without_zone_is_in_utc(target: str, new: New) -> None:
    path = str(new(["t"], t="TIMESTAMP_LTZ(6)", v="INT").get_table_info().table_path)
    log = str(new(t="TIMESTAMP_LTZ(6)", a="ARRAY<TIMESTAMP_LTZ(6)>").get_table_info().table_path)

    async def program() -> None:
        if target.startswith("fluss:"):
            config = compat.Config({"bootstrap.servers": target.removeprefix("fluss://")})
        else:
            config = compat.Config({"bootstrap.servers": target})
        connection = await compat.FlussConnection.create(config)
        table = await connection.get_table(fluss.TablePath(*path.split(".")))
        writer = table.new_upsert().create_writer()
        await writer.upsert([NAIVE, 1]).wait()
        found = await table.new_lookup().create_lookuper().lookup([NAIVE])
        assert found is not None and found["t"] == NAIVE.replace(tzinfo=UTC)
        await writer.delete([NAIVE]).wait()
        assert await table.new_lookup().create_lookuper().lookup([NAIVE]) is None
        table = await connection.get_table(fluss.TablePath(*log.split(".")))
        appender = table.new_append().create_writer()
        for data in naive_tables()[:4]:
            lists = pa.ListArray.from_arrays([0, 1], data["t"].combine_chunks())
            appender.write_arrow(data.append_column("a", lists))
        appender.append([NAIVE, [NAIVE]])
        await appender.flush()
        await connection.close()

    asyncio.run(program())
    with fluss.connect(target) as connection:
        rows = connection.get_table(log).to_arrow().to_pyarrow().to_pylist()
    zoned = NAIVE.replace(tzinfo=UTC)
    assert rows == [{"t": zoned, "a": [zoned]}] * 5


def stored(new: New, data_type: str, data: Any) -> list[Any]:
    table = new(v=data_type)
    with table.new_append().create_writer() as writer:
        writer.append_arrow(data if isinstance(data, pl.DataFrame | pd.DataFrame) else pa.table({"v": data})).wait(10)
    return [row["v"] for row in table.to_arrow().to_pyarrow().to_pylist()]


I32, I64 = pa.int32(), pa.int64()
NESTED = pa.array([{"r": {"a": i}} for i in range(9)], pa.struct([("r", pa.struct([("a", I32)]))]))
FIXED = pa.array([[{"a": [i]}] for i in range(6)], pa.list_(pa.struct([("a", pa.list_(I32))]), 1))
LAYOUTS: dict[str, tuple[str, Any, list[Any]]] = {
    "a null outside a slice": (
        "ARRAY<INT NOT NULL>",
        pa.array([[1, None], [2, 3]], pa.list_(I32)).slice(1),
        [[2, 3]],
    ),
    "a number outside a slice": ("ARRAY<INT>", pa.array([[2**40], [2, 3]], pa.list_(I64)).slice(1), [[2, 3]]),
    "a missing vector": (
        "ARRAY<FLOAT NOT NULL>",
        pa.array([[1, 2], None], pa.list_(pa.float32(), 2)),
        [[1.0, 2.0], None],
    ),
    "a missing vector of polars": (
        "ARRAY<FLOAT NOT NULL>",
        pl.DataFrame({"v": pl.Series([[1.0, 2.0], None], dtype=pl.Array(pl.Float32, 2))}),
        [[1.0, 2.0], None],
    ),
    "a slice of maps": (
        "MAP<STRING,INT NOT NULL>",
        pa.array([[("a", None)], [("b", 1)]], pa.map_(pa.string(), I32)).slice(1),
        [[("b", 1)]],
    ),
    "a number under a null": (
        "ROW<a INT>",
        pa.StructArray.from_arrays([pa.array([2**40, 1])], ["a"], mask=pa.array([True, False])),
        [None, {"a": 1}],
    ),
    "bytes under a null": (
        "ROW<id BINARY(3)>",
        pa.array([None, {"id": b"abc"}], pa.struct([("id", pa.binary())])),
        [None, {"id": b"abc"}],
    ),
    "bytes of polars": ("BINARY(3)", pl.DataFrame({"v": [b"abc", None]}), [b"abc", None]),
    "nulls of polars": ("STRING", pl.DataFrame({"v": [None, None]}), [None, None]),
    "nulls of pyarrow": ("ROW<a INT>", pa.nulls(2), [None, None]),
    "a dictionary with a null": (
        "STRING",
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        ["a", None],
    ),
    "a dictionary of rows": (
        "ROW<a BIGINT>",
        pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([{"a": 1}])),
        [{"a": 1}, {"a": 1}],
    ),
    "rows in rows, sliced": ("ROW<r ROW<a INT>>", NESTED.slice(3, 2), [{"r": {"a": 3}}, {"r": {"a": 4}}]),
    "rows in lists of a fixed size, sliced": (
        "ARRAY<ROW<a ARRAY<INT>>>",
        FIXED.slice(3, 2),
        [[{"a": [3]}], [{"a": [4]}]],
    ),
    "runs": ("STRING", pa.RunEndEncodedArray.from_arrays(pa.array([2], I32), pa.array(["a"])), ["a", "a"]),
    "a list view": ("ARRAY<INT>", pa.array([[1], [2, 3]], pa.list_view(I32)), [[1], [2, 3]]),
    "a wide float": ("FLOAT", pa.array([0.1, None]), [float(np.float32(0.1)), None]),
    "a whole number": ("DOUBLE", pa.array([2**53, None]), [2.0**53, None]),
    "a sorted frame": ("BIGINT", pd.DataFrame({"v": [2, 1]}).sort_values("v"), [1, 2]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_every_layout_of_a_value_is_taken_as_the_value(new: New, case: str) -> None:
    data_type, data, values = LAYOUTS[case]
    assert stored(new, data_type, data) == values


def test_a_second_batch_of_rows_in_rows_is_taken(new: New) -> None:
    table = new(v="ROW<r ROW<a INT>>")
    with table.new_append().create_writer() as writer:
        for batch in pa.table({"v": NESTED}).to_batches(max_chunksize=4):
            writer.append_arrow(batch).wait(10)
    assert table.to_arrow().to_pyarrow()["v"].to_pylist() == NESTED.to_pylist()


def test_a_field_that_comes_twice_is_refused(connection: fluss.Connection, new: New) -> None:
    twice = pa.StructArray.from_arrays([pa.array([1], I32), pa.array([2], I32)], ["a", "a"])
    with new(v="ROW<a INT>").new_append().create_writer() as writer:
        refused(writer.append_arrow, pa.table({"v": twice}), match="the struct has the field twice")
    with pytest.raises(fluss.SchemaError, match="field 'a' is there twice"):
        fluss.Schema.new_builder().column("r", "ARRAY<ROW<a INT,a INT>>").build()


def test_what_is_read_is_cast_by_name_and_never_loses_a_value(new: New) -> None:
    table = new(a="INT", s="STRING", t="TIMESTAMP(6)")
    times = pa.array([1_000_000, 1_500_000], pa.timestamp("us"))
    with table.new_append().create_writer() as writer:
        writer.append_arrow(pa.table({"a": pa.array([1, 300], I32), "s": ["7", "x"], "t": times})).wait(10)

    def ways(schema: Any) -> list[Callable[[], Any]]:
        scan = table.new_scan
        return [
            lambda: pa.table(table.to_arrow(), schema=schema),
            lambda: pa.Table.from_batches([pa.record_batch(next(iter(scan().create_bounded_reader())), schema=schema)]),
            lambda: pa.RecordBatchReader.from_stream(scan().create_bounded_reader(), schema=schema).read_all(),
        ]

    lossy = {"a": pa.int8(), "s": pa.int32(), "t": pa.timestamp("s"), "x": pa.int32()}
    for name, kind in lossy.items():
        for way in ways(pa.schema([(name, kind)])):
            with pytest.raises((fluss.DataError, pa.ArrowInvalid, OSError), match=f"column '{name}'"):
                way()
    wanted = pa.schema([("s", pa.large_string()), ("a", pa.int64()), ("t", pa.timestamp("ns"))])
    for way in ways(wanted):
        found = way()
        assert found.schema == wanted and found["a"].to_pylist() == [1, 300] and found["s"].to_pylist() == ["7", "x"]


def test_integers_stay_what_they_are_in_pandas(new: New) -> None:
    table = new(n="BIGINT", l="ARRAY<BIGINT>", d="DOUBLE")
    odd = 2**53 + 1
    with table.new_append().create_writer() as writer:
        writer.append([odd, [odd, None], 0.5])
        writer.append([None, None, None])
    for frame in (table.new_scan().to_pandas(), table.to_arrow().to_pandas()):
        assert (frame["n"].dtype, frame["n"][0], frame["n"][1] is pd.NA) == ("Int64", odd, True)
        assert list(frame["l"][0]) == [odd, None] and frame["d"].dtype == "float64"
    one = next(iter(table.new_scan().create_bounded_reader())).to_pandas()
    assert one["n"][0] == odd
    scan = table.new_scan()
    assert scan.to_pandas(dtype_backend="numpy_nullable")["d"].dtype == "Float64"
    assert scan.to_pandas(dtype_backend="pyarrow")["l"].dtype == pd.ArrowDtype(pa.list_(pa.field("element", I64)))
    mapped = scan.to_pandas(types_mapper={I64: pd.ArrowDtype(I64)}.get)
    assert mapped["n"].dtype == pd.ArrowDtype(I64) and mapped["n"][0] == odd
    with pytest.raises(fluss.ArgumentError, match="dtype_backend"):
        scan.to_pandas(dtype_backend="numpy")
    # Without nulls they are as ever.
    assert table.new_scan().project(["n"]).limit(2).to_pandas()["n"].notna().sum() == 1


def test_rows_keys_and_filters_take_the_same_values(new: New) -> None:
    table = new(["k"], k="INT", t="TIMESTAMP(9)", d="DATE", s="STRING", n="BIGINT")
    moment, day = np.datetime64("2024-01-01T00:00:00.000000001", "ns"), np.datetime64("2024-01-02", "D")
    with table.new_upsert().create_writer() as writer:
        writer.upsert([np.int64(1), moment, day, "a", np.int32(7)])
        writer.upsert([np.int8(2), np.datetime64("NaT"), pd.NaT, float("nan"), pd.NA])
        refused(writer.upsert, [3, None, None, None, moment], match="BIGINT takes an int")
        refused(writer.upsert, [3, None, None, None, np.timedelta64(1, "ns")], match="BIGINT takes an int")
        refused(writer.upsert, [3, day, None, None, None], match="TIMESTAMP takes")
        refused(writer.upsert, [pd.NA, None, None, None, None], match="NOT NULL")
    lookuper = table.new_lookup().create_lookuper()
    found = lookuper.lookup(np.int16(1), exact=True)
    assert found == {
        "k": 1, "t": fluss.types.Timestamp(1_704_067_200_000, 1), "d": 19_724, "s": "a", "n": 7,
    }  # fmt: skip
    assert lookuper.lookup([np.int64(2)]) == {"k": 2, "t": None, "d": None, "s": None, "n": None}

    def count_of(condition: Any) -> int:
        return sum(batch.num_rows for batch in table.new_scan().filter(condition).create_bounded_reader())

    col = fluss.col
    assert [count_of(c) for c in (col("t") == moment, col("d") == day, col("n") >= np.int64(7))] == [1, 1, 1]
    assert count_of(col("k").is_in([np.int8(1), np.int64(2)])) == 2
    for missing in (None, pd.NA):
        with pytest.raises(TypeError, match="is_null"):
            assert col("n") == missing
    with pytest.raises(fluss.DataError):
        table.new_scan().filter(col("n") == float("nan")).create_log_scanner()


def test_a_key_with_a_null_is_a_row_that_is_not_there(new: New) -> None:
    table = new(["k"], k="INT", v="STRING")
    with table.new_upsert().create_writer() as writer:
        writer.upsert([1, "a"])
    lookuper = table.new_lookup().create_lookuper()
    row = {"k": 1, "v": "a"}
    assert lookuper.lookup_many([1, None, 2, [None], 1]) == [row, None, None, None, row]
    found = lookuper.lookup_arrow(pa.table({"k": pa.array([None, 1, None], I32)}))
    assert found.to_pyarrow()["v"].to_pylist() == [None, "a", None]
    refused(lookuper.lookup, None, match="NOT NULL")


def test_a_partition_that_cannot_be_has_no_rows(new: New) -> None:
    table = new(["p", "k"], ["p"], p="STRING", k="INT", v="STRING")
    with table.new_upsert().create_writer() as writer:
        writer.upsert(["x", 1, "a"])
    lookuper = table.new_lookup().create_lookuper()
    row = {"p": "x", "k": 1, "v": "a"}
    assert lookuper.lookup_many([["x", 1], ["no such/name", 1], ["", 1], ["y", 1]]) == [row, None, None, None]
    assert lookuper.lookup(["no such/name", 1]) is None


def test_rows_are_read_without_columns(new: New) -> None:
    for table in (new(a="INT", b="STRING"), new(format="INDEXED", a="INT", b="STRING")):
        with table.new_append().create_writer() as writer:
            writer.append([1, "x"])
            writer.append([2, "y"])
        found = table.new_scan().project([]).to_arrow()
        assert (found.num_rows, found.num_columns) == (2, 0)


def test_a_changelog_has_no_name_twice(new: New) -> None:
    table = new(["_offset"], _offset="INT", _timestamp="STRING")
    with table.new_upsert().create_writer() as writer:
        writer.upsert([5, "x"])
    (batch,) = table.new_scan().create_bounded_reader()
    assert batch.column_names == ["_offset", "_timestamp", "_change_type", "__offset", "__timestamp"]
    assert batch.to_pyarrow().to_pylist()[0]["_offset"] == 5


def test_a_char_of_indexed_rows_is_one_value_everywhere(new: New) -> None:
    table = new(["k"], format="INDEXED", k="CHAR(3)", v="CHAR(4)")
    with table.new_upsert().create_writer() as writer:
        writer.upsert(["a", "b"])
    row = {"k": "a", "v": "b"}
    assert table.new_lookup().create_lookuper().lookup("a") == row
    assert table.to_arrow().to_pyarrow().to_pylist() == [row]
    (batch,) = table.new_scan().create_bounded_reader()
    assert batch.to_pyarrow().select(["k", "v"]).to_pylist() == [row]
    with table.new_upsert().create_writer() as writer:
        writer.delete_arrow(table.to_arrow())
    assert table.to_arrow().num_rows == 0

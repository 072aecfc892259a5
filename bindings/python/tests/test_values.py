"""What Python values become in a row, and what comes back, without a server: `Schema.check_row` does both."""

import datetime as dt
import math
from collections.abc import Mapping
from decimal import Decimal

import pytest

import fluss
from fluss.metadata import Schema
from fluss.types import Timestamp

UTC = dt.UTC


def schema(data_type: str) -> Schema:
    return Schema.new_builder().column("c", data_type).build()


def through(data_type: str, value: object, exact: bool = False) -> object:
    return schema(data_type).check_row([value], exact=exact)["c"]


SAME = [
    ("BOOLEAN", True),
    ("TINYINT", -128),
    ("TINYINT", 127),
    ("SMALLINT", -(2**15)),
    ("INT", 2**31 - 1),
    ("BIGINT", -(2**63)),
    ("BIGINT", 2**63 - 1),
    ("FLOAT", 1.5),
    ("FLOAT", math.inf),
    ("DOUBLE", 0.1),
    ("DOUBLE", -math.inf),
    ("CHAR(3)", "äöü"),
    ("STRING", ""),
    ("STRING", "a\0b 🎉"),
    ("BINARY(2)", b"\x00\xff"),
    ("BYTES", b""),
    ("DECIMAL(5,2)", Decimal("-123.45")),
    ("DECIMAL(38,0)", Decimal(10**38 - 1)),
    ("DECIMAL(38,38)", Decimal("0." + "9" * 38)),
    ("DATE", dt.date(1, 1, 1)),
    ("DATE", dt.date(9999, 12, 31)),
    ("TIME(3)", dt.time(23, 59, 59, 999_000)),
    ("TIMESTAMP(6)", dt.datetime(1, 1, 1)),
    ("TIMESTAMP(6)", dt.datetime(1969, 12, 31, 23, 59, 59, 999_999)),
    ("TIMESTAMP(6)", dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)),
    ("TIMESTAMP_LTZ(6)", dt.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)),
    ("ARRAY<INT>", [1, None, 3]),
    ("ARRAY<ARRAY<STRING>>", [["a"], [], None]),
    ("MAP<STRING,INT>", {"a": 1, "b": None}),
    ("MAP<ARRAY<INT>,STRING>", [([1], "x")]),
    ("ROW<x INT,y ROW<z DATE>>", {"x": 1, "y": {"z": dt.date(2020, 1, 1)}}),
    ("INT", None),
]


@pytest.mark.parametrize(("data_type", "value"), SAME)
def test_a_value_comes_back_as_it_went_in(data_type: str, value: object) -> None:
    back = through(data_type, value)
    assert back == value and type(back) is type(value)


def test_nan_stays_nan() -> None:
    assert math.isnan(through("DOUBLE", math.nan))  # type: ignore[arg-type]
    assert math.isnan(through("FLOAT", math.nan))  # type: ignore[arg-type]


TAKEN = [
    ("DOUBLE", 3, 3.0),
    ("FLOAT", 2**24, 2.0**24),
    ("DECIMAL(5,2)", 7, Decimal("7.00")),
    ("DECIMAL(5,2)", Decimal("1.500"), Decimal("1.50")),
    ("DECIMAL(5,0)", Decimal("1E+3"), Decimal(1000)),
    ("DECIMAL(9,2)", Decimal("-0"), Decimal("0.00")),
    ("BYTES", bytearray(b"x"), b"x"),
    ("ARRAY<INT>", (1, 2), [1, 2]),
    ("ARRAY<INT>", range(2), [0, 1]),
    ("MAP<STRING,INT>", [("a", 1)], {"a": 1}),
    ("ROW<x INT,y INT>", (1, 2), {"x": 1, "y": 2}),
    ("TIMESTAMP(9)", Timestamp(0, 1_000), dt.datetime(1970, 1, 1, 0, 0, 0, 1)),
    ("TIMESTAMP(9)", Timestamp(0, 999), dt.datetime(1970, 1, 1)),
    (
        "TIMESTAMP_LTZ(6)",
        dt.datetime(2024, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        dt.datetime(2024, 1, 1, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(("data_type", "value", "expected"), TAKEN)
def test_a_value_of_another_kind_is_taken_if_nothing_is_lost(data_type: str, value: object, expected: object) -> None:
    assert through(data_type, value) == expected


REFUSED = [
    ("BOOLEAN", 1, "BOOLEAN takes a bool, not 1 (int)"),
    ("INT", True, "INT takes an int, not True (bool)"),
    ("INT", 1.0, "INT takes an int, not 1.0 (float)"),
    ("INT", "1", "INT takes an int, not '1' (str)"),
    ("TINYINT", 128, "128 does not fit TINYINT"),
    ("INT", -(2**31) - 1, "does not fit INT"),
    ("BIGINT", 2**63, "does not fit BIGINT"),
    ("BIGINT", 10**100, "does not fit BIGINT"),
    ("DOUBLE", 2**53 + 1, "9007199254740993 would be rounded in DOUBLE"),
    ("DOUBLE", True, "DOUBLE takes a float, not True (bool)"),
    ("DOUBLE", "1", "DOUBLE takes a float"),
    ("FLOAT", 1e39, "1e+39 does not fit FLOAT"),
    ("FLOAT", 1e-60, "1e-60 does not fit FLOAT"),
    ("FLOAT", 2**24 + 1, "would be rounded in FLOAT"),
    ("CHAR(2)", "abc", "'abc' is longer than CHAR(2)"),
    ("STRING", b"x", "STRING takes a str"),
    ("STRING", "\ud800", "no valid Unicode"),
    ("BINARY(2)", b"x", "1 bytes are not the 2 of BINARY(2)"),
    ("BYTES", "x", "BYTES takes bytes"),
    ("DECIMAL(5,2)", Decimal("1.005"), "does not fit DECIMAL(5,2)"),
    ("DECIMAL(5,2)", Decimal("1000"), "does not fit DECIMAL(5,2)"),
    ("DECIMAL(5,2)", Decimal("NaN"), "does not fit DECIMAL(5,2)"),
    ("DECIMAL(5,2)", Decimal("1E+999999"), "does not fit DECIMAL(5,2)"),
    ("DECIMAL(5,2)", 1.5, "DECIMAL(5,2) takes a decimal.Decimal or an int"),
    ("DATE", dt.datetime(2020, 1, 1), "DATE takes a datetime.date"),
    ("TIME(3)", dt.time(1, tzinfo=UTC), "TIME takes a datetime.time without tzinfo"),
    ("TIME(3)", dt.time(1, 2, 3, 4), "more digits of the second than TIME(3)"),
    ("TIME(0)", dt.time(1, 2, 3, 400_000), "more digits of the second than TIME(0)"),
    ("TIMESTAMP(3)", dt.datetime(2020, 1, 1, 0, 0, 0, 1), "more digits of the second than TIMESTAMP(3)"),
    (
        "TIMESTAMP(6)",
        dt.datetime(2020, 1, 1, tzinfo=UTC),
        "TIMESTAMP takes a datetime.datetime without tzinfo",
    ),
    ("TIMESTAMP(6)", dt.date(2020, 1, 1), "TIMESTAMP takes a datetime.datetime"),
    ("TIMESTAMP_LTZ(6)", dt.datetime(2020, 1, 1), "TIMESTAMP_LTZ takes a datetime.datetime with tzinfo"),
    ("ARRAY<INT>", "12", "ARRAY takes a list"),
    ("ARRAY<INT>", 1, "ARRAY takes a list"),
    ("MAP<STRING,INT>", [1], "MAP takes a dict or a list of pairs"),
    ("ROW<x INT>", 1, "ROW takes a list, a tuple or a dict"),
    ("INT NOT NULL", None, "it is NOT NULL"),
]


@pytest.mark.parametrize(("data_type", "value", "message"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_and_names_the_column(data_type: str, value: object, message: str) -> None:
    with pytest.raises(fluss.DataError) as raised:
        through(data_type, value)
    assert message in str(raised.value)
    assert raised.value.column == "c" and "column 'c'" in str(raised.value)


@pytest.mark.parametrize(
    ("data_type", "value", "column"),
    [
        ("ARRAY<INT>", [1, "x"], "c[1]"),
        ("ROW<x INT,y ARRAY<INT>>", {"x": 1, "y": [None, "x"]}, "c.y[1]"),
        ("MAP<STRING,INT>", {"k": "x"}, "c['k']"),
        ("MAP<STRING,INT>", [(None, 1)], "c[None]"),
        ("ROW<x INT>", {"y": 1}, "c.x"),
    ],
)
def test_a_fault_in_a_nested_value_names_its_place(data_type: str, value: object, column: str) -> None:
    with pytest.raises(fluss.DataError) as raised:
        through(data_type, value)
    assert raised.value.column == column


TWO = Schema.new_builder().column("a", "INT").column("b", "STRING").build()


@pytest.mark.parametrize("row", [[1, "x"], (1, "x"), {"a": 1, "b": "x"}, {"b": "x", "a": 1}])
def test_a_row_is_a_list_a_tuple_or_a_dict(
    row: list[object] | tuple[object, ...] | dict[str, object],
) -> None:
    assert TWO.check_row(row) == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    ("row", "message", "column"),
    [
        ([1], "a row of 1 values, 2 are needed", None),
        ([1, "x", 2], "a row of 3 values, 2 are needed", None),
        ({"a": 1}, "column 'b': it is missing", "b"),
        ({"a": 1, "b": "x", "c": 2}, "column 'c': there is no such column", "c"),
        ("ab", "a row takes a list, a tuple or a dict", None),
    ],
)
def test_a_row_of_another_shape_is_refused(row: Mapping[str, object], message: str, column: str | None) -> None:
    with pytest.raises(fluss.DataError) as raised:
        TWO.check_row(row)  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert raised.value.column == column


def test_moments_beyond_datetime_are_read_exactly() -> None:
    far = Timestamp(2**63 - 1, 999_999)
    with pytest.raises(fluss.DataError, match="column 'c'.*exact=True"):
        through("TIMESTAMP(9)", far)
    assert through("TIMESTAMP(9)", far, exact=True) == far
    assert through("TIMESTAMP_LTZ(9)", Timestamp(-(2**63)), exact=True) == Timestamp(-(2**63))
    assert through("TIMESTAMP(6)", dt.datetime(1970, 1, 1, 0, 0, 0, 7), exact=True) == Timestamp(0, 7_000)
    assert through("DATE", dt.date(1970, 1, 3), exact=True) == 2


def test_scalars_of_numpy_and_pandas_count_as_what_they_hold() -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    assert through("INT", np.int64(7)) == 7
    assert through("BOOLEAN", np.bool_(True)) is True
    assert through("FLOAT", np.float32(0.5)) == 0.5
    assert through("DOUBLE", np.float64(0.1)) == 0.1
    assert through("ARRAY<INT>", np.array([1, 2])) == [1, 2]
    assert through("TIMESTAMP(6)", pd.Timestamp("2024-01-01")) == dt.datetime(2024, 1, 1)
    assert through("TIMESTAMP(9)", pd.Timestamp("2024-01-01 00:00:00.000000001"), exact=True) == Timestamp(
        1_704_067_200_000, 1
    )
    assert through("TIMESTAMP(6)", pd.NaT) is None
    with pytest.raises(fluss.DataError, match="more digits"):
        through("TIMESTAMP(6)", pd.Timestamp("2024-01-01 00:00:00.000000001"))


def test_what_says_that_there_is_no_value_is_null() -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    for missing in (None, pd.NA, pd.NaT, math.nan, np.float64("nan"), np.float32("nan"), np.datetime64("NaT")):
        for data_type in ("INT", "STRING", "DECIMAL(5,2)", "DATE", "TIMESTAMP_LTZ(3)", "BINARY(2)", "ARRAY<INT>"):
            assert through(data_type, missing) is None
        with pytest.raises(fluss.DataError, match="it is NOT NULL"):
            through("INT NOT NULL", missing)
    assert math.isnan(through("FLOAT", np.float32("nan")))  # type: ignore[arg-type]
    assert through("DOUBLE", pd.NA) is None


def test_times_of_numpy_are_moments_and_days_and_never_numbers() -> None:
    np = pytest.importorskip("numpy")
    for text, unit in [("2024-01-01T05", "h"), ("2024-01-01T05:00", "m"), ("2024-01-01T05:00:00", "ns")]:
        assert through("TIMESTAMP(3)", np.datetime64(text, unit)) == dt.datetime(2024, 1, 1, 5)
    before = np.datetime64(-1, "ns")
    assert through("TIMESTAMP(9)", before, exact=True) == Timestamp(-1, 999_999)
    assert through("TIMESTAMP(9)", np.datetime64(1_000, "ps"), exact=True) == Timestamp(0, 1)
    for unit, day in [("D", dt.date(2024, 3, 1)), ("M", dt.date(2024, 3, 1)), ("Y", dt.date(2024, 1, 1))]:
        assert through("DATE", np.datetime64("2024-03-01").astype(f"datetime64[{unit}]")) == day
    for data_type, value, message in [
        ("TIMESTAMP(6)", before, "more digits"),
        ("TIMESTAMP(9)", np.datetime64(1, "ps"), "does not fit TIMESTAMP"),
        ("TIMESTAMP(6)", np.datetime64("2024-01-01", "D"), "TIMESTAMP takes"),
        ("DATE", np.datetime64("2024-01-01", "s"), "DATE takes"),
        ("TIMESTAMP_LTZ(6)", np.datetime64("2024-01-01", "s"), "TIMESTAMP_LTZ takes"),
        ("BIGINT", np.datetime64("2024-01-01", "ns"), "BIGINT takes an int"),
        ("BIGINT", np.timedelta64(1, "ns"), "BIGINT takes an int"),
        ("INT", np.timedelta64(1, "s"), "INT takes an int"),
        ("DOUBLE", np.timedelta64(1, "s"), "DOUBLE takes a float"),
        ("TIME(3)", np.timedelta64(1, "s"), "TIME takes"),
    ]:
        with pytest.raises(fluss.DataError, match=message):
            through(data_type, value)

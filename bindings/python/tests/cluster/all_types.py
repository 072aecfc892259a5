"""Every type of column, and values of it."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

UTC = dt.UTC

# Of each type: values that come back as they went in, the extremes among them.
VALUES: dict[str, list[Any]] = {
    "BOOLEAN": [True, False],
    "TINYINT": [-128, 0, 127],
    "SMALLINT": [-(2**15), 2**15 - 1],
    "INT": [-(2**31), 2**31 - 1],
    "BIGINT": [-(2**63), 2**63 - 1],
    "FLOAT": [1.5, -math.inf, 3.4028234663852886e38],
    "DOUBLE": [0.1, math.inf, 5e-324, 1.7976931348623157e308],
    "CHAR(11)": ["", "äöü🎉x"],
    "STRING": ["", "a\0b", "x" * 100_000],
    "BINARY(2)": [b"\0\xff"],
    "BYTES": [b"", b"\0" * 1000],
    "DECIMAL(5,2)": [Decimal("-999.99"), Decimal("0.00")],
    "DECIMAL(38,10)": [Decimal("9" * 28 + "." + "9" * 10), Decimal("-" + "9" * 28 + "." + "9" * 10)],
    "DATE": [dt.date(1, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31)],
    "TIME(0)": [dt.time(0), dt.time(23, 59, 59)],
    "TIME(3)": [dt.time(12, 0, 0, 1000), dt.time(23, 59, 59, 999_000)],
    "TIMESTAMP(0)": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59)],
    "TIMESTAMP(3)": [dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)],
    "TIMESTAMP(6)": [dt.datetime(1, 1, 1, 0, 0, 0, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)],
    "TIMESTAMP_LTZ(3)": [dt.datetime(2024, 2, 29, tzinfo=UTC)],
    "TIMESTAMP_LTZ(6)": [dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)],
    "ARRAY<INT>": [[], [1, None, -(2**31)]],
    "ARRAY<ARRAY<STRING>>": [[["a", None], None, []]],
    "MAP<STRING,INT>": [{}, {"a": 1, "b": None}],
    "MAP<INT,ARRAY<DATE>>": [{1: [dt.date(2020, 1, 1)], 2: None}],
    "ROW<x INT,y ROW<z STRING,t TIMESTAMP(6)>>": [
        {"x": 1, "y": {"z": None, "t": dt.datetime(2020, 1, 1, 0, 0, 0, 5)}},
        {"x": None, "y": None},
    ],
}


def rows_of_every_type() -> list[list[Any]]:
    """Rows with a column of each type in `VALUES`: all of its values, and a row of nulls."""
    most = max(map(len, VALUES.values()))
    rows = [[values[index % len(values)] for values in VALUES.values()] for index in range(most)]
    return [*rows, [None] * len(VALUES)]

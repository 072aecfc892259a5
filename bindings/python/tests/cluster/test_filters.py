"""Scans with conditions, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss import Predicate, Schema, TableDescriptor, col
from fluss.client.admin import OffsetSpec

COLUMNS = {
    "id": "INT",
    "name": "STRING",
    "price": "DECIMAL(9, 2)",
    "day": "DATE",
    "at": "TIMESTAMP_LTZ(3)",
    "raw": "BYTES",
}
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ROWS = 90
Row = dict[str, Any]
_numbers = count()


def row(number: int) -> Row:
    return {
        "id": number,
        "name": None if number % 9 == 0 else f"n{number % 20}",
        "price": Decimal(number) / 4,
        "day": START.date() + dt.timedelta(days=number),
        "at": START + dt.timedelta(milliseconds=number),
        "raw": bytes([number]),
    }


CASES: list[tuple[Predicate, Callable[[Row], bool]]] = [
    (col("id") >= 80, lambda row: row["id"] >= 80),
    ((col("id") > 3) & (col("id") <= 5) | (col("name") == "n7"), lambda row: 3 < row["id"] <= 5 or row["name"] == "n7"),
    (~(col("name") == "n7"), lambda row: row["name"] not in (None, "n7")),
    (col("name").is_null(), lambda row: row["name"] is None),
    (col("name").not_in(["n1", "n2"]), lambda row: row["name"] not in (None, "n1", "n2")),
    (col("name").contains("1") & col("name").ends_with("8"), lambda row: row["name"] == "n18"),
    (col("price") < Decimal("1.50"), lambda row: row["price"] < Decimal("1.5")),
    (col("price") == 5, lambda row: row["price"] == 5),
    (col("day") == dt.date(2024, 2, 1), lambda row: row["day"] == dt.date(2024, 2, 1)),
    (
        col("at").between(START, START + dt.timedelta(milliseconds=2)),
        lambda row: row["at"] <= START + dt.timedelta(milliseconds=2),
    ),
    (col("raw").is_in([b"\x01", b"\x05"]), lambda row: row["id"] in (1, 5)),
]


async def filled(connection: Any) -> Any:
    path = f"fluss.filtered_{next(_numbers)}"
    builder = Schema.new_builder()
    for name, data_type in COLUMNS.items():
        builder.column(name, data_type)
    await create_table(connection.get_admin(), path, TableDescriptor(builder.build(), bucket_count=2))
    table = await settle(connection.get_table(path))
    writer = table.new_append().create_writer()
    for number in range(ROWS):
        writer.append(row(number))
    await settle(writer.close())
    return table


def test_exactly_the_rows_that_hold_a_condition_come(face: ModuleType, target: str) -> None:
    async def main() -> None:
        connection = await settle(face.connect(target))
        table = await filled(connection)
        for predicate, meaning in CASES:
            expected = [number for number in range(ROWS) if meaning(row(number))]
            scan = table.new_scan().filter(predicate)
            scanner = scan.create_log_scanner()
            await settle(scanner.subscribe_all(OffsetSpec.earliest()))
            found: list[int] = []
            while len(found) < len(expected) and (records := await settle(scanner.poll(10_000))):
                assert all(meaning(record.row) for record in records)
                found += [record.row["id"] for record in records]
            assert sorted(found) == expected, predicate
            await settle(scanner.close())
            scanner = scan.project(["price"]).filter(col("id") < 40).create_log_scanner()
            await settle(scanner.subscribe_all(OffsetSpec.earliest()))
            rows = 0
            wanted = sum(number < 40 for number in expected)
            while rows < wanted and (batches := await settle(scanner.poll_record_batch(10_000))):
                assert all(batch.column_names == ["price"] for batch in batches)
                assert all(len(batch.offsets) == len(batch) for batch in batches)
                rows += sum(len(batch) for batch in batches)
            assert rows == wanted, predicate
            await settle(scanner.close())
        await settle(connection.close())

    asyncio.run(main())


def test_a_condition_that_does_not_fit_names_its_column(connection: fluss.Connection, new_table: Any) -> None:
    scan = connection.get_table(new_table(id="TINYINT", name="STRING", tags="ARRAY<INT>")).new_scan()

    def refused(predicate: Predicate, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            scan.filter(predicate).create_log_scanner()

    refused(col("missing") == 1, fluss.SchemaError, "no column 'missing'")
    refused(col("id") == 1000, fluss.DataError, "'id'")
    refused(col("id") == "1", fluss.DataError, "'id'")
    refused(col("id").starts_with("1"), fluss.DataError, "'id'.*no text")
    refused(col("tags") == 1, fluss.DataError, "'tags'")
    with pytest.raises(TypeError, match="is_null"):
        _ = col("id") == None  # noqa: E711

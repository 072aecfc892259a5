"""What is a value can be pickled, copied, compared and hashed."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import fluss
from fluss.client.admin import OffsetSpec

pa = pytest.importorskip("pyarrow")


ODD_NAMES = ["a b", "a`b", "`", "sélect", "", "a:b,c", "<>()", " a", "a\n", '"', "INT", "NOT NULL", "漢"]


def odd_fields() -> list[tuple[str, str]]:
    return [(name, "INT") for name in ODD_NAMES]


def schema() -> fluss.Schema:
    builder = fluss.Schema.new_builder().column("id", "BIGINT").column("tags", "MAP<STRING NOT NULL, INT>")
    return builder.column("part", "ROW<ab DECIMAL(10,2), c ARRAY<TIMESTAMP(9)>>").primary_key(["id"]).build()


def descriptor() -> fluss.TableDescriptor:
    return fluss.TableDescriptor(schema(), bucket_count=3, comment="c", custom_properties={"owner": "data"})


VALUES: dict[str, Callable[[], Any]] = {
    "data type": lambda: fluss.DataTypes.ROW([("ab", fluss.DataTypes.DECIMAL(10, 2)), ("c", "ARRAY<CHAR(3)>")]),
    "data type of odd names": lambda: fluss.DataTypes.ROW([(name, "ROW<z INT>") for name in ODD_NAMES]),
    "schema of odd names": lambda: fluss.Schema.new_builder().column("r", fluss.DataTypes.ROW(odd_fields())).build(),
    "schema": schema,
    "bucket": lambda: fluss.TableBucket(3, 1),
    "bucket of a partition": lambda: fluss.TableBucket(3, 1, partition_id=5),
    "path": lambda: fluss.TablePath("d", "t"),
    "earliest": OffsetSpec.earliest,
    "latest": OffsetSpec.latest,
    "time": lambda: OffsetSpec.timestamp(17),
    "descriptor": descriptor,
}


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_a_value_survives_pickle_and_copies(make: Callable[[], Any]) -> None:
    value = make()
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert type(again) is type(value)
        assert again == value == make() and hash(again) == hash(value) == hash(make())
        assert repr(again) == repr(value)
        assert {value: 1}[again] == 1
    assert value != object()


def test_what_is_read_survives_pickle_and_copies(connection: fluss.Connection) -> None:
    connection.get_admin().create_table("fluss.copied", descriptor())
    table = connection.get_table("fluss.copied")
    with table.new_upsert().create_writer() as writer:
        for number in range(3):
            writer.upsert([number, {"x": number}, {"ab": None, "c": []}])
        writer.delete([1])
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    records: list[Any] = []
    while len(records) < 4:
        records += scanner.poll(10_000)
    info, rows = table.get_table_info(), table.to_arrow()
    batch = next(iter(table.new_scan().create_bounded_reader()))

    makes: list[Callable[[Any], Any]] = [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy]
    for make in makes:
        again = make(info)
        assert again == info and hash(again) == hash(info) and again.get_schema() == info.get_schema()
        assert again.get_properties() == info.get_properties() and again.table_id == info.table_id
        for record in records:
            again = make(record)
            assert again == record and hash(again) == hash(record)
            assert again.row == record.row and again.change_type is record.change_type
            assert (again.bucket, again.offset, again.timestamp) == (record.bucket, record.offset, record.timestamp)
        assert make(records[0]) != records[1]
        again = make(rows)
        assert again.to_pyarrow().equals(rows.to_pyarrow()) and again.offsets == rows.offsets
        again = make(batch)
        assert again.to_pyarrow().equals(batch.to_pyarrow())
        assert (again.bucket, again.offsets, again.timestamp) == (batch.bucket, batch.offsets, batch.timestamp)

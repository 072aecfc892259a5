"""What the short ways make of what they are given, without a server or on a node of their own."""

import asyncio
import sqlite3
import sys
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fluss
from fluss.client import ArrowSchema, ArrowTable, Written

pa = pytest.importorskip("pyarrow")

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


async def settle(value: Any) -> Any:
    return await value if asyncio.iscoroutine(value) or hasattr(value, "__await__") else value


@pytest.fixture(scope="module")
def people() -> fluss.client.Table:
    connection = fluss.connect("embedded::memory:test_short_ways")
    return connection.create_table("fluss.people", SCHEMA, primary_key="id", buckets=1)


def options_of(*arguments: Any, **options: Any) -> dict[str, str]:
    """What a connection of these arguments is opened with."""
    return fluss.aio.connect(*arguments, **options)._options


def test_options_are_given_by_their_names() -> None:
    given = options_of(
        "fluss://localhost:9123",
        {"request-timeout": "7 s", "client.writer.acks": "1"},
        user="alice",
        password="secret",
        request_timeout=timedelta(seconds=5),
        writer_batch_size="1 mb",
        writer_enable_idempotence=False,
    )
    assert given == {
        "bootstrap.servers": "fluss://localhost:9123",
        "client.security.protocol": "SASL",
        "client.security.sasl.username": "alice",
        "client.security.sasl.password": "secret",
        "client.request-timeout": "5000000 us",
        "client.writer.acks": "1",
        "client.writer.batch-size": "1 mb",
        "client.writer.enable-idempotence": "false",
    }


def test_wrong_options_are_told_before_anything_is_sent(face: ModuleType) -> None:
    for options, error, message in (
        ({"request_timout": "5 s"}, fluss.ConfigError, "did you mean 'request-timeout'"),
        ({"request_timeout": 5}, fluss.ConfigError, "say '10 s'"),
        ({"user": "alice"}, fluss.ArgumentError, "a user was given without a password"),
        ({"password": "secret"}, fluss.ArgumentError, "a password was given without a user"),
    ):
        with pytest.raises(error, match=message) as raised:
            face.connect("fluss://localhost:1", **options)
        assert "secret" not in str(raised.value)
    for target in (1, b"embedded:data", ["fluss://localhost:1"]):
        with pytest.raises(fluss.ArgumentTypeError, match="a connection string is a text"):
            face.connect(target)


@pytest.mark.parametrize("name", ["data", "50%41 what?x=y", "~", ":memory:", "a b"])
def test_a_path_is_a_directory_whatever_it_is_called(
    face: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        for path in (Path(name), tmp_path / name):
            connection = await settle(face.connect(path, request_timeout=timedelta(seconds=20)))
            table = await settle(connection.create_table("fluss.people", SCHEMA, if_not_exists=True))
            await settle(table.append([(1, "Ada")]))
            assert await settle(table.count()) == (1 if path == Path(name) else 2)
            await settle(connection.close())
        assert (tmp_path / name).is_dir()

    asyncio.run(main())


def test_times_are_milliseconds_or_timedeltas(people: fluss.client.Table) -> None:
    with fluss.connect("embedded::memory:test_short_ways") as connection:
        admin = connection.get_admin()
        for time, millis in ((5000, 5000), (timedelta(seconds=5), 5000), (timedelta(microseconds=1), 1)):
            assert admin.create_kv_snapshot_lease("lease", time).lease_duration_ms == millis
        offsets = admin.list_table_offsets("fluss.people", fluss.OffsetSpec.latest())
        admin.register_producer_offsets("producer", offsets, timedelta(minutes=1))
        kept = admin.get_producer_offsets("producer")
        assert kept is not None and kept.expiration_time < (datetime.now() + timedelta(minutes=2)).timestamp() * 1000
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert fluss.OffsetSpec.timestamp(moment) == fluss.OffsetSpec.timestamp(1709208000000)
    for wrong in ("now", None, 1.5):
        with pytest.raises(TypeError):
            fluss.OffsetSpec.timestamp(wrong)  # type: ignore[arg-type]


def test_what_was_written_is_a_value(people: fluss.client.Table) -> None:
    written = people.upsert([(1, "Ada")])
    assert isinstance(written, Written) and (written.rows, written.bytes > 0, written.seconds > 0) == (1, True, True)
    with pytest.raises(AttributeError):
        written.rows = 2  # type: ignore[misc]
    assert written == Written(1, written.bytes, written.seconds)


def test_rows_of_other_libraries_are_rows(people: fluss.client.Table) -> None:
    pair = namedtuple("pair", "id name")
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    cursor = database.execute("SELECT 1 AS id, 'Ada' AS name UNION SELECT 2, 'Grace'")
    for rows in (cursor, [pair(1, "Ada"), pair(2, "Grace")], (row for row in [[1, "Ada"], {"id": 2, "name": "Grace"}])):
        people.delete([1, 2])
        people.upsert(rows)
        assert people.get_many([1, 2]) == [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]
    records = [*people.changes()][-2:]
    assert people.upsert(records).rows == 2


def test_a_named_tuple_is_no_list_of_rows(people: fluss.client.Table) -> None:
    pair = namedtuple("pair", "id name")
    with pytest.raises(fluss.DataError):
        people.upsert(pair(1, "Ada"))


def test_what_is_iterated_over_is_asked_as_it_goes(people: fluss.client.Table) -> None:
    asked: list[int] = []

    def rows() -> Any:
        for number in range(25_000):
            asked.append(number)
            # It may call this client, too.
            name = people.get(1) if number % 10_000 == 0 else None
            yield number, str(name)

    data = rows()
    with pytest.raises(fluss.DataError, match="row 24999"):
        people.upsert(row if row[0] < 24_999 else (None, "nobody") for row in data)
    assert len(asked) == 25_000
    people.upsert(rows())
    assert people.count() == 25_000


def test_arrow_data_of_any_library_is_a_table() -> None:
    table = ArrowTable(pa.table({"id": [1, 2], "when": pa.array([1, None], pa.duration("s"))}))
    assert table.to_pylist() == [{"id": 1, "when": timedelta(seconds=1)}, {"id": 2, "when": None}]
    assert ArrowTable(table.to_pyarrow().to_reader()).to_pylist() == table.to_pylist()
    assert ArrowTable.concat(table, [table[:1], table]).num_rows == 3
    assert ArrowTable(pa.record_batch({"id": [1]}))["id"].to_pylist() == [1]
    assert repr(table["id"]) == "ArrowColumn(id: Int64, len=2)"
    for wrong in (1, [1], pa.array([1]), None):
        with pytest.raises(fluss.FlussError):
            ArrowTable(wrong)


def test_a_schema_is_that_of_anything_with_columns() -> None:
    data = pa.table({"id": [1], "name": ["a"]}, SCHEMA)
    for source in (SCHEMA, data, data.to_batches()[0], data.to_reader(), ArrowTable(data)):
        schema = ArrowSchema(source)
        assert (schema.names, len(schema)) == (["id", "name"], 2) and pa.schema(schema) == SCHEMA
    assert schema == ArrowSchema(SCHEMA) != ArrowSchema(SCHEMA.remove(0))
    assert repr(schema) == "ArrowSchema(id: Int64, name: Utf8)"
    with pytest.raises(fluss.ArgumentTypeError):
        ArrowSchema("id INT")


def test_no_other_library_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pandas", "polars", "duckdb", "numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    schema = fluss.Schema.new_builder().column("id", "INT").column("name", "STRING").primary_key(["id"]).build()
    with fluss.connect("embedded::memory:") as connection:
        table = connection.create_table("fluss.people", schema, buckets=1)
        table.upsert([(1, "Ada")])
        table.upsert({"id": [2], "name": ["Grace"]})
        rows = table.read(filter=fluss.col("id") > 1, limit=5)
        assert rows.to_arrow().to_pylist() == [*rows] == [{"id": 2, "name": "Grace"}]
        keys = rows.to_arrow()
        assert table.lookup(keys).to_pylist() == [{"id": 2, "name": "Grace", "name_right": "Grace"}]
        assert [record["name"] for record in table.changes()] == ["Ada", "Grace"]
        for call, extra in ((rows.to_pandas, "pandas"), (rows.to_polars, "polars"), (rows.to_duckdb, "duckdb")):
            with pytest.raises(ImportError, match=f"pip install 'fluss-client\\[{extra}\\]'"):
                call()


def test_what_only_awaits_is_told(people: fluss.client.Table) -> None:
    async def rows() -> Any:
        yield 1, "Ada"

    for data in (rows(), fluss.aio.table_rows.TableRows(people._core, None, None, None, None)):
        with pytest.raises(fluss.ArgumentTypeError, match="rows are given as"):
            people.upsert(data)


def test_a_table_is_true_however_few_rows_it_has(people: fluss.client.Table) -> None:
    people.delete(people.read(["id"]))
    assert people and len(people) == 0

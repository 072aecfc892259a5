"""Appending to and scanning log tables of a real cluster, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

import fluss
from all_types import VALUES, rows_of_every_type
from faces import create_table_now
from fluss import aio
from fluss.client.admin import OffsetSpec
from fluss.types import Timestamp

NewTable = Callable[..., str]


def read(table: Any, count: int) -> list[dict[str, Any]]:
    """So many rows of a table from its beginning, in the order of their offsets."""
    rows: list[dict[str, Any]] = []
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        while len(rows) < count:
            records = scanner.poll(10_000)
            assert len(records) > 0, f"{len(rows)} of {count} rows came"
            rows += [record.get_row() for record in records]
    return rows


def write(table: Any, rows: list[Any]) -> None:
    with table.new_append().create_writer() as writer:
        for row in rows:
            writer.append(row)


@pytest.mark.parametrize("log_format", ["ARROW", "INDEXED", "COMPACTED"])
def test_every_value_comes_back(connection: fluss.Connection, new_table: NewTable, log_format: str) -> None:
    columns = {f"c{index}": data_type for index, data_type in enumerate(VALUES)}
    path = new_table(properties={"table.log.format": log_format}, **columns)
    rows = rows_of_every_type()
    table = connection.get_table(path)
    write(table, rows)
    assert read(table, len(rows)) == [dict(zip(columns, row, strict=True)) for row in rows]


def test_rows_are_lists_tuples_or_dicts(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(id="INT", name="STRING"))
    write(table, [[1, "a"], (2, "b"), {"name": "c", "id": 3}])
    assert read(table, 3) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}]


def test_a_handle_tells_the_offset(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT"))
    writer = table.new_append().create_writer()
    handles = [writer.append([number]) for number in range(3)]
    writer.flush()
    assert all(handle.done() for handle in handles)
    assert [handle.wait(timeout=1) for handle in handles] == [0, 1, 2]
    assert handles[0].wait() == 0


def test_a_refused_row_leaves_the_writer_usable(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT NOT NULL", b="STRING"))
    with table.new_append().create_writer() as writer:
        writer.append([1, "x"])
        for bad in ([None, "x"], ["1", "x"], [1], {"a": 1, "c": 2}, [2**31, "x"], 7):
            with pytest.raises(fluss.DataError):
                writer.append(bad)  # type: ignore[arg-type]
        writer.append([2, None])
    assert read(table, 2) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    with pytest.raises(fluss.ClosedError):
        writer.append([3, "x"])


def test_records_know_where_they_are(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(buckets=3, a="INT"))
    write(table, [[number] for number in range(100)])
    seen: dict[int, list[int]] = {}
    values: list[int] = []
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        while len(values) < 100:
            records = scanner.poll(10_000)
            assert len(records) == records.count() == sum(len(records.records(b)) for b in records.buckets())
            for record in records:
                seen.setdefault(record.bucket.bucket_id, []).append(record.offset)
                values.append(record.row["a"])
                assert record.change_type.short_string() == "+A" and record.timestamp > 0
    assert sorted(values) == list(range(100))
    assert all(offsets == list(range(len(offsets))) for offsets in seen.values())


def test_a_scan_begins_where_it_is_told(connection: fluss.Connection, new_table: NewTable) -> None:
    path = new_table(a="INT")
    table = connection.get_table(path)
    write(table, [[number] for number in range(10)])
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe(0, 7)
        assert [record.row["a"] for record in scanner.poll(10_000)] == [7, 8, 9]
        scanner.subscribe(0, OffsetSpec.latest())
        assert scanner.poll(100).is_empty()
        scanner.unsubscribe(0)
        with pytest.raises(fluss.ArgumentError, match="bucket"):
            scanner.subscribe(5, 0)
    with pytest.raises(fluss.ClosedError):
        scanner.poll(0)
    assert connection.get_admin().list_offsets(path, [0], OffsetSpec.latest()) == {0: 10}


def test_only_projected_columns_are_read(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT", b="STRING", c="DOUBLE"))
    write(table, [[1, "x", 0.5]])
    with table.new_scan().project(["c", "a"]).create_log_scanner() as scanner:
        scanner.subscribe_from_beginning(0)
        assert [record.get_row() for record in scanner.poll(10_000)] == [{"c": 0.5, "a": 1}]
    with table.new_scan().project([1]).create_log_scanner() as scanner:
        scanner.subscribe_from_beginning(0)
        assert scanner.poll_arrow(10_000).to_pyarrow().to_pydict() == {"b": ["x"]}
    with pytest.raises(fluss.SchemaError, match="'nope'"):
        table.new_scan().project(["nope"]).create_log_scanner()
    with pytest.raises(IndexError):
        table.new_scan().project([3]).create_log_scanner()


def test_moments_are_read_exactly(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(t="TIMESTAMP(9)", z="TIMESTAMP_LTZ(9)", d="DATE"))
    write(table, [[Timestamp(1, 2), Timestamp(-1, 999_999), dt.date(1970, 1, 2)]])
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        (record,) = scanner.poll(10_000)
    assert record.get_row(exact=True) == {"t": Timestamp(1, 2), "z": Timestamp(-1, 999_999), "d": 1}
    assert record.get_row()["t"] == dt.datetime(1970, 1, 1, 0, 0, 0, 1000)


def test_iterating_waits_for_records(connection: fluss.Connection, new_table: NewTable) -> None:
    table = connection.get_table(new_table(a="INT"))
    write(table, [[number] for number in range(5)])
    with table.new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        taken = [record.row["a"] for record in islice(scanner, 5)]
    assert taken == list(range(5))


def test_everything_works_awaited(target: str, new_table: NewTable) -> None:
    path = new_table(a="INT", b="STRING")

    async def main() -> None:
        async with aio.connect(target) as connection:
            table = await connection.get_table(path)
            async with table.new_append().create_writer() as writer:
                handles = [writer.append([number, str(number)]) for number in range(10)]
                await writer.flush()
                assert await asyncio.gather(*handles) == list(range(10))
                with pytest.raises(fluss.DataError):
                    writer.append(["x", "y"])
            async with table.new_scan().create_log_scanner() as scanner:
                await scanner.subscribe_from_beginning()
                records = await scanner.poll(10_000)
                assert [record.row["a"] for record in records] == list(range(10))
                with pytest.raises(asyncio.TimeoutError):
                    async with asyncio.timeout(0.1):
                        await scanner.poll(60_000)
                writer = table.new_append().create_writer()
                await writer.append([10, None])
                async for record in scanner:
                    assert record.get_row() == {"a": 10, "b": None}
                    break

    asyncio.run(main())


def test_a_primary_key_table_takes_no_appends(connection: fluss.Connection) -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
    create_table_now(connection.get_admin(), "fluss.keyed", fluss.TableDescriptor(schema), True)
    with pytest.raises(fluss.ArgumentError, match="primary key"):
        connection.get_table("fluss.keyed").new_append().create_writer()


@pytest.mark.parametrize("mode", ["poll", "poll_arrow", "poll_record_batch"])
@pytest.mark.parametrize("log_format", ["ARROW", "INDEXED"])
def test_a_poll_is_bounded_in_bytes(target: str, new_table: NewTable, log_format: str, mode: str) -> None:
    """Rows that take little room on their way take what they take here: a poll ends after so many bytes of them."""
    compressed = {"table.log.arrow.compression.type": "ZSTD"} if log_format == "ARROW" else {}
    path = new_table(id="INT", text="STRING", properties={"table.log.format": log_format, **compressed})
    batches, rows, size, bound = 40, 16, 16 << 10, 1 << 20
    with fluss.connect(target, {"writer.batch-size": "1 mb"}) as opened:
        writer = opened.get_table(path).new_append().create_writer()
        for batch in range(batches):
            for row in range(rows):
                handle = writer.append([batch * rows + row, "a" * size])
            handle.wait(30)
    small = {"scanner.log.max-poll-bytes": "1 mb", "scanner.log.max-poll-records": "1000000"}
    with fluss.connect(target, small) as opened:
        scanner = opened.get_table(path).new_scan().create_log_scanner()
        scanner.subscribe_from_beginning()
        found: list[int] = []
        most = 0
        while len(found) < batches * rows:
            polled = getattr(scanner, mode)(10_000)
            ids = ids_of(polled)
            assert ids, f"{len(found)} rows came"
            most = max(most, len(ids))
            found += ids
        assert found == list(range(batches * rows))
        # It ends with the batch that reaches the bound.
        batch_bytes = rows * size
        assert (most - rows) * size < bound, f"{most * size} bytes came at once, in batches of {batch_bytes}"
        assert most > rows, "a poll returns more than a batch"


def test_a_batch_that_takes_more_memory_than_it_may_is_told(target: str, new_table: NewTable) -> None:
    """A few bytes on their way may be many here. They are not unpacked, and can be stepped over by name."""
    path = new_table(id="INT", text="STRING", properties={"table.log.arrow.compression.type": "ZSTD"})
    with fluss.connect(target) as opened:
        table = opened.get_table(path)
        writer = table.new_append().create_writer()
        for number, size in enumerate([1, 8 << 20, 1]):
            writer.append([number, "a" * size]).wait(30)
        assert table.to_arrow(["id"]).num_rows == 3
        bucket = fluss.TableBucket(table.get_table_info().table_id, 0)
    with fluss.connect(target, {"scanner.log.max-batch-bytes": "1 mb"}) as opened:
        table = opened.get_table(path)
        with pytest.raises(fluss.ProtocolError, match="column 'text'") as raised:
            table.to_arrow()
        assert (raised.value.table_bucket, raised.value.offset) == (bucket, 1)
        rows = table.new_scan().skip(bucket, 1).to_arrow()
        assert rows.to_pyarrow().column("id").to_pylist() == [0, 2]


def ids_of(polled: Any) -> list[int]:
    if isinstance(polled, fluss.client.ScanRecords):
        return [record.row["id"] for record in polled]
    parts = polled if isinstance(polled, list) else [polled]
    return [number for part in parts for number in part.to_pyarrow().column("id").to_pylist()]

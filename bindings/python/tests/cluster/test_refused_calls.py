"""A call that fails says which of its rows is at fault, and how many of them were sent: none, unless they are more than
the writer's buffer holds and come as a stream."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle

pa = pytest.importorskip("pyarrow")

_numbers = count()
SMALL = {"writer.buffer.memory-size": "64 kb", "writer.batch-size": "16 kb"}
SCHEMA = pa.schema([("id", pa.int32()), ("name", pa.string())])
CHUNK = 1000
CALLS = ["append_arrow", "upsert_arrow", "delete_arrow"]


def chunk(begin: int, rows: int = CHUNK, bad: int | None = None) -> Any:
    """Rows from a number on; the bad one has no id."""
    ids = [None if number == bad else number for number in range(begin, begin + rows)]
    return pa.record_batch([pa.array(ids, pa.int32()), pa.array([f"name {id}" for id in ids])], SCHEMA)


class Calls:
    """A writer of a table of its own, and the call of it that is tried."""

    def __init__(self, table: Any, call: str) -> None:
        self.table = table
        write = table.new_append() if call == "append_arrow" else table.new_upsert()
        self.writer = write.create_writer()
        self.write: Callable[[Any], Any] = getattr(self.writer, call)
        self.deletes = call == "delete_arrow"

    @classmethod
    async def open(cls, connection: Any, call: str, rows: int) -> "Calls":
        """With so many rows in the table where they are to be deleted."""
        path = f"fluss.refused_call_{next(_numbers)}"
        schema = fluss.Schema.new_builder().column("id", fluss.DataTypes.INT().not_null()).column("name", "STRING")
        if call != "append_arrow":
            schema.primary_key(["id"])
        descriptor = fluss.TableDescriptor(schema.build(), bucket_count=2)
        await create_table(connection.get_admin(), path, descriptor)
        calls = cls(await settle(connection.get_table(path)), call)
        if calls.deletes:
            await settle(calls.writer.upsert_arrow(chunk(0, rows)))
            await settle(calls.writer.flush())
        return calls

    async def written(self, before: int) -> int:
        """How many rows the calls have written, or taken from those that there were."""
        await settle(self.writer.flush())
        rows: int = (await settle(self.table.to_arrow())).num_rows
        return before - rows if self.deletes else rows


def run(face: ModuleType, target: str, body: Callable[[Any], Any]) -> None:
    async def main() -> None:
        connection = await settle(face.connect(target, SMALL))
        await body(connection)
        await settle(connection.close())

    asyncio.run(main())


def tables(bad: int) -> dict[str, Any]:
    """Data of a known length with a bad row in a later part."""
    whole = pa.Table.from_batches([chunk(0), chunk(CHUNK), chunk(2 * CHUNK, bad=bad)])
    return {"table": whole, "many chunks": pa.Table.from_batches(whole.to_batches(max_chunksize=7))}


@pytest.mark.parametrize("call", CALLS)
def test_of_sized_data_all_is_written_or_nothing(face: ModuleType, target: str, call: str) -> None:
    """Also of more than the buffer holds: it is looked through before the first row is sent."""
    rows, bad = 3 * CHUNK, 2 * CHUNK + 345

    async def body(connection: Any) -> None:
        calls = await Calls.open(connection, call, rows)
        for name, data in tables(bad).items():
            with pytest.raises(fluss.DataError) as raised:
                await settle(calls.write(data))
            assert (raised.value.row, raised.value.rows_taken, raised.value.column) == (bad, 0, "id"), name
            assert f"row {bad}" in str(raised.value) and "taken" not in str(raised.value), name
            assert await calls.written(rows) == 0, name
        with pytest.raises(fluss.DataError) as raised:
            await settle(calls.write(chunk(0, 9, bad=5)))
        assert (raised.value.row, raised.value.rows_taken) == (5, 0)
        await settle(calls.write(pa.Table.from_batches([chunk(0), chunk(CHUNK), chunk(2 * CHUNK)])))
        assert await calls.written(rows) == rows
        await settle(calls.writer.close())

    run(face, target, body)


@pytest.mark.parametrize("call", CALLS)
def test_of_a_stream_that_the_buffer_holds_all_is_written_or_nothing(face: ModuleType, target: str, call: str) -> None:
    async def body(connection: Any) -> None:
        calls = await Calls.open(connection, call, CHUNK)
        parts = [chunk(begin, 50, bad=123) for begin in (0, 50, 100)]
        with pytest.raises(fluss.DataError) as raised:
            await settle(calls.write(pa.RecordBatchReader.from_batches(SCHEMA, parts)))
        assert (raised.value.row, raised.value.rows_taken, raised.value.column) == (123, 0, "id")

        def broken() -> Iterator[Any]:
            yield from parts[:2]
            raise ValueError("no more luck")

        with pytest.raises(fluss.DataError, match="no more luck") as raised:
            await settle(calls.write(pa.RecordBatchReader.from_batches(SCHEMA, broken())))
        assert (raised.value.row, raised.value.rows_taken) == (None, 0)
        assert await calls.written(CHUNK) == 0
        await settle(calls.writer.close())

    run(face, target, body)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["row", "source"])
def test_of_a_larger_stream_the_error_says_how_many_rows_were_taken(
    face: ModuleType, target: str, call: str, fault: str
) -> None:
    rows, bad = 20 * CHUNK, 15 * CHUNK + 67

    def parts() -> Iterator[Any]:
        for begin in range(0, rows, CHUNK):
            if fault == "source" and begin > bad:
                raise ValueError("no more luck")
            yield chunk(begin, bad=bad if fault == "row" else None)

    async def body(connection: Any) -> None:
        calls = await Calls.open(connection, call, rows)
        with pytest.raises(fluss.DataError) as raised:
            await settle(calls.write(pa.RecordBatchReader.from_batches(SCHEMA, parts())))
        taken = raised.value.rows_taken
        assert raised.value.row == (bad if fault == "row" else None), raised.value
        assert 0 < taken <= bad + CHUNK and f"after {taken} rows were taken" in str(raised.value), raised.value
        assert await calls.written(rows) == taken
        # The writer goes on.
        await settle(calls.write(chunk(0, 1) if calls.deletes else chunk(rows, 1)))
        await settle(calls.writer.close())

    run(face, target, body)

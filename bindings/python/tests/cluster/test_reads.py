"""Reads that end: parts of logs, a few rows, and tables as they are and were, in both faces."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss import Schema, TableBucket, TableDescriptor, aio
from fluss.client.admin import OffsetSpec

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]
_numbers = count()


async def create(connection: Any, *, key: bool, partitioned: bool = False) -> Any:
    path = f"fluss.reads_{next(_numbers)}"
    schema = Schema.new_builder().column("id", "INT").column("land", "STRING").column("n", "BIGINT")
    if key:
        schema.primary_key(["id", "land"])
    keys = ["land"] if partitioned else None
    descriptor = TableDescriptor(schema.build(), partition_keys=keys, bucket_count=2)
    await create_table(connection.get_admin(), path, descriptor)
    return await settle(connection.get_table(path))


async def append(table: Any, numbers: range) -> None:
    writer = table.new_append().create_writer()
    for number in numbers:
        writer.append([number, f"l{number % 3}", number])
    await settle(writer.close())


async def upsert(table: Any, numbers: range, keys: int = 50) -> None:
    """Upserts one key after another, and deletes each key whose number is a multiple of 5."""
    writer = table.new_upsert().create_writer()
    for number in numbers:
        key = number % keys
        if number % 5 == 0:
            writer.delete([key, f"l{key % 3}"])
        else:
            writer.upsert([key, f"l{key % 3}", number])
    await settle(writer.close())


async def moment() -> dt.datetime:
    """The time now, to the millisecond, once it has passed."""
    now = dt.datetime.now(dt.UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    while dt.datetime.now(dt.UTC) < now + dt.timedelta(milliseconds=1):
        await asyncio.sleep(0)
    return now


def ids(table: Any, column: str = "n") -> list[int]:
    return sorted(pa.table(table)[column].to_pylist())


async def batches(reader: Any) -> list[Any]:
    """Those of a reader of either face."""
    if isinstance(reader, aio.BoundedReader):
        return [batch async for batch in reader]
    return list(reader)


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_log_is_read_to_where_it_ended(run: Callable[[Body], None], partitioned: bool) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, key=False, partitioned=partitioned)
        await append(table, range(100))
        middle = await moment()
        scan = table.new_scan().project(["n", "id"])
        reader = await settle(scan.create_bounded_reader())
        await append(table, range(100, 150))
        found = await batches(reader)
        assert sum(reader.ends.values()) == 100
        assert sorted(n for batch in found for n in batch.to_pyarrow()["n"].to_pylist()) == list(range(100))
        assert all(batch.column_names == ["n", "id"] for batch in found)
        admin = connection.get_admin()
        latest = await settle(admin.list_table_offsets(table.get_table_path(), OffsetSpec.latest()))
        assert latest.keys() == reader.ends.keys() and sum(latest.values()) == 150

        rest = await settle(scan.create_bounded_reader(start=reader.ends))
        assert ids(await settle(rest.read_all())) == list(range(100, 150))
        later = OffsetSpec.timestamp(int(middle.timestamp() * 1000) + 1)
        before = await settle(scan.create_bounded_reader(stop=later))
        assert ids(await settle(before.read_all())) == list(range(100))
        both = await settle(scan.create_bounded_reader(start=reader.ends, stop=latest))
        assert ids(await settle(both.read_all())) == list(range(100, 150))
        assert ids(await settle(table.to_arrow(["n"], as_of=middle))) == list(range(100))
        whole = await settle(table.to_arrow())
        assert ids(whole) == list(range(150)) and whole.offsets == latest
        assert ids(await settle(table.new_scan().limit(1_000).to_arrow())) == list(range(150))

    run(body)


async def entered(reader: Any) -> Any:
    """What a ``with`` block, or an ``async with`` block, begins with."""
    return await reader.__aenter__() if isinstance(reader, aio.RowReader) else reader.__enter__()


async def left(reader: Any) -> None:
    """Leaves such a block."""
    if isinstance(reader, aio.RowReader):
        await reader.__aexit__(None, None, None)
    else:
        reader.__exit__(None, None, None)


async def some(reader: Any) -> Any:
    """The first rows that a reader of either face gives from now on."""
    if isinstance(reader, aio.RowReader):
        return await anext(aiter(reader))
    return next(iter(reader))


async def rows_of(reader: Any) -> list[Any]:
    """What is left of a reader of either face, as it comes."""
    return [rows async for rows in reader] if isinstance(reader, aio.RowReader) else list(reader)


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("key", [False, True])
def test_a_table_is_read_as_its_rows_come(run: Callable[[Body], None], key: bool, partitioned: bool) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, key=key, partitioned=partitioned)
        await (upsert(table, range(1, 100), 200) if key else append(table, range(100)))
        time = await moment()
        await (upsert(table, range(101, 150), 200) if key else append(table, range(100, 150)))
        for as_of in (None, time):
            whole = await settle(table.to_arrow(["n"], as_of=as_of))
            expected = ids(whole)
            reader = await entered(await settle(table.to_reader(["n"], as_of=as_of)))
            found = await rows_of(reader)
            assert sorted(n for rows in found for n in rows.to_pyarrow()["n"].to_pylist()) == expected
            assert reader.offsets == whole.offsets and pa.schema(reader) == pa.table(whole).schema
            with pytest.raises(fluss.ArgumentError, match="read to its end"):
                await rows_of(reader)
            await left(reader)

            # By each bucket, and by whoever takes an Arrow stream.
            read = await settle(table.new_scan().project(["n"]).plan(as_of=as_of))
            of_buckets: list[int] = []
            for bucket in read.buckets:
                of_bucket = ids(await settle(bucket.to_reader().read_all()))
                assert bucket.end_offset == whole.offsets[bucket.bucket]
                if not isinstance(reader, aio.RowReader):
                    assert ids(bucket.to_reader()) == of_bucket
                of_buckets += of_bucket
            assert sorted(of_buckets) == expected
            assert ids(await settle(read.to_reader().read_all())) == expected

    run(body)


@pytest.mark.parametrize("key", [False, True])
def test_a_reader_that_is_left_goes_on_and_one_that_is_closed_does_not(run: Callable[[Body], None], key: bool) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, key=key)
        await (upsert(table, range(1, 4000, 2), 4000) if key else append(table, range(2000)))
        expected = ids(await settle(table.to_arrow()))
        reader = await settle(table.to_reader())
        first = await some(reader)
        if isinstance(reader, aio.RowReader):
            # What was found for a task that is cancelled is found by the next.
            awaiting = reader._core.next_batch().__await__()
            await asyncio.wait([next(awaiting)])
            with pytest.raises(asyncio.CancelledError):
                awaiting.throw(asyncio.CancelledError())
        rest = await settle(reader.read_all())
        assert sorted(ids(first) + ids(rest)) == expected
        closed = await settle(table.to_reader())
        await some(closed)
        await settle(closed.close())
        with pytest.raises(fluss.ClosedError):
            await some(closed)
        with pytest.raises(fluss.ArgumentError, match="up to a limit"):
            await settle(table.new_scan().limit(3).to_reader())

    run(body)


@pytest.mark.parametrize("key", [False, True])
def test_writes_tell_where_they_landed(run: Callable[[Body], None], key: bool) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, key=key)
        writes = table.new_upsert() if key else table.new_append()
        writer = writes.create_writer()
        write = writer.upsert if key else writer.append
        for number in range(5):
            handle = write([number, "l0", number])
            if isinstance(writer, aio.AppendWriter | aio.UpsertWriter):
                await handle
            else:
                handle.wait(60)
            assert handle.done() and len(handle.ends) == 1
            # Who reads to there sees it, and who reads less does not.
            assert number in ids(await settle(table.to_arrow(as_of=handle.ends)))
            before = {bucket: end - 1 for bucket, end in handle.ends.items()}
            assert number not in ids(await settle(table.to_arrow(as_of=before)))
        # Arrow data lands in more buckets than one.
        data = pa.table({"id": pa.array(range(100), pa.int32()), "land": ["l1"] * 100, "n": list(range(100, 200))})
        handle = await settle((writer.upsert_arrow if key else writer.append_arrow)(data))
        await settle(writer.flush())
        assert set(ids(await settle(table.to_arrow(as_of=handle.ends)))) >= set(range(100, 200))
        await settle(writer.close())

    run(body)


def test_what_cannot_be_read_is_refused(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, key=False)
        scan, info = table.new_scan(), table.get_table_info()
        bucket = TableBucket(info.table_id, 0)
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"stop": {bucket: 7}}, "the log ends at offset 0"),
            ({"stop": OffsetSpec.earliest()}, "cannot stop at the earliest"),
            ({"start": {bucket: 0}, "stop": {TableBucket(info.table_id, 1): 0}}, "the same buckets"),
            ({"start": {TableBucket(info.table_id, 9): 0}}, "buckets 0 to 1"),
        ]
        for bounds, message in refusals:
            with pytest.raises(fluss.ArgumentError, match=message):
                await settle(scan.create_bounded_reader(**bounds))
        future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        with pytest.raises(fluss.ServerError) as raised:
            await settle(table.to_arrow(as_of=future))
        assert raised.value.error_code == fluss.ErrorCode.INVALID_TIMESTAMP_EXCEPTION
        limited = scan.limit(3)
        for refused in (limited.create_log_scanner, limited.create_bounded_reader):
            with pytest.raises(fluss.ArgumentError, match="up to a limit"):
                await settle(refused())
        with pytest.raises(fluss.ArgumentError, match="those of now"):
            await settle(limited.to_arrow(as_of=0))

    run(body)


def test_any_library_takes_a_reader(target: str) -> None:
    with fluss.connect(target) as connection:
        table = asyncio.run(create(connection, key=False))
        asyncio.run(append(table, range(100)))
        reader = table.new_scan().create_bounded_reader()
        assert ids(pa.RecordBatchReader.from_stream(reader).read_all()) == list(range(100))
        assert ids(pa.table(table.new_scan().create_bounded_reader())) == list(range(100))


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_key_table_is_read_as_it_is_and_was(run: Callable[[Body], None], partitioned: bool) -> None:
    polars, pandas = pytest.importorskip("polars"), pytest.importorskip("pandas")

    async def body(connection: Any) -> None:
        table = await create(connection, key=True, partitioned=partitioned)
        past, model = [], {}
        for phase in range(3):
            numbers = range(phase * 70 + 1, phase * 70 + 71)
            await upsert(table, numbers)
            for number in numbers:
                model[number % 50] = number
                if number % 5 == 0:
                    del model[number % 50]
            offsets = (await settle(table.to_arrow())).offsets
            past.append((await moment(), offsets, dict(model)))
        for time, offsets, then in past:
            millis = int(time.timestamp() * 1000)
            for as_of in (time, millis, offsets):
                found = pa.table(await settle(table.to_arrow(["n", "id"], as_of=as_of)))
                assert dict(zip(found["id"].to_pylist(), found["n"].to_pylist(), strict=True)) == then
        expected = sorted(model.values())
        frame = await settle(table.to_pandas())
        assert isinstance(frame, pandas.DataFrame) and sorted(frame["n"]) == expected
        frame = await settle(table.to_polars(["n"]))
        assert isinstance(frame, polars.DataFrame) and sorted(frame["n"]) == expected
        some = await settle(table.new_scan().project(["n"]).limit(5).to_arrow())
        assert some.num_rows == 5 and set(ids(some)) <= set(expected)
        changes = await settle((await settle(table.new_scan().create_bounded_reader())).read_all())
        assert "_change_type" in changes.column_names

    run(body)


async def first(reader: Any) -> Any:
    """The next batch of a reader of either face, from a loop that is left."""
    if isinstance(reader, aio.BoundedReader):
        async for batch in reader:
            return batch
    else:
        for batch in reader:
            return batch
    return None


def test_a_reader_is_read_once(run: Callable[[Body], None]) -> None:
    """Also an empty one: nobody can take a second reading that gives nothing for a table without rows."""

    async def body(opened: Any) -> None:
        for rows in (0, 30):
            table = await create(opened, key=False)
            if rows:
                await append(table, range(rows))
            ends: list[Callable[[Any], Any]] = [batches, lambda reader: settle(reader.read_all())]
            for read in ends:
                reader = await settle(table.new_scan().create_bounded_reader())
                await read(reader)
                for again in (*ends, batches):
                    with pytest.raises(fluss.ArgumentError, match=f"read {table.get_table_path()}: .* make another"):
                        await again(reader)
                assert sum(reader.ends.values()) == rows and reader.__arrow_c_schema__()
                with pytest.raises(fluss.ArgumentError, match="make another"):
                    reader.__aiter__() if isinstance(reader, aio.BoundedReader) else reader.__iter__()

    run(body)


def test_an_iterator_that_has_ended_stays_so(run: Callable[[Body], None]) -> None:
    async def body(opened: Any) -> None:
        table = await create(opened, key=False)
        await append(table, range(30))
        reader = await settle(table.new_scan().create_bounded_reader())
        if isinstance(reader, aio.BoundedReader):
            awaited, late = aiter(reader), aiter(reader)
            assert sum([batch.num_rows async for batch in awaited]) == 30
            for _ in range(2):
                with pytest.raises(StopAsyncIteration):
                    await anext(awaited)
            with pytest.raises(fluss.ArgumentError, match="make another"):
                await anext(late)
        else:
            iterator, late = iter(reader), iter(reader)
            assert sum(batch.num_rows for batch in iterator) == 30
            assert next(iterator, None) is None and next(iterator, None) is None
            with pytest.raises(fluss.ArgumentError, match="make another"):
                next(late)

    run(body)


def test_a_reader_that_was_left_goes_on(run: Callable[[Body], None]) -> None:
    async def body(opened: Any) -> None:
        table = await create(opened, key=False)
        for begin in range(0, 40, 10):
            await append(table, range(begin, begin + 10))
        reads: list[Callable[[Any], Any]] = [batches, lambda reader: settle(reader.read_all())]
        for read in reads:
            reader = await settle(table.new_scan().project(["n"]).create_bounded_reader())
            found = [await first(reader), await first(reader)]
            rest = await read(reader)
            found += rest if isinstance(rest, list) else [rest]
            assert sorted(n for part in found for n in part.to_pyarrow()["n"].to_pylist()) == list(range(40))
            # What a loop is left at, the last batch too, is not the end: it was told to nobody.
            count = len(found)
            reader = await settle(table.new_scan().create_bounded_reader())
            if read is batches:
                assert [await first(reader) for _ in range(count)][-1] is not None
                assert await batches(reader) == []
                with pytest.raises(fluss.ArgumentError):
                    await batches(reader)

    run(body)


def test_several_workers_share_a_reader(run: Callable[[Body], None]) -> None:
    """Those that have begun before the end see it, and not that there is no more to read."""

    async def body(opened: Any) -> None:
        table = await create(opened, key=False)
        for begin in range(0, 40, 10):
            await append(table, range(begin, begin + 10))
        reader = await settle(table.new_scan().create_bounded_reader())
        if isinstance(reader, aio.BoundedReader):
            shares = await asyncio.gather(*(batches(reader) for _ in range(4)))
        else:
            iterator = iter(reader)
            shares = [[next(iterator)], list(reader), list(iterator)]
        assert sum(batch.num_rows for share in shares for batch in share) == 40

    run(body)


def test_a_stream_is_taken_once(connection: fluss.Connection) -> None:
    table = asyncio.run(create(connection, key=False))
    asyncio.run(append(table, range(100)))
    reader = table.new_scan().create_bounded_reader()
    one, other = (pa.RecordBatchReader.from_stream(reader) for _ in range(2))
    assert one.read_all().num_rows == 100 and one.read_all().num_rows == 0
    with pytest.raises((pa.ArrowException, OSError), match="make another"):
        other.read_all()
    for take in (pa.table, pa.RecordBatchReader.from_stream, list):
        with pytest.raises(fluss.ArgumentError, match="make another"):
            take(reader)
    # What is read of a table can be taken as often as one likes.
    whole = table.to_arrow()
    assert pa.table(whole).num_rows == pa.table(whole).num_rows == 100
    reader = table.new_scan().create_bounded_reader()
    left = next(iter(reader)).num_rows
    assert left + pa.table(reader).num_rows == 100

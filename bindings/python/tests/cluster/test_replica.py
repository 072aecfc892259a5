"""Local copies of tables that follow them, in both faces."""

import asyncio
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import acknowledged, create_table, create_table_now, settle
from fluss import aio, col
from fluss.client import OffsetSpec
from fluss.metadata import TableBucket, TableChange
from fluss.replica import (
    NoReplicaError,
    Replica,
    ReplicaInUseError,
    ReplicaMismatchError,
    ReplicaStaleError,
)
from fluss.types import Timestamp
from fluss_cluster import Cluster, Node

pa = pytest.importorskip("pyarrow")

SECONDS = 60
Body = Callable[[Any], Coroutine[Any, Any, None]]
Run = Callable[[Body], None]
_numbers = count()


def module(face: ModuleType) -> ModuleType:
    return import_module("fluss.aio.replica" if face is aio else "fluss.replica")


async def create(connection: Any, columns: dict[str, str], keys: list[str], **options: Any) -> str:
    """Makes a table, and returns its path."""
    path = f"fluss.replica_{next(_numbers)}"
    builder = fluss.Schema.new_builder()
    for name, data_type in columns.items():
        builder.column(name, data_type)
    options.setdefault("bucket_count", 1)
    descriptor = fluss.TableDescriptor(builder.primary_key(keys).build(), **options)
    await settle(connection.get_admin().drop_table(path, True))
    await create_table(connection.get_admin(), path, descriptor)
    return path


async def upsert(connection: Any, path: str, *rows: Any) -> Any:
    """Writes rows, and returns the handle of the last one, acknowledged."""
    writer = (await settle(connection.get_table(path))).new_upsert().create_writer()
    for row in rows:
        handle = writer.upsert(row)
    await settle(writer.close())
    return handle


async def delete(connection: Any, path: str, *keys: Any) -> Any:
    writer = (await settle(connection.get_table(path))).new_upsert().create_writer()
    for key in keys:
        handle = writer.delete(key)
    await settle(writer.close())
    return handle


async def opened(face: ModuleType, connection: Any, path: str, directory: Path, *options: Any, **more: Any) -> Any:
    """A replica that has started."""
    replica = await settle(module(face).open_replica(connection, path, directory, *options, **more))
    await settle(replica.startup(SECONDS))
    return replica


async def rows(scan: Any) -> list[dict[str, Any]]:
    table = await settle(scan.to_arrow())
    found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return found


PEOPLE = {"firstname": "STRING", "age": "STRING", "city": "STRING"}


def test_the_quick_start_of_a_newcomer_runs(target: str, connection: fluss.Connection, tmp_path: Path) -> None:
    path = f"fluss.profiles_{next(_numbers)}"
    builder = fluss.Schema.new_builder()
    for name, data_type in PEOPLE.items():
        builder.column(name, data_type)
    schema = builder.primary_key(["firstname"]).build()
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))

    reader = fluss.open_replica(target, path, tmp_path / "blocking")
    reader.startup()
    table = connection.get_table(path)
    with table.new_upsert().partial_update(["firstname", "age"]).create_writer() as ages:
        ages.upsert(["Alice", "22"])
        ages.upsert(["Bob", "25"])
    with table.new_upsert().partial_update(["firstname", "city"]).create_writer() as cities:
        written = cities.upsert({"firstname": "Alice", "city": "San Francisco"})
    reader.wait_until(written, timeout=SECONDS)

    assert reader.get_string_value("Alice", "firstname") == "Alice"
    assert reader.get_string_value("Alice", "age") == "22"
    assert reader.get_string_value("Alice", "city") == "San Francisco"
    assert reader.get_string_value("Bob", "firstname") == "Bob"
    assert reader.get_string_value("Bob", "age") == "25"
    assert reader.get_string_value("Bob", "city") is None
    found = reader.multiget_string_values(["Alice", "Bob"], "city")
    assert next(found) == "San Francisco"
    assert next(found) is None
    assert list(found) == []
    assert "Bob" in reader and "Carol" not in reader and len(reader) == 2
    reader.shutdown()
    with pytest.raises(fluss.ClosedError):
        reader.get("Alice")

    async def awaited() -> None:
        reader = await aio.open_replica(target, path, tmp_path / "awaited")
        async with reader:
            assert reader.get("Alice") == {"firstname": "Alice", "age": "22", "city": "San Francisco"}
            assert reader.get("Carol") is None

    asyncio.run(awaited())


ALL = {
    "id": "BIGINT",
    "flag": "BOOLEAN",
    "small": "SMALLINT",
    "real": "DOUBLE",
    "name": "STRING",
    "raw": "BYTES",
    "money": "DECIMAL(8,2)",
    "day": "DATE",
    "at": "TIMESTAMP_LTZ(6)",
    "tags": "ARRAY<STRING>",
    "more": "MAP<STRING,INT>",
}
FIRST = {
    "id": 1,
    "flag": True,
    "small": -3,
    "real": 0.5,
    "name": "é",
    "raw": b"\x00\xff",
    "money": Decimal("12.50"),
    "day": dt.date(2024, 2, 29),
    "at": dt.datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=dt.UTC),
    "tags": ["a", None],
    "more": {"x": 1},
}
SECOND = {**dict.fromkeys(ALL), "id": 2}


def test_all_reads_give_what_look_ups_do(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, ALL, ["id"], bucket_count=2)
        await upsert(connection, path, FIRST, SECOND)
        replica = await opened(face, connection, path, tmp_path / "copy")
        lookuper = (await settle(connection.get_table(path))).new_lookup().create_lookuper()
        keys = [2, 1, 3, 1]
        assert replica.multiget(keys) == await settle(lookuper.lookup_many(keys)) == [SECOND, FIRST, None, FIRST]
        assert replica.multiget(keys, exact=True) == await settle(lookuper.lookup_many(keys, exact=True))
        assert replica.get(1, exact=True) == await settle(lookuper.lookup(1, exact=True))
        for key in (1, (1,), [1], {"id": 1}):
            assert replica.get(key) == FIRST and key in replica
        assert replica.multiget(iter((1, None))) == [FIRST, None]
        assert replica.multiget(()) == []
        for name, value in FIRST.items():
            assert replica.get_value(1, name) == value
            assert replica.get_value(2, name) == SECOND[name] and replica.get_value(3, name) is None
            assert replica.multiget_values(keys, name) == [SECOND[name], value, None, value]
        assert replica.get_int_value(1, "small") == -3 and replica.get_float_value(1, "real") == 0.5
        assert replica.get_bool_value(1, "flag") is True and replica.get_bool_value(2, "flag") is None
        assert replica.get_bytes_value(1, "raw") == b"\x00\xff" and replica.get_string_value(1, "name") == "é"
        assert list(replica.multiget_bytes_values([1, 3], "raw")) == [b"\x00\xff", None]

        expected = (await settle(lookuper.lookup_arrow(pa.table({"id": [1, 3, None, 2]})))).to_pyarrow()
        assert replica.multiget_arrow([1, 3, None, 2]).to_pyarrow() == expected
        assert replica.multiget_arrow(pa.table({"id": [1, 3, None, 2], "other": [0, 0, 0, 0]})).to_pyarrow() == expected
        batches = pa.Table.from_batches(pa.table({"id": [1, 3, None, 2]}).to_batches(max_chunksize=1))
        assert replica.multiget_arrow(batches).to_pyarrow() == expected
        assert (
            replica.multiget_arrow([]).num_rows
            == replica.multiget_arrow(pa.table({"id": pa.array([], "i8")})).num_rows
            == 0
        )

        assert (replica.count(), len(replica), replica.column_names) == (2, 2, list(ALL))
        assert replica.schema.names == list(ALL) and pa.schema(replica) == replica.schema
        scanned = (await settle(replica.scan().to_arrow())).to_pyarrow().sort_by("id")
        whole = (await settle((await settle(connection.get_table(path))).to_arrow())).to_pyarrow().sort_by("id")
        assert scanned == whole
        assert sorted(map(str, await rows(replica.scan(["name", "id"])))) == [
            "{'name': 'é', 'id': 1}",
            "{'name': None, 'id': 2}",
        ]
        frame = await settle(replica.scan(["id"]).to_pandas())
        assert sorted(frame["id"]) == [1, 2]
        await settle(replica.shutdown())

    run(body)


def test_many_keys_are_read_at_one_moment(run: Run, face: ModuleType, tmp_path: Path) -> None:
    """By two threads, while the rows change in the order of their keys."""
    keys = range(5_000)

    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "round": "INT", "at": "TIMESTAMP(3)"}, ["id"])
        await upsert(connection, path, *([key, 0, None] for key in keys))
        replica = await opened(face, connection, path, tmp_path / "copy")
        writer = (await settle(connection.get_table(path))).new_upsert().create_writer()
        for number in range(1, 9):
            handles = [writer.upsert([key, number, None]) for key in keys]
            rounds = replica.multiget_values(keys, "round")
            assert rounds == sorted(rounds, reverse=True) and rounds[0] - rounds[-1] <= 1
            await settle(writer.flush())
            await settle(replica.wait_until(handles[-1], SECONDS))
            assert replica.multiget(keys) == [{"id": key, "round": number, "at": None} for key in keys]
        assert replica.multiget([*keys, 5_000, None])[-3:] == [{"id": 4_999, "round": 8, "at": None}, None, None]
        assert replica.multiget([-1] * 3_000) == [None] * 3_000
        far = Timestamp(400_000_000_000_000, 0)
        await settle(replica.wait_until(writer.upsert([2_500, 9, far]), SECONDS))
        for _ in range(2):
            with pytest.raises(ValueError, match="year"):
                replica.multiget(keys)
            assert replica.multiget(keys, exact=True)[2_500]["at"] == far
        with pytest.raises(fluss.DataError):
            replica.multiget([*keys, "a"])
        with pytest.raises(fluss.ArgumentError, match="nowhere"):
            replica.multiget_values(keys, "nowhere")
        assert replica.multiget_values(keys, "id") == [*keys]
        await settle(writer.close())
        await settle(replica.shutdown())

    run(body)


def test_a_scan_is_read_once_and_goes_on_where_it_was(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "name": "STRING"}, ["id"])
        written = await upsert(connection, path, *([n, str(n)] for n in range(30_000)))
        replica = await opened(face, connection, path, tmp_path / "copy")
        scan = replica.scan()
        # What is written later is not in it.
        await settle(replica.wait_until(await upsert(connection, path, [-1, "later"]), SECONDS))
        found: list[int] = []
        if face is aio:
            async for batch in scan:
                found += batch.to_pyarrow()["id"].to_pylist()
                break
        else:
            for batch in scan:
                found += batch.to_pyarrow()["id"].to_pylist()
                break
        assert 0 < len(found) < 30_000
        found += (await settle(scan.to_arrow())).to_pyarrow()["id"].to_pylist()
        assert sorted(found) == list(range(30_000))
        with pytest.raises(fluss.ArgumentError, match="scan them anew"):
            await settle(scan.to_arrow())
        if face is fluss:
            read = pa.RecordBatchReader.from_stream(replica.scan()).read_all()
            assert read.num_rows == 30_001
        closed = replica.scan()
        await settle(closed.close())
        with pytest.raises(fluss.ClosedError):
            await settle(closed.to_arrow())
        assert written.done()
        await settle(replica.shutdown())

    run(body)


def test_composite_keys_are_read_whole_and_by_prefix(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        columns = {"n": "INT", "shop": "STRING", "item": "BIGINT", "day": "DATE"}
        path = await create(connection, columns, ["shop", "item", "day"], bucket_count=3, bucket_keys=["shop"])
        days = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]
        stored = [
            [n, shop, item, day]
            for n, (shop, item, day) in enumerate((s, i, d) for s in "ab" for i in (1, 2) for d in days)
        ]
        await upsert(connection, path, *stored)
        replica = await opened(face, connection, path, tmp_path / "copy")
        key = ("b", 2, days[0])
        expected = {"n": 6, "shop": "b", "item": 2, "day": days[0]}
        assert replica.get(key) == replica.get(list(key)) == expected
        assert replica.get({"day": days[0], "shop": "b", "item": 2}) == expected
        assert replica.multiget([key, ("b", 3, days[0]), ("a", None, days[0])]) == [expected, None, None]
        assert replica.multiget_values([key, ("a", 1, days[0])], "n") == [6, 0]
        assert replica.multiget_arrow([key]).to_pyarrow().to_pylist() == [expected]
        by = {"shop": ["b", "a"], "day": days[:1] * 2, "item": [2, 1]}
        assert replica.multiget_arrow(pa.table(by)).to_pyarrow()["n"].to_pylist() == [6, 0]
        for prefix, numbers in (
            ("a", [0, 1, 2, 3]),
            (("b", 1), [4, 5]),
            ({"shop": "b"}, [4, 5, 6, 7]),
            (key, [6]),
            ((), list(range(8))),
        ):
            assert sorted(row["n"] for row in await rows(replica.prefix(prefix, ["n"]))) == numbers
        assert await rows(replica.prefix("c")) == []
        for no_prefix in (1, ("a", "b"), ("a", 1, days[0], 2), {"item": 1}, None):
            with pytest.raises(fluss.DataError):
                replica.prefix(no_prefix)
        for no_key in ("b", ("b", 2), ("b", 2, "2024-01-01"), {"shop": "b", "item": 2}, ("b", None, days[0])):
            with pytest.raises(fluss.DataError):
                replica.get(no_key)
        await settle(replica.shutdown())

    run(body)


def test_some_columns_of_some_rows_are_held(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"name": "STRING", "id": "INT", "age": "INT", "city": "STRING"}, ["id"])
        await upsert(connection, path, ["Ada", 1, 36, "London"], ["Bob", 2, 10, "Paris"], ["Cy", 3, 50, None])
        adults = col("age") >= 18
        replica = await opened(face, connection, path, tmp_path / "copy", ["age", "city"], adults)
        assert replica.column_names == ["id", "age", "city"]
        assert replica.multiget([1, 2, 3]) == [
            {"id": 1, "age": 36, "city": "London"},
            None,
            {"id": 3, "age": 50, "city": None},
        ]
        # Who comes to hold the condition is there, who holds it no longer is gone.
        written = await upsert(connection, path, ["Bob", 2, 18, "Rome"], ["Cy", 3, 5, None])
        await settle(replica.wait_until(written, SECONDS))
        assert replica.get_value(2, "city") == "Rome" and 3 not in replica and len(replica) == 2
        with pytest.raises(fluss.ArgumentError, match="no column 'name'"):
            replica.get_value(1, "name")
        await settle(replica.shutdown())
        for columns, held in (
            (None, adults),
            (["age"], adults),
            (["age", "city"], col("age") >= 19),
            (["age", "city"], None),
        ):
            with pytest.raises(ReplicaMismatchError) as refused:
                await settle(module(face).open_replica(connection, path, tmp_path / "copy", columns, held))
            assert refused.value.directory == str(tmp_path / "copy")

    run(body)


def test_a_column_that_is_added_is_followed(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "name": "STRING"}, ["id"])
        await upsert(connection, path, [1, "a"])
        replica = await opened(face, connection, path, tmp_path / "copy")
        assert replica.get(1) == {"id": 1, "name": "a"}
        change = TableChange.add_column("age", "INT", "in years")
        await settle(connection.get_admin().alter_table(path, [change]))
        await settle(replica.wait_until(await upsert(connection, path, [2, "b", 7]), SECONDS))
        assert replica.multiget([1, 2]) == [{"id": 1, "name": "a", "age": None}, {"id": 2, "name": "b", "age": 7}]
        assert replica.column_names == ["id", "name", "age"]
        assert replica.get_int_value(2, "age") == 7 and replica.get_int_value(1, "age") is None
        assert sorted(row["id"] for row in await rows(replica.scan(["age", "id"]))) == [1, 2]
        await settle(replica.shutdown())

    run(body)


def test_what_was_written_is_waited_for(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "n": "INT"}, ["id"], bucket_count=2)
        table = await settle(connection.get_table(path))
        table_id = table.get_table_info().table_id
        replica = await opened(face, connection, path, tmp_path / "copy")
        writer = table.new_upsert().create_writer()
        for n in range(20):
            # Not acknowledged yet.
            await settle(replica.wait_until(writer.upsert([1, n]), SECONDS))
            assert replica.get(1) == {"id": 1, "n": n}
        columns = pa.table({"id": pa.array(range(100), "i4"), "n": pa.array([7] * 100, "i4")})
        batch = await settle(writer.upsert_arrow(columns))
        await settle(replica.wait_until(batch, dt.timedelta(seconds=SECONDS)))
        assert set(replica.multiget_values(range(100), "n")) == {7}

        await acknowledged(face, writer.upsert([2, 8]))
        admin = connection.get_admin()
        ends = await settle(admin.list_offsets(path, [0, 1], OffsetSpec.latest()))
        await settle(replica.wait_until(ends, SECONDS))
        assert replica.get_value(2, "n") == 8
        await acknowledged(face, writer.upsert([2, 9]))
        ends = await settle(admin.list_offsets(path, [0, 1], OffsetSpec.latest()))
        await settle(replica.wait_until({TableBucket(table_id, bucket): end for bucket, end in ends.items()}, SECONDS))
        assert replica.get_value(2, "n") == 9

        await acknowledged(face, writer.upsert([2, 10]))
        await settle(replica.wait_until(dt.datetime.now(), SECONDS))
        assert replica.get_value(2, "n") == 10
        await acknowledged(face, writer.upsert([2, 11]))
        assert await settle(replica.caught_up.wait(SECONDS)) is True
        assert replica.get_value(2, "n") == 11

        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_all(OffsetSpec.latest()))
        await acknowledged(face, writer.upsert([2, 12]))
        while not len(await settle(scanner.poll(1000))):
            pass
        await settle(replica.wait_until(await settle(scanner.positions()), SECONDS))
        assert replica.get_value(2, "n") == 12
        await settle(scanner.close())

        for never in ({0: 10_000}, dt.datetime.now(dt.UTC) + dt.timedelta(days=1)):
            with pytest.raises(fluss.TimeoutError, match="within 50ms"):
                await settle(replica.wait_until(never, 0.05))
        with pytest.raises(fluss.ArgumentError, match="number 99999"):
            await settle(replica.wait_until({TableBucket(99_999, 0): 1}, SECONDS))
        with pytest.raises(fluss.ArgumentTypeError, match="a replica waits for"):
            await settle(replica.wait_until("now"))
        await settle(writer.close())
        await settle(replica.shutdown())

    run(body)


def test_it_tells_how_far_it_is_behind(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "n": "INT"}, ["id"], bucket_count=2)
        before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
        await upsert(connection, path, [1, 1], [2, 2], [3, 3])
        replica = await settle(module(face).open_replica(connection, path, tmp_path / "copy", freshness_interval=0.02))
        assert str(replica.table) == path and replica.directory == tmp_path / "copy" and replica.follows
        assert not replica.caught_up.is_set()
        for read in (replica.lag, replica.count, lambda: replica.get(1), lambda: replica.column_names):
            with pytest.raises(NoReplicaError, match="no copy"):
                read()
        assert await settle(replica.caught_up.wait(0.01)) is False
        await settle(replica.startup())
        assert replica.caught_up.is_set()
        lag = replica.lag()
        assert lag.rows == 0 and lag.as_of is not None and before <= lag.as_of <= dt.datetime.now(dt.UTC)
        assert lag.age is not None and dt.timedelta(0) <= lag.age < dt.timedelta(seconds=SECONDS)
        assert [of.bucket.bucket_id for of in lag.buckets] == [0, 1]
        assert sum(of.applied for of in lag.buckets) == sum(of.end for of in lag.buckets) == 3
        assert all(of.rows == 0 and of.behind is None for of in lag.buckets)
        assert repr(replica) == f"Replica('{path}', '{tmp_path / 'copy'}')"
        # Who has started it waits until it is as new as the table is now.
        written = await upsert(connection, path, [4, 4])
        await settle(replica.startup(SECONDS))
        assert 4 in replica and written.done()
        await settle(replica.shutdown())
        await settle(replica.shutdown())
        for read in (replica.lag, replica.count, lambda: replica.get(1), lambda: replica.multiget([1])):
            with pytest.raises(fluss.ClosedError):
                read()
        with pytest.raises(fluss.ClosedError):
            await settle(replica.wait_until(dt.datetime.now(), 1))
        with pytest.raises(fluss.ClosedError):
            await settle(replica.caught_up.wait(1))

    run(body)


def run_python(program: str, *arguments: object) -> str:
    """What a program of its own says."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SECOND_FOLLOWER = """
import sys, fluss
replica = fluss.open_replica(*sys.argv[1:])
try:
    replica.startup(60)
except fluss.replica.ReplicaInUseError as error:
    print(error.directory)
"""
READER = """
import sys, fluss
replica = fluss.attach_replica(sys.argv[1])
assert not replica.follows
for line in sys.stdin:
    replica.wait_until({0: int(line)}, timeout=60)
    print(replica.get_value(1, "n"), replica.count(), replica.lag().rows, flush=True)
"""


def test_one_follows_into_a_directory_and_others_read_it(
    face: ModuleType, server: Cluster | Node, tmp_path: Path
) -> None:
    async def body() -> None:
        target, directory = f"fluss://{server.bootstrap}", tmp_path / "copy"
        connection = await settle(face.connect(target))
        path = await create(connection, {"id": "INT", "n": "INT"}, ["id"])
        with pytest.raises(NoReplicaError) as missing:
            module(face).attach_replica(directory)
        assert missing.value.directory == str(directory)
        replica = await opened(face, connection, path, directory)
        second = await settle(module(face).open_replica(connection, path, directory))
        with pytest.raises(ReplicaInUseError) as refused:
            await settle(second.startup(SECONDS))
        assert refused.value.directory == str(directory) and refused.value.table == path
        assert run_python(SECOND_FOLLOWER, target, path, directory) == str(directory)

        reader = subprocess.Popen(
            [sys.executable, "-c", READER, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert reader.stdin and reader.stdout
        beside = module(face).attach_replica(directory)
        for n in range(1, 6):
            handle = await upsert(connection, path, [1, n])
            (end,) = handle.ends.values()
            print(end, file=reader.stdin, flush=True)
            assert reader.stdout.readline().split() == [str(n), "1", "0"]
            await settle(beside.wait_until(handle, SECONDS))
            assert beside.get(1) == {"id": 1, "n": n}
        assert await settle(beside.caught_up.wait(SECONDS))
        reader.communicate(timeout=60)
        assert reader.returncode == 0
        await settle(beside.shutdown())
        await settle(replica.shutdown())
        # The next one may.
        await settle(second.startup(SECONDS))
        await settle(second.shutdown())
        await settle(connection.close())

    asyncio.run(body())


def test_a_copy_that_is_too_old_is_not_read(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT"}, ["id"])
        await upsert(connection, path, [1])
        most = dt.timedelta(seconds=30)
        replica = await opened(face, connection, path, tmp_path / "copy", max_staleness=most)
        assert 1 in replica
        await settle(replica.shutdown())
        # Nobody follows it any more.
        old = module(face).attach_replica(tmp_path / "copy", max_staleness=0.001)
        while (age := old.lag().age) is None or age < dt.timedelta(milliseconds=5):
            pass
        with pytest.raises(ReplicaStaleError, match="old") as stale:
            old.get(1)
        assert stale.value.max_staleness == dt.timedelta(milliseconds=1) and stale.value.table == path
        assert stale.value.age is not None and stale.value.age >= age
        assert 1 in module(face).attach_replica(tmp_path / "copy", SECONDS)

    run(body)


def test_a_directory_of_something_else_is_refused(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        one = await create(connection, {"id": "INT"}, ["id"])
        other = await create(connection, {"id": "INT"}, ["id"])
        replica = await opened(face, connection, one, tmp_path / "copy")
        await settle(replica.shutdown())
        with pytest.raises(ReplicaMismatchError, match=f"holds table {one}, not {other}"):
            await settle(module(face).open_replica(connection, other, tmp_path / "copy"))
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "letter").touch()
        with pytest.raises(ReplicaMismatchError):
            await opened(face, connection, one, tmp_path / "full")

    run(body)


def copies(path: str) -> int:
    counted = [m.value for m in fluss.metrics() if m.name == "fluss_replica_copies_total" and m.labels["table"] == path]
    return sum(value for value in counted if isinstance(value, int))


def test_the_next_one_goes_on_where_the_last_has_stopped(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "n": "INT"}, ["id"])
        await upsert(connection, path, *([n, 0] for n in range(100)))
        replica = await opened(face, connection, path, tmp_path / "copy")
        await settle(replica.shutdown())
        assert copies(path) == 1
        await upsert(connection, path, [5, 1])
        await delete(connection, path, [6])
        replica = await settle(module(face).open_replica(connection, path, tmp_path / "copy"))
        # What the last one has left can be read before it starts.
        assert replica.get_value(5, "n") == 0 and 6 in replica
        if face is aio:
            async with replica:
                assert replica.get_value(5, "n") == 1 and 6 not in replica and len(replica) == 99
        else:
            with replica:
                assert replica.get_value(5, "n") == 1 and 6 not in replica and len(replica) == 99
        assert copies(path) == 1
        with pytest.raises(fluss.ClosedError):
            replica.count()
        # Another table of its name is copied from the beginning.
        following = await opened(face, connection, path, tmp_path / "another")
        assert following.get_value(5, "n") == 1
        admin = connection.get_admin()
        descriptor = fluss.TableDescriptor(
            fluss.Schema.new_builder().column("k", "STRING").column("n", "INT").primary_key(["k"]).build(),
            bucket_count=1,
        )
        await settle(admin.drop_table(path))
        await create_table(admin, path, descriptor)
        written = await upsert(connection, path, ["a", 1])
        await settle(following.wait_until(written, SECONDS))
        assert following.get("a") == {"k": "a", "n": 1}
        with pytest.raises(fluss.DataError):
            following.get(5)
        await settle(following.shutdown())
        replica = await opened(face, connection, path, tmp_path / "copy")
        assert replica.get("a") == {"k": "a", "n": 1} and len(replica) == 1 and copies(path) == 4
        await settle(replica.shutdown())

    run(body)


def test_a_partition_that_is_dropped_goes(face: ModuleType, target: str, tmp_path: Path) -> None:
    async def body() -> None:
        connection = await settle(face.connect(target, {"client.scanner.partition-discovery-interval": "100 ms"}))
        columns = {"day": "STRING", "id": "INT", "n": "INT"}
        path = await create(connection, columns, ["day", "id"], partition_keys=["day"], bucket_count=2)
        admin = connection.get_admin()
        for day in ("mon", "tue"):
            await settle(admin.create_partition(path, {"day": day}))
        written = await upsert(connection, path, ["mon", 1, 1], ["mon", 2, 2], ["tue", 1, 3])
        replica = await opened(face, connection, path, tmp_path / "copy")
        assert replica.multiget([("mon", 1), ("mon", 2), ("tue", 1)], exact=True)[2] == {"day": "tue", "id": 1, "n": 3}
        assert len(replica) == 3 and len(await rows(replica.prefix("mon"))) == 2 and written.done()
        await settle(admin.create_partition(path, {"day": "wed"}))
        await settle(replica.wait_until(await upsert(connection, path, ["wed", 1, 4]), SECONDS))
        assert replica.get_value(("wed", 1), "n") == 4
        await settle(admin.drop_partition(path, {"day": "mon"}))
        until = time.monotonic() + SECONDS
        while len(replica) > 2:
            assert time.monotonic() < until, "the rows of the partition stay"
            await asyncio.sleep(0.02)
        assert ("mon", 1) not in replica and ("tue", 1) in replica
        await settle(replica.shutdown())
        await settle(connection.close())

    asyncio.run(body())


def test_nonsense_is_refused(run: Run, face: ModuleType, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        path = await create(connection, {"id": "INT", "name": "STRING", "raw": "BYTES"}, ["id"])
        await upsert(connection, path, [1, "a", b"b"])
        open_replica = module(face).open_replica
        with pytest.raises(fluss.ArgumentError, match="'nmae'"):
            await settle(open_replica(connection, path, tmp_path / "copy", ["nmae"]))
        with pytest.raises(fluss.ArgumentTypeError):
            await settle(open_replica(connection, path, tmp_path / "copy", "name"))
        with pytest.raises(fluss.ArgumentTypeError):
            await settle(open_replica(connection, path, tmp_path / "copy", None, "age > 3"))
        with pytest.raises(fluss.SchemaError, match="no column 'age'"):
            await settle(open_replica(connection, path, tmp_path / "copy", None, col("age") > 3))
        with pytest.raises(ValueError, match="no duration"):
            await settle(open_replica(connection, path, tmp_path / "copy", max_staleness=-1))
        with pytest.raises(TypeError):
            await settle(open_replica(connection, path, 7))
        with pytest.raises(fluss.NotFoundError):
            await settle(open_replica(connection, "fluss.nowhere", tmp_path / "copy"))
        log = fluss.TableDescriptor(fluss.Schema.new_builder().column("a", "INT").build(), bucket_count=1)
        await create_table(connection.get_admin(), f"{path}_log", log)
        with pytest.raises(fluss.ArgumentError, match="no primary key"):
            await settle(open_replica(connection, f"{path}_log", tmp_path / "copy"))
        assert not (tmp_path / "copy").exists()

        replica = await opened(face, connection, path, tmp_path / "copy")
        for key in ("1", 1.5, None, True, 1 << 40, (1, 2), (), {"name": 1}, [None], b"1", object()):
            for read in (replica.get, lambda key: key in replica, lambda key: replica.get_value(key, "name")):
                with pytest.raises(fluss.DataError):
                    read(key)
        for keys in (1, "1", b"1", {1: 2}, None):
            with pytest.raises(fluss.ArgumentTypeError, match="a list of them"):
                replica.multiget(keys)
        for key in ("1", 1 << 40):
            with pytest.raises(fluss.DataError):
                replica.multiget([1, key])
        for arrow in (pa.table({"no": [1]}), pa.table({"id": ["a"]})):
            with pytest.raises(fluss.FlussError):
                replica.multiget_arrow(arrow)
        with pytest.raises(ZeroDivisionError):
            replica.multiget(1 // n for n in (1, 0))
        with pytest.raises(fluss.ArgumentError, match="no column 'nmae'.*id, name, raw"):
            replica.get_value(1, "nmae")
        with pytest.raises(fluss.ArgumentError, match="no column 'nmae'"):
            replica.multiget_values([1], "nmae")
        with pytest.raises(fluss.ArgumentError, match="no column 'nmae'"):
            replica.scan(["nmae"])
        with pytest.raises(fluss.ArgumentTypeError, match="column 'raw' is BYTES: its values are not a str"):
            replica.get_string_value(1, "raw")
        for wrong in (replica.get_bytes_value, replica.get_int_value, replica.get_float_value, replica.get_bool_value):
            with pytest.raises(TypeError):
                wrong(1, "name")
        with pytest.raises(fluss.ArgumentTypeError):
            replica.multiget_string_values([1], "id")
        with pytest.raises(TypeError):
            replica.get_value(1, 2)
        assert replica.get(1) == {"id": 1, "name": "a", "raw": b"b"}
        await settle(replica.shutdown())

    run(body)


def test_keys_that_read_the_replica_themselves_are_no_harm(connection: fluss.Connection, tmp_path: Path) -> None:
    path = f"fluss.replica_reentrant_{next(_numbers)}"
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
    connection.get_admin().drop_table(path, True)
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
    with fluss.open_replica(connection, path, tmp_path / "copy") as replica:

        class Number:
            def __index__(self) -> int:
                return replica.count()

        assert replica.multiget([Number()]) == [None]
        assert replica.multiget(replica.count() for _ in range(2)) == [None, None]


FORK = """
import os, sys, fluss
target, path, directory = sys.argv[1:]
replica = fluss.open_replica(target, path, directory)
replica.startup(60)
assert 1 in replica
child = os.fork()
if not child:
    reads = [lambda: replica.get(1), lambda: 1 in replica, lambda: replica.multiget([1]), replica.count, replica.lag]
    for read in reads:
        try:
            read()
        except fluss.ForkError:
            pass
        else:
            os._exit(1)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert 1 in replica
replica.shutdown()
print("done")
"""


def test_a_forked_child_is_told(node: Node, tmp_path: Path) -> None:
    target, path = f"fluss://{node.bootstrap}", f"fluss.replica_forked_{next(_numbers)}"
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
    with fluss.connect(target) as own:
        create_table_now(own.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1), True)
        with own.get_table(path).new_upsert().create_writer() as writer:
            writer.upsert([1])
    assert run_python(FORK, target, path, tmp_path / "copy") == "done"


@pytest.mark.usefixtures("needs_java")
def test_it_goes_on_when_the_leader_is_killed(tmp_path: Path) -> None:
    with Cluster(tablet_servers=3) as cluster, fluss.connect(f"fluss://{cluster.bootstrap}") as connection:
        schema = fluss.Schema.new_builder().column("id", "INT").column("n", "INT").primary_key(["id"]).build()
        create_table_now(connection.get_admin(), "fluss.away", fluss.TableDescriptor(schema, bucket_count=1))
        table = connection.get_table("fluss.away")
        with fluss.open_replica(connection, "fluss.away", tmp_path / "copy", max_staleness=3600) as replica:
            with table.new_upsert().create_writer() as writer:
                replica.wait_until(writer.upsert([1, 1]), SECONDS)
                leader = cluster.wait_in_sync(table.get_table_info().table_id)[0]
                cluster.kill(leader)
                # Reads do not know of it.
                assert replica.get(1) == {"id": 1, "n": 1}
                replica.wait_until(writer.upsert([1, 2]), 2 * SECONDS)
                assert replica.get(1) == {"id": 1, "n": 2}
                cluster.restart(leader)
                cluster.wait_ready()
                replica.wait_until(writer.upsert([1, 3]), 2 * SECONDS)
                assert replica.get(1) == {"id": 1, "n": 3}
            assert isinstance(replica, Replica) and replica.caught_up.wait(SECONDS)

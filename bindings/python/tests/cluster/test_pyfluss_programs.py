"""Programs that were written for pyfluss 1.0 run on our package, and come to the same."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fluss
from faces import create_table_now
from fluss_cluster import Cluster

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests" / "peers"))

import peers
from test_peers import ROWS, TYPES

# Steps of the tour that end otherwise with us: what pyfluss says, what we say, and why.
DIFFERENT: dict[str, tuple[Any, Any, str]] = {
    "arrow list": (
        ["str", "'list<item: string>'"],
        ["str", "'list<element: string>'"],
        "servers and the Java client name the elements so; to pyarrow the types are equal",
    ),
}
# And on a cluster only: it tells pyfluss of an unknown failure when a table is not there, where a node says
# TABLE_NOT_EXIST. So do we anywhere.
DIFFERENT_ON_A_CLUSTER: dict[str, tuple[Any, Any]] = {
    "no table": (
        {"list": [["int", "-1"], ["bool", "False"], ["str", "'str'"]]},
        {"list": [["int", "7"], ["bool", "False"], ["str", "'str'"]]},
    ),
}


@pytest.fixture(scope="module")
def connection(server: Any) -> Iterator[fluss.Connection]:
    with fluss.connect(f"fluss://{server.bootstrap}") as opened:
        yield opened


@pytest.fixture(scope="module")
def ours(server: Any) -> Iterator[Any]:
    with peers.pyfluss_on_ours() as peer:
        peer.ask(op="connect", bootstrap=server.bootstrap)
        yield peer


def create(connection: fluss.Connection, table: str, columns: dict[str, str], key: str | None = None) -> dict[str, str]:
    builder = fluss.Schema.new_builder()
    for name, data_type in columns.items():
        builder.column(name, data_type)
    schema = (builder.primary_key([key]) if key else builder).build()
    admin = connection.get_admin()
    admin.create_database("programs", ignore_if_exists=True)
    create_table_now(admin, f"programs.{table}", fluss.TableDescriptor(schema, bucket_count=1))
    return {"database": "programs", "table": table}


def test_the_peer_of_other_clients_writes_and_reads_every_type(
    connection: fluss.Connection, server: Any, ours: Any
) -> None:
    where = create(connection, "types", {f"c{i}": data_type for i, data_type in enumerate(TYPES)})
    ours.ask(op="append", **where, rows=ROWS)
    ours.ask(op="append_arrow", **where, rows=ROWS)
    with peers.pyfluss() as theirs:
        theirs.ask(op="connect", bootstrap=server.bootstrap)
        theirs.ask(op="append_arrow", **where, rows=ROWS)
        for peer, op in ((ours, "scan"), (ours, "scan_arrow"), (theirs, "scan")):
            records = peer.ask(op=op, **where, rows=9)["records"]
            assert [record["row"] for record in records] == 3 * ROWS, op
    first, last = ours.ask(op="scan", **where, rows=9, project=["c3"])["records"][0:9:8]
    assert (first["offset"], first["change"], first["row"], last["offset"]) == (0, "+A", [-(2**31)], 8)


def test_the_bench_of_other_clients_runs(connection: fluss.Connection, server: Any) -> None:
    columns = {"id": "BIGINT", "name": "STRING", "value": "DOUBLE", "at": "TIMESTAMP(6)"}
    log, keyed = create(connection, "bench", columns), create(connection, "keyed", columns, key="id")
    with peers.pyfluss_on_ours("bench") as peer:

        def bench(op: str, where: dict[str, str], **job: int) -> dict[str, Any]:
            return peer.ask(op=op, bootstrap=server.bootstrap, **where, **job)

        bench("append_rows", log, rows=1000)
        bench("append_arrow", log, rows=1000, batch_rows=300)
        for op in ("scan_rows", "scan_arrow", "scan_projected"):
            result = bench(op, log, rows=2000)
            assert (result["rows"], result["sum_id"]) == (2000, 2 * 499_500), op
        bench("upsert_rows", keyed, rows=1000)
        for op in ("lookup_one", "lookup_1000", "lookup_many"):
            assert bench(op, keyed, rows=100, stored=1000, seconds=60)["rows"] == 100, op


def open_table(server: Any, table: str, use: Callable[[fluss.FlussTable], Awaitable[Any]]) -> Any:
    """What ``use`` makes of a table."""

    async def main() -> Any:
        config = fluss.Config({"bootstrap.servers": server.bootstrap})
        async with await fluss.FlussConnection.create(config) as opened:
            return await use(await opened.get_table(fluss.TablePath("programs", table)))

    return asyncio.run(main())


def test_reading_ends_where_the_log_ended_when_it_began(connection: fluss.Connection, server: Any) -> None:
    create(connection, "ends", {"id": "INT"})

    async def read(table: fluss.FlussTable) -> None:
        writer = table.new_append().create_writer()
        await writer.append([0]).wait()
        await writer.append([1]).wait()
        scanner = await table.new_scan().create_record_batch_log_scanner()
        scanner.subscribe(0, fluss.EARLIEST_OFFSET)
        polled = [batch.batch for batch in await scanner.poll_record_batch(60_000)]
        reader = scanner.to_arrow_batch_reader()
        await writer.append([2]).wait()
        assert [i for batch in [*polled, *reader] for i in batch["id"].to_pylist()] == [0, 1]
        with pytest.raises(fluss.ArgumentError, match="no bucket is subscribed"):
            await scanner.to_arrow()
        scanner.subscribe(0, 1)
        assert (await scanner.to_arrow())["id"].to_pylist() == [1, 2]

    open_table(server, "ends", read)


def test_rows_are_filtered_exactly(connection: fluss.Connection, server: Any) -> None:
    create(connection, "filtered", {"id": "INT"})

    async def read(table: fluss.FlussTable) -> None:
        writer = table.new_append().create_writer()
        for number in range(10):
            writer.append([number])
        await writer.flush()
        scan = table.new_scan().filter(fluss.col("id") > 1).filter(fluss.col("id").is_in([0, 2, 7]))
        scanner = await scan.create_record_batch_log_scanner()
        scanner.subscribe(0, fluss.EARLIEST_OFFSET)
        assert (await scanner.to_arrow())["id"].to_pylist() == [2, 7]
        records = await scan.create_log_scanner()
        records.subscribe(0, 3)
        assert [record.offset for record in await records.poll(60_000)] == [7]

    open_table(server, "filtered", read)


@pytest.mark.parametrize("key", [None, "id"])
def test_a_bucket_is_read_once_up_to_a_limit(connection: fluss.Connection, server: Any, key: str | None) -> None:
    name = f"limited_{key}"
    create(connection, name, {"id": "INT", "name": "STRING"}, key)

    async def read(table: fluss.FlussTable) -> None:
        writer = table.new_upsert().create_writer() if key else table.new_append().create_writer()
        for number in range(5):
            writer.upsert([number, "x"]) if isinstance(writer, fluss.UpsertWriter) else writer.append([number, "x"])
        await writer.flush()
        bucket = fluss.TableBucket(table.get_table_info().table_id, 0)
        scan = table.new_scan().project_by_name(["id"]).limit(3)
        scanner = scan.create_bucket_batch_scanner(bucket)
        assert scanner.bucket == bucket
        batch = await scanner.next_batch()
        assert batch is not None
        expected = ([0, 1, 2], 0) if key else ([2, 3, 4], 2)
        assert (batch.batch.to_pydict(), batch.base_offset) == ({"id": expected[0]}, expected[1])
        assert await scanner.next_batch() is None
        again = scan.create_bucket_batch_scanner(bucket)
        assert (await again.to_arrow()).to_pydict() == {"id": expected[0]}
        assert (await again.to_pandas()).empty
        with pytest.raises(fluss.ArgumentError, match="table has buckets 0 to 0"):
            await scan.create_bucket_batch_scanner(fluss.TableBucket(bucket.table_id, 1)).next_batch()

    open_table(server, name, read)


def test_what_cannot_be_done_says_so(connection: fluss.Connection, server: Any) -> None:
    create(connection, "refusals", {"id": "INT"})

    async def use(table: fluss.FlussTable) -> None:
        scan, bucket = table.new_scan(), fluss.TableBucket(table.get_table_info().table_id, 0)
        with pytest.raises(fluss.UnsupportedError, match="the schema that they were written with") as raised:
            scan.with_fixed_schema(False)
        assert isinstance(raised.value, NotImplementedError)
        with pytest.raises(fluss.ArgumentError, match=r"takes a limit\(n\)"):
            scan.create_bucket_batch_scanner(bucket)
        with pytest.raises(fluss.ArgumentError, match="a filter is not taken"):
            scan.limit(3).filter(fluss.col("id") > 1).create_bucket_batch_scanner(bucket)
        with pytest.raises(fluss.ArgumentError, match="takes no limit"):
            await scan.create_log_scanner()
        async with await fluss.FlussConnection.create({"bootstrap.servers": server.bootstrap}) as opened:
            with pytest.raises(fluss.NotFoundError, match="get lake snapshot of programs.refusals"):
                await opened.get_admin().get_latest_lake_snapshot(table.get_table_path())

    open_table(server, "refusals", use)


def tour(python: str, server: Any, database: str) -> dict[str, Any]:
    command = [python, str(peers.TOUR), server.bootstrap, database]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    # On a busy machine pyfluss may abort while its interpreter ends, when all is told.
    ends = {0} if python == sys.executable else {0, -signal.SIGABRT}
    assert done.returncode in ends, f"{database}: {done.returncode}, {done.stderr}"
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_program_comes_to_the_same_on_either_client(server: Any) -> None:
    theirs = tour(str(peers.pyfluss_python()), server, "theirs")
    ours = tour(sys.executable, server, "ours")
    assert theirs.keys() == ours.keys() and len(ours) > 60
    different = {step: (theirs[step], ours[step]) for step in theirs if theirs[step] != ours[step]}
    expected = {step: expected[:2] for step, expected in DIFFERENT.items()}
    assert different == expected | (DIFFERENT_ON_A_CLUSTER if isinstance(server, Cluster) else {})

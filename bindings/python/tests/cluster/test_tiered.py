"""Logs of which most is in remote storage: of the cluster's own directory, and of S3."""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from operator import itemgetter
from pathlib import Path

import pytest
import store

import fluss
from faces import create_table_now
from fluss import aio
from fluss.client import Positions
from fluss_cluster import Cluster

ROWS = 10_000
_numbers = count()


def text(number: int) -> str:
    return f"{number} " + "abc" * (number % 60)


@pytest.fixture(scope="module")
def tiering(needs_java: None) -> Iterator[Cluster]:
    """A cluster that moves small segments to a directory as soon as they are full, and snapshots, too."""
    properties = {
        "log.segment.file-size": "16kb",
        "remote.log.task-interval-duration": "1 s",
        "kv.snapshot.interval": "1 s",
    }
    with Cluster(properties=properties) as running:
        yield running


@pytest.fixture(scope="module")
def s3(needs_java: None) -> Iterator[store.Store]:
    with store.store() as running:
        yield running


@pytest.fixture(scope="module")
def tiering_to_s3(s3: store.Store) -> Iterator[Cluster]:
    with store.cluster(s3) as running:
        yield running


def tiered_table(cluster: Cluster) -> str:
    """The path of a table of one bucket, of which nine of ten rows are in remote storage only."""
    path = f"fluss.tiered_{next(_numbers)}"
    schema = fluss.Schema.new_builder().column("id", "BIGINT").column("text", "STRING").build()
    descriptor = fluss.TableDescriptor(schema, properties={"table.log.tiered.local-segments": "1"})
    options = {"bootstrap.servers": cluster.bootstrap, "client.writer.batch-size": "4 kb"}
    with fluss.Connection(options) as connection:
        create_table_now(connection.get_admin(), path, descriptor)
        table = connection.get_table(path)
        with table.new_append().create_writer() as writer:
            for number in range(ROWS):
                writer.append([number, text(number)])
        name = f"{path.split('.')[1]}-{table.get_table_info().table_id}"
    wait_tiered(cluster.directory / "tablet-server-0" / "data" / "fluss" / name / "log-0")
    return path


def wait_tiered(directory: Path) -> None:
    """Waits until the log on the server's disk begins so late."""
    deadline = time.monotonic() + 60
    while (begin := min(int(file.stem) for file in directory.glob("*.log"))) * 10 < ROWS * 9:
        assert time.monotonic() < deadline, f"{begin} of {ROWS} rows are in remote storage"
        time.sleep(0.1)


def read(connection: fluss.Connection, path: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with connection.get_table(path).new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        while len(rows) < ROWS:
            records = scanner.poll(10_000)
            assert len(records) > 0, f"{len(rows)} of {ROWS} rows came"
            rows += [record.get_row() for record in records]
    return rows


def snapshot_table(cluster: Cluster) -> tuple[str, list[Path]]:
    """The path of a primary-key table of even numbers, of which there is a snapshot that holds all, in these files."""
    path = f"fluss.tiered_{next(_numbers)}"
    schema = fluss.Schema.new_builder().column("id", "BIGINT").column("text", "STRING").primary_key(["id"]).build()
    with fluss.Connection({"bootstrap.servers": cluster.bootstrap}) as connection:
        admin = connection.get_admin()
        create_table_now(admin, path, fluss.TableDescriptor(schema, bucket_count=1))
        table = connection.get_table(path)
        with table.new_upsert().create_writer() as writer:
            for number in range(ROWS):
                writer.upsert([number, text(number)])
            for number in range(1, ROWS, 2):
                writer.delete([number])
        deadline = time.monotonic() + 60
        while (found := admin.get_latest_kv_snapshots(path)).get_log_offset(0) != ROWS + ROWS // 2:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        snapshot = found.get_snapshot_id(0)
        assert snapshot is not None
        metadata = admin.get_kv_snapshot_metadata(fluss.TableBucket(found.table_id, 0), snapshot)
    tables = [file for file in metadata.snapshot_files if file.file_name.endswith(".sst")]
    return path, [Path(file.path.removeprefix("file:")) for file in tables]


def whole(cluster: Cluster, path: str) -> list[dict[str, object]]:
    """All rows of a table, which both faces read alike, in their order."""

    async def awaited() -> list[dict[str, object]]:
        async with aio.connect(f"fluss://{cluster.bootstrap}") as connection:
            rows = (await (await connection.get_table(path)).to_arrow()).to_pyarrow()
            return sorted(rows.to_pylist(), key=itemgetter("id"))

    with fluss.Connection({"bootstrap.servers": cluster.bootstrap}) as connection:
        rows = connection.get_table(path).to_arrow().to_pyarrow()
        found = sorted(rows.to_pylist(), key=itemgetter("id"))
    assert asyncio.run(awaited()) == found
    return found


EXPECTED = [{"id": number, "text": text(number)} for number in range(ROWS)]


def test_a_tiered_log_is_read_as_any_other(tiering: Cluster) -> None:
    path = tiered_table(tiering)
    with fluss.Connection({"bootstrap.servers": tiering.bootstrap}) as connection:
        assert read(connection, path) == EXPECTED
        with connection.get_table(path).new_scan().project(["text"]).create_log_scanner() as scanner:
            scanner.subscribe_from_beginning()
            texts: list[str] = []
            while len(texts) < ROWS:
                texts += scanner.poll_arrow(10_000).to_pyarrow()["text"].to_pylist()
            assert texts == [row["text"] for row in EXPECTED]

    async def awaited() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        async with aio.connect(f"fluss://{tiering.bootstrap}") as connection:
            table = await connection.get_table(path)
            async with table.new_scan().create_log_scanner() as scanner:
                await scanner.subscribe_from_beginning()
                while len(rows) < ROWS:
                    rows += [record.get_row() for record in await scanner.poll(10_000)]
        return rows

    assert asyncio.run(awaited()) == EXPECTED


def test_parts_of_a_tiered_log_are_read(tiering: Cluster) -> None:
    path = tiered_table(tiering)
    options = {"bootstrap.servers": tiering.bootstrap, "client.scanner.log.max-poll-records": 777}
    with fluss.Connection(options) as connection:
        table = connection.get_table(path)
        assert table.to_arrow().to_pyarrow().to_pylist() == EXPECTED
        bucket = fluss.TableBucket(table.get_table_info().table_id, 0)
        part = table.new_scan().create_bounded_reader(start={bucket: 1_007}, stop={bucket: 2_533}).read_all()
        assert part.to_pyarrow().to_pylist() == EXPECTED[1_007:2_533]
        wanted = table.new_scan().project(["text"]).filter(fluss.col("id").is_in([3, 4_000]))
        assert wanted.to_arrow().to_pyarrow()["text"].to_pylist() == [text(3), text(4_000)]
        rows: list[dict[str, object]] = []
        saved: str | None = None
        while len(rows) < ROWS:
            with table.new_scan().create_log_scanner() as scanner:
                if saved is None:
                    scanner.subscribe_from_beginning()
                else:
                    scanner.subscribe_positions(Positions.from_json(saved))
                rows += [record.get_row() for record in scanner.poll(10_000)]
                saved = scanner.positions().to_json()
        assert rows == EXPECTED


def test_a_file_that_is_away_is_named(tiering: Cluster) -> None:
    path = tiered_table(tiering)
    name = path.split(".")[1]
    first = next((tiering.directory / "remote" / "log" / "fluss").glob(f"{name}-*/0/*/00000000000000000000.log"))
    away = first.rename(first.with_suffix(".away"))
    with fluss.Connection({"bootstrap.servers": tiering.bootstrap, "request-timeout": "2 s"}) as connection:
        with connection.get_table(path).new_scan().create_log_scanner() as scanner:
            scanner.subscribe_from_beginning()
            with pytest.raises(fluss.StorageError, match="is not there") as raised:
                scanner.poll(30_000)
        assert (raised.value.file, raised.value.table, raised.value.bucket) == (str(first), path, 0)
        assert raised.value.retriable
        away.rename(first)
        assert read(connection, path) == EXPECTED


def test_s3_is_read_with_the_credentials_that_the_cluster_gives(s3: store.Store, tiering_to_s3: Cluster) -> None:
    path = tiered_table(tiering_to_s3)
    s3.reads.clear()
    with fluss.Connection({"bootstrap.servers": tiering_to_s3.bootstrap}) as connection:
        assert read(connection, path) == EXPECTED
    assert s3.reads
    for part in s3.reads:
        assert part.range.startswith("bytes=")
        assert part.session and part.signed_by != "the-server"


def test_s3_is_read_with_credentials_of_ones_own(s3: store.Store, tiering_to_s3: Cluster) -> None:
    path = tiered_table(tiering_to_s3)
    options = {
        "bootstrap.servers": tiering_to_s3.bootstrap,
        "client.remote.s3.endpoint": s3.endpoint,
        "client.remote.s3.access-key": "the-client",
        "client.remote.s3.secret-key": "secret",
        # As little as goes: a piece of 64 KiB, whatever is larger waits.
        "client.scanner.remote-log.prefetch-bytes": "1 b",
        "client.scanner.remote-log.read-concurrency": "1",
    }
    s3.reads.clear()
    with fluss.Connection(options) as connection:
        assert read(connection, path) == EXPECTED
    assert {(part.signed_by, part.session) for part in s3.reads} == {("the-client", None)}


def test_a_store_that_cannot_be_reached_is_told(tiering_to_s3: Cluster) -> None:
    path = tiered_table(tiering_to_s3)
    options = {
        "bootstrap.servers": tiering_to_s3.bootstrap,
        "client.request-timeout": "2 s",
        # The discard port, at which nobody listens.
        "client.remote.s3.endpoint": "http://127.0.0.1:9",
    }
    with fluss.Connection(options) as connection:
        with connection.get_table(path).new_scan().create_log_scanner() as scanner:
            scanner.subscribe_from_beginning()
            with pytest.raises(fluss.StorageError, match="cannot be read") as raised:
                scanner.poll(30_000)
    assert str(raised.value.file).startswith("s3://fluss/remote/") and raised.value.retriable


def test_a_key_table_is_read_from_a_snapshot(
    tiering: Cluster, caplog: pytest.LogCaptureFixture, logged: Callable[[str], list[str]]
) -> None:
    path, files = snapshot_table(tiering)
    assert whole(tiering, path) == EXPECTED[::2]
    assert "snapshot" not in caplog.text
    for file in files:
        file.write_bytes(b"nonsense")
    assert whole(tiering, path) == EXPECTED[::2]
    assert logged("the whole changelog is read instead of a snapshot")


def test_a_snapshot_in_s3_stands_for_the_changelog_before_it(s3: store.Store, tiering_to_s3: Cluster) -> None:
    path, files = snapshot_table(tiering_to_s3)
    s3.reads.clear()
    assert whole(tiering_to_s3, path) == EXPECTED[::2]
    # The server reads what it wrote of a snapshot when it is asked for the files.
    own = [part for part in s3.reads if part.signed_by != "the-server"]
    assert {Path(part.path).name for part in own} == {file.name for file in files}
    assert all(part.session for part in own)

"""A batch that cannot be read, in a table whose server did not look at what it was sent: it is told where it is, passed
over by who names it, and never in silence."""

import asyncio
from collections.abc import Callable
from itertools import count
from types import ModuleType
from typing import Any

import frames
import pytest

import fluss
from faces import create_table_now, settle
from fluss_cluster import Cluster, Node

pa = pytest.importorskip("pyarrow")

_numbers = count()
MARK = b"MARKMARKMARKMARK"
NO_TEXT = b"\xff" * len(MARK)
ROWS = 10
BAD_FIRST, BAD_LAST = 10, 12


def leader(server: Cluster | Node) -> str:
    if isinstance(server, Node):
        return server.bootstrap
    return str(server.describe()["tablet_servers"][0]["address"])


def make(connection: fluss.Connection, server: Cluster | Node) -> str:
    """A table of 23 rows in three batches, the second of which has what is no text in its second column."""
    path = f"fluss.bad_{next(_numbers)}"
    schema = fluss.Schema.new_builder().column("id", "INT").column("text", "STRING").build()
    plain = {"table.log.arrow.compression.type": "NONE"}
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1, properties=plain))
    table = connection.get_table(path)
    table_id = table.get_table_info().table_id

    def append(numbers: range, text: str) -> None:
        with table.new_append().create_writer() as writer:
            for number in numbers:
                writer.append([number, text])

    append(range(ROWS), "before")
    # What is to be broken is written whole somewhere else, by a writer without a number of its own.
    with fluss.connect(f"fluss://{server.bootstrap}", {"writer.enable-idempotence": "false"}) as other:
        source = f"{path}_source"
        create_table_now(other.get_admin(), source, fluss.TableDescriptor(schema, bucket_count=1, properties=plain))
        sources = other.get_table(source)
        rows = pa.table({"id": pa.array([100, 101, 102], pa.int32()), "text": ["a", MARK.decode(), "b"]})
        with sources.new_append().create_writer() as writer:
            writer.append_arrow(rows)
        (good,) = frames.batches(frames.fetch(leader(server), sources.get_table_info().table_id))
    bad = frames.changed(good, lambda contents: contents.replace(MARK, NO_TEXT))
    frames.produce(leader(server), table_id, bad, ROWS)
    append(range(ROWS, 2 * ROWS), "behind")
    return path


Read = Callable[[Any], Any]


async def scan(read: Read, table: Any, scan: Any) -> list[int]:
    """The ids that a scanner returns, up to the last one."""
    scanner = scan.create_log_scanner()
    await settle(scanner.subscribe_from_beginning())
    found: list[int] = []
    while 2 * ROWS - 1 not in found:
        found += ids(await settle(read(scanner)))
    return found


def ids(polled: Any) -> list[int]:
    if isinstance(polled, fluss.client.ScanRecords):
        return [record.row["id"] for record in polled]
    batches = polled if isinstance(polled, list) else [polled]
    return [number for batch in batches for number in batch.to_pyarrow().column("id").to_pylist()]


READS: dict[str, Read] = {
    "poll": lambda scanner: scanner.poll(10_000),
    "poll_arrow": lambda scanner: scanner.poll_arrow(10_000),
    "poll_record_batch": lambda scanner: scanner.poll_record_batch(10_000),
}


def expect_place(error: fluss.FlussError, bucket: fluss.TableBucket) -> None:
    assert (error.table_bucket, error.offset, error.last_offset) == (bucket, BAD_FIRST, BAD_LAST), repr(error)
    assert error.column == "text" and not error.retriable, repr(error)
    said = str(error)
    assert all(part in said for part in ("bucket 0", "offsets 10 to 12", "text")), said


@pytest.mark.parametrize("way", READS)
def test_a_bad_batch_is_told_and_skipped_by_name(
    face: ModuleType, server: Cluster | Node, way: str, logged: Callable[[str], list[str]]
) -> None:
    async def main() -> None:
        opened = await settle(face.connect(f"fluss://{server.bootstrap}"))
        table = await settle(opened.get_table(path))
        bucket = fluss.TableBucket(table.get_table_info().table_id, 0)
        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        found: list[int] = []
        with pytest.raises(fluss.ProtocolError) as raised:
            while True:
                found += ids(await settle(READS[way](scanner)))
        expect_place(raised.value, bucket)
        assert found == list(range(ROWS)), "what is before it was read"
        with pytest.raises(fluss.ProtocolError):
            await settle(READS[way](scanner))
        # The open scanner goes on behind it where it is told to.
        await settle(scanner.subscribe(0, BAD_LAST + 1))
        while 2 * ROWS - 1 not in found:
            found += ids(await settle(READS[way](scanner)))
        assert found == list(range(2 * ROWS))

        skipping = table.new_scan().skip(raised.value.table_bucket, raised.value.offset)
        assert await scan(READS[way], table, skipping) == list(range(2 * ROWS))
        (told,) = logged("passed over")
        assert f"table={path} bucket=0 offset={BAD_FIRST} records=3" in told, told
        # Only what is named is passed over, and columns without fault are read.
        other = table.new_scan().skip(0, BAD_FIRST + 1)
        with pytest.raises(fluss.ProtocolError):
            await scan(READS[way], table, other)
        await settle(opened.close())

    with fluss.connect(f"fluss://{server.bootstrap}") as connection:
        path = make(connection, server)
        asyncio.run(main())


def test_a_bad_batch_in_a_whole_table_is_told_and_skipped_by_name(face: ModuleType, server: Cluster | Node) -> None:
    async def main() -> None:
        opened = await settle(face.connect(f"fluss://{server.bootstrap}"))
        table = await settle(opened.get_table(path))
        bucket = fluss.TableBucket(table.get_table_info().table_id, 0)
        whole = table.new_scan()
        skipping = whole.skip(0, BAD_FIRST)
        reads: dict[str, Callable[[Any], Any]] = {
            "to_arrow": lambda scan: scan.to_arrow(),
            "limit": lambda scan: scan.limit(1000).to_arrow(),
            "read_all": lambda scan: read_all(scan),
        }

        async def read_all(scan: Any) -> Any:
            return await settle((await settle(scan.create_bounded_reader())).read_all())

        for name, read in reads.items():
            with pytest.raises(fluss.ProtocolError) as raised:
                await settle(read(whole))
            expect_place(raised.value, bucket)
            assert ids(await settle(read(skipping))) == list(range(2 * ROWS)), name
            others = await settle(read(whole.project(["id"])))
            assert ids(others) == [*range(ROWS), 100, 101, 102, *range(ROWS, 2 * ROWS)], name
        await settle(opened.close())

    with fluss.connect(f"fluss://{server.bootstrap}") as connection:
        path = make(connection, server)
        asyncio.run(main())

"""Servers of a real cluster that stop and die, in both faces."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import acknowledged, beside, create_in_sql, create_table, settle
from fluss import aio
from fluss._leave import PATIENCE
from fluss.client import WriteHandle
from fluss_cluster import Cluster, Node

SERVERS = 3
DEADLINES = {"client.request-timeout": "2 s", "client.writer.delivery-timeout": "2 s"}
PATIENCE_SECONDS = 60.0
RECOVERY_SECONDS = 10.0
ROWS = 1_000
KEYS = range(12)
LOADS = 30


pytestmark = pytest.mark.usefixtures("needs_java")


@pytest.fixture(scope="module")
def patient() -> Iterator[Cluster]:
    """A cluster whose servers may be silent for longer than the calls' deadlines without losing their sessions."""
    with Cluster(tablet_servers=SERVERS, properties={"zookeeper.client.session-timeout": "60 s"}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def quick() -> Iterator[Cluster]:
    """A cluster that replaces a killed server within seconds."""
    with Cluster(tablet_servers=SERVERS) as cluster:
        yield cluster


class Numbers:
    """A writer and a scanner of a table of numbers with a bucket for each server, and what went through them."""

    def __init__(self, face: ModuleType, connection: Any, table: Any) -> None:
        self.face = face
        self.connection = connection
        self.path = str(table.get_table_info().table_path)
        self.table_id = table.get_table_info().table_id
        self.writer = table.new_append().create_writer()
        self.scanner = table.new_scan().create_log_scanner()
        self.next = count()
        self.acknowledged: set[int] = set()
        self.read: list[int] = []

    @classmethod
    async def open(cls, face: ModuleType, cluster: Cluster, options: dict[str, str]) -> "Numbers":
        connection = await settle(face.Connection.create({"bootstrap.servers": cluster.bootstrap, **options}))
        schema = fluss.Schema.new_builder().column("a", "BIGINT").build()
        path = f"fluss.faults_{face.__name__.replace('.', '_')}"
        await create_table(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=SERVERS))
        numbers = cls(face, connection, await settle(connection.get_table(path)))
        await settle(numbers.scanner.subscribe_from_beginning())
        return numbers

    async def append(self) -> None:
        """Appends the next number and waits for its acknowledgement."""
        number = next(self.next)
        await acknowledged(self.face, self.writer.append([number]))
        self.acknowledged.add(number)

    async def append_all(self, numbers: range) -> None:
        for number in numbers:
            self.writer.append([number])
        await settle(self.writer.flush())
        self.acknowledged.update(numbers)

    async def read_all(self) -> None:
        """Polls until all that was acknowledged came, and insists that nothing came twice."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.acknowledged <= set(self.read):
            assert time.monotonic() < deadline, f"{len(self.read)} of {len(self.acknowledged)} rows came"
            try:
                records = await settle(self.scanner.poll(500))
            except fluss.TimeoutError:
                continue
            self.read += [record.row["a"] for record in records]
        assert len(self.read) == len(set(self.read)), "a row came twice"

    async def close(self) -> None:
        await settle(self.writer.close())
        await settle(self.scanner.close())
        await settle(self.connection.close())


def address(cluster: Cluster, server: int) -> str:
    return str(cluster.describe()["tablet_servers"][server]["address"])


async def expect_failed_append(numbers: Numbers, server: str) -> None:
    """Appends to every bucket at once, right after a server was stopped: what was sent to it may be stored."""
    appends = (beside(numbers.face, numbers.append()) for _ in range(10 * SERVERS))
    done = await asyncio.gather(*appends, return_exceptions=True)
    may_be_stored = 0
    for error in done:
        if error is not None:
            assert isinstance(error, fluss.TimeoutError), repr(error)
            assert (error.operation, error.table) == ("append", numbers.path)
            assert error.bucket is not None and error.server, repr(error)
            # Others fail too, which wait for their replica on the stopped server.
            may_be_stored += server in error.server and error.outcome_unknown
    assert may_be_stored > 0, "a write was on its way to the stopped server"


async def expect_failed_poll(numbers: Numbers, server: str) -> None:
    """Polls until the server's silence is told; what others acknowledge may come before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            records = await settle(numbers.scanner.poll(500))
        except fluss.TimeoutError as error:
            assert error.server and server in error.server, repr(error)
            return
        numbers.read += [record.row["a"] for record in records]
    pytest.fail("poll says nothing of a server that does not answer")


async def stop_a_server(face: ModuleType, cluster: Cluster) -> None:
    # Some rows for every leader.
    assigner = {"client.writer.bucket.no-key-assigner": "round_robin"}
    numbers = await Numbers.open(face, cluster, DEADLINES | assigner)
    await works(numbers, 4)
    await numbers.read_all()
    server = address(cluster, 0)
    cluster.stop(0)
    try:
        await expect_failed_append(numbers, server)
        await expect_failed_poll(numbers, server)
    finally:
        cluster.cont(0)
    await works(numbers, 10)
    await numbers.read_all()
    with pytest.raises(fluss.TimeoutError):
        # Told once more, to those who waited for no handle.
        await settle(numbers.writer.flush())
    await numbers.close()


async def works(numbers: Numbers, more: int) -> None:
    """Appends until so many more are acknowledged; the first may still fail of a server that was stopped or is new."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    wanted = len(numbers.acknowledged) + more
    while len(numbers.acknowledged) < wanted:
        assert time.monotonic() < deadline, "the writer does not work"
        with suppress(fluss.TimeoutError):
            await numbers.append()


async def kill_a_leader(face: ModuleType, cluster: Cluster) -> None:
    numbers = await Numbers.open(face, cluster, {})
    await numbers.append_all(range(ROWS))
    server = cluster.wait_in_sync(numbers.table_id)[0]
    for number in range(ROWS, 2 * ROWS):
        numbers.writer.append([number])
    cluster.kill(server)
    killed = time.monotonic()
    try:
        await numbers.append_all(range(2 * ROWS, 3 * ROWS))
        numbers.acknowledged.update(range(ROWS, 2 * ROWS))
        await numbers.read_all()
        seconds = time.monotonic() - killed
    finally:
        cluster.restart(server)
        cluster.wait_ready()
    print(f"acknowledged and read {seconds:.1f} s after the kill")
    assert seconds < RECOVERY_SECONDS
    assert sorted(numbers.read) == list(range(3 * ROWS))
    await numbers.close()


class Versions:
    """A writer and a lookuper of a table of versions by key, and what went through them."""

    def __init__(self, face: ModuleType, connection: Any, table: Any) -> None:
        self.face = face
        self.connection = connection
        self.path = str(table.get_table_info().table_path)
        self.table_id = table.get_table_info().table_id
        self.writer = table.new_upsert().create_writer()
        self.lookuper = table.new_lookup().create_lookuper()
        self.sent = dict.fromkeys(KEYS, 0)
        self.acknowledged = dict.fromkeys(KEYS, 0)
        self.looks = 0

    @classmethod
    async def open(cls, face: ModuleType, cluster: Cluster, options: dict[str, str]) -> "Versions":
        connection = await settle(face.Connection.create({"bootstrap.servers": cluster.bootstrap, **options}))
        schema = fluss.Schema.new_builder().column("id", "INT").column("v", "BIGINT").primary_key(["id"]).build()
        path = f"fluss.versions_{face.__name__.replace('.', '_')}"
        await create_table(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=SERVERS))
        return cls(face, connection, await settle(connection.get_table(path)))

    def upsert(self, key: int) -> tuple[int, WriteHandle]:
        """Writes the next version of a key."""
        self.sent[key] += 1
        return self.sent[key], self.writer.upsert([key, self.sent[key]])

    async def upsert_and_wait(self, key: int) -> None:
        version, handle = self.upsert(key)
        await acknowledged(self.face, handle)
        self.acknowledged[key] = max(self.acknowledged[key], version)

    async def upsert_all(self) -> None:
        """Writes the next version of all keys, and waits for the acknowledgements."""
        written = {key: self.upsert(key)[0] for key in KEYS}
        await settle(self.writer.flush())
        self.acknowledged.update(written)

    async def lookup(self, key: int) -> None:
        """Looks a key up: what was acknowledged before, or written since, is there."""
        least = self.acknowledged[key]
        row = await settle(self.lookuper.lookup(key))
        version = row["v"] if row else 0
        assert least <= version <= self.sent[key], f"{version} is not of {least} to {self.sent[key]}"
        self.looks += 1

    async def check_last(self) -> None:
        """Looks all keys up at once: each has its last version."""
        rows = await settle(self.lookuper.lookup_many(KEYS))
        assert rows == [{"id": key, "v": version} for key, version in self.sent.items()]

    async def keep_looking(self, stop: threading.Event) -> None:
        """Looks keys up until told to stop. None may fail."""
        while not stop.is_set():
            for key in KEYS:
                await self.lookup(key)

    async def failures(self, call: Callable[[int], Coroutine[Any, Any, None]]) -> list[fluss.TimeoutError]:
        """What became of doing something for all keys at once."""
        done = await asyncio.gather(*(beside(self.face, call(key)) for key in KEYS), return_exceptions=True)
        failed = [error for error in done if isinstance(error, fluss.TimeoutError)]
        assert len(failed) == len(KEYS) - done.count(None), done
        return failed

    async def close(self) -> None:
        await settle(self.writer.close())
        await settle(self.connection.close())


def expect_named(error: fluss.TimeoutError, operation: str, path: str) -> None:
    assert (error.operation, error.table) == (operation, path), repr(error)
    assert error.bucket is not None and error.server, repr(error)
    assert all(str(named) in str(error) for named in (operation, path, error.bucket, error.server)), repr(error)


async def stop_a_leader(
    versions: Versions, cluster: Cluster
) -> tuple[int, list[fluss.TimeoutError], list[fluss.TimeoutError]]:
    """Stops a server that leads one of the buckets, and returns which of the look-ups and writes then failed."""
    for server in range(SERVERS):
        cluster.stop(server)
        looks, writes = await asyncio.gather(
            versions.failures(versions.lookup), versions.failures(versions.upsert_and_wait)
        )
        if looks:
            return server, looks, writes
        cluster.cont(server)
    pytest.fail("every look-up was answered while a server was stopped")


async def stop_a_server_of_keys(face: ModuleType, cluster: Cluster) -> None:
    versions = await Versions.open(face, cluster, DEADLINES)
    await versions_work(versions)
    stopped, looks, writes = await stop_a_leader(versions, cluster)
    try:
        server = address(cluster, stopped)
        assert len(looks) < len(KEYS), "the other servers answer"
        with pytest.raises(fluss.TimeoutError) as many:
            await settle(versions.lookuper.lookup_many(KEYS))
        for error in [*looks, many.value]:
            expect_named(error, "look up", versions.path)
            assert error.server and server in error.server and not error.outcome_unknown, repr(error)
        for error in writes:
            expect_named(error, "upsert", versions.path)
        # Others wait for their replicas on the stopped server, or behind such a write, unsent.
        assert any(error.outcome_unknown for error in writes if error.server and server in error.server), writes
    finally:
        cluster.cont(stopped)
    await versions_work(versions)
    await versions.close()


async def versions_work(versions: Versions) -> None:
    """Looks up and upserts until all is well; the first may still fail of a server that was stopped or new."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await versions.failures(versions.lookup) or await versions.failures(versions.upsert_and_wait):
        assert time.monotonic() < deadline, "the writer and the look-ups do not work"
    with suppress(fluss.TimeoutError):
        # Told once more, to those who waited for no handle.
        await settle(versions.writer.flush())
    await versions.upsert_all()
    await versions.check_last()


async def kill_a_leader_of_keys(face: ModuleType, cluster: Cluster) -> None:
    versions = await Versions.open(face, cluster, {})
    await versions.upsert_all()
    server = cluster.wait_in_sync(versions.table_id)[0]
    stop = threading.Event()
    looking = [beside(face, versions.keep_looking(stop)) for _ in range(2)]
    try:
        cluster.kill(server)
        killed = time.monotonic()
        before = versions.looks
        for _ in range(LOADS):
            for key in KEYS:
                versions.upsert(key)
            await asyncio.sleep(0)
        await versions.upsert_all()
        await versions.check_last()
        while versions.looks < before + 2 * len(KEYS):
            assert time.monotonic() < killed + PATIENCE_SECONDS, "look-ups do not go on"
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - killed
    finally:
        stop.set()
        await asyncio.gather(*looking)
        cluster.restart(server)
        cluster.wait_ready()
    print(f"acknowledged and found {seconds:.1f} s after the kill")
    assert seconds < RECOVERY_SECONDS
    await versions.check_last()
    await versions.close()


def test_a_stopped_server_is_told_and_the_same_objects_work_on(face: ModuleType, patient: Cluster) -> None:
    asyncio.run(stop_a_server(face, patient))


def test_a_killed_leader_is_replaced_and_every_row_is_there_once(face: ModuleType, quick: Cluster) -> None:
    asyncio.run(kill_a_leader(face, quick))


def test_upserts_and_look_ups_tell_of_a_stopped_server_and_work_on(face: ModuleType, patient: Cluster) -> None:
    asyncio.run(stop_a_server_of_keys(face, patient))


def test_a_killed_leader_costs_no_upsert_and_no_look_up(face: ModuleType, quick: Cluster) -> None:
    asyncio.run(kill_a_leader_of_keys(face, quick))


class BodyError(Exception):
    """What the body of a block raises."""


async def leave(face: ModuleType, block: Any, body: Callable[[], None]) -> None:
    """Runs a body in the block of what closes itself at its end."""
    if face is aio:
        async with block:
            body()
    else:
        with block:
            body()


async def leave_by_raising(face: ModuleType, server: Cluster | Node, kind: str, block: str) -> None:
    """Leaves a block whose body raises while the server that is to store its row does not answer."""
    connection = await settle(face.connect(f"fluss://{server.bootstrap}"))
    path = f"fluss.left_{kind}_{block}_{face.__name__.replace('.', '_')}"
    schema = fluss.Schema.new_builder().column("id", "INT")
    if kind == "upsert":
        schema.primary_key(["id"])
    await create_table(connection.get_admin(), path, fluss.TableDescriptor(schema.build(), bucket_count=1))
    table = await settle(connection.get_table(path))
    write = table.new_upsert() if kind == "upsert" else table.new_append()
    writer = write.create_writer()
    # The server is known, and connected to.
    await acknowledged(face, getattr(writer, kind)([0]))
    if isinstance(server, Cluster):
        (leader,) = server.wait_in_sync(table.get_table_info().table_id)
        stop, cont = partial(server.stop, leader), partial(server.cont, leader)
    else:
        stop, cont = partial(server.stop), partial(server.cont)

    def body() -> None:
        getattr(writer, kind)([1])
        raise BodyError("the body's own")

    stop()
    begun = time.monotonic()
    try:
        with pytest.raises(BodyError) as raised:
            await leave(face, writer if block == "writer" else connection, body)
        seconds = time.monotonic() - begun
    finally:
        cont()
    assert raised.value.args == ("the body's own",)
    (note,) = raised.value.__notes__
    assert note.startswith("What was written before may not be stored: "), note
    # A write may take 120 s.
    assert PATIENCE <= seconds < 4 * PATIENCE, seconds
    if block == "writer":
        await settle(writer.close())
        await settle(connection.close())


@pytest.mark.parametrize("server_kind", ["patient", "node"])
@pytest.mark.parametrize("block", ["writer", "connection"])
@pytest.mark.parametrize("kind", ["append", "upsert"])
def test_a_block_that_raises_while_nobody_answers_is_left_soon_with_its_own_exception(
    face: ModuleType, request: pytest.FixtureRequest, server_kind: str, kind: str, block: str
) -> None:
    asyncio.run(leave_by_raising(face, request.getfixturevalue(server_kind), kind, block))


def test_sql_goes_on_when_a_leader_is_killed(quick: Cluster) -> None:
    """What is asked, changed and followed in SQL, by what was opened before."""
    sql = pytest.importorskip("fluss.sql")
    with sql.Client(quick.bootstrap, on_duplicate="upsert") as client:
        text = "CREATE TABLE killed (id INT PRIMARY KEY, n INT) DISTRIBUTED BY (id) INTO 3 BUCKETS"
        with fluss.connect(quick.bootstrap) as connection:
            create_in_sql(client.execute, connection.get_admin(), "fluss.killed", text)
            client.execute_many("INSERT INTO killed VALUES (?, 0)", [(key,) for key in KEYS])
            table_id = connection.get_table("fluss.killed").get_table_info().table_id
        text = "SELECT id, n, _change_type AS change FROM killed EMIT CHANGES"
        with client.stream_query(text, properties={"auto.offset.reset": "earliest"}) as followed:
            server = quick.wait_in_sync(table_id)[0]
            quick.kill(server)
            try:
                assert client.execute("UPDATE killed SET n = n + id + 1") == len(KEYS)
                rows = client.query("SELECT id, n FROM killed ORDER BY id", as_dict=False)
                assert list(rows) == [(key, key + 1) for key in KEYS]
                changes = [followed.poll(PATIENCE_SECONDS) for _ in range(3 * len(KEYS))]
            finally:
                quick.restart(server)
                quick.wait_ready()
        found = sorted((row["id"], row["n"], row["change"]) for row in changes if row is not None)
        kinds = [("+I", 0), ("-U", 0), ("+U", 1)]
        assert found == sorted((key, n * (key + 1), kind) for key in KEYS for kind, n in kinds)
        client.execute("DROP TABLE killed")

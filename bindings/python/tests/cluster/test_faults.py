"""Servers of a real cluster that stop and die, in both faces."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import settle
from fluss import aio
from fluss_cluster import Cluster

SERVERS = 3
DEADLINES = {"client.request-timeout": "2 s", "client.writer.delivery-timeout": "2 s"}
PATIENCE_SECONDS = 60.0
RECOVERY_SECONDS = 10.0
ROWS = 1_000


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
        self.writer = table.new_append().create_writer()
        self.scanner = table.new_scan().create_log_scanner()
        self.acknowledged: set[int] = set()
        self.read: list[int] = []

    @classmethod
    async def open(cls, face: ModuleType, cluster: Cluster, options: dict[str, str]) -> "Numbers":
        connection = await settle(face.Connection.create({"bootstrap.servers": cluster.bootstrap, **options}))
        schema = fluss.Schema.new_builder().column("a", "BIGINT").build()
        path = f"fluss.faults_{face.__name__.replace('.', '_')}"
        await settle(connection.get_admin().create_table(path, fluss.TableDescriptor(schema, bucket_count=SERVERS)))
        numbers = cls(face, connection, await settle(connection.get_table(path)))
        await settle(numbers.scanner.subscribe_from_beginning())
        return numbers

    async def append(self, number: int) -> None:
        """Appends a number and waits for its acknowledgement, as the face does it."""
        handle = self.writer.append([number])
        if self.face is aio:
            await handle
        else:
            handle.wait()
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
    """Appends until a write goes to the stopped server; others may fail too, which wait for their replica on it."""
    for number in range(100, 200):
        try:
            await numbers.append(number)
        except fluss.TimeoutError as error:
            assert (error.operation, error.table) == ("append", numbers.path)
            assert error.bucket is not None and error.server, repr(error)
            if server in error.server:
                assert error.outcome_unknown, repr(error)
                return
    pytest.fail("every append was acknowledged while a server was stopped")


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
    numbers = await Numbers.open(face, cluster, DEADLINES)
    for number in range(10):
        await numbers.append(number)
    await numbers.read_all()
    server = address(cluster, 0)
    cluster.stop(0)
    try:
        await expect_failed_append(numbers, server)
        await expect_failed_poll(numbers, server)
    finally:
        cluster.cont(0)
    await works_on(numbers)
    await numbers.read_all()
    with pytest.raises(fluss.TimeoutError):
        # Told once more, to those who waited for no handle.
        await settle(numbers.writer.flush())
    await numbers.close()


async def works_on(numbers: Numbers) -> None:
    """Appends until twenty more are acknowledged; the first may still fail of the time that the server was stopped."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    wanted = len(numbers.acknowledged) + 20
    number = 1_000
    while len(numbers.acknowledged) < wanted:
        assert time.monotonic() < deadline, "the writer does not work on"
        with suppress(fluss.TimeoutError):
            await numbers.append(number)
        number += 1


async def kill_a_leader(face: ModuleType, cluster: Cluster, server: int) -> None:
    numbers = await Numbers.open(face, cluster, {})
    await numbers.append_all(range(ROWS))
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


def test_a_stopped_server_is_told_and_the_same_objects_work_on(face: ModuleType, patient: Cluster) -> None:
    asyncio.run(stop_a_server(face, patient))


def test_a_killed_leader_is_replaced_and_every_row_is_there_once(face: ModuleType, quick: Cluster) -> None:
    asyncio.run(kill_a_leader(face, quick, 0))

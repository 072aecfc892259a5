"""What a client tells of itself: metrics, and events as records of `logging`."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss import Distribution
from fluss_cluster import Node

ROWS = 500
KEYS = 20
PATIENCE_SECONDS = 60.0
_numbers = count()

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]


def value(face: Any, name: str, **labels: str) -> Any:
    found = [m.value for m in face.metrics() if m.name == name and labels.items() <= dict(m.labels).items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


async def create(connection: Any, *, keyed: bool) -> Any:
    builder = fluss.Schema.new_builder().column("id", "BIGINT NOT NULL")
    schema = (builder.primary_key(["id"]) if keyed else builder).build()
    path = f"fluss.observed_{next(_numbers)}"
    await create_table(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=2))
    return await settle(connection.get_table(path))


def test_rows_are_counted(face: ModuleType, run: Run) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, keyed=False)
        path = str(table.get_table_info().table_path)
        writer = table.new_append().create_writer()
        for number in range(ROWS):
            writer.append([number])
        await settle(writer.close())
        assert value(face, "fluss_client_writer_rows_total", table=path) == ROWS
        rows = value(face, "fluss_client_writer_batch_rows", table=path)
        assert isinstance(rows, Distribution)
        assert rows.sum == ROWS
        assert rows.count == value(face, "fluss_client_writer_batches_total", table=path)
        assert rows.min is not None and rows.p50 is not None and rows.max is not None
        assert 1 <= rows.min <= rows.p50 <= rows.max <= ROWS

        scanner = table.new_scan().create_log_scanner()
        await settle(scanner.subscribe_from_beginning())
        read = 0
        while read < ROWS:
            records = await settle(scanner.poll(10_000))
            assert len(records) > 0
            read += len(records)
        assert value(face, "fluss_client_scanner_rows_total", table=path) == ROWS
        await settle(scanner.close())

    run(body)


def test_keys_are_counted(face: ModuleType, run: Run) -> None:
    async def body(connection: Any) -> None:
        table = await create(connection, keyed=True)
        path = str(table.get_table_info().table_path)
        writer = table.new_upsert().create_writer()
        for number in range(KEYS):
            writer.upsert([number])
        await settle(writer.flush())
        lookuper = table.new_lookup().create_lookuper()
        for number in range(KEYS):
            assert await settle(lookuper.lookup([number])) == {"id": number}
        assert value(face, "fluss_client_lookup_keys_total", table=path) >= KEYS
        assert value(face, "fluss_client_lookup_request_keys", table=path).min == 1

    run(body)


def test_a_connection_with_a_name_is_told_by_it(face: ModuleType, target: str) -> None:
    async def body() -> None:
        name = f"loader {next(_numbers)}"
        connection = await settle(face.connect(f"{target}?connectionName={name.replace(' ', '%20')}"))
        table = await create(connection, keyed=False)
        path = str(table.get_table_info().table_path)
        writer = table.new_append().create_writer()
        writer.append([1])
        await settle(writer.close())
        assert value(face, "fluss_client_writer_rows_total", table=path, connection=name) == 1
        its = {metric.name for metric in face.metrics() if metric.labels.get("connection") == name}
        assert {"fluss_client_requests_total", "fluss_client_connections_opened_total"} <= its
        nameless = await settle(face.connect(target))
        table = await settle(nameless.get_table(path))
        writer = table.new_append().create_writer()
        writer.append([2])
        await settle(writer.close())
        rows = [metric for metric in face.metrics() if metric.labels.get("table") == path]
        assert {metric.labels.get("connection") for metric in rows} == {name, None}
        await settle(nameless.close())
        # A node in memory is there as long as somebody is connected.
        await settle(connection.close())

    asyncio.run(body())


def test_metrics_say_what_they_are(face: ModuleType, run: Run) -> None:
    async def body(connection: Any) -> None:
        assert await settle(connection.get_admin().list_databases())
        requests = [m for m in face.metrics() if m.labels.get("api") == "LIST_DATABASES"]
        assert {m.name: m.unit for m in requests} == {
            "fluss_client_requests_total": "requests",
            "fluss_client_request_failures_total": "requests",
            "fluss_client_request_seconds": "seconds",
        }
        assert all(m.description and m.labels["server"] for m in requests)

    run(body)


def test_events_come_under_their_loggers_at_the_levels_that_are_set(
    face: ModuleType, target: str, caplog: pytest.LogCaptureFixture, logged: Callable[[str], list[str]]
) -> None:
    async def records_at(level: int, words: str | None = None) -> list[logging.LogRecord]:
        caplog.clear()
        with caplog.at_level(level, logger="fluss"):
            connection = await settle(face.connect(target))
            table = await create(connection, keyed=False)
            writer = table.new_append().create_writer()
            writer.append([1])
            await settle(writer.close())
            await settle(connection.close())
            if words is not None:
                assert logged(words)
                # What a thread tells late is not to be taken for what happens next.
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while len(logged("connection closed ")) < len(logged("connected ")):
                        await asyncio.sleep(0.01)
        return [record for record in caplog.records if record.name.startswith("fluss")]

    async def body() -> None:
        assert await records_at(logging.WARNING) == []
        records = await records_at(logging.DEBUG, "api=PRODUCE_LOG")
        connected = [record for record in records if record.getMessage().startswith("connected ")]
        assert connected
        for record in connected:
            assert (record.name, record.levelname) == ("fluss.rpc", "DEBUG")
            server = vars(record)["server"]
            assert f"server={server}" in record.getMessage()
            assert abs(record.created - time.time()) < PATIENCE_SECONDS
        writes = [record for record in records if vars(record).get("api") == "PRODUCE_LOG"]
        assert writes
        assert all(str(vars(record)["table"]).startswith("fluss.observed_") for record in writes)
        assert all(vars(record)["bucket"] in (0, 1) for record in writes)
        with caplog.at_level(logging.WARNING, logger="fluss.rpc"):
            assert all(record.name != "fluss.rpc" for record in await records_at(logging.DEBUG))

    asyncio.run(body())


def test_a_lost_server_is_a_warning_with_its_name(face: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        with Node() as node:
            server = node.bootstrap
            connection = await settle(face.connect(f"fluss://{server}"))
            assert await settle(connection.get_admin().list_databases())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(
            record.levelname == "WARNING" and vars(record).get("server") == server for record in caplog.records
        ):
            assert time.monotonic() < deadline, caplog.text
            await asyncio.sleep(0.02)
        assert value(face, "fluss_client_connections_lost_total", server=server) >= 1
        await settle(connection.close())

    asyncio.run(body())

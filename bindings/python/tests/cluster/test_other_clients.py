"""What we append the other published clients read, and the other way round: every type, nulls included."""

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import fluss

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests" / "peers"))

import peers
from test_peers import ROWS, TYPES

EPOCH = dt.datetime(1970, 1, 1)


def moment(value: dict[str, int]) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=value["ms"], microseconds=value["ns"] // 1000)


# How a value of the peers' notation looks in Python, by the beginning of its type; any other looks the same.
PYTHON: dict[str, Callable[[Any], Any]] = {
    "FLOAT": float,
    "DOUBLE": float,
    "BINARY": bytes.fromhex,
    "BYTES": bytes.fromhex,
    "DECIMAL": Decimal,
    "DATE": lambda days: EPOCH.date() + dt.timedelta(days=days),
    "TIME(": lambda millis: (EPOCH + dt.timedelta(milliseconds=millis)).time(),
    "TIMESTAMP(": moment,
    "TIMESTAMP_LTZ": lambda value: moment(value).replace(tzinfo=dt.UTC),
    "MAP": dict,
    "ROW<x": lambda values: dict(zip("xy", values, strict=True)),
    "ARRAY<ROW": lambda rows: [
        None if row is None else {"m": None if row[0] is None else dict(row[0])} for row in rows
    ],
}


def python(kind: str, value: Any) -> Any:
    looks = next((looks for start, looks in PYTHON.items() if kind.startswith(start)), None)
    return value if value is None or looks is None else looks(value)


OURS = [[python(kind, value) for kind, value in zip(TYPES, row, strict=True)] for row in ROWS]


pytestmark = pytest.mark.usefixtures("needs_java")


@pytest.fixture(scope="module")
def connection(server: Any) -> Iterator[fluss.Connection]:
    with fluss.connect(f"fluss://{server.bootstrap}") as opened:
        yield opened


@pytest.fixture(scope="module")
def java(server: Any) -> Iterator[Any]:
    with peers.java() as peer:
        peer.ask(op="connect", bootstrap=server.bootstrap)
        peer.ask(op="create_database", database="peers")
        yield peer


@pytest.fixture(scope="module")
def pyfluss(server: Any) -> Iterator[Any]:
    with peers.pyfluss() as peer:
        peer.ask(op="connect", bootstrap=server.bootstrap)
        yield peer


def create(java: Any, table: str) -> dict[str, str]:
    where = {"database": "peers", "table": table}
    java.ask(op="create_table", **where, names=[f"c{i}" for i in range(len(TYPES))], types=list(TYPES))
    return where


def read(connection: fluss.Connection, table: str, count: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    with connection.get_table(f"peers.{table}").new_scan().create_log_scanner() as scanner:
        scanner.subscribe_from_beginning()
        for _ in range(60):
            rows += [list(record.get_row().values()) for record in scanner.poll(1000)]
            if len(rows) >= count:
                break
    return rows


def test_what_others_append_is_read(connection: fluss.Connection, java: Any, pyfluss: Any) -> None:
    where = create(java, "theirs")
    java.ask(op="append", **where, rows=ROWS)
    pyfluss.ask(op="append", **where, rows=ROWS)
    pyfluss.ask(op="append_arrow", **where, rows=ROWS)
    # As text, for a NaN equals nothing.
    assert repr(read(connection, "theirs", 9)) == repr(3 * OURS)


def test_what_we_append_is_read_by_others(connection: fluss.Connection, java: Any, pyfluss: Any) -> None:
    where = create(java, "ours")
    table = connection.get_table("peers.ours")
    with table.new_append().create_writer() as writer:
        for row in OURS:
            writer.append(row)
        writer.flush()
        with table.new_scan().create_log_scanner() as scanner:
            scanner.subscribe_from_beginning()
            writer.append_arrow(scanner.poll_arrow(60_000))
    for peer, op in ((java, "scan"), (pyfluss, "scan"), (pyfluss, "scan_arrow")):
        records = peer.ask(op=op, **where, rows=6)["records"]
        assert [record["row"] for record in records] == 2 * ROWS

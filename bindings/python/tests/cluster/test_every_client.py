"""Whatever table is drawn, and whatever clients in turn write to it, all find and read the same.

Ours as rows and as Arrow, blocking and awaited, the Java clients of 0.9.1 and of 1.0.0 in turns, and pyfluss, on a
cluster and on `fluss serve`. What is left out for whom is in `drawn/left_out.py`. `FLUSS_DRAWN_ROUNDS` tables are
drawn, the first with `FLUSS_DRAWN_SEED`: `FLUSS_DRAWN_SEED=17 FLUSS_DRAWN_ROUNDS=1` does again what failed with 17 in
its name.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

import fluss
from fluss import aio

pytest.importorskip("pyarrow")
sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests" / "peers"))
sys.path.append(str(Path(__file__).resolve().parents[4] / "tests" / "peers" / "python"))

import peers
from clients import Client, Ours, Peer, Place, Record, Records, Target
from drawn import tables, writes
from drawn.left_out import CLIENTS, OURS, refusals, takes_part
from drawn.tables import NUMBER
from drawn.values import Values
from drawn.writes import Outcome, Rows, Writer
from key_model import Row

ROUNDS = int(os.environ.get("FLUSS_DRAWN_ROUNDS", "20"))
FIRST = int(os.environ.get("FLUSS_DRAWN_SEED", "0"))
WRITERS = [
    Writer("ours", [False, True]),
    Writer("awaited", [False, True]),
    Writer("java", [False]),
    # It waits for partitions until somebody else creates them, and takes a batch to be of one partition.
    Writer("pyfluss", [False], creates_partitions=False),
    Writer("pyfluss as Arrow", [True], creates_partitions=False, mixes_partitions=False),
]
# Hardly waiting for more to send at once; with 0 ms the Java client waits busily.
JAVA_OPTIONS = {"client.writer.batch-timeout": "2ms", "client.lookup.batch-timeout": "1ms"}
PYFLUSS_OPTIONS = {"writer.batch-timeout-ms": "1"}


@pytest.fixture(scope="module")
def processes(needs_java: None) -> Iterator[tuple[list[peers.Peer], peers.Peer]]:
    with peers.java() as java, peers.java_1_0() as java_1_0, peers.pyfluss() as pyfluss:
        yield [java, java_1_0], pyfluss


@pytest.fixture(scope="module")
def clients(server: Any, processes: tuple[list[peers.Peer], peers.Peer]) -> Iterator[list[dict[str, Any]]]:
    """Of two rounds, the first has the Java client of 0.9.1, and the second that of 1.0.0."""
    javas, pyfluss = processes
    for java in javas:
        java.ask(op="connect", bootstrap=server.bootstrap, properties=JAVA_OPTIONS)
    pyfluss.ask(op="connect", bootstrap=server.bootstrap, properties=PYFLUSS_OPTIONS)
    with ExitStack() as stack:
        ours, awaited = Ours(fluss, server), Ours(aio, server)
        for client in (ours, awaited):
            stack.callback(client.close)
        others = [[Peer(java), Peer(pyfluss), Peer(pyfluss, arrow=True)] for java in javas]
        yield [dict(zip(CLIENTS, [ours, awaited, *peers], strict=True)) for peers in others]
    for peer in (*javas, pyfluss):
        peer.ask(op="close")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_clients_find_and_read_the_same(clients: list[dict[str, Any]], seed: int) -> None:
    Round(clients[seed % len(clients)], seed).play()


class Round:
    """A table, who takes part in it, and what they write."""

    def __init__(self, clients: dict[str, Any], seed: int) -> None:
        self.random = Random(seed)
        drawn = iter(lambda: tables.draw(self.random), None)
        self.table = next(table for table in drawn if takes_part("ours", "table", table))
        self.target = Target(f"seed_{seed}", self.table)
        self.seed = seed
        # Without some of the peers more can be drawn.
        invited = [*OURS, *self.random.choice([CLIENTS, CLIENTS, ["java"], ["pyfluss as Arrow"], []])]
        names = [name for name in CLIENTS if name in invited and takes_part(name, "table", self.table)]
        self.clients: dict[str, Client] = {name: clients[name] for name in names}
        self.ours: Ours = clients["ours"]
        self.rows = self.draw_rows()
        writers = [writer for writer in WRITERS if self.does(writer.name, "write")]
        self.writes = list(writes.draw(self.random, self.table, self.rows, writers))
        self.outcome = Outcome(self.table)

    def draw_rows(self) -> Rows:
        values, keys, partitions = (refusals(self.clients, what, self.table) for what in ("value", "key", "partition"))
        draws = (values, [*values, *keys], [*values, *keys, *partitions])
        return Rows(self.random, self.table, *(Values(self.random, refused) for refused in draws))

    def does(self, client: str, what: str) -> bool:
        return client in self.clients and takes_part(client, what, self.table)

    def play(self) -> None:
        try:
            self.ours.create(self.target)
            for write in self.writes:
                self.clients[write.client].write(self.target, write)
                self.outcome.apply(write)
            self.check_records()
            self.check_lookups()
            self.ours.drop(self.target)
        except Exception as failure:
            failure.add_note(self.describe())
            raise

    def describe(self) -> str:
        lines = [f"seed {self.seed}", str(self.table.schema().to_json()), str(self.table)]
        return "\n".join([*lines, f"read by {', '.join(self.clients)}", *map(str, self.writes)])

    def check_records(self) -> None:
        """Everybody reads the same, and it is what was written."""
        records = self.ours.read(self.target, self.outcome.records)[0]
        check_places(records, self.table)
        if self.table.key:
            check_changes(records, self.outcome)
        else:
            check_log(records, self.outcome)
        for name, client in self.clients.items():
            for found in client.read(self.target, self.outcome.records):
                check_same(name, found, records)

    def check_lookups(self) -> None:
        """Everybody finds the same: keys, keys that are not there, and beginnings of keys."""
        rows = self.outcome.model.rows.values() if self.table.key else self.outcome.appended
        assert in_order(self.ours.all_rows(self.target)) == in_order(rows)
        if not self.table.key:
            return
        keys = [*self.rows.keys, self.rows.missing_key(), self.rows.missing_key()]
        keys = [{name: key[name] for name in self.table.key} for key in keys]
        self.check_found(keys)
        if self.table.prefix:
            self.check_found([{name: key[name] for name in self.table.prefix} for key in keys])

    def check_found(self, keys: list[Row]) -> None:
        rows = self.outcome.model.rows.values()
        expected = [in_order(row for row in rows if key.items() <= row.items()) for key in keys]
        for name, client in self.clients.items():
            if self.does(name, "look up"):
                for found in client.look_up(self.target, keys):
                    assert list(map(in_order, found)) == expected, f"{name} looked {keys} up"


def in_order(rows: Any) -> list[Row]:
    return sorted(rows, key=repr)


def by_bucket(records: Records) -> dict[tuple[int | None, int], list[tuple[Place, Record]]]:
    found = defaultdict(list)
    for place, record in sorted(records.items(), key=lambda item: item[0].offset):
        found[place.partition, place.bucket].append((place, record))
    return found


def check_places(records: Records, table: tables.Table) -> None:
    """Each partition has the rows of its values, and each bucket those of its keys."""
    parts, buckets = set(), set()
    for place, record in records.items():
        parts.add((place.partition, tuple(record.row[name] for name in table.partitioned_by)))
        buckets.add((place[:2], place.partition, tuple(record.row[name] for name in table.bucket_key)))
    assert len(parts) == len({part for part, _ in parts}) == len({values for _, values in parts})
    assert not table.bucket_key or len(buckets) == len({bucket[1:] for bucket in buckets})


def check_log(records: Records, outcome: Outcome) -> None:
    """All rows are there, in each bucket in their order and without gaps."""
    found = {record.row[NUMBER]: record.row for record in records.values()}
    for row in outcome.appended:
        assert found.pop(row[NUMBER]) == row
    assert not found
    for bucket in by_bucket(records).values():
        assert [place.offset for place, _ in bucket] == list(range(len(bucket)))
        numbers = [record.row[NUMBER] for _, record in bucket]
        assert numbers == sorted(numbers)


def check_changes(records: Records, outcome: Outcome) -> None:
    """Each bucket tells the changes of its keys in their order."""
    model = outcome.model
    homes = {model.key_of(record.row): place[:2] for place, record in records.items()}
    expected = defaultdict(list)
    for change, row in model.changes:
        expected[homes.get(model.key_of(row))].append((change, row))
    found = {place: [(r.change, r.row) for _, r in bucket] for place, bucket in by_bucket(records).items()}
    assert found == expected


def check_same(name: str, found: Records, expected: Records) -> None:
    """Another client reads the same, as far as it tells."""
    assert sorted(found) == sorted(expected), f"{name} reads records of other offsets"
    for place, record in found.items():
        right = expected[place]
        other = {
            column: (value, right.row[column]) for column, value in record.row.items() if value != right.row[column]
        }
        assert not other, f"{name} reads another row at {place}: {other}"
        assert record.change in (None, right.change) and record.timestamp in (None, right.timestamp), (name, place)

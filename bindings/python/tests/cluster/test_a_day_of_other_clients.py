"""Clients that we did not write do all that they can, on a cluster and on `fluss serve`, and come to the same."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests" / "peers"))

import peers

PEERS: dict[str, Callable[[], peers.Peer]] = {
    "java": peers.java,
    "java_1_0": peers.java_1_0,
    "pyfluss": peers.pyfluss,
}
# What Java calls client.security.protocol is security.protocol to pyfluss.
PREFIX = {"java": "client.", "java_1_0": "client.", "pyfluss": ""}
LOGIN = {"security.protocol": "sasl", "security.sasl.mechanism": "PLAIN"}

EVENTS = [[number, f"n{number}", number / 4] for number in range(10)]


class Client:
    """A peer that is connected, and a database of its own."""

    def __init__(self, name: str, peer: peers.Peer) -> None:
        self.name = name
        self.database = f"day_of_{name}"
        self._peer = peer

    def connect(self, server: Any, user: str | None = None, password: str | None = None) -> None:
        login = {**LOGIN, "security.sasl.username": user, "security.sasl.password": password} if user else {}
        properties = {PREFIX[self.name] + key: value for key, value in login.items()}
        self._peer.ask(op="connect", bootstrap=server.bootstrap, properties=properties)

    def close(self) -> None:
        self._peer.ask(op="close")

    def ask(self, op: str, table: str, **more: Any) -> Any:
        return self._peer.ask(op=op, database=self.database, table=table, **more)

    def create(self, table: str, columns: dict[str, str], **more: Any) -> None:
        self.ask("create_database", table)
        self.ask("create_table", table, names=list(columns), types=list(columns.values()), **more)

    def scan(self, table: str, rows: int, **more: Any) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = self.ask("scan", table, rows=rows, **more)["records"]
        return records


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param.startswith("java"):
        request.getfixturevalue("needs_java")
    with PEERS[request.param]() as running:
        yield Client(request.param, running)


@pytest.fixture(params=["cluster", "guarded_cluster", "node", "guarded_node"])
def client(request: pytest.FixtureRequest, peer: Client) -> Iterator[Client]:
    server = request.getfixturevalue(request.param)
    peer.connect(server, *(("root", server.users["root"]) if server.users else ()))
    yield peer
    peer.close()


def rows(records: list[dict[str, Any]]) -> list[Any]:
    return sorted(record["row"] for record in records)


def test_a_log_table_is_written_and_read(client: Client) -> None:
    client.create("events", {"id": "INT", "name": "STRING", "score": "DOUBLE"}, buckets=3)
    expected = [[number, name, str(score)] for number, name, score in EVENTS]
    client.ask("append", "events", rows=expected)
    records = client.scan("events", len(EVENTS))
    assert rows(records) == expected
    assert {record["change"] for record in records} == {"+A"}
    places = sorted((record["bucket"], record["offset"]) for record in records)
    # Every bucket counts from 0.
    assert all(offset == 0 or (bucket, offset - 1) in places for bucket, offset in places)
    assert rows(client.scan("events", len(EVENTS), project=["score", "id"])) == sorted(
        [score, number] for number, _, score in expected
    )


def test_a_log_table_is_read_up_to_a_limit(client: Client) -> None:
    client.create("limited", {"id": "INT", "name": "STRING"})
    written = [[number, f"n{number}"] for number in range(20)]
    client.ask("append", "limited", rows=written)
    # A log answers with what was written last.
    assert client.ask("limit_scan", "limited", limit=3)["rows"] == written[-3:]
    assert client.ask("limit_scan", "limited", limit=100)["rows"] == written


ACCOUNTS = {"region": "STRING NOT NULL", "id": "BIGINT NOT NULL", "balance": "DOUBLE", "note": "STRING"}
CHANGES = [
    ["+I", ["eu", 1, "10.0", "first"]],
    ["+I", ["eu", 2, "20.0", None]],
    ["+I", ["us", 1, None, "third"]],
    ["-U", ["eu", 1, "10.0", "first"]],
    ["+U", ["eu", 1, "11.5", "first"]],
    ["-D", ["us", 1, None, "third"]],
]
KEPT = [CHANGES[4][1], CHANGES[1][1]]


def test_a_table_with_a_key_is_changed_looked_up_and_followed(client: Client) -> None:
    client.create("accounts", ACCOUNTS, primary_key=["region", "id"], bucket_key=["region"])
    client.ask("upsert", "accounts", rows=[row for _, row in CHANGES[:3]])
    client.ask("upsert", "accounts", rows=[["eu", 1, "11.5", None]], target_columns=["region", "id", "balance"])
    client.ask("delete", "accounts", rows=[["us", 1, None, None]])
    found = client.ask("lookup", "accounts", keys=[["eu", 1], ["eu", 2], ["us", 1], ["us", 2]])["found"]
    assert found == [[KEPT[0]], [KEPT[1]], [], []]
    found = client.ask("lookup", "accounts", prefix=["region"], keys=[["eu"], ["us"], ["asia"]])["found"]
    assert found == [KEPT, [], []]
    records = client.scan("accounts", len(CHANGES))
    assert [[record["change"], record["row"]] for record in records] == CHANGES
    assert [record["offset"] for record in records] == list(range(len(CHANGES)))
    assert sorted(client.ask("limit_scan", "accounts", limit=10)["rows"]) == KEPT
    assert len(client.ask("limit_scan", "accounts", limit=1)["rows"]) == 1


def test_partitions_come_and_go(client: Client) -> None:
    client.create("visits", {"id": "INT", "country": "STRING"}, partitioned_by=["country"])
    for country in ("DE", "FR"):
        client.ask("create_partition", "visits", partition={"country": country})
    visits = [[1, "DE"], [2, "FR"], [3, "DE"]]
    client.ask("append", "visits", rows=visits)
    assert rows(client.scan("visits", 3)) == visits
    client.ask("drop_partition", "visits", partition={"country": "DE"})
    assert rows(client.scan("visits", 1)) == [[2, "FR"]]
    with pytest.raises(peers.PeerError, match="PartitionAlreadyExists|code=42"):
        client.ask("create_partition", "visits", partition={"country": "FR"})


def test_partitions_have_keys(client: Client) -> None:
    columns = {"id": "INT NOT NULL", "country": "STRING NOT NULL", "name": "STRING"}
    client.create("people", columns, primary_key=["id", "country"], partitioned_by=["country"], buckets=2)
    for country in ("DE", "FR"):
        client.ask("create_partition", "people", partition={"country": country})
    people = [[number, country, f"{country}{number}"] for number in range(5) for country in ("DE", "FR")]
    client.ask("upsert", "people", rows=people)
    client.ask("delete", "people", rows=[[0, "DE", None]])
    found = client.ask("lookup", "people", keys=[[0, "DE"], [0, "FR"], [4, "DE"]])["found"]
    assert found == [[], [[0, "FR", "FR0"]], [[4, "DE", "DE4"]]]
    changes = [record["change"] for record in client.scan("people", len(people) + 1)]
    assert sorted(changes) == ["+I"] * len(people) + ["-D"]


def test_what_is_there_is_refused_as_such(client: Client) -> None:
    client.create("twice", {"id": "INT"})
    with pytest.raises(peers.PeerError, match="TableAlreadyExist|code=8"):
        client.create("twice", {"id": "INT"})
    with pytest.raises(peers.PeerError, match="(?i)table.?not.?exist|not found|not exist"):
        client.scan("nowhere", 1)


@pytest.mark.usefixtures("needs_java")
@pytest.mark.parametrize("key", [None, ["id"]], ids=["log", "key"])
def test_the_rust_client_writes_and_reads(server: Any, key: list[str] | None) -> None:
    table = {"database": "day_of_rust", "table": "keyed" if key else "logged"}
    columns = {"id": "BIGINT", "name": "STRING", "value": "DOUBLE", "at": "TIMESTAMP(6)"}
    if key:
        columns["id"] += " NOT NULL"
    with peers.java() as java:
        java.ask(op="connect", bootstrap=server.bootstrap)
        java.ask(op="create_database", **table)
        more = {"primary_key": key} if key else {}
        java.ask(op="create_table", **table, names=list(columns), types=list(columns.values()), buckets=3, **more)
    jobs = ["upsert_rows", "changelog_rows", "lookup_1000"] if key else ["append_rows", "scan_rows", "scan_arrow"]
    with peers.fluss_rs() as rust:
        for job in jobs:
            done = rust.ask(op=job, bootstrap=server.bootstrap, **table, rows=1000, stored=1000, seconds=60)
            assert done["rows"] == 1000, job
            assert done.get("sum_id", 499_500) == 499_500, job


def test_a_wrong_password_is_refused(guarded: Any, peer: Client) -> None:
    with pytest.raises(peers.PeerError, match="AuthenticationException|code=46"):
        peer.connect(guarded, "root", "wrong")
        peer.create("never", {"id": "INT"})


def test_a_user_without_rights_is_refused(guarded: Any, peer: Client) -> None:
    peer.connect(guarded, "alice", guarded.users["alice"])
    with pytest.raises(peers.PeerError, match="AuthorizationException|code=48"):
        peer.ask("create_database", "forbidden")

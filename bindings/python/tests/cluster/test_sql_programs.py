"""Programs that were written for Kimberlite and ksqlDB run on our package, changed as `sql_clients.programs` says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fluss
from fluss.security import AclBinding, AclBindingFilter, OperationType, Resource
from fluss.sql import Client
from fluss_cluster import Cluster, Node
from sql_clients import programs
from sql_clients.programs import (
    ADDRESS,
    ASKED_TO_LOG_IN,
    KIMBERLITE,
    KSQLDB,
    LOGIN,
    RIGHTS,
    STREAM,
    TESTS,
    Program,
    run,
)

PROGRAMS = Path(programs.__file__)
ALL = [*KIMBERLITE, *KSQLDB, ASKED_TO_LOG_IN, RIGHTS, TESTS, STREAM, LOGIN]


@pytest.fixture(scope="module", params=["cluster", "node"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of these programs' own: some of them drop all tables that there are."""
    if request.param == "cluster":
        request.getfixturevalue("needs_java")
        with Cluster(tablet_servers=1) as cluster:
            yield cluster.bootstrap
        return
    with Node() as node:
        yield node.bootstrap


def as_root(server: Cluster | Node) -> dict[str, Any]:
    return {"user": "root", "password": server.users["root"]}


def test_every_program_is_run() -> None:
    texts = {str(path.relative_to(PROGRAMS.parent)) for path in PROGRAMS.parent.rglob("*.txt")}
    assert texts == {program.file for program in ALL}


def test_only_imports_names_and_keys_are_changed() -> None:
    reasons = {change.why for program in ALL for change in program.changes}
    allowed = ("the import", "name", "the user's", "refused by name", "primary key", "asks", "TLS, which")
    assert [why for why in reasons if not any(word in why for word in allowed)] == []


@pytest.mark.parametrize("program", [*KIMBERLITE, *KSQLDB], ids=lambda program: program.name)
def test_a_program_runs(program: Program, address: str) -> None:
    run(program, address)


def test_the_program_that_transfers_has_transferred(address: str) -> None:
    (program,) = (program for program in KIMBERLITE if program.name == "transactions")
    with programs.leaving_nothing(address) as client:
        client.execute(program.before)
        exec(compile(program.text(), program.file, "exec"), {"client": client})
        balances = client.query("SELECT balance FROM accounts ORDER BY id", as_dict=False)
        assert list(balances) == [(800,), (1200,)]


def test_the_program_that_follows_gets_rows_as_they_are_written(address: str) -> None:
    begun, *rows = programs.follow(address)
    assert begun.startswith("Got result query id: ")
    assert [row.split("=")[0] for row in rows] == 3 * ["Row: Row(id"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_programs_run_in_another_time_zone(address: str, zone: str) -> None:
    command = [sys.executable, str(PROGRAMS), address]
    environment = {**os.environ, "TZ": zone}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [program.file for program in [*KIMBERLITE, *KSQLDB]]


def test_the_tests_for_pytest_pass(address: str, tmp_path: Path) -> None:
    (tmp_path / "test_kimberlite.py").write_text(TESTS.text().replace(ADDRESS, address))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_clients_log_in(guarded: Cluster | Node) -> None:
    login = as_root(guarded)
    run(ASKED_TO_LOG_IN, guarded.bootstrap, login, USER=login["user"], PASSWORD=login["password"])


def test_a_client_of_ksqldb_logs_in(guarded: Cluster | Node) -> None:
    login = as_root(guarded)
    run(LOGIN, guarded.bootstrap, login, USER=login["user"], PASSWORD=login["password"])


def test_an_analyst_reads_and_does_not_write(guarded: Cluster | Node) -> None:
    login, analyst = as_root(guarded), guarded.users["alice"]
    with Client(addresses=[guarded.bootstrap], **login) as client:
        client.execute("CREATE TABLE patients (id INT PRIMARY KEY, name TEXT NOT NULL, ssn TEXT NOT NULL)")
        client.execute("INSERT INTO patients VALUES (1, 'Alice Johnson', '123-45-6789')")
        options = {"security.protocol": "SASL", "security.sasl.username": "root"}
        options["security.sasl.password"] = login["password"]
        reads = AclBinding.allow("alice", OperationType.READ, Resource.table("fluss.patients"))
        connection = fluss.connect(f"fluss://{guarded.bootstrap}", options)
        connection.get_admin().create_acls([reads])
        try:
            names = {
                "ADMIN": "root",
                "ADMIN_PASSWORD": login["password"],
                "ANALYST": "alice",
                "ANALYST_PASSWORD": analyst,
            }
            run(RIGHTS, guarded.bootstrap, login, **names)
        finally:
            client.execute("DROP TABLE patients")
            connection.get_admin().drop_acls([AclBindingFilter.of(Resource.table("fluss.patients"))])
            connection.close()

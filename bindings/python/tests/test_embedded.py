"""Nodes in the same process, and the program that serves one to others."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fluss
import fluss.client
import fluss.metadata
from fluss import DataTypes, aio


def people(connection: fluss.Connection, path: str = "fluss.people") -> fluss.client.Table:
    schema = fluss.metadata.Schema.new_builder().column("id", DataTypes.INT()).column("name", DataTypes.STRING())
    descriptor = fluss.metadata.TableDescriptor(schema.primary_key(["id"]).build(), bucket_count=2)
    connection.get_admin().create_table(path, descriptor, True)
    return connection.get_table(path)


def put(table: fluss.client.Table, row: list[object]) -> None:
    with table.new_upsert().create_writer() as writer:
        writer.upsert(row)


def look_up(table: fluss.client.Table, key: int) -> object:
    return table.new_lookup().create_lookuper().lookup([key])


def test_tables_in_memory_are_their_connection_s_own() -> None:
    with fluss.connect("embedded::memory:") as one, fluss.connect("embedded::memory:") as other:
        put(people(one), [1, "Ada"])
        assert look_up(people(one), 1) == {"id": 1, "name": "Ada"}
        assert look_up(people(other), 1) is None


def test_tables_in_memory_are_shared_by_name() -> None:
    with fluss.connect("embedded::memory:shared") as one, fluss.connect("embedded::memory:shared") as other:
        put(people(one), [1, "Ada"])
        assert look_up(people(other), 1) == {"id": 1, "name": "Ada"}
    with fluss.connect("embedded::memory:shared") as later:
        assert later.get_admin().list_tables("fluss") == []


def test_a_directory_keeps_its_tables(tmp_path: Path) -> None:
    target = f"embedded:{tmp_path / 'data'}"
    for number in range(3):
        with fluss.connect(target) as connection, fluss.connect(target) as beside:
            put(people(connection), [number, f"person {number}"])
            for known in range(number + 1):
                assert look_up(people(beside), known) == {"id": known, "name": f"person {known}"}


def test_a_directory_is_one_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "other").mkdir()
    spellings = [
        "./data",
        f"{tmp_path}/data",
        f"{tmp_path}/link",
        f"{tmp_path}/other/../data",
        "./other/./../link/",
        "~/data",
    ]
    with fluss.connect(f"embedded:{spellings[0]}") as first:
        put(people(first), [1, "Ada"])
        for spelling in spellings:
            with fluss.connect(f"embedded:{spelling}") as connection:
                assert look_up(people(connection), 1) == {"id": 1, "name": "Ada"}, spelling
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "link", "other"]


def test_a_directory_that_was_not_meant_is_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target in ["embedded://memory", "embedded:memory:", "embedded:memory"]:
        with pytest.raises(fluss.FlussError, match="'embedded::memory:' is a node in memory"):
            fluss.connect(target)
        with pytest.raises(fluss.FlussError, match="'embedded::memory:' is a node in memory"):
            fluss.Connection(fluss.Configuration({"bootstrap.servers": target}))
    assert list(tmp_path.iterdir()) == []
    assert not Path("/memory").exists()


def test_an_embedded_node_is_had_by_configuration(tmp_path: Path) -> None:
    configuration = fluss.Configuration({"bootstrap.servers": f"embedded:{tmp_path}"})
    with fluss.Connection(configuration) as connection:
        assert connection.get_admin().list_databases() == ["fluss"]
        assert repr(connection) == f"Connection('embedded:{tmp_path}')"


async def awaited(target: str) -> object:
    async with await aio.connect(target) as connection:
        return await connection.get_admin().list_databases()


def test_nodes_are_awaited_too(tmp_path: Path) -> None:
    import asyncio

    assert asyncio.run(awaited(f"embedded:{tmp_path}")) == ["fluss"]
    assert asyncio.run(awaited("embedded::memory:")) == ["fluss"]


@pytest.mark.parametrize("target", ["embedded:", "embedded::disk:", "elsewhere://a:1"])
def test_other_targets_are_refused(target: str, face: ModuleType) -> None:
    with pytest.raises(fluss.FlussError, match="embedded:"):
        face.connect(target)


def run(*arguments: str) -> subprocess.Popen[str]:
    """The program as a shell would find it: that of this interpreter's environment."""
    program = Path(sys.executable).with_name("fluss")
    return subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program_serves_a_directory_that_is_its_own(tmp_path: Path) -> None:
    with run("serve", "--data-dir", str(tmp_path), "--listen", "127.0.0.1:0") as server:
        assert server.stdout is not None
        target = server.stdout.readline().removeprefix("serving at ").strip()
        try:
            with fluss.connect(target) as connection:
                put(people(connection), [1, "Ada"])
            with pytest.raises(fluss.FlussError, match=f"{tmp_path} is in use by another process"):
                fluss.connect(f"embedded:{tmp_path}")
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    with fluss.connect(f"embedded:{tmp_path}") as connection:
        assert look_up(people(connection), 1) == {"id": 1, "name": "Ada"}


def test_the_program_tells_who_is_connected(tmp_path: Path) -> None:
    with run("serve", "--data-dir", str(tmp_path), "--listen", "127.0.0.1:0") as server:
        assert server.stdout is not None
        target = server.stdout.readline().removeprefix("serving at ").strip()
        fluss.connect(f"{target}?connectionName=loader%20of%20orders").close()
        fluss.connect(target).close()
        server.send_signal(signal.SIGTERM)
        _, told = server.communicate(timeout=30)
    assert told.count("connected") == 1 and "loader of orders" in told


def test_the_program_says_what_is_wrong(tmp_path: Path) -> None:
    options = tmp_path / "options"
    options.write_text("sync: sometimes\n")
    for arguments, expected in [
        (["serve", "--data-dir", os.devnull], os.devnull),
        (["serve", "--data-dir", str(tmp_path / "d"), "--config", str(options)], "line 1: option 'sync'"),
        (["serve", "--data-dir", str(tmp_path / "d"), "--users", str(tmp_path / "none")], "none"),
        (["sevre"], "sevre"),
    ]:
        with run(*arguments) as program:
            _, message = program.communicate(timeout=30)
            assert program.returncode != 0
            assert expected in message
            assert "panicked" not in message

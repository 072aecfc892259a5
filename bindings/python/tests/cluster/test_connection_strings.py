"""Connection strings, by the table that the tests in Rust have, too; and what the environment says."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fluss

REPOSITORY = Path(__file__).parents[4]
CASES = json.loads((REPOSITORY / "fluss-client" / "src" / "config" / "strings.json").read_text())
GOOD = [case for case in CASES if "is" in case]
BAD = [case for case in CASES if "refused" in case]


def test_there_are_enough() -> None:
    assert len(GOOD) + len(BAD) == len(CASES) > 145


@pytest.mark.parametrize("case", GOOD, ids=[case["string"] for case in GOOD])
def test_a_string_says_what_its_table_says(case: dict[str, Any]) -> None:
    said = fluss.Configuration.of(case["string"]).to_dict()
    assert {key.removeprefix("client."): value for key, value in said.items()} == case["is"]
    shown = repr(fluss.Configuration({"bootstrap.servers": case["string"]}))
    password = case["is"].get("security.sasl.password")
    assert password is None or len(password) < 3 or password not in shown


@pytest.mark.parametrize("case", BAD, ids=[case["string"] for case in BAD])
def test_a_string_is_refused_as_its_table_says(case: dict[str, Any], face: ModuleType) -> None:
    string = case["string"]
    for call in (lambda: fluss.Configuration({"bootstrap.servers": string}), lambda: face.connect(string)):
        with pytest.raises(fluss.ConfigError) as raised:
            call()
        assert str(raised.value) == case["refused"]


def test_a_database_is_that_of_tables_without_one() -> None:
    schema = fluss.Schema.new_builder().column("id", "INT").build()
    with fluss.connect("embedded::memory:?database=shop") as connection:
        admin = connection.get_admin()
        admin.create_database("shop", ignore_if_exists=True)
        admin.create_table("orders", fluss.TableDescriptor(schema))  # not written
        assert admin.list_tables("shop") == ["orders"]
        assert str(connection.get_table("orders").get_table_path()) == "shop.orders"
        assert admin.table_exists("shop.orders") and not admin.table_exists("fluss.orders")
    with fluss.connect("embedded::memory:") as connection:
        with pytest.raises(fluss.FlussError, match="'database.table' expected"):
            connection.get_table("orders")


def test_the_environment_says_where_to_connect(monkeypatch: pytest.MonkeyPatch, face: ModuleType) -> None:
    monkeypatch.delenv("FLUSS_TARGET", raising=False)
    with pytest.raises(fluss.ConfigError, match="FLUSS_TARGET"):
        face.connect()
    monkeypatch.setenv("FLUSS_TARGET", "embedded::memory:?requestTimeout=5s")
    monkeypatch.setenv("FLUSS_DATABASE", "shop")
    monkeypatch.setenv("FLUSS_WRITER_ACKS", "2")
    with pytest.raises(fluss.ConfigError, match="'2' is none of all, 1, 0"):
        face.connect()
    monkeypatch.setenv("FLUSS_WRITER_ACKS", "all")
    with fluss.connect() as connection:
        assert connection.get_admin().list_databases() == ["fluss"]

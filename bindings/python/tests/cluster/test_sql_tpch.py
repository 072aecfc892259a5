"""The 22 queries of TPC-H over key tables are answered as by DuckDB on the same rows.

`FLUSS_TPCH_SCALE` is how many gigabytes there are. With 0.1 there are 866,602 rows.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Any

import pytest

import fluss
from faces import create_in_sql

pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
sql = pytest.importorskip("fluss.sql")
parquet = pytest.importorskip("pyarrow.parquet")
GENERATOR = Path(sys.executable).with_name("tpchgen-cli")
if not GENERATOR.exists():
    pytest.skip("there is no tpchgen-cli", allow_module_level=True)

SCALE = os.environ.get("FLUSS_TPCH_SCALE", "0.01")
FILES = Path(__file__).resolve().parents[4] / "fluss-sql" / "tests" / "tpch"
QUERIES = sorted(path.stem for path in FILES.glob("q*.sql"))
DATABASE = "tpch"
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The tables as Arrow data."""
    folder = tmp_path_factory.mktemp("tpch")
    options = ["--scale-factor", SCALE, "--output-dir", str(folder), "--quiet"]
    subprocess.run([GENERATOR, "parquet", *options], check=True, timeout=300)
    return {path.stem: parquet.read_table(path) for path in folder.glob("*.parquet")}


@pytest.fixture(scope="module")
def client(target: str, data: dict[str, Any]) -> Iterator[Any]:
    """A client in a database where the tables are filled."""
    with fluss.connect(target) as connection:
        admin = connection.get_admin()
        admin.create_database(DATABASE, ignore_if_exists=True)
        with sql.Client(target, database=DATABASE) as opened:
            for text in (FILES / "tables.sql").read_text().split(";"):
                if created := re.search(r"CREATE TABLE (\w+)", text):
                    name = created[1]
                    create_in_sql(opened.execute, admin, f"{DATABASE}.{name}", text)
                    with connection.get_table(f"{DATABASE}.{name}").new_upsert().create_writer() as writer:
                        writer.upsert_arrow(data[name])
            yield opened
            for name in data:
                opened.execute(f"DROP TABLE {name}")


@pytest.fixture(scope="module")
def model(data: dict[str, Any]) -> Iterator[Any]:
    """DuckDB with the same tables."""
    with duckdb.connect() as opened:
        for name, table in data.items():
            opened.register(name, table)
        yield opened


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_answered_as_by_duckdb(client: Any, model: Any, query: str) -> None:
    text = (FILES / f"{query}.sql").read_text()
    assert_same(list(client.query(text, as_dict=False)), model.execute(text).fetchall())


def test_the_tables_hold_all_rows(client: Any, data: dict[str, Any]) -> None:
    counts = {name: client.query(f"SELECT count(*) FROM {name}", as_dict=False)[0][0] for name in data}
    assert counts == {name: len(table) for name, table in data.items()}


def assert_same(found: Rows, expected: Rows) -> None:
    """Insists on the same rows in any order. Averages and quotients have other digits than in DuckDB."""
    assert len(found) == len(expected)
    for row, other in zip(in_order(found), in_order(expected), strict=True):
        for value, right in zip(row, other, strict=True):
            if isinstance(right, float | Decimal):
                assert isclose(value, right, rel_tol=1e-6, abs_tol=1e-6), f"{row} is not {other}"
            else:
                assert value == right, f"{row} is not {other}"


def in_order(rows: Rows) -> Rows:
    """Sorts rows by what is exact in them first."""

    def key(row: tuple[Any, ...]) -> tuple[list[str], list[float]]:
        numbers = [float(value) for value in row if isinstance(value, float | Decimal)]
        return [repr(value) for value in row if not isinstance(value, float | Decimal)], numbers

    return sorted(rows, key=key)

"""The README's code runs as it is typed, from top to bottom."""

import re
from pathlib import Path
from typing import Any

import pytest

import fluss

ROOT = Path(__file__).resolve().parents[4]
README = ROOT / "README.md"
STREAMS = ROOT / "docs" / "streams.md"
SHORT = ROOT / "docs" / "python.md"
TARGET = "embedded:./data"


def blocks(page: Path = README) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_code_runs_from_top_to_bottom(
    connection: fluss.Connection,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    assert len(blocks()) == 3
    for block in blocks():
        exec(compile(block.replace(TARGET, target), str(README), "exec"), names)
    assert "0 {'id': 1, 'name': 'Ada'}\n1 {'id': 2, 'name': 'Grace'}\n" in capsys.readouterr().out
    # Nobody is warned of what they closed themselves.
    assert [record for record in caplog.records if "closed" in record.getMessage()] == []
    planes = connection.get_table("fluss.planes").to_arrow().to_pyarrow().to_pylist()
    assert sorted(row["tailnum"] for row in planes) == ["N14228", "N24211"]
    for table in ("fluss.people", "fluss.planes"):
        connection.get_admin().drop_table(table)


def test_code_runs_on_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks():
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "data").is_dir()


def test_code_of_the_page_on_streams_runs(
    connection: fluss.Connection, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    assert len(blocks(STREAMS)) == 3
    for block in blocks(STREAMS):
        exec(compile(block.replace(TARGET, target), str(STREAMS), "exec"), names)
    printed = capsys.readouterr().out
    assert "1 OrderPaid b'{}'\nit is at version 1\n" in printed
    assert "{'stream': 'order:123', 'appends': 2}" in printed
    assert "order:123 1 OrderPaid" in printed
    for table in ("fluss.orders", "fluss.orders_consumers"):
        connection.get_admin().drop_table(table)


def test_code_of_the_page_on_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    assert len(blocks(SHORT)) == 4
    for block in blocks(SHORT):
        exec(compile(block, str(SHORT), "exec"), names)
    printed = capsys.readouterr().out
    assert "1 row in" in printed and "100002 rows\n" in printed and "[(2, 525)]" in printed
    assert "{'booking': 101, 'plane': 77, 'name': None, 'seats': None}" in printed
    assert "-D ATR 72\n" in printed and printed.endswith("A220\n")
    assert (tmp_path / "data").is_dir()

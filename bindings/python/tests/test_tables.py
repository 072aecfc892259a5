"""A table that a test writes to on a cluster is created by `faces.create_table`, which sees to its leaders."""

import re
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "cluster").rglob("*.py"))


@pytest.mark.parametrize("file", [file for file in FILES if file.name != "faces.py"], ids=lambda file: str(file.name))
def test_tables_that_are_written_are_created_by_the_helpers(file: Path) -> None:
    calls = [line for line in file.read_text().splitlines() if re.search(r"\.create_table\(", line)]
    assert [line for line in calls if not re.search("# (not written|on a node)$", line)] == []

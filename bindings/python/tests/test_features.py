"""`docs/features.md` names tests that are there, and that run on both servers unless it says otherwise."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
RUST = REPOSITORY / "tests" / "conformance"
PYTHON = Path(__file__).parent / "cluster"

LINES = (REPOSITORY / "docs" / "features.md").read_text().splitlines()
ROWS = [cells for line in LINES if len(cells := line.strip("|").split("|")) == 7 and "`" in cells[-1]]

BOTH = {"EVERYWHERE", "SERVERS", "JAVA"}
"""What tests of the conformance suite are listed under that run on a node and on a cluster."""


def listed_under(test: str) -> str:
    """What a test of the conformance suite is listed under."""
    *modules, name = test.split("::")
    folder = RUST.joinpath(*modules)
    path = folder / "mod.rs" if folder.is_dir() else folder.with_suffix(".rs")
    for group, names in re.findall(r"(\w+) => \[([^\]]*)\]", path.read_text()):
        if name in re.findall(r"\w+", names):
            return str(group)
    raise AssertionError(f"{path} does not list {name}")


def test_there_are_features() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("cells", ROWS, ids=[cells[0].strip() for cells in ROWS])
def test_a_feature_has_tests(cells: list[str]) -> None:
    in_rust, in_python = (re.findall("`([^`]+)`", cell) for cell in cells[-2:])
    groups = {listed_under(test) for test in in_rust}
    assert groups & BOTH or {"SERVE", "CLUSTER"} <= groups or " only" in cells[0] + cells[-2]
    assert in_python
    for name in in_python:
        module, test = name.split("::")
        assert f"def {test}(" in (PYTHON / f"{module}.py").read_text(), f"{module} has no {test}"

"""What is installed, and what is not needed."""

import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import fluss

WITHOUT = """
import sys
for name in ("pyarrow", "pandas", "polars", "numpy"):
    sys.modules[name] = None
import fluss.aio, fluss.client
from fluss import Schema
from fluss.client import ArrowTable
assert Schema.new_builder().column("a", "INT").build().check_row([1]) == {"a": 1}
"""


def test_the_distribution_is_named_after_the_client() -> None:
    assert metadata("fluss-client")["Requires-Python"] == ">=3.11"
    assert version("fluss-client") == fluss.__version__


def test_it_is_typed_for_users() -> None:
    assert (Path(fluss.__file__).parent / "py.typed").exists()


def test_arrow_libraries_are_not_needed() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

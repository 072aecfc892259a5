"""Metrics and logging of a process: what is there from the start, and what becomes of it at the end."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fluss

PAGE = Path(__file__).resolve().parents[3] / "docs" / "observability.md"

CHATTY = """
import asyncio, logging, sys
import fluss
from fluss import aio
logging.basicConfig(level=1, stream=sys.stdout)

async def main():
    async with aio.connect("embedded::memory:") as connection:
        await asyncio.gather(*(connection.get_admin().list_databases() for _ in range(50)))

asyncio.run(main())
connection = fluss.connect("embedded::memory:")
connection.get_admin().list_databases()
"""

QUIET = """
import fluss
try:
    fluss.connect("fluss://127.0.0.1:1", {"client.connect-timeout": "1 s"})
except fluss.ConnectionError:
    pass
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def test_a_process_that_logs_everything_ends_as_it_should() -> None:
    for _ in range(5):
        done = run(CHATTY)
        assert "DEBUG:fluss.rpc:connected server=" in done.stdout
        assert done.stderr == ""


def test_nothing_is_printed_unless_logging_is_set_up() -> None:
    done = run(QUIET)
    assert (done.stdout, done.stderr) == ("", "")
    assert "WARNING:fluss.client:cannot connect" in run("import logging; logging.basicConfig()" + QUIET).stderr


def test_the_client_is_told_of_levels_as_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[int]] = []
    monkeypatch.setattr("fluss._fluss.set_log_levels", told.append)
    names = fluss._fluss.loggers()
    root, ours = logging.getLogger(), logging.getLogger("fluss.client")
    before = root.level
    try:
        root.setLevel(logging.ERROR)
        assert told[-1] == [logging.ERROR] * len(names)
        ours.setLevel(logging.INFO)
        expected = [logging.INFO if name.startswith("fluss.client") else logging.ERROR for name in names]
        assert told[-1] == expected
        logging.disable(logging.CRITICAL)
        assert set(told[-1]) == {logging.CRITICAL + 1}
    finally:
        logging.disable(logging.NOTSET)
        ours.setLevel(logging.NOTSET)
        root.setLevel(before)
    assert told[-1] == [before] * len(names)


def test_there_is_nothing_to_count_before_the_first_connection() -> None:
    assert run("import fluss; print(fluss.metrics())").stdout == "[]\n"


def test_the_examples_of_the_page_work() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        run(example)

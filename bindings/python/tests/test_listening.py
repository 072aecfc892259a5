"""Metrics and logging of a process: what is there from the start, and what becomes of it at the end."""

import asyncio
import logging
import logging.config
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from faces import settle

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


CHANGES: dict[str, Callable[[], object]] = {
    "of a logger": lambda: logging.getLogger("fluss.rpc").setLevel(logging.DEBUG),
    "of a parent": lambda: logging.getLogger("fluss").setLevel(logging.DEBUG),
    "of the root": lambda: logging.getLogger().setLevel(logging.DEBUG),
    "by a configuration": lambda: logging.config.dictConfig(
        {"version": 1, "incremental": True, "loggers": {"fluss.rpc": {"level": "DEBUG"}}}
    ),
}


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The messages of the client's records, in a process whose levels are put back afterwards."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in (None, "fluss", "fluss.rpc")]
    levels = [logger.level for logger in loggers]
    loggers[1].addHandler(handler)
    yield found
    loggers[1].removeHandler(handler)
    logging.disable(logging.NOTSET)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("change", CHANGES)
def test_levels_that_change_hold_from_the_next_call_on(face: ModuleType, heard: list[str], change: str) -> None:
    async def body() -> None:
        connection = await settle(face.connect("embedded::memory:"))
        admin = connection.get_admin()
        await settle(admin.list_databases())
        assert heard == []
        CHANGES[change]()
        await settle(admin.list_databases())
        deadline = time.monotonic() + 30
        while not any("api=LIST_DATABASES" in message for message in list(heard)):
            assert time.monotonic() < deadline, heard
            await asyncio.sleep(0.01)
        logging.disable(sys.maxsize)
        heard.clear()
        await settle(admin.list_databases())
        await settle(connection.close())
        assert heard == []

    asyncio.run(body())


def test_a_logger_is_one_as_all_others_are() -> None:
    ours, other = logging.getLogger("fluss"), logging.getLogger("another.program.s")
    assert {name: type(value) for name, value in vars(ours).items()} == {
        name: type(value) for name, value in vars(other).items()
    }


def test_there_is_nothing_to_count_before_the_first_connection() -> None:
    assert run("import fluss; print(fluss.metrics())").stdout == "[]\n"


def test_the_examples_of_the_page_work() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        run(example)

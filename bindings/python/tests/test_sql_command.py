"""``fluss sql``, the command that carries statements out."""

import array
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import fluss

PEOPLE = (
    "CREATE TABLE people (id INT PRIMARY KEY, name STRING); INSERT INTO people VALUES (1, 'Ada'), (2, 'Grace, \"G\"');"
)


FULL = 60 << 10
"""A pipe with so many bytes takes no more."""


def waiting_in(pipe: IO[str]) -> int:
    """How many bytes of a pipe nobody has read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return f"embedded:{tmp_path / 'data'}"


class Program(subprocess.Popen[str]):
    """A program that does not outlive its block: a test that fails is not to wait for it."""

    def __exit__(self, *raised: Any) -> None:
        self.kill()
        super().__exit__(*raised)


def start(*arguments: str, **environment: str) -> Program:
    program = Path(sys.executable).with_name("fluss")
    pipe = subprocess.PIPE
    env = {**os.environ, **environment}
    return Program([program, "sql", *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)


def run(*arguments: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    with start(*arguments, **environment) as program:
        out, err = program.communicate(given, timeout=60)
        return program.returncode, out, err


def test_statements_come_from_the_command_line_a_file_or_the_standard_input(directory: str, tmp_path: Path) -> None:
    assert run(directory, "-c", PEOPLE) == (0, "2 rows written\n", "")
    expected = "id,name\n1,Ada\n"
    query = "SELECT * FROM people WHERE id = 1"
    file = tmp_path / "query.sql"
    file.write_text(query)
    assert run(directory, "--output", "csv", "-c", query) == (0, expected, "")
    assert run(directory, "--output", "csv", "-f", str(file)) == (0, expected, "")
    assert run(directory, "--output", "csv", given=query) == (0, expected, "")
    assert run("--output", "csv", given=query, FLUSS_TARGET=directory) == (0, expected, "")


def test_rows_are_printed_as_is_wanted(directory: str) -> None:
    run(directory, "-c", PEOPLE)
    query = "SELECT id, name FROM people ORDER BY id"
    table = """\
+----+------------+
| id | name       |
+----+------------+
| 1  | Ada        |
| 2  | Grace, "G" |
+----+------------+
2 rows
"""
    assert run(directory, "-c", query) == (0, table, "")
    assert run(directory, "--output", "csv", "-c", query)[1] == 'id,name\n1,Ada\n2,"Grace, ""G"""\n'
    rows = [json.loads(line) for line in run(directory, "--output", "json", "-c", query)[1].splitlines()]
    assert rows == [{"id": 1, "name": "Ada"}, {"id": 2, "name": 'Grace, "G"'}]


def test_rows_are_printed_as_an_arrow_stream(directory: str) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    run(directory, "-c", PEOPLE)
    program = Path(sys.executable).with_name("fluss")
    command: list[str | Path] = [
        program,
        "sql",
        directory,
        "--output",
        "arrow",
        "-c",
        "SELECT id FROM people ORDER BY id",
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    assert ipc.open_stream(io.BytesIO(done.stdout)).read_all().to_pydict() == {"id": [1, 2]}


def test_an_error_says_where_it_is_in_the_whole_text(directory: str) -> None:
    code, out, err = run(directory, "--output", "csv", "-c", "SELECT 1 AS n;\n\n  SELECT nothing\n")
    assert (code, out) == (1, "n\n1\n")
    assert err.startswith("fluss: ") and "line 3, column " in err and "panicked" not in err
    code, out, err = run(directory, "-c", "SELECT 1; SELEC 2")
    assert code == 1 and "line 1, column 11" in err


def test_the_program_says_what_is_wrong(directory: str, tmp_path: Path) -> None:
    for arguments, code, expected in [
        (["-c", "SELECT 1"], 1, "FLUSS_TARGET"),
        (["fluss://127.0.0.1:1", "-c", "SELECT 1"], 1, "127.0.0.1:1"),
        (["fluss://alice:secret@127.0.0.1:1", "-c", "SELECT 1"], 1, "--password-file"),
        ([directory, "-f", str(tmp_path / "none.sql")], 1, "none.sql"),
        ([directory, "-c", "GRANT SELECT ON people TO bob"], 1, "GRANT"),
        ([directory, "--output", "xml"], 2, "xml"),
        ([directory, "-c", "SELECT 1", "-f", "x"], 2, "cannot be used with"),
    ]:
        found, _, err = run(*arguments, FLUSS_TARGET="")
        assert (found, expected in err, "panicked" in err, "secret" in err) == (code, True, False, False), err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    program = Path(sys.executable).with_name("fluss")
    arguments: list[str | Path] = [program, "serve", "--data-dir", str(tmp_path / "served"), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("serving at ").strip()
        server.send_signal(signal.SIGTERM)


def test_changes_are_printed_as_they_come_until_it_is_interrupted(served: str) -> None:
    with fluss.connect(served) as connection:
        connection.sql("CREATE TABLE events (id INT)")
        connection.sql("INSERT INTO events VALUES (1)")
        with start(served, "--output", "csv", "-c", "SELECT id FROM events EMIT CHANGES") as program:
            assert program.stdout is not None and program.stdin is not None
            program.stdin.close()
            assert [program.stdout.readline() for _ in range(2)] == ["id\n", "1\n"]
            connection.sql("INSERT INTO events VALUES (2)")
            assert program.stdout.readline() == "2\n"
            program.send_signal(signal.SIGINT)
            assert program.wait(10) == 0


def test_an_interrupt_is_heard_while_rows_are_printed(served: str) -> None:
    with fluss.connect(served) as connection:
        connection.sql("CREATE TABLE printed (id BIGINT)")
        connection.sql("INSERT INTO printed SELECT value FROM generate_series(1, 100000)")
    with start(served, "--output", "csv", "-c", "SELECT id FROM printed EMIT CHANGES") as program:
        assert program.stdout is not None and program.stdin is not None
        program.stdin.close()
        assert program.stdout.readline() == "id\n"
        # Nobody reads on, and the pipe is full.
        deadline = time.monotonic() + 30
        while waiting_in(program.stdout) < FULL:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        program.send_signal(signal.SIGINT)
        rows = program.stdout.read().splitlines()
        assert program.wait(10) == 0
    assert rows == [str(number) for number in range(1, len(rows) + 1)]


def test_a_query_is_interrupted(served: str) -> None:
    query = (
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value * b.value = -1"
    )
    with start(served, "-c", query) as program:
        time.sleep(1)
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 1


def test_nobody_has_to_read_to_the_end(directory: str) -> None:
    program = Path(sys.executable).with_name("fluss")
    query = "SELECT value FROM generate_series(1, 1000000)"
    done = subprocess.run(
        f"{program} sql {directory} --output csv -c '{query}' | head -n 2; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "value\n1\n", "")

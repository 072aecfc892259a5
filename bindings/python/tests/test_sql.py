"""`Connection.sql` in both faces, on a node in memory."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import settle
from fluss import aio

pa = pytest.importorskip("pyarrow")

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
PEOPLE = "CREATE TABLE people (id INT PRIMARY KEY, name STRING)"
ADA_AND_GRACE = "INSERT INTO people VALUES (1, 'Ada'), (2, 'Grace')"
LONG = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value * b.value = -1"
"""A query that takes hours."""
AT_ONCE_SECONDS = 2.0


@pytest.fixture
def target() -> str:
    return "embedded::memory:"


@pytest.fixture
def connection() -> Iterator[fluss.Connection]:
    with fluss.connect("embedded::memory:") as opened:
        yield opened


async def gathered(rows: Any) -> list[Any]:
    """What an iterator of either face gives."""
    return [row async for row in rows] if hasattr(rows, "__aiter__") else list(rows)


def test_a_statement_is_carried_out_and_its_rows_are_dicts(run: Run) -> None:
    async def body(connection: Any) -> None:
        await settle(connection.sql(PEOPLE))
        written = await settle(connection.sql(ADA_AND_GRACE))
        assert written.rows_affected == 2
        result = await settle(connection.sql("SELECT * FROM people ORDER BY id"))
        expected = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]
        assert await gathered(result) == expected
        assert await settle(result.fetchall()) == expected
        assert result.rows_affected is None
        assert await settle(result.columns()) == [("id", "INT"), ("name", "STRING")]

    run(body)


def test_the_awaited_face_waits_until_it_is_asked() -> None:
    async def main() -> None:
        async with aio.connect("embedded::memory:") as connection:
            await connection.sql(PEOPLE)
            insert = connection.sql(ADA_AND_GRACE)
            assert await connection.sql("SELECT * FROM people").fetchall() == []
            assert (await insert).rows_affected == (await insert).rows_affected == 2
            assert [row["n"] async for row in connection.sql("SELECT count(*) AS n FROM people")] == [2]

    asyncio.run(main())


def test_rows_come_out_as_any_library_wants_them(connection: fluss.Connection) -> None:
    connection.sql(PEOPLE)
    connection.sql(ADA_AND_GRACE)
    result = connection.sql("SELECT * FROM people ORDER BY id")
    expected = {"id": [1, 2], "name": ["Ada", "Grace"]}
    assert pa.table(result).to_pydict() == expected
    assert result.to_arrow().to_pyarrow().to_pydict() == expected
    assert [batch.num_rows for batch in result.to_batches()] == [2]
    assert pa.RecordBatchReader.from_stream(result).read_all().to_pydict() == expected
    assert result.to_polars().to_dict(as_series=False) == expected
    assert result.to_pandas().to_dict("list") == expected
    assert pytest.importorskip("polars").DataFrame(result).to_dict(as_series=False) == expected


def test_rows_come_out_as_libraries_want_them_when_they_are_awaited() -> None:
    async def main() -> None:
        async with aio.connect("embedded::memory:") as connection:
            result = connection.sql("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, text)")
            expected = {"n": [1, 2], "text": ["a", "b"]}
            assert (await result.to_arrow()).to_pyarrow().to_pydict() == expected
            assert (await result.to_pandas()).to_dict("list") == expected
            assert (await result.to_polars()).to_dict(as_series=False) == expected
            assert sum([batch.num_rows async for batch in result.to_batches()]) == 2

    asyncio.run(main())


def test_a_result_is_shown_as_a_table_and_read_all_the_same(run: Run) -> None:
    async def body(connection: Any) -> None:
        result = await settle(connection.sql("SELECT 1 AS n, '<b>' AS text, NULL AS nothing"))
        assert repr(result).splitlines() == [
            "+---+------+---------+",
            "| n | text | nothing |",
            "+---+------+---------+",
            "| 1 | <b>  | NULL    |",
            "+---+------+---------+",
            "1 row",
        ]
        assert "<td>&lt;b&gt;</td>" in result._repr_html_()
        assert await settle(result.fetchall()) == [{"n": 1, "text": "<b>", "nothing": None}]
        many = await settle(connection.sql("SELECT value FROM generate_series(1, 100)"))
        assert repr(many).endswith("the first 20 rows")
        assert len(await settle(many.fetchall())) == 100

    run(body)


def test_a_result_says_how_it_is_carried_out(run: Run) -> None:
    async def body(connection: Any) -> None:
        await settle(connection.sql(PEOPLE))
        result = await settle(connection.sql("SELECT name FROM people WHERE id = 1"))
        plan = await settle(result.explain())
        assert "people" in plan

    run(body)


def test_an_error_says_where_it_is(run: Run) -> None:
    async def body(connection: Any) -> None:
        with pytest.raises(fluss.QueryError) as raised:
            await settle(connection.sql("SELECT 1,\n  FROM people"))
        assert (raised.value.line, type(raised.value.column)) == (2, int)
        with pytest.raises(fluss.QueryError, match="nobody"):
            await settle(connection.sql("SELECT * FROM nobody"))
        with pytest.raises(fluss.UnsupportedQueryError, match="GRANT"):
            await settle(connection.sql("GRANT SELECT ON people TO bob"))
        with pytest.raises(NotImplementedError):
            await settle(connection.sql("SELECT * FROM nobody TABLESAMPLE (10)"))

    run(body)


def test_a_statement_without_rows_has_none_to_be_read(run: Run) -> None:
    async def body(connection: Any) -> None:
        result = await settle(connection.sql(PEOPLE))
        with pytest.raises(fluss.ArgumentError, match="no query"):
            await settle(result.fetchall())
        assert "SqlResult" in repr(result)

    run(body)


VALUES = [
    (None, None),
    (True, True),
    (-(2**63), -(2**63)),
    (2**70, Decimal(2**70)),
    (1.5, 1.5),
    ("grün", "grün"),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ab"), b"ab"),
    (Decimal("-12.50"), Decimal("-12.5")),
    (Decimal("1E+3"), Decimal(1000)),
    (date(1969, 7, 20), date(1969, 7, 20)),
    (time_of_day(23, 59, 59, 999_999), time_of_day(23, 59, 59, 999_999)),
    (datetime(2024, 2, 29, 12, 30, 0, 123_456), datetime(2024, 2, 29, 12, 30, 0, 123_456)),
    (datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ([1, None, 3], [1, None, 3]),
    ([1, 2.5], [1.0, 2.5]),
    ([["a"], []], [["a"], []]),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ({"a": 1, "b": "two"}, {"a": 1, "b": "two"}),
    ({1: "one"}, {1: "one"}),
]


@pytest.mark.parametrize(("given", "expected"), VALUES, ids=[repr(given) for given, _ in VALUES])
def test_a_value_goes_in_as_a_parameter_and_comes_out(
    connection: fluss.Connection, given: object, expected: object
) -> None:
    (row,) = connection.sql("SELECT ? AS v", (given,))
    assert row == {"v": expected}
    assert type(row["v"]) is type(expected)


def test_parameters_have_places_or_names(run: Run) -> None:
    async def body(connection: Any) -> None:
        rows = await settle(connection.sql("SELECT ? AS a, ? AS b", [1, "x"]))
        assert await settle(rows.fetchall()) == [{"a": 1, "b": "x"}]
        rows = await settle(connection.sql("SELECT $a + $b AS n", {"a": 1, "b": 2}))
        assert await settle(rows.fetchall()) == [{"n": 3}]
        with pytest.raises(TypeError, match="list or tuple"):
            await settle(connection.sql("SELECT ?", "text"))
        with pytest.raises(fluss.DataError, match="parameter 2"):
            await settle(connection.sql("SELECT ?, ?", [1, object()]))
        with pytest.raises(fluss.QueryError):
            await settle(connection.sql("SELECT ?, ?", [1]))

    run(body)


def test_values_of_other_libraries_are_parameters(connection: fluss.Connection) -> None:
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    given = [np.int32(1), np.float32(0.5), np.str_("a"), pd.NA, pd.NaT, np.datetime64("2024-01-01T00:00", "us")]
    (row,) = connection.sql("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f", given)
    assert list(row.values()) == [1, 0.5, "a", None, None, datetime(2024, 1, 1)]
    (row,) = connection.sql("SELECT ? AS t", [pd.Timestamp("2024-01-01 00:00:00.000000001")])
    assert row["t"] == datetime(2024, 1, 1)


def test_every_type_of_a_table_comes_out_as_scans_have_it(connection: fluss.Connection) -> None:
    connection.sql("""
        CREATE TABLE kinds (
            id INT PRIMARY KEY, truth BOOLEAN, tiny TINYINT, small SMALLINT, big BIGINT, f FLOAT, d DOUBLE,
            dec DECIMAL(10,2), t STRING, b BYTES, day DATE, clock TIME(3), ts TIMESTAMP(6), ltz TIMESTAMP_LTZ(6),
            list ARRAY<INT>, map MAP<STRING, INT>, row ROW<a INT, b STRING>
        )
    """)
    row = {
        "id": 1,
        "truth": True,
        "tiny": -1,
        "small": 300,
        "big": 2**40,
        "f": 0.5,
        "d": 0.1,
        "dec": Decimal("1.20"),
        "t": "text",
        "b": b"bytes",
        "day": date(2024, 1, 31),
        "clock": time_of_day(1, 2, 3, 4000),
        "ts": datetime(2024, 1, 31, 1, 2, 3, 456),
        "ltz": datetime(2024, 1, 31, 1, 2, 3, 456, tzinfo=UTC),
        "list": [1, None],
        "map": {"a": 1},
        "row": {"a": 1, "b": "c"},
    }
    table = connection.get_table("fluss.kinds")
    with table.new_upsert().create_writer() as writer:
        writer.upsert({**row})
        writer.upsert({name: 2 if name == "id" else None for name in row})
    one, other = connection.sql("SELECT * FROM kinds ORDER BY id")
    assert one == row == table.new_lookup().create_lookuper().lookup([1])
    assert other == {name: 2 if name == "id" else None for name in row}


def test_statements_of_a_connection_share_a_session(run: Run) -> None:
    async def body(connection: Any) -> None:
        await settle(connection.sql("CREATE DATABASE shop"))
        await settle(connection.sql("USE shop"))
        await settle(connection.sql(PEOPLE))
        assert await settle(connection.get_admin().list_tables("shop")) == ["people"]

    run(body)


def interrupt(seconds: float = 0.3) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize("read", ["fetchall", "to_arrow", "to_pandas", "to_polars", "__repr__", "pyarrow.table"])
def test_ctrl_c_ends_a_query(connection: fluss.Connection, read: str) -> None:
    result = connection.sql(LONG)
    begun = time.monotonic()
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        pa.table(result) if read == "pyarrow.table" else getattr(result, read)()
    assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS
    assert connection.sql("SELECT 1 AS n").fetchall() == [{"n": 1}]


def test_ctrl_c_ends_a_loop_over_rows(connection: fluss.Connection) -> None:
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        for _ in connection.sql(LONG):
            pass


def cpu_seconds() -> float:
    return sum(os.times()[:2])


@pytest.mark.parametrize("let_go", ["dropped", "left", "cancelled"])
def test_a_result_that_is_let_go_stops_its_query(connection: fluss.Connection, let_go: str) -> None:
    if let_go == "dropped":
        result = connection.sql(LONG)
        time.sleep(0.2)
        del result
    elif let_go == "left":
        with pytest.raises(fluss.TimeoutError):
            connection.sql(LONG, timeout=0.5).fetchall()
    else:

        async def main() -> None:
            async with aio.connect("embedded::memory:") as other, asyncio.timeout(0.5):
                await other.sql(LONG).fetchall()

        with pytest.raises(TimeoutError):
            asyncio.run(main())
    gc.collect()
    time.sleep(0.5)
    before = cpu_seconds()
    time.sleep(1)
    assert cpu_seconds() - before < 0.5


def test_a_deadline_ends_a_query(run: Run) -> None:
    async def body(connection: Any) -> None:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await settle((await settle_begun(connection.sql(LONG, timeout=timedelta(seconds=0.3)))).fetchall())
        assert time.monotonic() - begun < 0.3 + AT_ONCE_SECONDS

    run(body)


async def settle_begun(result: Any) -> Any:
    """A result of either face, whose rows nobody has looked at."""
    return result


def test_first_rows_come_before_the_last_are_there(connection: fluss.Connection) -> None:
    rows = iter(connection.sql("SELECT value FROM generate_series(1, 10000000000)"))
    assert [next(rows)["value"] for _ in range(3)] == [1, 2, 3]


FORK = """
import os
import fluss

connection = fluss.connect("embedded::memory:")
result = connection.sql("SELECT 1 AS n")
pid = os.fork()
if pid == 0:
    try:
        connection.sql("SELECT 1")
    except fluss.ForkError:
        code = 0
    else:
        code = 1
    with fluss.connect("embedded::memory:") as own:
        assert own.sql("SELECT 2 AS n").fetchall() == [{"n": 2}]
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert result.fetchall() == [{"n": 1}]
connection.close()
"""


def test_a_forked_process_connects_anew() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_closed_connection_says_so(face: ModuleType) -> None:
    async def main() -> None:
        connection = await settle(face.connect("embedded::memory:"))
        await settle(connection.sql("SELECT 1"))
        await settle(connection.close())
        with pytest.raises(fluss.ClosedError):
            await settle(connection.sql("SELECT 1"))

    asyncio.run(main())

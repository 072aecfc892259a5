"""`fluss.sql.Client` and `fluss.aio.sql.AsyncClient`, on a node in memory."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from decimal import Decimal
from inspect import isawaitable
from itertools import count
from typing import Any

import pytest

import fluss
from faces import settle
from fluss import aio
from fluss.aio.sql import AsyncClient
from fluss.sql import Client, QueryResult, Row

pa = pytest.importorskip("pyarrow")

Run = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
USERS = "CREATE TABLE users (id INT PRIMARY KEY, email STRING NOT NULL)"
_numbers = count()


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaited"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def run(kind: Any) -> Run:
    """Runs a test with a client of either face."""

    def in_face(body: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            client = kind("embedded::memory:")
            await body(client)
            await settle(client.close())

        asyncio.run(main())

    return in_face


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("embedded::memory:") as opened:
        yield opened


async def gathered(rows: Any) -> list[Any]:
    return [row async for row in rows] if hasattr(rows, "__aiter__") else list(rows)


def test_statements_are_carried_out_and_queries_answered(run: Run) -> None:
    async def body(client: Any) -> None:
        assert await settle(client.execute(f"{USERS}; INSERT INTO users VALUES (1, 'a@b.c'), (2, 'd@e.f');")) == 2
        assert await settle(client.execute("INSERT INTO users (id, email) VALUES (?, ?)", (3, "g@h.i"))) == 1
        result = await settle(client.query("SELECT * FROM users ORDER BY id"))
        assert isinstance(result, QueryResult) and len(result) == 3
        assert result[0]["email"] == result[0][1] == "a@b.c"
        assert [row["id"] for row in result] == [1, 2, 3]
        assert result[-1] == (3, "g@h.i") and result[1:] == [(2, "d@e.f"), (3, "g@h.i")]
        assert result.columns == ["id", "email"]
        assert pa.table(result).num_rows == 3
        assert "a@b.c" in repr(result) and "<td>a@b.c</td>" in result._repr_html_()
        rows = await settle(client.query("SELECT * FROM users WHERE id = ?", (1,), as_dict=True))
        assert list(rows) == [{"id": 1, "email": "a@b.c"}]
        rows = await settle(client.query("SELECT * FROM users WHERE id > ? ORDER BY id", (1,), as_dict=False))
        assert list(rows) == [(2, "d@e.f"), (3, "g@h.i")]

    run(body)


def test_a_row_is_had_by_name_and_by_place() -> None:
    row = Row((1, "a"), {"id": 0, "name": 1})
    assert (row["id"], row[1], row[-1], row[0:2]) == (1, "a", "a", (1, "a"))
    assert dict(row) == row.as_dict() == {"id": 1, "name": "a"}
    assert (tuple(row), len(row), row.keys()) == ((1, "a"), 2, ["id", "name"])
    assert row.get("name") == "a" and row.get("other", 3) == 3
    assert row == (1, "a") and hash(row) == hash((1, "a"))
    assert repr(row) == "Row(id=1, name='a')"
    with pytest.raises(KeyError):
        row["other"]


def test_rows_are_streamed(run: Run) -> None:
    async def body(client: Any) -> None:
        rows = await gathered(client.query_stream("SELECT value FROM generate_series(1, 20000)"))
        assert len(rows) == 20_000 and rows[0] == (1,)
        dicts = await gathered(client.query_stream("SELECT ? AS n", (1,), as_dict=True))
        assert dicts == [{"n": 1}]
        with pytest.raises(fluss.QueryError):
            await gathered(client.query_stream("SELECT * FROM nobody"))

    run(body)


def test_a_statement_is_carried_out_for_many_rows(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(USERS))
        rows = [(number, f"{number}@b.c") for number in range(1000)]
        assert await settle(client.execute_many("INSERT INTO users VALUES (?, ?)", rows)) == 1000
        columns = pa.table({"id": [1000, 1001], "email": ["x", "y"]})
        assert await settle(client.execute_many("INSERT INTO users VALUES (?, ?)", columns)) == 2
        result = await settle(client.query("SELECT count(*) AS n, max(id) AS last FROM users"))
        assert result[0] == (1002, 1001)

    run(body)


def test_a_statement_is_prepared(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(USERS))
        statement = await settle(client.prepare("INSERT INTO users VALUES (?, ?)"))
        assert statement.parameter_count == 2
        assert await settle(statement.execute((1, "a"))) == 1
        assert await settle(statement.execute_many([(2, "b"), (3, "c")])) == 2
        await settle(statement.close())
        with pytest.raises(fluss.ClosedError):
            await settle(statement.execute((4, "d")))
        query = await settle(client.prepare("SELECT email FROM users WHERE id = ?"))
        assert [row["email"] for row in await settle(query.query((2,)))] == ["b"]

    run(body)


def test_a_key_that_exists_is_refused_unless_it_is_to_be_replaced(run: Run, kind: Any) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(f"{USERS}; INSERT INTO users VALUES (1, 'a')"))
        with pytest.raises(fluss.ConstraintViolationError):
            await settle(client.execute("INSERT INTO users VALUES (1, 'b')"))
        with pytest.raises(fluss.ConstraintViolationError, match="email"):
            await settle(client.execute("INSERT INTO users VALUES (2, NULL)"))
        assert list(await settle(client.query("SELECT * FROM users"))) == [(1, "a")]

    run(body)

    async def replaced() -> None:
        client = kind("embedded::memory:", on_duplicate="upsert")
        await settle(client.execute(f"{USERS}; INSERT INTO users VALUES (1, 'a'); INSERT INTO users VALUES (1, 'b')"))
        assert list(await settle(client.query("SELECT * FROM users"))) == [(1, "b")]
        await settle(client.close())

    asyncio.run(replaced())


ACCOUNTS = """
    CREATE TABLE accounts (id INT PRIMARY KEY, balance INT) DISTRIBUTED BY (id) INTO 1 BUCKETS;
    INSERT INTO accounts VALUES (1, 100), (2, 100);
"""


def test_a_transaction_is_committed_or_rolled_back(run: Run) -> None:
    async def balances(client: Any) -> list[int]:
        rows = await settle(client.query("SELECT balance FROM accounts ORDER BY id"))
        return [row["balance"] for row in rows]

    async def body(client: Any) -> None:
        await settle(client.execute(ACCOUNTS))
        await settle(client.begin())
        await settle(client.execute("UPDATE accounts SET balance = balance - 10 WHERE id = 1"))
        assert await balances(client) == [90, 100]
        await settle(client.rollback())
        assert await balances(client) == [100, 100]
        await settle(client.begin())
        await settle(client.execute("UPDATE accounts SET balance = balance - 10 WHERE id = 1"))
        await settle(client.execute("UPDATE accounts SET balance = balance + 10 WHERE id = 2"))
        await settle(client.commit())
        assert await balances(client) == [90, 110]
        with pytest.raises(fluss.QueryError):
            await settle(client.commit())

    run(body)


def test_a_block_is_a_transaction(client: Client) -> None:
    client.execute(ACCOUNTS)
    with client.transaction():
        client.execute("UPDATE accounts SET balance = 0 WHERE id = 1")
    with pytest.raises(ZeroDivisionError), client.transaction():
        client.execute("DELETE FROM accounts")
        raise ZeroDivisionError
    assert list(client.query("SELECT balance FROM accounts ORDER BY id", as_dict=False)) == [(0,), (100,)]


def test_a_block_is_a_transaction_that_is_awaited() -> None:
    async def main() -> None:
        async with AsyncClient("embedded::memory:") as client:
            await client.execute(ACCOUNTS)
            async with client.transaction():
                await client.execute("UPDATE accounts SET balance = 0 WHERE id = 1")
            with pytest.raises(ZeroDivisionError):
                async with client.transaction():
                    await client.execute("DELETE FROM accounts")
                    raise ZeroDivisionError
            assert [row[0] for row in await client.query("SELECT balance FROM accounts ORDER BY id")] == [0, 100]

    asyncio.run(main())


EVENTS = "CREATE TABLE events (id INT, kind STRING)"


def test_a_query_that_follows_is_polled(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(f"{EVENTS}; INSERT INTO events VALUES (1, 'old')"))
        query = await settle(client.stream_query("SELECT * FROM events EMIT CHANGES"))
        assert await settle(query.poll(timeout=0.1)) is None
        assert not query.is_complete() and query.query_id and query.columns == ["id", "kind"]
        await settle(client.execute("INSERT INTO events VALUES (2, 'new'), (3, 'newer')"))
        assert await settle(query.poll(timeout=10)) == (2, "new")
        assert (await settle(query.poll()))["kind"] == "newer"
        query.cancel()
        assert query.is_complete() and await settle(query.poll(timeout=1)) is None

    run(body)


def test_a_query_begins_where_the_properties_say(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(f"{EVENTS}; INSERT INTO events VALUES (1, 'old')"))
        await asyncio.sleep(0.05)
        since = datetime.now()
        await settle(client.execute("INSERT INTO events VALUES (2, 'new')"))
        for start, expected in [("earliest", (1, "old")), (since, (2, "new"))]:
            properties = {"auto.offset.reset": start}
            query = await settle(client.stream_query("SELECT * FROM events EMIT CHANGES", properties=properties))
            assert await settle(query.poll(timeout=10)) == expected
            query.cancel()
        with pytest.raises(ValueError, match="no property"):
            await settle(client.stream_query("SELECT 1", properties={"other": 1}))
        with pytest.raises(ValueError, match="soon"):
            await settle(client.stream_query("SELECT 1", properties={"auto.offset.reset": "soon"}))

    run(body)


def test_another_query_goes_on_where_one_stood(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(f"{EVENTS}; INSERT INTO events VALUES (1, 'a'), (2, 'b')"))
        text = "SELECT id FROM events EMIT CHANGES"
        query = await settle(client.stream_query(text, properties={"auto.offset.reset": "earliest"}))
        assert not query.is_caught_up()
        assert [(await settle(query.poll(timeout=10)))[0] for _ in range(2)] == [1, 2]
        assert query.is_caught_up()
        await settle(client.execute("INSERT INTO events VALUES (3, 'c')"))
        other = await settle(client.stream_query(text, properties={"position": query.position}))
        assert await settle(other.poll(timeout=10)) == (3,)
        query.cancel()
        other.cancel()

    run(body)


def test_a_query_that_ends_is_complete(run: Run) -> None:
    async def body(client: Any) -> None:
        query = await settle(client.stream_query("SELECT value FROM generate_series(1, 3)"))
        assert [row[0] for row in await gathered(query)] == [1, 2, 3]
        assert query.is_complete() and query.position is None
        result = await settle(client.execute_query("SELECT value FROM generate_series(1, 3) LIMIT 2;"))
        assert len(result.rows) == 2 and result.query_id != query.query_id

    run(body)


def test_a_query_that_follows_ends_at_its_limit(run: Run) -> None:
    async def body(client: Any) -> None:
        await settle(client.execute(f"{EVENTS}; INSERT INTO events VALUES (1, 'a'), (2, 'b'), (3, 'c')"))
        properties = {"auto.offset.reset": "earliest"}
        text = "SELECT id FROM events EMIT CHANGES LIMIT 2"
        result = await settle(client.execute_query(text, properties=properties))
        assert [row["id"] for row in result.rows] == [1, 2]

    run(body)


def test_another_thread_cancels_a_poll(client: Client) -> None:
    client.execute(EVENTS)
    query = client.stream_query("SELECT * FROM events EMIT CHANGES")
    threading.Timer(0.2, query.cancel).start()
    begun = time.monotonic()
    assert query.poll() is None and query.is_complete()
    assert time.monotonic() - begun < 5


def test_a_cancelled_poll_loses_nothing() -> None:
    async def main() -> None:
        async with AsyncClient("embedded::memory:") as client:
            await client.execute(EVENTS)
            query = await client.stream_query("SELECT id FROM events EMIT CHANGES")
            rows: list[int] = []
            writing = asyncio.create_task(
                client.execute_many("INSERT INTO events VALUES (?, 'x')", [(number,) for number in range(200)])
            )
            while len(rows) < 200:
                try:
                    async with asyncio.timeout(0.001):
                        row = await query.poll()
                    assert row is not None
                    rows.append(row["id"])
                except TimeoutError:
                    pass
            assert rows == list(range(200))
            await writing

    asyncio.run(main())


def test_a_tenant_has_a_database_of_its_own(kind: Any) -> None:
    target = f"embedded::memory:tenants{next(_numbers)}"

    async def main() -> None:
        one, other = kind(target, tenant_id=1), kind(target, tenant_id=2)
        await settle(one.execute(f"{USERS}; INSERT INTO users VALUES (1, 'a')"))
        with pytest.raises(fluss.QueryError, match="users"):
            await settle(other.query("SELECT * FROM users"))
        await settle(other.execute(USERS))
        assert len(await settle(other.query("SELECT * FROM users"))) == 0
        assert len(await settle(other.query("SELECT * FROM tenant_1.users"))) == 1
        await settle(one.close())
        await settle(other.close())

    asyncio.run(main())


def test_arguments_that_make_no_sense_are_refused() -> None:
    for arguments in [
        {"target": "embedded::memory:", "addresses": ["localhost:1"]},
        {"addresses": "localhost:1"},
        {"target": "embedded::memory:", "database": "a", "tenant_id": 1},
        {"addresses": ["localhost:1"], "user": "alice"},
        {"addresses": ["localhost:1"], "tls_ca_cert": "ca.pem"},
        {"target": "embedded::memory:", "on_duplicate": "ignore"},
        {"target": "embedded::memory:", "transactions": "none"},
    ]:
        with pytest.raises(ValueError):
            Client(**arguments)  # type: ignore[arg-type]


def test_a_server_that_is_not_there_cannot_be_reached(kind: Any) -> None:
    async def main() -> None:
        with pytest.raises(fluss.sql.ConnectionError):
            made = kind(addresses=["127.0.0.1:1"], timeout=5)
            await settle(made.query("SELECT 1"))

    asyncio.run(main())


def test_a_client_that_is_closed_says_so(kind: Any) -> None:
    async def main() -> None:
        client = kind("embedded::memory:")
        await settle(client.query("SELECT 1"))
        await settle(client.close())
        await settle(client.close())
        with pytest.raises(fluss.ClosedError):
            await settle(client.query("SELECT 1"))

    asyncio.run(main())


def test_tasks_share_a_client() -> None:
    async def main() -> None:
        async with AsyncClient("embedded::memory:") as client:
            await client.execute(USERS)
            inserts = (client.execute("INSERT INTO users VALUES (?, 'x')", (number,)) for number in range(50))
            assert sum(await asyncio.gather(*inserts)) == 50
            (row,) = await client.query("SELECT count(*) FROM users")
            assert row[0] == 50

    asyncio.run(main())


def test_values_fit_their_columns(client: Client) -> None:
    client.execute("CREATE TABLE products (id INT PRIMARY KEY, price DECIMAL(10,2), tags ARRAY<STRING>)")
    client.execute("INSERT INTO products VALUES (?, ?, ?)", (1, 19.99, ["a", "b"]))
    client.execute("INSERT INTO products VALUES (?, ?, ?)", (2, 5, []))
    rows = client.query("SELECT * FROM products ORDER BY id", as_dict=False)
    assert list(rows) == [(1, Decimal("19.99"), ["a", "b"]), (2, Decimal("5.00"), [])]
    with pytest.raises(fluss.QueryError):
        client.execute("INSERT INTO products VALUES (?, ?, ?)", ("three", 1, None))


def test_both_faces_are_of_one_connection_string() -> None:
    async def main() -> None:
        name = f"embedded::memory:both{next(_numbers)}"
        async with aio.connect(name) as connection, AsyncClient(name) as client:
            await connection.sql(USERS)
            assert isawaitable(connection.sql("SELECT 1"))
            assert [row["name"] for row in await client.query("SHOW TABLES")] == ["users"]

    asyncio.run(main())


LOCAL_TIMES = """
from datetime import datetime, timezone
from fluss.sql import Client

noon, moment = datetime(2024, 7, 1, 12), datetime(2024, 7, 1, 12).astimezone()
with Client("embedded::memory:") as client:
    client.execute("CREATE TABLE calls (id INT PRIMARY KEY, at TIMESTAMP_LTZ(3), wall TIMESTAMP(3))")
    client.execute("INSERT INTO calls VALUES (1, TIMESTAMP '2024-07-01 12:00:00', TIMESTAMP '2024-07-01 12:00:00')")
    client.execute("INSERT INTO calls VALUES (?, ?, ?)", (2, moment, noon))
    for way in (
        "at = TIMESTAMP '2024-07-01 12:00:00'",
        "at = '2024-07-01 12:00:00'",
        "at = wall",
        "at <= DATE '2024-07-02'",
        "at >= DATE '2024-07-01'",
        "at IN (wall)",
        "at BETWEEN '2024-07-01' AND '2024-07-01 12:00:00'",
        "coalesce(wall, at) = at",
        "CAST(wall AS TIMESTAMP_LTZ) = at",
        "CAST(at AS TIMESTAMP) = wall",
        "CAST(at AS TIME) = TIME '12:00:00'",
        "wall AT TIME ZONE 'UTC' = CAST('2024-07-01T12:00:00Z' AS TIMESTAMP_LTZ)",
    ):
        assert len(client.query(f"SELECT id FROM calls WHERE {way}")) == 2, way
    for given in (noon, moment, moment.astimezone(timezone.utc)):
        assert len(client.query("SELECT id FROM calls WHERE at = ?", (given,))) == 2, given
    assert client.execute("UPDATE calls SET wall = wall WHERE at = wall") == 2
    assert client.execute("DELETE FROM calls WHERE at > '2024-07-01 12:00:00'") == 0
    assert client.query("SELECT at FROM calls", as_dict=False)[0][0] == moment
"""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_what_has_no_zone_is_local_time(zone: str) -> None:
    subprocess.run([sys.executable, "-c", LOCAL_TIMES], env={**os.environ, "TZ": zone}, check=True, timeout=120)

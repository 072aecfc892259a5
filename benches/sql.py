"""Asks SQL of 336,776 flights: ``sql.py [--rounds 7] [--large 5000000]``.

Beside each query stands what it costs to read the columns that it names with the client, and to ask the same of them in
memory of DataFusion, from its own Python package; and DuckDB, of its own tables. They take turns, and the median of the
rounds counts.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import duckdb
import pyarrow
import servers
from datafusion import SessionContext

import fluss
from fluss.sql import Client

FLIGHTS = 336_776
CARRIERS = 16
# What is asked for, at most.
OF_READ_AND_MEMORY = 1.3
KEYS_OF_LOG = 4.0
OF_A_LOOK_UP = 3.0
LARGE_MIB = 100
# The least rows a second of a log that is followed.
FOLLOWED = 1_000_000
CANCELLED_MILLIS = 100
IDLE_SECONDS = 1.0
BESIDE_A_QUERY = 3.0

ROWS = f"""
    SELECT i::BIGINT AS id, 'C' || (hash(i) % {CARRIERS})::VARCHAR AS carrier, (hash(i + 1) % 3000)::INT AS distance,
        (hash(i + 2) % 400)::DOUBLE / 4 - 20 AS delay, 'N' || (hash(i + 3) % 4000)::VARCHAR AS tail
    FROM range({{}}) AS r(i)
"""
COLUMNS = "id BIGINT NOT NULL, carrier STRING, distance INT, delay DOUBLE, tail STRING"
# The columns that a query names of the flights.
QUERIES: dict[str, tuple[str, list[str]]] = {
    "sum": ("SELECT sum(distance) AS s FROM {flights}", ["distance"]),
    "group": (
        "SELECT carrier, count(*) AS n, avg(delay) AS d FROM {flights} GROUP BY carrier ORDER BY carrier",
        ["carrier", "delay"],
    ),
    "filter": ("SELECT id, delay FROM {flights} WHERE delay > 75 AND distance < 500", ["id", "distance", "delay"]),
    "join": (
        "SELECT c.name, count(*) AS n FROM {flights} f JOIN carriers c ON f.carrier = c.carrier GROUP BY c.name",
        ["carrier"],
    ),
    "all": ("SELECT * FROM {flights}", ["id", "carrier", "distance", "delay", "tail"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--large", type=int, default=5_000_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluss-sql-")))
        node = stack.enter_context(servers.node(scratch))
        connection = stack.enter_context(fluss.connect(node.target))
        client = stack.enter_context(Client(node.target, on_duplicate="upsert"))
        model = duckdb.connect()
        fill(connection, client, model)
        bounded(connection, model, arguments.rounds)
        by_key(connection, client, model, arguments.rounds)
        follow(connection, client)
        stopped(connection, client, arguments.rounds)
        large(connection, client, arguments.large)


def fill(connection: fluss.Connection, client: Client, model: Any) -> None:
    for name, key in [("flights", ""), ("keyed", ", PRIMARY KEY (id)")]:
        client.execute(f"CREATE TABLE {name} ({COLUMNS}{key}) DISTRIBUTED BY (id) INTO 3 BUCKETS")
        write(connection, name, model.sql(ROWS.format(FLIGHTS)))
        model.execute(f"CREATE TABLE {name} AS {ROWS.format(FLIGHTS)}")
    model.execute("CREATE INDEX by_id ON keyed (id)")
    client.execute("CREATE TABLE carriers (carrier STRING PRIMARY KEY, name STRING)")
    named = f"SELECT 'C' || i::VARCHAR AS carrier, 'carrier ' || i::VARCHAR AS name FROM range({CARRIERS}) AS r(i)"
    write(connection, "carriers", model.sql(named))
    model.execute(f"CREATE TABLE carriers AS {named}")


def write(connection: fluss.Connection, table: str, rows: Any) -> None:
    opened = connection.get_table(f"fluss.{table}")
    if opened.get_table_info().has_primary_key():
        with opened.new_upsert().create_writer() as writer:
            for batch in pyarrow.RecordBatchReader.from_stream(rows):
                writer.upsert_arrow(batch)
        return
    with opened.new_append().create_writer() as writer:
        for batch in pyarrow.RecordBatchReader.from_stream(rows):
            writer.append_arrow(batch)


def bounded(connection: fluss.Connection, model: Any, rounds: int) -> None:
    print(f"{'ms':16}{'SQL':>10}{'in memory':>12}{'ratio':>8}{'DuckDB':>10}   (at most {OF_READ_AND_MEMORY})")
    took: dict[tuple[str, str], float] = {}
    for table in ("flights", "keyed"):
        for name, (template, columns) in QUERIES.items():
            text = template.format(flights=table)

            def ask(text: str = text) -> Any:
                return pyarrow.table(connection.sql(text).to_arrow())

            def in_memory(text: str = text, table: str = table, columns: list[str] = columns) -> Any:
                context = SessionContext()
                for each, wanted in [(table, columns), *([("carriers", None)] if "carriers" in text else [])]:
                    read = pyarrow.table(connection.get_table(f"fluss.{each}").to_arrow(wanted))
                    context.from_arrow(read, name=each)
                return context.sql(text).to_arrow_table()

            def by_duckdb(text: str = text) -> Any:
                return model.sql(text).to_arrow_table()

            assert ask().num_rows == in_memory().num_rows == by_duckdb().num_rows, text
            ours, memory, theirs = turns([ask, in_memory, by_duckdb], rounds)
            took[table, name] = ours
            show(f"{name}, {table}", ours, memory, theirs)
    ratio = took["keyed", "group"] / took["flights", "group"]
    print(f"group of keys / of the log {ratio:.2f}   (at most {KEYS_OF_LOG})")


def by_key(connection: fluss.Connection, client: Client, model: Any, rounds: int) -> None:
    lookuper = connection.get_table("fluss.keyed").new_lookup().create_lookuper()
    calls = 300
    statement = client.prepare("SELECT * FROM keyed WHERE id = ?")

    def looked_up() -> None:
        for key in range(calls):
            assert lookuper.lookup([key]) is not None

    def asked() -> None:
        for key in range(calls):
            assert len(client.query("SELECT * FROM keyed WHERE id = ?", (key,))) == 1

    def prepared() -> None:
        for key in range(calls):
            assert len(statement.query((key,))) == 1

    def by_duckdb() -> None:
        for key in range(calls):
            assert model.execute("SELECT * FROM keyed WHERE id = ?", [key]).fetchone()

    plain, text, ready, theirs = (each / calls for each in turns([looked_up, asked, prepared, by_duckdb], rounds))
    print(f"by key: look-up {plain:.3f} ms, SQL {text:.3f} ({text / plain:.2f}), ", end="")
    print(f"prepared {ready:.3f} ({ready / plain:.2f}), DuckDB {theirs:.3f}   (at most {OF_A_LOOK_UP})")


def follow(connection: fluss.Connection, client: Client) -> None:
    """Follows the log through all rows for which a condition holds, in batches of Arrow."""
    held = client.query("SELECT count(*) AS n FROM flights WHERE delay > 0", as_dict=False)[0][0]
    text = f"SELECT id, delay * 2 AS twice FROM flights WHERE delay > 0 EMIT CHANGES LIMIT {held}"

    def ask() -> None:
        assert pyarrow.table(connection.sql(text).to_arrow()).num_rows == held

    (millis,) = turns([ask], 5)
    print(f"a log followed: {FLIGHTS / millis * 1000:,.0f} rows/s   (at least {FOLLOWED:,})")


def stopped(connection: fluss.Connection, client: Client, rounds: int) -> None:
    """Stops a cross join, and looks keys up beside it."""
    text = """SELECT count(*) FROM generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y)
        WHERE x * y % 7 = 8"""
    lookuper = connection.get_table("fluss.keyed").new_lookup().create_lookuper()

    def slowest_of_a_hundred() -> float:
        took = []
        for key in range(2_000):
            begun = time.perf_counter()
            assert lookuper.lookup([key]) is not None
            took.append((time.perf_counter() - begun) * 1000)
        return quantiles(took, n=100)[-1]

    slowest_of_a_hundred()
    idle = median(slowest_of_a_hundred() for _ in range(rounds))
    ended: list[float] = []
    query = client.stream_query(text)

    def wait() -> None:
        assert query.poll() is None
        ended.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    beside = median(slowest_of_a_hundred() for _ in range(rounds))
    begun = time.perf_counter()
    query.cancel()
    waiting.join()
    while busy(0.1) > 0.02:
        pass
    calm = time.perf_counter() - begun
    print(f"look-ups beside a cross join: p99 {beside:.2f} ms, idle {idle:.2f} ms: {beside / idle:.2f}", end="")
    print(f"   (at most {BESIDE_A_QUERY})")
    print(f"a cross join cancelled: {(ended[0] - begun) * 1000:.1f} ms   (at most {CANCELLED_MILLIS}), ", end="")
    print(f"idle after {calm:.2f} s   (at most {IDLE_SECONDS})")


def busy(seconds: float) -> float:
    """The processor time of this process while it waits so long."""
    before = time.process_time()
    time.sleep(seconds)
    return time.process_time() - before


def large(connection: fluss.Connection, client: Client, rows: int) -> None:
    client.execute(f"CREATE TABLE large ({COLUMNS}) DISTRIBUTED BY (id) INTO 3 BUCKETS")
    model = duckdb.connect()
    write(connection, "large", model.sql(ROWS.format(rows)))
    model.close()
    pyarrow.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    begun = time.perf_counter()
    read, first = 0, None
    for batch in connection.sql("SELECT * FROM large").to_batches():
        first = first or time.perf_counter() - begun
        read += pyarrow.table(batch).num_rows
    seconds = time.perf_counter() - begun
    assert read == rows and first is not None
    print(f"{rows:,} rows streamed: {seconds:.2f} s, the first after {first / seconds:.3f} of it, ", end="")
    print(f"{resident('VmHWM') - before:.0f} MiB   (at most {LARGE_MIB})")


def resident(what: str = "VmRSS") -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{what}:"))
    return int(line.split()[1]) / 1024


def turns(asked: list[Callable[[], Any]], rounds: int) -> list[float]:
    """What each took, in milliseconds: the median of the rounds."""
    took: list[list[float]] = [[] for _ in asked]
    for _ in range(rounds):
        for each, times in zip(asked, took, strict=True):
            begun = time.perf_counter()
            each()
            times.append((time.perf_counter() - begun) * 1000)
    return [median(times) for times in took]


def show(name: str, ours: float, memory: float, theirs: float) -> None:
    print(f"{name:16}{ours:>10.1f}{memory:>12.1f}{ours / memory:>8.2f}{theirs:>10.1f}", flush=True)


if __name__ == "__main__":
    main()

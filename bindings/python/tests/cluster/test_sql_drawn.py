"""Whatever is asked, changed or followed in SQL, on whatever backend, DuckDB says the same of the same rows.

Of 500 statements, 100 are drawn with each seed: queries, and updates and deletes of rows for which a condition holds,
which may be none. Follow queries are compared with what DuckDB makes of the changelog up to the same offsets.
`FLUSS_DRAWN_ROUNDS` seeds are tried, beginning with `FLUSS_DRAWN_SEED`: `FLUSS_DRAWN_SEED=17 FLUSS_DRAWN_ROUNDS=1` does
again what failed with 17 in its name.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import fluss
from drawn.statements import Statement, Statements, Table, tables
from faces import create_in_sql
from fluss_cluster import Cluster, Node

pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
sql = pytest.importorskip("fluss.sql")

ROUNDS = int(os.environ.get("FLUSS_DRAWN_ROUNDS", "5"))
FIRST = int(os.environ.get("FLUSS_DRAWN_SEED", "0"))
STATEMENTS = 100
FOLLOWED = 8
# A key table with fewer rows gets more.
FEW = 8
SECONDS = 60
DATABASE = "drawn_sql"
SETTINGS = ["default_null_order = 'nulls_last_on_asc_first_on_desc'", "integer_division = true", "threads = 1"]
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module", params=["memory", "directory", "node", "cluster"])
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each backend: a node in memory, one in a directory, ``fluss serve``, and a cluster."""
    if request.param == "memory":
        yield "embedded::memory:drawn"
    elif request.param == "directory":
        with TemporaryDirectory(prefix="fluss-drawn-") as directory:
            yield f"embedded:{directory}"
    else:
        running: Cluster | Node = request.getfixturevalue(request.param)
        yield f"fluss://{running.bootstrap}"


@pytest.fixture(scope="module")
def connection(target: str) -> Iterator[fluss.Connection]:
    with fluss.connect(target, {"client.database": DATABASE}) as opened:
        opened.get_admin().create_database(DATABASE, ignore_if_exists=True)
        yield opened


@pytest.fixture(scope="module")
def client(target: str, connection: fluss.Connection) -> Iterator[Any]:
    with sql.Client(target, database=DATABASE, on_duplicate="upsert") as opened:
        yield opened


@pytest.fixture
def new_trial(connection: fluss.Connection, client: Any) -> Iterator[Callable[[int], "Trial"]]:
    trials: list[Trial] = []

    def create(seed: int) -> Trial:
        trials.append(Trial(connection, client, seed))
        trials[-1].fill()
        return trials[-1]

    yield create
    for trial in trials:
        trial.drop()


@seeds
def test_statements_come_to_what_they_come_to_in_duckdb(new_trial: Callable[[int], "Trial"], seed: int) -> None:
    trial = new_trial(seed)
    for _ in range(STATEMENTS):
        trial.step()


@seeds
def test_changes_are_followed_up_to_an_offset(new_trial: Callable[[int], "Trial"], seed: int) -> None:
    trial = new_trial(seed)
    for _ in range(STATEMENTS // 10):
        trial.write()
    for table in trial.tables:
        for _ in range(FOLLOWED if "PARTITIONED" not in table.layout else 0):
            trial.follow(table)


@seeds
def test_changes_that_come_are_followed(new_trial: Callable[[int], "Trial"], seed: int) -> None:
    trial = new_trial(seed)
    (log,) = (table for table in trial.tables if table.name.startswith("l"))
    with ThreadPoolExecutor() as pool:
        trial.follow(log, lambda: trial.insert(log), pool)


class Trial:
    """Tables in Fluss and in DuckDB, and what is drawn to be done with both."""

    def __init__(self, connection: fluss.Connection, client: Any, seed: int) -> None:
        print(f"seed {seed}")
        self.seed = seed
        self.random = Random(seed)
        self.connection: Any = connection
        self.client = client
        self.tables = tables(f"_{seed}")
        self.statements = Statements(self.random, self.tables)
        self.model = duckdb.connect()
        for setting in SETTINGS:
            self.model.execute(f"SET {setting}")

    def fill(self) -> None:
        admin = self.connection.get_admin()
        for table in self.tables:
            self.client.execute(f"DROP TABLE IF EXISTS {table.name}")
            create_in_sql(self.client.execute, admin, f"{DATABASE}.{table.name}", table.ddl())
            self.model.execute(table.duckdb_ddl())
            for _ in range(1 if table.key else 2):
                self.insert(table, exact)

    def drop(self) -> None:
        self.model.close()
        for table in self.tables:
            self.client.execute(f"DROP TABLE {table.name}")

    def step(self) -> None:
        """A query, or more rarely a write."""
        if self.random.random() < 0.6:
            self.ask(self.statements.select())
        else:
            self.write()

    def ask(self, statement: Statement) -> None:
        expected = loose(self.model.execute(statement.text, list(statement.parameters)).fetchall())
        found = loose(self.rows(statement.text, statement.parameters))
        if statement.is_ordered:
            assert found == expected, self.told(statement)
        else:
            assert in_order(found) == in_order(expected), self.told(statement)

    def write(self) -> None:
        """An update or a delete; what it says that it has written, and all that is there then, is as in DuckDB."""
        table, statement = self.random.choice([self.statements.update, self.statements.delete])()
        (expected,) = self.model.execute(statement.text, list(statement.parameters)).fetchone()
        found = self.client.execute(statement.text, list(statement.parameters) or None)
        assert found == expected, self.told(statement)
        self.check(table, self.told(statement))
        if self.model.sql(f"SELECT * FROM {table.name}").shape[0] < FEW:
            self.insert(table)

    def insert(self, table: Table, shown: Callable[[Rows], Rows] | None = None) -> None:
        statement = self.statements.insert(table, 21)
        self.client.execute(statement.text)
        into = "INSERT OR REPLACE INTO" if table.key else "INSERT INTO"
        self.model.execute(statement.text.replace("INSERT INTO", into, 1))
        self.check(table, self.told(statement), shown)

    def check(self, table: Table, told: str, shown: Callable[[Rows], Rows] | None = None) -> None:
        """Insists that a table holds the same rows in both. An update of DuckDB may leave a zero its sign."""
        text = f"SELECT * FROM {table.name}"
        shown = shown or loose
        assert in_order(shown(self.rows(text))) == in_order(shown(self.model.execute(text).fetchall())), told

    def rows(self, text: str, parameters: Iterable[Any] = ()) -> Rows:
        try:
            found = self.connection.sql(text, list(parameters) or None).fetchall()
        except fluss.FlussError as error:
            error.add_note(f"seed {self.seed}: {text} {parameters}")
            raise
        return [tuple(row.values()) for row in found]

    def told(self, statement: Statement) -> str:
        return f"seed {self.seed}: {statement}"

    def follow(
        self, table: Table, meanwhile: Callable[[], None] | None = None, pool: ThreadPoolExecutor | None = None
    ) -> None:
        """Follows a table from its first change.

        In each bucket, the changes up to the last that came are those that a condition holds for up to its offset.
        """
        names, where, limit = self.statements.followed(table)
        places = "_bucket AS bucket, _offset AS place"
        text = f"SELECT {names}, _change_type AS change, {places} FROM {{}} WHERE {where}"
        before = self.recomputed(table, text)
        if meanwhile is None or pool is None:
            wanted = min(limit, len(before))
            # A query that waits for a change that never comes would wait for ever.
            found = self.rows(f"{text.format(table.name)} EMIT CHANGES LIMIT {wanted}") if wanted else []
        else:
            text = f"SELECT {names}, _change_type AS change, {places} FROM {{}}"
            wanted = len(self.recomputed(table, text)) + limit % 20 + 1
            follow = partial(self.rows, f"{text.format(table.name)} EMIT CHANGES LIMIT {wanted}")
            running = pool.submit(follow)
            meanwhile()
            found = running.result(SECONDS)
        told = f"seed {self.seed}: {text.format(table.name)}, {wanted} rows"
        assert len(found) == wanted, told
        last: dict[int, int] = {}
        for *_, bucket, place in found:
            assert last.get(bucket, -1) < place, f"{told}: bucket {bucket} is out of order"
            last[bucket] = place
        expected = [row for row in self.recomputed(table, text) if row[-1] <= last.get(row[-2], -1)]
        assert in_order(loose(found)) == in_order(loose(expected)), told
        batch = [row for row in self.rows(text.format(f"{table.name}$changelog")) if row[-1] <= last.get(row[-2], -1)]
        assert in_order(loose(batch)) == in_order(loose(expected)), told

    def recomputed(self, table: Table, text: str) -> Rows:
        """What DuckDB makes of all changes that there are."""
        columns = ", ".join([*table.columns, "_change_type", "_bucket", "_offset"])
        changes = self.connection.sql(f"SELECT {columns} FROM {table.name}$changelog").to_arrow().to_pyarrow()
        self.model.register("changes", changes)
        rows: Rows = self.model.execute(text.format("changes")).fetchall()
        self.model.unregister("changes")
        return rows


def loose(rows: Rows) -> Rows:
    """Rows with equal values for equal numbers: sums in any order, integers of any type, zeros without a sign."""

    def same(value: Any) -> Any:
        if isinstance(value, Decimal):
            return float(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value) if abs(value) < 2**53 else value
        if isinstance(value, float):
            return "NaN" if value != value else float(f"{value:.12g}") + 0.0
        return value

    return [tuple(map(same, row)) for row in rows]


def exact(rows: Rows) -> Rows:
    """Rows with each number as its text."""
    return [tuple(repr(value) if isinstance(value, float) else value for value in row) for row in rows]


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=repr)

"""`fluss.sql` is a module of DB-API 2.0, by the letter of PEP 249."""

import datetime
import inspect
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count

import pytest

import fluss
from fluss import sql

BOOZE = "CREATE TABLE booze (name STRING PRIMARY KEY, price DECIMAL(10,2), made DATE)"
SAMPLES = ["Carlton Cold", "Carlton Draft", "Mountain Goat", "Redback", "Victoria Bitter", "XXXX"]
_numbers = count()


@pytest.fixture
def target() -> Iterator[str]:
    """A node that is there as long as one connection is."""
    name = f"embedded::memory:dbapi{next(_numbers)}"
    with fluss.connect(name):
        yield name


@pytest.fixture
def connection(target: str) -> Iterator[sql.Connection]:
    connection = sql.connect(target)
    yield connection
    connection.close()


@pytest.fixture
def cursor(connection: sql.Connection) -> Iterator[sql.Cursor]:
    cursor = connection.cursor()
    cursor.execute(BOOZE)
    yield cursor
    cursor.close()


def populated(cursor: sql.Cursor) -> sql.Cursor:
    cursor.executemany("INSERT INTO booze (name) VALUES (?)", [(name,) for name in SAMPLES])
    return cursor


# Module interface


def test_the_module_says_what_it_is() -> None:
    assert sql.apilevel == "2.0"
    assert sql.threadsafety in (0, 1, 2, 3)
    assert sql.paramstyle in ("qmark", "numeric", "named", "format", "pyformat")


def test_exceptions_are_a_tree() -> None:
    assert issubclass(sql.Warning, Exception) and not issubclass(sql.Warning, sql.Error)
    assert issubclass(sql.Error, Exception)
    assert issubclass(sql.InterfaceError, sql.Error) and not issubclass(sql.InterfaceError, sql.DatabaseError)
    assert issubclass(sql.DatabaseError, sql.Error)
    for kind in (
        sql.DataError,
        sql.OperationalError,
        sql.IntegrityError,
        sql.InternalError,
        sql.ProgrammingError,
        sql.NotSupportedError,
    ):
        assert issubclass(kind, sql.DatabaseError)
    assert issubclass(sql.Error, fluss.FlussError)


def test_exceptions_are_attributes_of_connections(connection: sql.Connection) -> None:
    for name in (
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    ):
        assert getattr(connection, name) is getattr(sql, name)


# Connections


def test_a_connection_has_the_methods(connection: sql.Connection) -> None:
    for name in ("close", "commit", "rollback", "cursor"):
        assert callable(getattr(connection, name))


def test_a_closed_connection_is_unusable(target: str) -> None:
    connection = sql.connect(target)
    cursor = connection.cursor()
    connection.close()
    for call in (connection.commit, connection.rollback, connection.cursor, lambda: cursor.execute("SELECT 1")):
        with pytest.raises(sql.Error):
            call()
    connection.close()


def test_what_is_not_committed_is_forgotten(target: str, cursor: sql.Cursor, connection: sql.Connection) -> None:
    populated(cursor)
    with sql.connect(target) as other:
        assert other.cursor().execute("SELECT * FROM booze").fetchall() == []
        connection.commit()
        assert len(other.cursor().execute("SELECT * FROM booze").fetchall()) == len(SAMPLES)
        cursor.execute("DELETE FROM booze")
        connection.close()
        assert len(other.cursor().execute("SELECT * FROM booze").fetchall()) == len(SAMPLES)


def test_a_rollback_forgets(cursor: sql.Cursor, connection: sql.Connection) -> None:
    connection.rollback()
    populated(cursor)
    assert len(cursor.execute("SELECT * FROM booze").fetchall()) == len(SAMPLES)
    connection.rollback()
    assert cursor.execute("SELECT * FROM booze").fetchall() == []
    connection.commit()


def test_each_statement_is_sent_at_once_if_that_is_wanted(target: str) -> None:
    with sql.connect(target, autocommit=True) as connection, sql.connect(target) as other:
        assert connection.autocommit and not other.autocommit
        cursor = connection.cursor()
        cursor.execute(BOOZE)
        populated(cursor)
        assert len(other.cursor().execute("SELECT * FROM booze").fetchall()) == len(SAMPLES)
        other.cursor().execute("DELETE FROM booze")
        with pytest.raises(sql.ProgrammingError):
            other.autocommit = True
        other.rollback()
        other.autocommit = True


def test_a_block_commits_unless_it_raises(target: str) -> None:
    with sql.connect(target) as connection:
        connection.cursor().execute(BOOZE)
        populated(connection.cursor())
    with pytest.raises(ZeroDivisionError), sql.connect(target) as connection:
        connection.cursor().execute("DELETE FROM booze")
        raise ZeroDivisionError
    with sql.connect(target) as connection:
        assert len(connection.cursor().execute("SELECT * FROM booze").fetchall()) == len(SAMPLES)


# Cursors


def test_a_cursor_has_the_attributes_and_methods(cursor: sql.Cursor) -> None:
    assert cursor.arraysize == 1
    for name in (
        "close",
        "execute",
        "executemany",
        "fetchone",
        "fetchmany",
        "fetchall",
        "setinputsizes",
        "setoutputsize",
        "__iter__",
        "__next__",
    ):
        assert callable(getattr(cursor, name))
    assert not inspect.ismethod(cursor.connection) and isinstance(cursor.connection, sql.Connection)
    assert cursor.lastrowid is None


def test_cursors_of_a_connection_are_not_isolated(cursor: sql.Cursor, connection: sql.Connection) -> None:
    populated(cursor)
    other = connection.cursor()
    assert other.execute("SELECT count(*) FROM booze").fetchone() == (len(SAMPLES),)


def test_description_tells_columns(cursor: sql.Cursor) -> None:
    assert cursor.description is None
    cursor.execute("SELECT name, price, made FROM booze")
    description = cursor.description
    assert description is not None and [column[0] for column in description] == ["name", "price", "made"]
    assert all(len(column) == 7 for column in description)
    assert description[0][1] == sql.STRING and sql.STRING == description[0][1]
    assert description[1][1] == sql.NUMBER and description[1][4:6] == (10, 2)
    assert description[2][1] == sql.DATETIME
    assert [column[6] for column in description] == [False, True, True]
    cursor.execute("INSERT INTO booze (name) VALUES ('Victoria Bitter')")
    assert cursor.description is None


def test_rowcount(cursor: sql.Cursor) -> None:
    assert cursor.rowcount == -1
    cursor.execute("INSERT INTO booze (name) VALUES ('Victoria Bitter')")
    assert cursor.rowcount == 1
    cursor.execute("SELECT name FROM booze")
    assert cursor.rowcount in (-1, 1)
    assert cursor.fetchall() == [("Victoria Bitter",)]
    populated(cursor.execute("DELETE FROM booze"))
    assert cursor.rowcount == len(SAMPLES)
    cursor.execute("UPDATE booze SET price = 1 WHERE name LIKE 'Carlton%'")
    assert cursor.rowcount == 2
    cursor.execute("DELETE FROM booze WHERE false")
    assert cursor.rowcount == 0


def test_parameters_are_question_marks(cursor: sql.Cursor) -> None:
    name = 'Cooper\'s "ale"; DROP TABLE booze --'
    cursor.execute("INSERT INTO booze VALUES (?, ?, ?)", [name, Decimal("1.50"), sql.Date(2024, 1, 31)])
    cursor.execute("SELECT * FROM booze WHERE name = ?", (name,))
    assert cursor.fetchall() == [(name, Decimal("1.50"), datetime.date(2024, 1, 31))]
    with pytest.raises(sql.Error):
        cursor.execute("SELECT * FROM booze WHERE name = ?", ())


def test_executemany(cursor: sql.Cursor) -> None:
    rows: list[Sequence[object]] = [("Cooper's",), ["Boag's"]]
    cursor.executemany("INSERT INTO booze (name) VALUES (?)", rows)
    assert cursor.rowcount == 2
    cursor.execute("SELECT name FROM booze ORDER BY name")
    assert cursor.fetchall() == [("Boag's",), ("Cooper's",)]


def test_fetchone(cursor: sql.Cursor) -> None:
    with pytest.raises(sql.Error):
        cursor.fetchone()
    cursor.execute("SELECT name FROM booze")
    assert cursor.fetchone() is None
    cursor.execute("INSERT INTO booze (name) VALUES ('Victoria Bitter')")
    with pytest.raises(sql.Error):
        cursor.fetchone()
    cursor.execute("SELECT name FROM booze")
    assert cursor.rownumber == 0
    assert cursor.fetchone() == ("Victoria Bitter",)
    assert cursor.rownumber == 1
    assert cursor.fetchone() is None


def test_fetchmany(cursor: sql.Cursor) -> None:
    with pytest.raises(sql.Error):
        cursor.fetchmany(4)
    populated(cursor).execute("SELECT name FROM booze ORDER BY name")
    assert len(cursor.fetchmany()) == 1
    cursor.arraysize = 10
    assert len(cursor.fetchmany(3)) == 3
    assert len(cursor.fetchmany(4)) == 2
    assert cursor.fetchmany(4) == []
    cursor.execute("SELECT name FROM booze ORDER BY name")
    assert [name for (name,) in cursor.fetchmany()] == SAMPLES
    cursor.execute("SELECT name FROM booze WHERE false")
    assert cursor.fetchmany() == []


def test_fetchall(cursor: sql.Cursor) -> None:
    with pytest.raises(sql.Error):
        cursor.fetchall()
    populated(cursor)
    with pytest.raises(sql.Error):
        cursor.fetchall()
    cursor.execute("SELECT name FROM booze ORDER BY name")
    assert [name for (name,) in cursor.fetchall()] == SAMPLES
    assert cursor.fetchall() == []
    cursor.execute("SELECT name FROM booze ORDER BY name")
    mixed = [cursor.fetchone(), *cursor.fetchmany(2), *cursor.fetchall()]
    assert mixed == [(name,) for name in SAMPLES]


def test_a_cursor_is_an_iterator(cursor: sql.Cursor) -> None:
    populated(cursor).execute("SELECT name FROM booze ORDER BY name")
    assert [name for (name,) in cursor] == SAMPLES
    assert iter(cursor) is cursor
    with pytest.raises(StopIteration):
        next(cursor)


def test_null_is_none(cursor: sql.Cursor) -> None:
    cursor.execute("SELECT NULL")
    assert cursor.fetchone() == (None,)


def test_sizes_may_be_set(cursor: sql.Cursor) -> None:
    cursor.setinputsizes([25])
    cursor.setoutputsize(1000)
    cursor.setoutputsize(2000, 0)
    assert populated(cursor).execute("SELECT name FROM booze").fetchone() is not None


def test_a_closed_cursor_is_unusable(cursor: sql.Cursor) -> None:
    cursor.execute("SELECT 1")
    cursor.close()
    for call in (
        lambda: cursor.execute("SELECT 1"),
        lambda: cursor.executemany("SELECT ?", [(1,)]),
        cursor.fetchone,
        cursor.fetchmany,
        cursor.fetchall,
        lambda: cursor.setinputsizes([1]),
        lambda: cursor.setoutputsize(1),
    ):
        with pytest.raises(sql.Error):
            call()


# Types


def test_constructors_make_values() -> None:
    day, moment = datetime.date(2002, 12, 25), datetime.datetime(2002, 12, 25, 13, 45, 30)
    assert sql.Date(2002, 12, 25) == day and sql.Time(13, 45, 30) == moment.time()
    assert sql.Timestamp(2002, 12, 25, 13, 45, 30) == moment
    ticks = time.mktime((2002, 12, 25, 13, 45, 30, 0, 0, 0))
    assert sql.DateFromTicks(ticks) == day
    assert sql.TimeFromTicks(ticks) == moment.time()
    assert sql.TimestampFromTicks(ticks) == moment
    assert sql.Binary(b"Something") == b"Something" and sql.Binary(b"") == b""


def test_type_objects_are_singletons_that_equal_type_codes() -> None:
    kinds = [sql.STRING, sql.BINARY, sql.NUMBER, sql.DATETIME, sql.ROWID]
    assert len(set(kinds)) == 5
    for kind, *codes in [
        (sql.STRING, "STRING", "CHAR(3)"),
        (sql.BINARY, "BYTES", "BINARY(3)"),
        (sql.NUMBER, "INT", "BIGINT UNSIGNED", "DECIMAL(10,2)", "DOUBLE", "BOOLEAN"),
        (sql.DATETIME, "DATE", "TIME(3)", "TIMESTAMP(6)", "TIMESTAMP_LTZ(6)"),
    ]:
        for code in codes:
            assert [code == other for other in kinds] == [other is kind for other in kinds]
            assert kind == code


def test_every_type_code_equals_a_type_object(cursor: sql.Cursor) -> None:
    cursor.execute("SELECT true, 1, 1.5, 'a', X'00', DATE '2024-01-01', now(), NULL, [1], INTERVAL '1' DAY")
    assert cursor.description is not None
    kinds = [sql.STRING, sql.BINARY, sql.NUMBER, sql.DATETIME, sql.ROWID]
    for column in cursor.description:
        assert sum(column[1] == kind for kind in kinds) == 1, column


# Errors


def test_errors_are_those_of_the_module(cursor: sql.Cursor, connection: sql.Connection) -> None:
    for statement, expected in [
        ("SELEC 1", sql.ProgrammingError),
        ("SELECT * FROM nobody", sql.ProgrammingError),
        ("GRANT SELECT ON booze TO bob", sql.NotSupportedError),
        ("INSERT INTO booze VALUES (NULL, 1, NULL)", sql.IntegrityError),
    ]:
        with pytest.raises(expected) as raised:
            cursor.execute(statement)
        assert isinstance(raised.value, sql.DatabaseError)
        assert isinstance(raised.value.__cause__, fluss.QueryError)
    populated(cursor)
    connection.commit()
    with pytest.raises(sql.IntegrityError):
        populated(cursor)
        connection.commit()
    with pytest.raises(sql.OperationalError):
        sql.connect("fluss://127.0.0.1:1", timeout=5)


# What reads through it


def test_threads_share_a_connection(cursor: sql.Cursor, connection: sql.Connection) -> None:
    populated(cursor)
    counts: list[object] = []

    def read() -> None:
        counts.append(connection.cursor().execute("SELECT count(*) FROM booze").fetchone())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == 8 * [(len(SAMPLES),)]


def test_pandas_reads_through_it(cursor: sql.Cursor, connection: sql.Connection) -> None:
    pandas = pytest.importorskip("pandas")
    populated(cursor)
    with warnings.catch_warnings():
        # It was tried with SQLite only, says pandas of every connection that is not SQLAlchemy's.
        warnings.simplefilter("ignore", UserWarning)
        frame = pandas.read_sql("SELECT name FROM booze WHERE name > ? ORDER BY name", connection, params=("R",))
    assert list(frame["name"]) == SAMPLES[3:]


def test_polars_reads_through_it(cursor: sql.Cursor, connection: sql.Connection) -> None:
    polars = pytest.importorskip("polars")
    populated(cursor)
    frame = polars.read_database("SELECT name FROM booze ORDER BY name", connection)
    assert frame["name"].to_list() == SAMPLES


def test_arrow_comes_out_of_a_cursor(cursor: sql.Cursor) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    populated(cursor).execute("SELECT name FROM booze ORDER BY name")
    assert pyarrow.table(cursor.fetch_arrow_table())["name"].to_pylist() == SAMPLES

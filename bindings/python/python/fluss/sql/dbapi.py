"""DB-API 2.0 (PEP 249): `connect`, connections and cursors, types and exceptions. `fluss.sql` has all of it.

Fluss has no transactions. As PEP 249 wants it, what a connection writes is gathered until `Connection.commit`, which
sends it in order; what was sent stays if something fails half-way. With ``autocommit=True`` each statement is sent at
once.
"""

from __future__ import annotations

import builtins
import datetime
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, final

import fluss.errors
from fluss import _fluss
from fluss._fluss import ArrowTable
from fluss._sql import OnDuplicate, Parameters, TransactionMode
from fluss._waits import Timeout
from fluss.errors import FlussError
from fluss.sql.client import Client

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

apilevel: Final = "2.0"
threadsafety: Final = 2
"""Threads may share the module and connections."""
paramstyle: Final = "qmark"


class Warning(builtins.Warning):
    """PEP 249's, which is never raised: a value that does not fit is an error."""


class Error(FlussError):
    """Any failure of a connection or a cursor. What it came from is its ``__cause__``."""


class InterfaceError(Error):
    """A call that makes no sense, such as one of a cursor that is closed."""


class DatabaseError(Error):
    """A failure of the database."""


class DataError(DatabaseError):
    """A value that its column cannot take."""


class OperationalError(DatabaseError):
    """A server that cannot be reached, refuses a login or a right, or does not answer in time."""


class IntegrityError(DatabaseError):
    """A row that its table must not have."""


class InternalError(DatabaseError):
    """Something that cannot be."""


class ProgrammingError(DatabaseError):
    """A statement that is wrong, or parameters that do not fit it."""


class NotSupportedError(DatabaseError):
    """What SQL has and this client, or the server, does not."""


_MEANINGS: Final[list[tuple[type[FlussError], type[Error]]]] = [
    (fluss.errors.ConstraintViolationError, IntegrityError),
    (fluss.errors.UnsupportedError, NotSupportedError),
    (fluss.errors.QueryError, ProgrammingError),
    (fluss.errors.SchemaError, ProgrammingError),
    (fluss.errors.DataError, DataError),
    (fluss.errors.ClosedError, InterfaceError),
    (fluss.errors.ForkError, InterfaceError),
    (fluss.errors.ArgumentError, ProgrammingError),
    (fluss.errors.ConfigError, ProgrammingError),
    (fluss.errors.ProtocolError, InternalError),
    (fluss.errors.ConnectionError, OperationalError),
    (fluss.errors.TimeoutError, OperationalError),
    (fluss.errors.AuthError, OperationalError),
    (fluss.errors.ExpiredError, OperationalError),
    (fluss.errors.StorageError, OperationalError),
    (fluss.errors.ServerError, OperationalError),
]


@contextmanager
def _as_in_pep_249() -> Iterator[None]:
    """Raises errors of the client as those of PEP 249."""
    try:
        yield
    except Error:
        raise
    except FlussError as error:
        meant = (meant for own, meant in _MEANINGS if isinstance(error, own))
        raised = next(meant, DatabaseError)(error.message, retriable=error.retriable, rows_taken=error.rows_taken)
        raise raised from error


@final
class _Kind:
    """A kind of types, which equals the ``type_code`` of each of them."""

    def __init__(self, name: str, *types: str) -> None:
        self._name = name
        self._types = frozenset(types)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return re.split(r"[(< ]", other, maxsplit=1)[0] in self._types
        return self is other

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return self._name


STRING: Final = _Kind("STRING", "CHAR", "STRING", "NULL", "INTERVAL", "ARRAY", "MAP", "ROW")
"""Texts, and what is made of values: lists and dicts."""
BINARY: Final = _Kind("BINARY", "BINARY", "BYTES")
NUMBER: Final = _Kind("NUMBER", "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")
DATETIME: Final = _Kind("DATETIME", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ")
ROWID: Final = _Kind("ROWID")

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> datetime.date:
    """The local date of a number of seconds since the epoch."""
    return datetime.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> datetime.time:
    """The local time of day of a number of seconds since the epoch."""
    return datetime.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> datetime.datetime:
    """The local date and time of a number of seconds since the epoch."""
    return datetime.datetime(*time.localtime(ticks)[:6])


def connect(
    target: str | None = None,
    *,
    addresses: Sequence[str] | None = None,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    tenant_id: int | str | None = None,
    tls_enabled: bool = False,
    tls_ca_cert: str | None = None,
    timeout: Timeout = None,
    on_duplicate: OnDuplicate = "error",
    transactions: TransactionMode = "batch",
    autocommit: bool = False,
) -> Connection:
    """Opens a connection; arguments are those of `fluss.sql.Client`, and ``autocommit``."""
    with _as_in_pep_249():
        client = Client(
            target,
            addresses=addresses,
            user=user,
            password=password,
            database=database,
            tenant_id=tenant_id,
            tls_enabled=tls_enabled,
            tls_ca_cert=tls_ca_cert,
            timeout=timeout,
            on_duplicate=on_duplicate,
            transactions=transactions,
        )
    return Connection(client, timeout, autocommit)


@final
class Connection:
    """A connection. At the end of a ``with`` block what was written is committed, or forgotten if the block raised, and
    the connection closes.
    """

    Warning = Warning
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    OperationalError = OperationalError
    IntegrityError = IntegrityError
    InternalError = InternalError
    ProgrammingError = ProgrammingError
    NotSupportedError = NotSupportedError

    def __init__(self, client: Client, timeout: Timeout, autocommit: bool) -> None:
        self._client: Client | None = client
        self._timeout = timeout
        self._autocommit = autocommit
        self._writes = False

    @property
    def autocommit(self) -> bool:
        """Whether each statement is sent at once. Setting it while something waits for `commit` raises."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        if self._writes:
            raise ProgrammingError("something waits for commit or rollback")
        self._autocommit = autocommit

    def _session(self) -> _fluss.SqlSession:
        if self._client is None:
            raise InterfaceError("the connection is closed")
        return self._client._open()

    def _before(self, operation: str) -> None:
        """Opens a transaction, if a statement writes and none is open."""
        word = _first_word(operation)
        if not self._autocommit and not self._writes and word in ("INSERT", "UPDATE", "DELETE"):
            self._session().begin().within(self._timeout).wait()
            self._writes = True

    def _after(self, operation: str) -> None:
        """Notes what a statement does to the transaction."""
        word = _first_word(operation)
        if word in ("BEGIN", "START"):
            self._writes = True
        elif word in ("COMMIT", "ROLLBACK"):
            self._writes = False

    def cursor(self) -> Cursor:
        """A new cursor."""
        self._session()
        return Cursor(self)

    def commit(self) -> None:
        """Sends what was written since the last commit."""
        with _as_in_pep_249():
            session = self._session()
            if self._writes:
                # It ends the transaction, whatever comes of it.
                self._writes = False
                session.commit().within(self._timeout).wait()

    def rollback(self) -> None:
        """Forgets what was written since the last commit."""
        with _as_in_pep_249():
            session = self._session()
            if self._writes:
                self._writes = False
                session.rollback().within(self._timeout).wait()

    def close(self) -> None:
        """Closes the connection. What was not committed is forgotten."""
        client, self._client = self._client, None
        if client is not None:
            with _as_in_pep_249():
                client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc is None and self._client is not None:
                self.commit()
        finally:
            self.close()


Description: TypeAlias = tuple[str, str, None, None, int | None, int | None, bool]


@final
class Cursor:
    """Carries statements out, and reads the rows of queries as they come: as tuples."""

    def __init__(self, connection: Connection) -> None:
        self.arraysize: int = 1
        """How many rows `fetchmany` returns if it is not told."""
        self._connection = connection
        self._closed = False
        self._rows: _fluss.SqlRows | None = None
        self._read: deque[tuple[Any, ...]] = deque()
        self._count = -1
        self._number: int | None = None

    @property
    def connection(self) -> Connection:
        """The connection that the cursor is of."""
        return self._connection

    @property
    def description(self) -> list[Description] | None:
        """Of each column its name, ``type_code``, display and internal size (None), precision, scale, and whether it
        takes nulls; None if the last statement was no query.
        """
        return None if self._rows is None else [_described(*column) for column in self._rows.columns]

    @property
    def rowcount(self) -> int:
        """How many rows the last statement has written; -1 of a query, whose rows are counted by nobody."""
        return self._count

    @property
    def rownumber(self) -> int | None:
        """The number of the row that is fetched next, counted from 0; None without a query."""
        return self._number

    @property
    def lastrowid(self) -> None:
        """None: rows have no numbers."""
        return None

    def _session(self) -> _fluss.SqlSession:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        return self._connection._session()

    def _reset(self) -> None:
        if self._rows is not None:
            self._rows.cancel()
        self._rows, self._count, self._number = None, -1, None
        self._read.clear()

    def execute(self, operation: str, parameters: Parameters = None) -> Self:
        """Carries a statement out, with values for its ``?``, and returns the cursor."""
        with _as_in_pep_249():
            session = self._session()
            self._reset()
            self._connection._before(operation)
            outcome = session.execute(operation, parameters).within(self._connection._timeout).wait()
            self._connection._after(operation)
        if isinstance(outcome, _fluss.SqlRows):
            self._rows, self._number = outcome, 0
        elif outcome is not None:
            self._count = outcome
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Sequence[object]]) -> Self:
        """Carries a statement that writes out for each row of values, and returns the cursor."""
        with _as_in_pep_249():
            session = self._session()
            self._reset()
            self._connection._before(operation)
            timeout = self._connection._timeout
            prepared = session.prepare(operation).within(timeout).wait()
            self._count = prepared.execute_many(seq_of_parameters).within(timeout).wait()
        return self

    def _result(self) -> _fluss.SqlRows:
        self._session()
        if self._rows is None:
            raise ProgrammingError("there are no rows: the last statement was no query")
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None if there is none."""
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, as many as ``arraysize`` says unless there is a ``size``; an empty list if there are none."""
        wanted = self.arraysize if size is None else size
        with _as_in_pep_249():
            rows = self._result()
            while len(self._read) < wanted:
                read = rows.next_rows().within(self._connection._timeout).wait()
                if read is None:
                    break
                self._read.extend(read)
        fetched = [self._read.popleft() for _ in range(min(wanted, len(self._read)))]
        self._number = (self._number or 0) + len(fetched)
        return fetched

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        with _as_in_pep_249():
            rows = self._result()
            if not rows.is_complete():
                self._read.extend(rows.all_rows().within(self._connection._timeout).wait())
        fetched = list(self._read)
        self._read.clear()
        self._number = (self._number or 0) + len(fetched)
        return fetched

    def fetch_arrow_table(self) -> ArrowTable:
        """All rows that were not read as an Arrow table, unless some were fetched already. It is no part of PEP 249."""
        with _as_in_pep_249():
            return self._result().read_all().within(self._connection._timeout).wait()

    def setinputsizes(self, sizes: Sequence[object]) -> None:
        """Does nothing."""
        self._session()

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing."""
        self._session()

    def close(self) -> None:
        """Closes the cursor, and stops its query."""
        self._reset()
        self._closed = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Any, ...]:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _described(name: str, kind: str, nullable: bool) -> Description:
    digits = re.fullmatch(r"DECIMAL\((\d+),(-?\d+)\)", kind)
    precision, scale = (int(digits[1]), int(digits[2])) if digits else (None, None)
    return name, kind, None, None, precision, scale, nullable


def _first_word(operation: str) -> str:
    """The first word of a statement, in upper case, behind comments."""
    found = re.match(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", operation, re.DOTALL)
    return found[1].upper() if found else ""

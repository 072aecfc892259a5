"""SQL over the tables of Fluss; calls block. `fluss.aio.sql` has the same classes to be awaited.

::

    from fluss.sql import Client

    with Client("fluss://localhost:9123") as client:
        client.execute("CREATE TABLE people (id INT PRIMARY KEY, name STRING)")
        client.execute("INSERT INTO people VALUES (?, ?)", (1, "Ada"))
        for row in client.query("SELECT * FROM people"):
            print(row["name"])

`Connection.sql` of `fluss.connect` does it on a connection that there is already. The module is also one of DB-API 2.0
(PEP 249): `connect`, and what goes with it, are of `fluss.sql.dbapi`.

What goes wrong is a `fluss.FlussError`: `QueryError` for a statement, with the line and column, and `ConnectionError`,
`AuthenticationError`, `PermissionDeniedError` and the like for the rest. `Error` and its kin are those of `connect`.
"""

from fluss._sql import BatchedQueryResult, OnDuplicate, Parameters, Properties, QueryResult, Row, TransactionMode
from fluss.errors import (
    AuthenticationError,
    ConnectionError,
    ConstraintViolationError,
    PermissionDeniedError,
    QueryError,
    UnsupportedQueryError,
)
from fluss.sql.client import Client
from fluss.sql.dbapi import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Connection,
    Cursor,
    DatabaseError,
    DataError,
    Date,
    DateFromTicks,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    Warning,
    apilevel,
    connect,
    paramstyle,
    threadsafety,
)
from fluss.sql.result import SqlResult
from fluss.sql.statement import Statement
from fluss.sql.stream import StreamedQuery
from fluss.sql.transaction import Transaction

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "AuthenticationError",
    "BatchedQueryResult",
    "Binary",
    "Client",
    "Connection",
    "ConnectionError",
    "ConstraintViolationError",
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
    "OnDuplicate",
    "OperationalError",
    "Parameters",
    "PermissionDeniedError",
    "ProgrammingError",
    "Properties",
    "QueryError",
    "QueryResult",
    "Row",
    "SqlResult",
    "Statement",
    "StreamedQuery",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Transaction",
    "TransactionMode",
    "UnsupportedQueryError",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

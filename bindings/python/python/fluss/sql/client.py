# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""A client for SQL; calls block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, final, overload

from fluss import _fluss
from fluss._leave import leave
from fluss._sql import (
    BatchedQueryResult,
    OnDuplicate,
    Parameters,
    Properties,
    QueryResult,
    Row,
    SessionOptions,
    TransactionMode,
    affected,
    connection_options,
    database_of,
    row_maker,
    start,
)
from fluss._waits import Timeout
from fluss.errors import ClosedError
from fluss.sql.statement import Statement
from fluss.sql.stream import StreamedQuery
from fluss.sql.transaction import Transaction

__all__ = ["Client"]


@final
class Client:
    """A connection and a session of SQL on it.

    ``target`` is a connection string, as of `fluss.connect`; ``addresses`` are servers instead. Without either the
    environment says where to connect. ``tenant_id=1`` is the database ``tenant_1``, which is created if need be.
    ``timeout`` is how long each call may take; without it as long as the connection's options say. ``on_duplicate``
    says what an INSERT does with a row whose key exists, ``transactions`` what a transaction may write: see
    `begin`. ``memory_limit`` is how many bytes sorts, joins and groups may hold before they go on in files.

    Threads may share it; the current database and an open transaction are those of all of them. At the end of an
    ``with`` block it closes.
    """

    def __init__(
        self,
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
        transactions: TransactionMode = "strict",
        memory_limit: int | None = None,
    ) -> None:
        self._options = connection_options(target, addresses, user, password, tls_enabled, tls_ca_cert)
        self._session_options: SessionOptions = {
            "database": database_of(database, tenant_id),
            "on_duplicate": on_duplicate,
            "transactions": transactions,
            "memory_limit": memory_limit,
        }
        self._has_tenant = tenant_id is not None
        self._timeout = timeout
        self._core: _fluss.Connection | None = None
        self._session: _fluss.SqlSession | None = None
        self._closed = False
        self._open()

    def _open(self) -> _fluss.SqlSession:
        """The session, on a connection that is opened if need be."""
        if self._closed:
            raise ClosedError("the client is closed")
        if self._session is None:
            connection = _fluss.Connection.open(self._options).within(self._timeout).wait()
            core = connection.sql(self._session_options)
            if self._has_tenant:
                core.execute(f'CREATE DATABASE IF NOT EXISTS "{core.database}"').within(self._timeout).wait()
            # Another thread may have come first.
            if self._session is None:
                self._core, self._session = connection, core
        return self._session

    def execute(self, text: str, parameters: Parameters = None) -> int:
        """Carries statements out, and returns how many rows they have written; those of a query are left.

        There may be several, separated by ``;``, unless there are parameters. What is written is stored when this
        returns. A statement that fails raises `fluss.QueryError` with its place in the text; those before it stand.
        """
        core = self._open()
        if parameters is None:
            return affected(core.execute_all(text).within(self._timeout).wait())
        return affected([core.execute(text, parameters).within(self._timeout).wait()])

    @overload
    def query(self, text: str, parameters: Parameters = None) -> QueryResult[Row]: ...
    @overload
    def query(
        self, text: str, parameters: Parameters = None, *, as_dict: Literal[True]
    ) -> QueryResult[dict[str, Any]]: ...
    @overload
    def query(
        self, text: str, parameters: Parameters = None, *, as_dict: Literal[False]
    ) -> QueryResult[tuple[Any, ...]]: ...
    def query(self, text: str, parameters: Parameters = None, *, as_dict: bool | None = None) -> QueryResult[Any]:
        """All rows of a query: each a `Row`, or with ``as_dict`` a dict (True) or a tuple (False).

        Values are those of `fluss.types`. A result larger than memory is read by `query_stream`.
        """
        core = self._open()
        return QueryResult(core.fetch(text, parameters).within(self._timeout).wait(), as_dict)

    def query_stream(self, text: str, parameters: Parameters = None, *, as_dict: bool | None = None) -> Iterator[Any]:
        """The rows of a query one by one, as they come. The query begins with the first, and stops when the loop is
        left.

        ``timeout`` of the client is for each wait.
        """
        core = self._open()
        core_rows = core.execute(text, parameters).within(self._timeout).wait()
        if not isinstance(core_rows, _fluss.SqlRows):
            return
        make = row_maker(core_rows.columns, as_dict)
        try:
            while (rows := core_rows.next_rows().within(self._timeout).wait()) is not None:
                for row in rows:
                    yield make(row)
        finally:
            core_rows.cancel()

    def execute_many(self, text: str, rows: Iterable[Sequence[object]] | object) -> int:
        """Carries a statement out for each row of parameters, and returns how many rows were written.

        Rows are lists or tuples, or the columns of Arrow data. If one fails, `fluss.FlussError.rows_taken` says how
        many were written before.
        """
        core = self._open()
        core_statement = core.prepare(text).within(self._timeout).wait()
        return core_statement.execute_many(rows).within(self._timeout).wait()

    def prepare(self, text: str) -> Statement:
        """Parses and checks a statement that is to be carried out many times."""
        core = self._open()
        return Statement(core.prepare(text).within(self._timeout).wait(), self._timeout)

    def begin(self) -> None:
        """Opens a transaction: what is written from now on is gathered, and sent by `commit`.

        Queries see what was gathered. Fluss has no transactions: what a commit sends is stored together or not at all
        only if all of it lies in one bucket of one table. With ``transactions="strict"`` any other commit is refused
        before anything is sent; with ``"batch"`` it is sent in order, and if something fails, what was sent before
        stays.
        """
        core = self._open()
        return core.begin().within(self._timeout).wait()

    def commit(self) -> None:
        """Sends what the transaction has gathered, and ends it."""
        core = self._open()
        return core.commit().within(self._timeout).wait()

    def rollback(self) -> None:
        """Forgets what the transaction has gathered, and ends it."""
        core = self._open()
        return core.rollback().within(self._timeout).wait()

    def transaction(self) -> Transaction:
        """A block of ``with`` that is a transaction: committed at its end, rolled back if it raises."""
        return Transaction(self._open, self._timeout)

    def stream_query(self, text: str, parameters: Parameters = None, *, properties: Properties = None) -> StreamedQuery:
        """Begins a query, mostly one with ``EMIT CHANGES``, whose rows are polled.

        It gives rows that are written from now on; with ``properties={"auto.offset.reset": "earliest"}`` first those
        that there are, and with a time those since.
        """
        core = self._open()
        core_rows = core.follow(text, parameters, start(properties)).within(self._timeout).wait()
        return StreamedQuery(core_rows)

    def execute_query(
        self, text: str, parameters: Parameters = None, *, properties: Properties = None
    ) -> BatchedQueryResult:
        """All rows of a query that ends: also of one with ``EMIT CHANGES LIMIT n``, which waits for them."""
        core = self._open()
        core_rows = core.follow(text, parameters, start(properties)).within(self._timeout).wait()
        return BatchedQueryResult((core_rows.query_id, core_rows.read_all().within(self._timeout).wait()))

    def close(self) -> None:
        """Closes the connection. A transaction that is open is forgotten."""
        self._closed, self._session = True, None
        if self._core is not None:
            self._core.close().within(self._timeout).wait()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed, self._session = True, None
        if self._core is not None:
            leave(self._core, exc)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core or 'not open'})"

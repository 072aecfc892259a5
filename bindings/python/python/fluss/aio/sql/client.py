"""A client for SQL, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, final, overload

from fluss import _fluss
from fluss._leave import leave_soon
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
from fluss.aio.sql.statement import Statement
from fluss.aio.sql.stream import StreamedQuery
from fluss.aio.sql.transaction import Transaction
from fluss.errors import ClosedError

__all__ = ["AsyncClient"]


@final
class AsyncClient:
    """A connection and a session of SQL on it. It connects when it is entered, or first used.

    ``target`` is a connection string, as of `fluss.connect`; ``addresses`` are servers instead. Without either the
    environment says where to connect. ``tenant_id=1`` is the database ``tenant_1``, which is created if need be.
    ``timeout`` is how long each call may take; without it as long as the connection's options say. ``on_duplicate``
    says what an INSERT does with a row whose key exists, ``transactions`` what a transaction may write: see
    `begin`. ``memory_limit`` is how many bytes sorts, joins and groups may hold before they go on in files.

    Tasks may share it; the current database and an open transaction are those of all of them. At the end of an
    ``async with`` block it closes.
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

    async def _open(self) -> _fluss.SqlSession:
        """The session, on a connection that is opened if need be."""
        if self._closed:
            raise ClosedError("the client is closed")
        if self._session is None:
            connection = await _fluss.Connection.open(self._options).within(self._timeout)
            core = connection.sql(self._session_options)
            if self._has_tenant:
                await core.execute(f'CREATE DATABASE IF NOT EXISTS "{core.database}"').within(self._timeout)
            # Another task may have come first.
            if self._session is None:
                self._core, self._session = connection, core
        return self._session

    async def execute(self, text: str, parameters: Parameters = None) -> int:
        """Carries statements out, and returns how many rows they have written; those of a query are left.

        There may be several, separated by ``;``, unless there are parameters. What is written is stored when this
        returns. A statement that fails raises `fluss.QueryError` with its place in the text; those before it stand.
        """
        core = await self._open()
        if parameters is None:
            return affected(await core.execute_all(text).within(self._timeout))
        return affected([await core.execute(text, parameters).within(self._timeout)])

    @overload
    async def query(self, text: str, parameters: Parameters = None) -> QueryResult[Row]: ...
    @overload
    async def query(
        self, text: str, parameters: Parameters = None, *, as_dict: Literal[True]
    ) -> QueryResult[dict[str, Any]]: ...
    @overload
    async def query(
        self, text: str, parameters: Parameters = None, *, as_dict: Literal[False]
    ) -> QueryResult[tuple[Any, ...]]: ...
    async def query(self, text: str, parameters: Parameters = None, *, as_dict: bool | None = None) -> QueryResult[Any]:
        """All rows of a query: each a `Row`, or with ``as_dict`` a dict (True) or a tuple (False).

        Values are those of `fluss.types`. A result larger than memory is read by `query_stream`.
        """
        core = await self._open()
        return QueryResult(await core.fetch(text, parameters).within(self._timeout), as_dict)

    async def query_stream(
        self, text: str, parameters: Parameters = None, *, as_dict: bool | None = None
    ) -> AsyncIterator[Any]:
        """The rows of a query one by one, as they come. The query begins with the first, and stops when the loop is
        left.

        ``timeout`` of the client is for each wait.
        """
        core = await self._open()
        core_rows = await core.execute(text, parameters).within(self._timeout)
        if not isinstance(core_rows, _fluss.SqlRows):
            return
        make = row_maker(core_rows.columns, as_dict)
        try:
            while (rows := await core_rows.next_rows().within(self._timeout)) is not None:
                for row in rows:
                    yield make(row)
        finally:
            core_rows.cancel()

    async def execute_many(self, text: str, rows: Iterable[Sequence[object]] | object) -> int:
        """Carries a statement out for each row of parameters, and returns how many rows were written.

        Rows are lists or tuples, or the columns of Arrow data. If one fails, `fluss.FlussError.rows_taken` says how
        many were written before.
        """
        core = await self._open()
        core_statement = await core.prepare(text).within(self._timeout)
        return await core_statement.execute_many(rows).within(self._timeout)

    async def prepare(self, text: str) -> Statement:
        """Parses and checks a statement that is to be carried out many times."""
        core = await self._open()
        return Statement(await core.prepare(text).within(self._timeout), self._timeout)

    async def begin(self) -> None:
        """Opens a transaction: what is written from now on is gathered, and sent by `commit`.

        Queries see what was gathered. Fluss has no transactions: what a commit sends is stored together or not at all
        only if all of it lies in one bucket of one table. With ``transactions="strict"`` any other commit is refused
        before anything is sent; with ``"batch"`` it is sent in order, and if something fails, what was sent before
        stays.
        """
        core = await self._open()
        return await core.begin().within(self._timeout)

    async def commit(self) -> None:
        """Sends what the transaction has gathered, and ends it."""
        core = await self._open()
        return await core.commit().within(self._timeout)

    async def rollback(self) -> None:
        """Forgets what the transaction has gathered, and ends it."""
        core = await self._open()
        return await core.rollback().within(self._timeout)

    def transaction(self) -> Transaction:
        """A block of ``async with`` that is a transaction: committed at its end, rolled back if it raises."""
        return Transaction(self._open, self._timeout)

    async def stream_query(
        self, text: str, parameters: Parameters = None, *, properties: Properties = None
    ) -> StreamedQuery:
        """Begins a query, mostly one with ``EMIT CHANGES``, whose rows are polled.

        It gives rows that are written from now on; with ``properties={"auto.offset.reset": "earliest"}`` first those
        that there are, and with a time those since.
        """
        core = await self._open()
        core_rows = await core.follow(text, parameters, start(properties)).within(self._timeout)
        return StreamedQuery(core_rows)

    async def execute_query(
        self, text: str, parameters: Parameters = None, *, properties: Properties = None
    ) -> BatchedQueryResult:
        """All rows of a query that ends: also of one with ``EMIT CHANGES LIMIT n``, which waits for them."""
        core = await self._open()
        core_rows = await core.follow(text, parameters, start(properties)).within(self._timeout)
        return BatchedQueryResult((core_rows.query_id, await core_rows.read_all().within(self._timeout)))

    async def close(self) -> None:
        """Closes the connection. A transaction that is open is forgotten."""
        self._closed, self._session = True, None
        if self._core is not None:
            await self._core.close().within(self._timeout)

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed, self._session = True, None
        if self._core is not None:
            await leave_soon(self._core, exc)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core or 'not open'})"

"""The client to be awaited: connections, tables, writers and scanners.

The classes and methods are those of `fluss.client`; what waits for a server is awaited, on asyncio. Cancelling a task
drops what it waits for. Several tasks may share a connection, a table and a writer.
"""

from collections.abc import Generator, Mapping
from os import PathLike
from types import TracebackType
from typing import Self, final

from fluss import _fluss
from fluss._data import Written
from fluss._define import Names, descriptor_of
from fluss._fluss import (
    ArrowColumn,
    ArrowSchema,
    ArrowTable,
    OffsetSpec,
    Positions,
    RecordBatch,
    ScanRecord,
    ScanRecords,
    WriteHandle,
)
from fluss._leave import leave_soon
from fluss._metrics import Distribution, Metric, metrics
from fluss._sql import Parameters
from fluss._target import configuration, login, options
from fluss._waits import Clock, Timeout
from fluss.aio.admin import Admin
from fluss.aio.lookup import Lookuper, PrefixLookuper, TableLookup, TablePrefixLookup
from fluss.aio.scan import BoundedReader, BucketRead, LogScanner, RowReader, TableRead, TableScan
from fluss.aio.sql.result import SqlResult
from fluss.aio.table import Table
from fluss.aio.table_rows import TableRows
from fluss.aio.write import AppendWriter, TableAppend, TableUpsert, UpsertWriter
from fluss.config import Configuration
from fluss.errors import ClosedError
from fluss.metadata import TablePath

__all__ = [
    "Admin",
    "AppendWriter",
    "ArrowColumn",
    "ArrowSchema",
    "ArrowTable",
    "BoundedReader",
    "BucketRead",
    "Connection",
    "Distribution",
    "LogScanner",
    "Lookuper",
    "Metric",
    "OffsetSpec",
    "Positions",
    "PrefixLookuper",
    "RecordBatch",
    "RowReader",
    "ScanRecord",
    "ScanRecords",
    "Table",
    "TableAppend",
    "TableLookup",
    "TablePrefixLookup",
    "TableRead",
    "TableRows",
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
    "WriteHandle",
    "Written",
    "attach_replica",
    "connect",
    "metrics",
    "open_replica",
]


def connect(
    target: str | PathLike[str] | None = None,
    config: Configuration | Mapping[str, object] | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    timeout: Timeout = None,
    **more: object,
) -> "Connection":
    """Connects to a cluster: ``await connect("fluss://user:password@host:9123/database?requestTimeout=5s")``.

    A ``pathlib.Path`` is the directory of a node in this process. ``user`` and ``password`` log in. Options may also be
    given by their names, with ``_`` in place of ``-`` and ``.``: ``request_timeout=timedelta(seconds=5)``. They win
    over those of ``config``, and these over those of the string. Without a string, the environment says where to
    connect: ``FLUSS_TARGET``, and ``FLUSS_REQUEST_TIMEOUT`` and the like for options. ``timeout`` is how long it takes
    at most, ``client.connect-timeout`` how long each server has.

    ``async with connect(...) as connection`` does it, too.
    """
    return Connection(configuration(target, config, login(user, password) | more), timeout=timeout)


@final
class Connection:
    """A connection to a cluster, opened when it is awaited or entered. Everything else is had from it.

    Raises `fluss.ConnectionError` if no server can be reached or what is there is no Fluss server,
    `fluss.TimeoutError` after ``client.connect-timeout``, `fluss.AuthError` if the login is refused.
    Closes itself at the end of an ``async with`` block.
    """

    def __init__(self, config: Configuration | Mapping[str, object], *, timeout: Timeout = None) -> None:
        self._options = options(config)
        self._timeout = timeout
        self._opened: _fluss.Connection | None = None
        self._session: _fluss.SqlSession | None = None

    @property
    def _core(self) -> _fluss.Connection:
        if self._opened is None:
            raise ClosedError("the connection is not open: await it, or enter it with 'async with'")
        return self._opened

    def __await__(self) -> Generator[object, None, Self]:
        return self._open().__await__()

    async def _open(self) -> Self:
        if self._opened is None:
            self._opened = await _fluss.Connection.open(self._options).within(self._timeout)
        return self

    @classmethod
    async def create(cls, config: Configuration | Mapping[str, object], *, timeout: Timeout = None) -> Self:
        """Connects: the same as ``await Connection(config)``."""
        return await cls(config, timeout=timeout)

    def get_admin(self) -> Admin:
        """What administers databases, tables and partitions."""
        return Admin(self._core.admin())

    async def get_table(self, table_path: TablePath | str, *, timeout: Timeout = None) -> Table:
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return Table(await self._core.table(table_path).within(timeout))

    async def __getitem__(self, table_path: TablePath | str) -> Table:
        """The same as `get_table`: ``await connection["shop.orders"]``."""
        return await self.get_table(table_path)

    async def create_table(
        self,
        table_path: TablePath | str,
        schema: object,
        *,
        primary_key: Names = None,
        buckets: int | None = None,
        partitioned_by: Names = None,
        properties: Mapping[str, object] | None = None,
        comment: str | None = None,
        if_not_exists: bool = False,
        timeout: Timeout = None,
    ) -> Table:
        """Creates a table, and returns it; with ``if_not_exists`` also one that is there, as it is.

        Its columns are those of ``schema``: of a `fluss.Schema`, a ``pyarrow.Schema``, a data frame of pandas or
        polars, or anything else with ``__arrow_c_schema__`` or ``__arrow_c_stream__``. No rows are written. Columns of
        the primary key become NOT NULL. Properties that begin with ``table.`` are the table's, all others the user's.

        It is sent once: after a `fluss.TimeoutError` there may be a table all the same. See `Admin.create_table`.
        """
        clock = Clock(timeout)
        descriptor = descriptor_of(schema, primary_key, buckets, partitioned_by, properties, comment)
        core = self._core.admin()
        await core.create_table(table_path, descriptor, if_not_exists).within(clock.left)
        return await self.get_table(table_path, timeout=clock.left)

    async def drop_table(
        self, table_path: TablePath | str, if_exists: bool = False, *, timeout: Timeout = None
    ) -> None:
        """Drops a table with all its rows; `fluss.NotFoundError` if there is none, unless ``if_exists``."""
        core = self._core.admin()
        await core.drop_table(table_path, if_exists).within(timeout)

    async def tables(self, database: str | None = None, *, timeout: Timeout = None) -> list[str]:
        """The tables of a database, or of all, sorted: each as ``"database.table"``."""
        clock = Clock(timeout)
        core = self._core.admin()
        databases = await core.list_databases().within(clock.left) if database is None else [database]
        found = []
        for name in databases:
            found += [f"{name}.{table}" for table in await core.list_tables(name).within(clock.left)]
        return sorted(found)

    def sql(self, text: str, parameters: Parameters = None, *, timeout: Timeout = None) -> SqlResult:
        """A statement of SQL: ``connection.sql("SELECT * FROM people WHERE id < ?", (3,))``.

        It is carried out when it is awaited, or when its rows are asked for: ``async for row in connection.sql(…)``
        gives dicts, ``await connection.sql(…).to_arrow()`` an Arrow table. ``await connection.sql("INSERT …")`` has
        written when it returns.

        The statements of a connection share a session: its current database, its views and its transaction. An INSERT
        replaces rows whose keys exist, as writers do. ``timeout`` is how long each wait may take.
        """
        if self._session is None:
            self._session = self._core.sql({})
        return SqlResult(self._session, text, parameters, timeout)

    async def close(self, *, timeout: Timeout = None) -> None:
        """Sends what writers have taken, and closes the connection. What was had from it raises `fluss.ClosedError`.

        Raises the first failure of a write that was still on its way, and `fluss.TimeoutError` if it takes longer than
        ``timeout``; the connection is closed all the same.
        """
        return await self._core.close().within(timeout)

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await leave_soon(self._core, exc)

    def __repr__(self) -> str:
        return repr(self._opened or "Connection(not open)")


# Which needs a Connection.
from fluss.aio.replica.replica import attach_replica, open_replica  # noqa: E402

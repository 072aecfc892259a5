"""The client to be awaited: connections, tables, writers and scanners.

The classes and methods are those of `fluss.client`; what waits for a server is awaited, on asyncio. Cancelling a task
drops what it waits for. Several tasks may share a connection, a table and a writer.
"""

from collections.abc import Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._fluss import ArrowTable, OffsetSpec, Positions, RecordBatch, ScanRecord, ScanRecords, WriteHandle
from fluss._leave import leave_soon
from fluss._metrics import Distribution, Metric, metrics
from fluss._read import Moment
from fluss._sql import Parameters
from fluss._target import configuration, options
from fluss._waits import Timeout
from fluss.aio.admin import Admin
from fluss.aio.lookup import Lookuper, PrefixLookuper, TableLookup, TablePrefixLookup
from fluss.aio.scan import BoundedReader, BucketRead, LogScanner, RowReader, TableRead, TableScan
from fluss.aio.sql.result import SqlResult
from fluss.aio.write import AppendWriter, TableAppend, TableUpsert, UpsertWriter
from fluss.config import Configuration
from fluss.errors import ClosedError
from fluss.metadata import TableInfo, TablePath

__all__ = [
    "Admin",
    "AppendWriter",
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
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
    "WriteHandle",
    "attach_replica",
    "connect",
    "metrics",
    "open_replica",
]


def connect(
    target: str | None = None,
    config: Configuration | Mapping[str, object] | None = None,
    *,
    timeout: Timeout = None,
) -> "Connection":
    """Connects to a cluster: ``await connect("fluss://user:password@host:9123/database?requestTimeout=5s")``.

    The options of ``config`` win over those of the string. Without a string, the environment says where to connect:
    ``FLUSS_TARGET``, and ``FLUSS_REQUEST_TIMEOUT`` and the like for options. ``timeout`` is how long it takes at most,
    ``client.connect-timeout`` how long each server has.

    ``async with connect(...) as connection`` does it, too.
    """
    return Connection(configuration(target, config), timeout=timeout)


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

    async def get_table(self, table_path: TablePath | str, *, timeout: Timeout = None) -> "Table":
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return Table(await self._core.table(table_path).within(timeout))

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


@final
class Table:
    """A table, as it stood when it was asked for."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core

    def get_table_info(self) -> TableInfo:
        """Its identity, schema and properties."""
        return self._core.info()

    def get_table_path(self) -> TablePath:
        """Its database and name."""
        return self._core.info().table_path

    def has_primary_key(self) -> bool:
        """Whether it has a primary key."""
        return self._core.info().has_primary_key()

    def new_append(self) -> TableAppend:
        """Begins to write to a log table."""
        return TableAppend(self._core)

    def new_upsert(self) -> TableUpsert:
        """Begins to write to a primary-key table."""
        return TableUpsert(self._core)

    def new_lookup(self) -> TableLookup:
        """Begins to look rows up by key."""
        return TableLookup(self._core)

    def new_scan(self) -> TableScan:
        """Begins to read."""
        return TableScan(self._core)

    async def to_arrow(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> ArrowTable:
        """The whole table, or these columns of it: short for `TableScan.to_arrow`."""
        return await self._scan(columns).to_arrow(as_of=as_of, timeout=timeout)

    async def to_reader(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> RowReader:
        """The rows as they come, for tables that are larger than memory: short for `TableScan.to_reader`."""
        return await self._scan(columns).to_reader(as_of=as_of, timeout=timeout)

    async def to_pandas(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        return await self._scan(columns).to_pandas(as_of=as_of, timeout=timeout)

    async def to_polars(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return await self._scan(columns).to_polars(as_of=as_of, timeout=timeout)

    def _scan(self, columns: Iterable[str | int] | None) -> TableScan:
        return self.new_scan() if columns is None else self.new_scan().project(columns)

    def __repr__(self) -> str:
        return f"Table('{self.get_table_path()}')"


# Which needs a Connection.
from fluss.aio.replica.replica import attach_replica, open_replica  # noqa: E402

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""The blocking client: connections, tables, writers and scanners.

Every call that waits for a server blocks until it is answered, without the interpreter, so that other threads go on;
Ctrl-C ends it at once. `fluss.aio` has the same classes to be awaited.
"""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._fluss import ArrowTable, OffsetSpec, Positions, RecordBatch, ScanRecord, ScanRecords, WriteHandle
from fluss._leave import leave
from fluss._metrics import Distribution, Metric, metrics
from fluss._read import Moment
from fluss._sql import Parameters
from fluss._target import configuration, options
from fluss._waits import Timeout
from fluss.client.admin import Admin
from fluss.client.lookup import Lookuper, PrefixLookuper, TableLookup, TablePrefixLookup
from fluss.client.scan import BoundedReader, BucketRead, LogScanner, RowReader, TableRead, TableScan
from fluss.client.write import AppendWriter, TableAppend, TableUpsert, UpsertWriter
from fluss.config import Configuration
from fluss.metadata import TableInfo, TablePath
from fluss.sql.result import SqlResult

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
    """Connects to a cluster: ``connect("fluss://user:password@host:9123/database?requestTimeout=5s")``.

    The options of ``config`` win over those of the string. Without a string, the environment says where to connect:
    ``FLUSS_TARGET``, and ``FLUSS_REQUEST_TIMEOUT`` and the like for options. ``timeout`` is how long it takes at most,
    ``client.connect-timeout`` how long each server has.
    """
    return Connection(configuration(target, config), timeout=timeout)


@final
class Connection:
    """A connection to a cluster. Everything else is had from it; threads may share it.

    Raises `fluss.ConnectionError` if no server can be reached or what is there is no Fluss server,
    `fluss.TimeoutError` after ``client.connect-timeout``, `fluss.AuthError` if the login is refused.
    Closes itself at the end of a ``with`` block.
    """

    def __init__(self, config: Configuration | Mapping[str, object], *, timeout: Timeout = None) -> None:
        self._core: _fluss.Connection = _fluss.Connection.open(options(config)).within(timeout).wait()
        self._session: _fluss.SqlSession | None = None

    @classmethod
    def create(cls, config: Configuration | Mapping[str, object], *, timeout: Timeout = None) -> Self:
        """Connects: the same as ``Connection(config)``."""
        return cls(config, timeout=timeout)

    def get_admin(self) -> Admin:
        """What administers databases, tables and partitions."""
        return Admin(self._core.admin())

    def get_table(self, table_path: TablePath | str, *, timeout: Timeout = None) -> "Table":
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return Table(self._core.table(table_path).within(timeout).wait())

    def sql(self, text: str, parameters: Parameters = None, *, timeout: Timeout = None) -> SqlResult:
        """A statement of SQL: ``connection.sql("SELECT * FROM people WHERE id < ?", (3,))``.

        What it writes is stored when this returns. The rows of a query are read when they are asked for: ``for row in
        connection.sql(…)`` gives dicts, ``connection.sql(…).to_arrow()`` an Arrow table.

        The statements of a connection share a session: its current database, its views and its transaction. An INSERT
        replaces rows whose keys exist, as writers do. ``timeout`` is how long each wait may take.
        """
        if self._session is None:
            self._session = self._core.sql({})
        return SqlResult(self._session, text, parameters, timeout)._run()

    def close(self, *, timeout: Timeout = None) -> None:
        """Sends what writers have taken, and closes the connection. What was had from it raises `fluss.ClosedError`.

        Raises the first failure of a write that was still on its way, and `fluss.TimeoutError` if it takes longer than
        ``timeout``; the connection is closed all the same.
        """
        return self._core.close().within(timeout).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._core, exc)

    def __repr__(self) -> str:
        return repr(self._core)


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

    def to_arrow(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> ArrowTable:
        """The whole table, or these columns of it: short for `TableScan.to_arrow`."""
        return self._scan(columns).to_arrow(as_of=as_of, timeout=timeout)

    def to_reader(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> RowReader:
        """The rows as they come, for tables that are larger than memory: short for `TableScan.to_reader`."""
        return self._scan(columns).to_reader(as_of=as_of, timeout=timeout)

    def to_pandas(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        return self._scan(columns).to_pandas(as_of=as_of, timeout=timeout)

    def to_polars(
        self, columns: Iterable[str | int] | None = None, *, as_of: Moment | None = None, timeout: Timeout = None
    ) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""
        return self._scan(columns).to_polars(as_of=as_of, timeout=timeout)

    def _scan(self, columns: Iterable[str | int] | None) -> TableScan:
        return self.new_scan() if columns is None else self.new_scan().project(columns)

    def __repr__(self) -> str:
        return f"Table('{self.get_table_path()}')"


# Which needs a Connection.
from fluss.replica.replica import attach_replica, open_replica  # noqa: E402

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""The blocking client: connections, tables, writers and scanners.

Every call that waits for a server blocks until it is answered, without the interpreter, so that other threads go on;
Ctrl-C ends it at once. `fluss.aio` has the same classes to be awaited.
"""

from collections.abc import Mapping
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
from fluss._leave import leave
from fluss._metrics import Distribution, Metric, metrics
from fluss._sql import Parameters
from fluss._target import configuration, login, options
from fluss._waits import Clock, Timeout
from fluss.client.admin import Admin
from fluss.client.lookup import Lookuper, PrefixLookuper, TableLookup, TablePrefixLookup
from fluss.client.scan import BoundedReader, BucketRead, LogScanner, RowReader, TableRead, TableScan
from fluss.client.table import Table
from fluss.client.table_rows import TableRows
from fluss.client.write import AppendWriter, TableAppend, TableUpsert, UpsertWriter
from fluss.config import Configuration
from fluss.metadata import TablePath
from fluss.sql.result import SqlResult

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
    """Connects to a cluster: ``connect("fluss://user:password@host:9123/database?requestTimeout=5s")``.

    A ``pathlib.Path`` is the directory of a node in this process. ``user`` and ``password`` log in. Options may also be
    given by their names, with ``_`` in place of ``-`` and ``.``: ``request_timeout=timedelta(seconds=5)``. They win
    over those of ``config``, and these over those of the string. Without a string, the environment says where to
    connect: ``FLUSS_TARGET``, and ``FLUSS_REQUEST_TIMEOUT`` and the like for options. ``timeout`` is how long it takes
    at most, ``client.connect-timeout`` how long each server has.
    """
    return Connection(configuration(target, config, login(user, password) | more), timeout=timeout)


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

    def get_table(self, table_path: TablePath | str, *, timeout: Timeout = None) -> Table:
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return Table(self._core.table(table_path).within(timeout).wait())

    def __getitem__(self, table_path: TablePath | str) -> Table:
        """The same as `get_table`: ``connection["shop.orders"]``."""
        return self.get_table(table_path)

    def create_table(
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
        core.create_table(table_path, descriptor, if_not_exists).within(clock.left).wait()
        return self.get_table(table_path, timeout=clock.left)

    def drop_table(self, table_path: TablePath | str, if_exists: bool = False, *, timeout: Timeout = None) -> None:
        """Drops a table with all its rows; `fluss.NotFoundError` if there is none, unless ``if_exists``."""
        core = self._core.admin()
        core.drop_table(table_path, if_exists).within(timeout).wait()

    def tables(self, database: str | None = None, *, timeout: Timeout = None) -> list[str]:
        """The tables of a database, or of all, sorted: each as ``"database.table"``."""
        clock = Clock(timeout)
        core = self._core.admin()
        databases = core.list_databases().within(clock.left).wait() if database is None else [database]
        found = []
        for name in databases:
            found += [f"{name}.{table}" for table in core.list_tables(name).within(clock.left).wait()]
        return sorted(found)

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


# Which needs a Connection.
from fluss.replica.replica import attach_replica, open_replica  # noqa: E402

"""Connections, administration and tables."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from types import TracebackType
from typing import Any, final

from fluss import _fluss
from fluss._fluss import Pending
from fluss._target import options
from fluss._waits import Timeout
from fluss.aio.admin import Admin
from fluss.compat._arrow import schema_of
from fluss.compat.lookup import TableLookup
from fluss.compat.scan import TableScan
from fluss.compat.write import TableAppend, TableUpsert, Writers
from fluss.config import Configuration
from fluss.metadata import LakeSnapshot, TableDescriptor, TableInfo, TablePath

__all__ = ["FlussAdmin", "FlussConnection", "FlussTable", "LakeSnapshot"]


@final
class FlussConnection:
    """A connection to a cluster. Everything else is had from it.

    When it closes, by itself or at the end of a ``with`` or ``async with`` block, what its writers have taken is sent
    first; the first failure of that is raised.
    """

    def __init__(self, core: _fluss.Connection) -> None:
        self._core = core
        self._writers = Writers()

    @staticmethod
    async def create(config: Configuration | Mapping[str, object]) -> "FlussConnection":
        """Connects. Raises what `fluss.Connection` raises."""
        return FlussConnection(await _fluss.Connection.open(options(config)))

    def get_admin(self) -> "FlussAdmin":
        """What administers databases, tables and partitions."""
        return FlussAdmin(self._core.admin())

    async def get_table(self, table_path: TablePath | str) -> "FlussTable":
        """A table, as it stands now; `fluss.NotFoundError` if there is none."""
        return FlussTable(await self._core.table(table_path), self._writers)

    async def close(self) -> None:
        """Sends what writers have taken, and closes the connection."""
        async with AsyncExitStack() as ends:
            ends.push_async_callback(self._core.close)
            for writer in self._writers.take():
                ends.push_async_callback(writer.close)

    def __enter__(self) -> "FlussConnection":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        with ExitStack() as ends:
            ends.callback(_wait, self._core.close)
            for writer in self._writers.take():
                ends.callback(_wait, writer.close)

    async def __aenter__(self) -> "FlussConnection":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def _wait(begin: Callable[[], "Pending[None]"]) -> None:
    begin().wait()


@final
class FlussAdmin(Admin):
    """Administers a cluster: `fluss.aio.Admin`, and what pyfluss has beside it."""

    async def create_table(
        self,
        table_path: TablePath | str,
        table_descriptor: TableDescriptor,
        ignore_if_exists: bool | None = None,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Creates a table. Writers and scanners wait until its buckets have leaders."""
        await super().create_table(table_path, table_descriptor, bool(ignore_if_exists), timeout=timeout)

    async def drop_database(
        self,
        database_name: str,
        ignore_if_not_exists: bool = False,
        cascade: bool = True,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Drops a database, with its tables unless ``cascade`` is false."""
        await super().drop_database(database_name, ignore_if_not_exists, cascade, timeout=timeout)


@final
class FlussTable:
    """A table, as it stood when it was asked for."""

    def __init__(self, core: _fluss.Table, writers: Writers) -> None:
        self._core = core
        self._writers = writers

    def new_scan(self) -> TableScan:
        """Begins to read."""
        return TableScan(self._core)

    def new_append(self) -> TableAppend:
        """Begins to write to a log table."""
        return TableAppend(self._core, self._writers)

    def new_upsert(self) -> TableUpsert:
        """Begins to write to a primary-key table."""
        return TableUpsert(self._core, self._writers)

    def new_lookup(self) -> TableLookup:
        """Begins to look rows up by key."""
        return TableLookup(self._core)

    @property
    def arrow_schema(self) -> Any:
        """Its columns as a ``pyarrow.Schema``. Needs pyarrow."""
        return schema_of(self._core.info().get_schema())

    def get_table_info(self) -> TableInfo:
        """Its identity, schema and properties."""
        return self._core.info()

    def get_table_path(self) -> TablePath:
        """Its database and name."""
        return self._core.info().table_path

    def has_primary_key(self) -> bool:
        """Whether it has a primary key."""
        return self._core.info().has_primary_key()

    def __repr__(self) -> str:
        return f"FlussTable(path={self.get_table_path()})"

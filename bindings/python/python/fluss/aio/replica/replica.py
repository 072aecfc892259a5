"""Replicas: local copies of tables that follow them, to be awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._fluss import ArrowTable
from fluss._read import columns_of, condition
from fluss._replica import Lag, Until, lag, until
from fluss._row import Key
from fluss._target import configuration, options
from fluss._waits import Timeout
from fluss.aio import Connection
from fluss.aio.rows import Rows
from fluss.config import Configuration
from fluss.errors import TimeoutError
from fluss.metadata import TablePath
from fluss.predicate import Predicate

__all__ = ["CaughtUp", "Replica", "ReplicaScan", "attach_replica", "open_replica"]


async def open_replica(
    target: Connection | Configuration | Mapping[str, object] | str,
    table: TablePath | str,
    mount_directory: str | PathLike[str],
    columns: Iterable[str | int] | None = None,
    filter: Predicate | None = None,
    *,
    max_staleness: Timeout = None,
    freshness_interval: Timeout = None,
    timeout: Timeout = None,
) -> Replica:
    """Opens the copy of a primary-key table in a directory, or a directory for one, which is made if it is not there.

    ``target`` is a connection that there is, or where to open one of its own, which `Replica.shutdown` closes. Held are
    ``columns``, beside those of the primary key, of the rows for which ``filter`` is true; without them all. What an
    earlier replica has left in the directory can be read at once; nothing is followed before `Replica.startup`.

    Reads raise `fluss.replica.ReplicaStaleError` if the copy is older than ``max_staleness``. Every
    ``freshness_interval`` (0.1 s) the cluster is asked where the changelog ends, which is how the age is known.

    It raises `fluss.replica.ReplicaMismatchError` for a directory with a copy of something else, or other files.
    """
    own = None
    if isinstance(target, Connection):
        core = target._core
    else:
        config = configuration(target, None) if isinstance(target, str) else target
        own = core = await _fluss.Connection.open(options(config)).within(timeout)
    core_table = await core.table(table).within(timeout)
    opened = await _fluss.ReplicaCore.open(
        core_table,
        mount_directory,
        None if columns is None else columns_of(columns),
        None if filter is None else condition(filter),
        max_staleness,
        freshness_interval,
    ).within(timeout)
    return Replica(opened, own)


def attach_replica(mount_directory: str | PathLike[str], max_staleness: Timeout = None) -> Replica:
    """Opens a copy that another replica follows, in this process or another, to read it. No cluster is asked.

    It need not be started. It raises `fluss.replica.NoReplicaError` if there is none in the directory.
    """
    return Replica(_fluss.ReplicaCore.attach(mount_directory, max_staleness))


@final
class Replica(_fluss.ReplicaReads):
    """A local copy of a primary-key table, of some of its columns, or of the rows that hold a condition. It follows the
    changelog, and is read at memory speed. Tasks may share it.

    Reads wait for nobody, and are the same calls in both faces: each sees what was applied when it began. A key is the
    bare value of a single column; a tuple, list or dict of the primary key's columns; as of look-ups.

    What is written is seen a little later: `lag` says how much, and `wait_until` waits for it.
    It starts at the beginning of an ``async with`` block, and shuts down at the end.
    """

    def __init__(self, core: _fluss.ReplicaCore, connection: _fluss.Connection | None = None) -> None:
        self._core = core
        self._connection = connection

    @property
    def table(self) -> TablePath:
        """The table."""
        return self._core.table

    @property
    def directory(self) -> Path:
        """The directory of the copy."""
        return self._core.directory

    @property
    def follows(self) -> bool:
        """Whether it follows the table, or reads what another replica follows."""
        return self._core.follows

    @property
    def caught_up(self) -> CaughtUp:
        """Whether the copy is as new as its table, to be asked and waited for."""
        return CaughtUp(self._core)

    async def startup(self, timeout: Timeout = None) -> None:
        """Begins to follow the table, and returns when the copy is as new as the table was when this was called.

        It goes on in the background until `shutdown`; whatever fails then is tried again for as long as it takes. It
        raises `fluss.replica.ReplicaInUseError` if another replica follows into the directory, and
        `fluss.TimeoutError` after ``timeout``: it is still followed then, and may be started again to wait for it.
        """
        await self._core.start(timeout)

    async def shutdown(self) -> None:
        """Stops following, and reading, and closes the connection if `open_replica` has made it. The copy stays in its
        directory for the next replica.
        """
        await self._core.shut_down()
        core_connection = self._connection
        if core_connection is not None:
            await core_connection.close()

    async def wait_until(self, what: Until, timeout: Timeout = None) -> None:
        """Waits until the copy has come to something: a write, as the handle that a writer gave; all that was stored by
        a ``datetime``; the `Positions` of a scanner; or offsets of the changelog, as a dict of buckets.

        It raises why the write has failed, and `fluss.TimeoutError` after ``timeout``.
        """
        await self._core.wait_until(until(what), timeout)

    def scan(self, columns: Iterable[str | int] | None = None) -> ReplicaScan:
        """All rows of one moment, or these columns of them, in no order that means anything.

        The file grows until the scan has ended, or is closed, while changes are applied.
        """
        return ReplicaScan(self.read_rows((), None if columns is None else columns_of(columns)))

    def prefix(self, values: Key, columns: Iterable[str | int] | None = None) -> ReplicaScan:
        """The rows whose keys begin with these values of the first columns of the primary key, as of `scan`."""
        return ReplicaScan(self.read_rows(values, None if columns is None else columns_of(columns)))

    def lag(self) -> Lag:
        """How far the copy is behind its table, as was known when the cluster was last asked."""
        return lag(self._core.lag())

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"Replica('{self.table}', '{self.directory}')"


@final
class CaughtUp:
    """Whether a copy is as new as its table, as a ``threading.Event`` that is set and cleared by itself."""

    def __init__(self, core: _fluss.ReplicaCore) -> None:
        self._core = core

    def is_set(self) -> bool:
        """Whether the copy had come to where its table was when the cluster was last asked, which was just now."""
        return self._core.is_caught_up()

    async def wait(self, timeout: Timeout = None) -> bool:
        """Waits until the copy is as new as its table is now; False after ``timeout``."""
        try:
            await self._core.wait_until_caught_up(timeout)
        except TimeoutError:
            return False
        return True


@final
class ReplicaScan(Rows):
    """Rows of a copy, all of one moment. Iterating over it gives Arrow tables of some rows.

    It is read once, and loses nothing: whatever is left or interrupted goes on where it was.
    At the end of an ``async with`` block it closes.
    """

    _core: _fluss.ReplicaScan

    async def to_arrow(self) -> ArrowTable:
        """All rows that are left, as one Arrow table."""
        return await self._core.read_all()

    async def to_pandas(self) -> Any:
        """All rows that are left as a pandas DataFrame."""
        table = await self.to_arrow()
        return table.to_pandas()

    async def to_polars(self) -> Any:
        """All rows that are left as a polars DataFrame."""
        table = await self.to_arrow()
        return table.to_polars()

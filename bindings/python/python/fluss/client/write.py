# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Writing: appends to log tables, upserts and deletes in primary-key tables; calls block."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self, final

from fluss import _bases, _fluss
from fluss._data import arrow_of
from fluss._fluss import WriteHandle
from fluss._leave import leave
from fluss._read import columns_of
from fluss._row import Key, Row
from fluss._waits import Timeout

__all__ = ["AppendWriter", "TableAppend", "TableUpsert", "UpsertWriter"]


@final
class TableAppend(_bases.TableAppend):
    """A write to a log table, before it begins."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core

    def create_writer(self) -> "AppendWriter":
        """A writer; `fluss.ArgumentError` if the table has a primary key."""
        return AppendWriter(self._core.append_writer())


class _Writer:
    """What writers to either kind of table have in common."""

    _core: _fluss.AppendWriter | _fluss.UpsertWriter

    def flush(self, *, timeout: Timeout = None) -> None:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""
        return self._core.flush().within(timeout).wait()

    def close(self, *, timeout: Timeout = None) -> None:
        """Flushes, and takes no more rows."""
        return self._core.close().within(timeout).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._core, exc)


@final
class AppendWriter(_Writer, _bases.AppendWriter):
    """Appends rows and Arrow batches to a log table. At the end of a ``with`` block it flushes and closes.

    If the block has raised, it waits for 5 s at most, and what was not stored becomes a note of what it has raised.

    Rows are sent in batches, in the background: see ``client.writer.*`` in `fluss.config.Configuration`. A row that its
    table cannot take raises `fluss.DataError` and is not sent; the writer goes on. Arrow data is written whole or not
    at all, unless it is a stream of more rows than the writer's buffer holds: then ``rows_taken`` of the error says how
    many of its rows were sent, and ``row`` which one is at fault.

    Rows of a partitioned table go to the partitions of their values. Those that are missing are created, unless
    ``client.writer.dynamic-create-partition.enabled`` is off; if that fails, so do their rows, and no others.
    """

    def __init__(self, core: _fluss.AppendWriter) -> None:
        self._core: _fluss.AppendWriter = core

    def append(self, row: Row) -> WriteHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer, and blocks only while the buffer is full."""
        return self._core.append(row)

    def append_many(self, rows: Iterable[Row], *, timeout: Timeout = None) -> WriteHandle:
        """Puts many rows into the buffer in one call: those of a list all or none, others as Arrow data of a stream.

        A row that the table cannot take raises `fluss.DataError`, whose ``row`` says which one it is.
        """
        return self._core.append_arrow(arrow_of(rows, self._core.rows)).within(timeout).wait()

    def append_arrow(self, data: object, *, timeout: Timeout = None) -> WriteHandle:
        """Puts Arrow data into the buffer: anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, such as a
        pyarrow Table or RecordBatch, a polars DataFrame, a pandas DataFrame or an `ArrowTable`.

        Columns are found by name. Blocks only while the buffer is full, for ``timeout`` at most. A source that is read
        as it goes, such as a `BoundedReader` or a ``pyarrow.RecordBatchReader`` over a generator, may call this client.
        """
        return self._core.append_arrow(data).within(timeout).wait()


@final
class TableUpsert(_bases.TableUpsert):
    """A write to a primary-key table, before it begins. Each method returns a new one."""

    def __init__(self, core: _fluss.Table, columns: list[str | int] | None = None, overwrite: bool = False) -> None:
        self._core = core
        self._columns = columns
        self._overwrite = overwrite

    def partial_update(self, columns: Iterable[str | int]) -> "TableUpsert":
        """Writes only these columns, by name or position, the primary key among them; rows are given in their order.

        The other columns stay as they are, or None in a row that is new. Deletes set the columns to None, and remove a
        row of which nothing else is left.
        """
        return TableUpsert(self._core, columns_of(columns), self._overwrite)

    def overwrite(self) -> "TableUpsert":
        """Replaces what is there, whatever the table's merge engine would make of it."""
        return TableUpsert(self._core, self._columns, True)

    def create_writer(self) -> "UpsertWriter":
        """A writer; `fluss.ArgumentError` if the table has no primary key, `fluss.SchemaError` for columns that no
        partial update can have.

        Rows of a table with an auto-increment column are given without that column.
        """
        return UpsertWriter(self._core.upsert_writer(self._columns, self._overwrite))


@final
class UpsertWriter(_Writer, _bases.UpsertWriter):
    """Upserts and deletes rows of a primary-key table. At the end of a ``with`` block it flushes and closes.

    If the block has raised, it waits for 5 s at most, and what was not stored becomes a note of what it has raised.

    Writes are sent in batches, in the background and in their order: see ``client.writer.*`` in
    `fluss.config.Configuration`. A row that its table cannot take raises `fluss.DataError` and is not sent; the writer
    goes on. Arrow data is written whole or not at all, unless it is a stream of more rows than the writer's buffer
    holds: then ``rows_taken`` of the error says how many of its rows were sent, and ``row`` which one is at fault. What
    an acknowledged write has done is seen by look-ups.

    Rows of a partitioned table go to the partitions of their values. Those that are missing are created, unless
    ``client.writer.dynamic-create-partition.enabled`` is off; if that fails, so do their rows, and no others.
    """

    def __init__(self, core: _fluss.UpsertWriter) -> None:
        self._core: _fluss.UpsertWriter = core

    def upsert(self, row: Row) -> WriteHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer, to be stored under its key.

        Blocks only while the buffer is full.
        """
        return self._core.upsert(row)

    def delete(self, key: Key) -> WriteHandle:
        """Puts a key into the buffer, whose row is to be deleted: the primary key's values, or a whole row.

        Blocks only while the buffer is full.
        """
        return self._core.delete(key)

    def upsert_many(self, rows: Iterable[Row], *, timeout: Timeout = None) -> WriteHandle:
        """Puts many rows into the buffer in one call, as `AppendWriter.append_many` does."""
        return self._core.upsert_arrow(arrow_of(rows, self._core.rows)).within(timeout).wait()

    def upsert_arrow(self, data: object, *, timeout: Timeout = None) -> WriteHandle:
        """Puts the rows of Arrow data into the buffer: anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``.

        Columns are found by name. Waits only while the buffer is full, for ``timeout`` at most.
        """
        return self._core.upsert_arrow(data).within(timeout).wait()

    def delete_arrow(self, data: object, *, timeout: Timeout = None) -> WriteHandle:
        """Puts the keys in Arrow data into the buffer, whose rows are to be deleted. Other columns are passed over."""
        return self._core.delete_arrow(data).within(timeout).wait()

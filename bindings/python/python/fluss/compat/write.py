"""Writers."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar, cast, final

from fluss import _bases, _fluss
from fluss._fluss import Schema, WriteHandle
from fluss._row import Key, Row
from fluss.compat._arrow import pyarrow, schema_of
from fluss.compat.rows import filler, in_utc, key_filler, names_at

__all__ = ["AppendWriter", "TableAppend", "TableUpsert", "UpsertWriter", "WriteResultHandle", "Writers"]

_Core = TypeVar("_Core", _fluss.AppendWriter, _fluss.UpsertWriter)
_Columns = tuple[str, ...]


class Writers:
    """The writers of a connection, one for each table and choice of columns: they live as long as it does, for nobody
    has to close them.
    """

    def __init__(self) -> None:
        self._open: dict[object, _fluss.AppendWriter | _fluss.UpsertWriter] = {}

    def append(self, table: _fluss.Table) -> _fluss.AppendWriter:
        """The writer that appends to a table."""
        return self._of(table, "append", table.append_writer)

    def upsert(self, table: _fluss.Table, columns: _Columns | None) -> _fluss.UpsertWriter:
        """The writer that upserts these columns of a table, or whole rows."""
        names: list[str | int] | None = None if columns is None else [*columns]
        return self._of(table, columns, lambda: table.upsert_writer(names, False))

    def take(self) -> list[_fluss.AppendWriter | _fluss.UpsertWriter]:
        """All writers, to be closed."""
        taken = list(self._open.values())
        self._open.clear()
        return taken

    def _of(self, table: _fluss.Table, what: _Columns | str | None, make: Callable[[], _Core]) -> _Core:
        info = table.info()
        key = (info.table_id, info.schema_id, what)
        return cast(_Core, self._open.get(key) or self._open.setdefault(key, make()))


@final
class WriteResultHandle:
    """A write on its way. It may be ignored."""

    def __init__(self, handle: WriteHandle) -> None:
        self._handle = handle

    async def wait(self) -> None:
        """Waits until the write is acknowledged, and raises what it failed of."""
        await self._handle

    def __repr__(self) -> str:
        return f"WriteResultHandle({'done' if self._handle.done() else 'pending'})"


@final
class TableAppend(_bases.TableAppend):
    """A write to a log table, before it begins."""

    def __init__(self, core: _fluss.Table, writers: Writers) -> None:
        self._core = core
        self._writers = writers

    def create_writer(self) -> "AppendWriter":
        """A writer; `fluss.ArgumentError` if the table has a primary key."""
        return AppendWriter(self._writers.append(self._core), self._core.info().get_schema())


@final
class AppendWriter(_bases.AppendWriter):
    """Appends rows and Arrow data to a log table, as `fluss.aio.AppendWriter` does. At the end of an ``async with``
    block it flushes.
    """

    def __init__(self, core: _fluss.AppendWriter, schema: Schema) -> None:
        self._core = core
        self._schema = schema
        self._fill = filler(schema, schema.get_column_names())

    def append(self, row: Row) -> WriteResultHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer. While that is full the event loop waits."""
        return WriteResultHandle(self._core.append(self._fill(row)))

    def write_arrow(self, table: object) -> None:
        """Puts the rows of a pyarrow Table, or of any other Arrow data, into the buffer. Columns are found by name."""
        self._core.append_arrow(in_utc(table, self._schema)).wait()

    def write_arrow_batch(self, batch: object) -> WriteResultHandle:
        """Puts the rows of a pyarrow RecordBatch, or of any other Arrow data, into the buffer."""
        return WriteResultHandle(self._core.append_arrow(in_utc(batch, self._schema)).wait())

    def write_pandas(self, df: object) -> None:
        """Puts the rows of a pandas DataFrame into the buffer. Needs pyarrow."""
        self.write_arrow(pyarrow().Table.from_pandas(df, schema=schema_of(self._schema), preserve_index=False))

    async def flush(self) -> None:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""
        await self._core.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.flush()


@final
class TableUpsert(_bases.TableUpsert):
    """A write to a primary-key table, before it begins. Each method returns a new one."""

    def __init__(self, core: _fluss.Table, writers: Writers, columns: _Columns | None = None) -> None:
        self._core = core
        self._writers = writers
        self._columns = columns

    def partial_update_by_name(self, columns: Iterable[str]) -> "TableUpsert":
        """Writes only these columns, the primary key among them; rows are given in their order."""
        return TableUpsert(self._core, self._writers, tuple(columns))

    def partial_update_by_index(self, column_indices: Iterable[int]) -> "TableUpsert":
        """Writes only the columns at these positions, the primary key among them."""
        columns = names_at(self._core.info().get_schema(), column_indices)
        return TableUpsert(self._core, self._writers, tuple(columns))

    def create_writer(self) -> "UpsertWriter":
        """A writer; `fluss.ArgumentError` if the table has no primary key, `fluss.SchemaError` for columns that no
        partial update can have.
        """
        writer = self._writers.upsert(self._core, self._columns)
        schema = self._core.info().get_schema()
        return UpsertWriter(writer, filler(schema, _given(schema, self._columns)), key_filler(schema))


@final
class UpsertWriter(_bases.UpsertWriter):
    """Upserts and deletes rows of a primary-key table, as `fluss.aio.UpsertWriter` does. At the end of an
    ``async with`` block it flushes.
    """

    def __init__(self, core: _fluss.UpsertWriter, fill: Callable[[Row], Row], fill_key: Callable[[Key], Key]) -> None:
        self._core = core
        self._fill = fill
        self._fill_key = fill_key

    def upsert(self, row: Row) -> WriteResultHandle:
        """Puts a row (list, tuple or dict) into the writer's buffer. While that is full the event loop waits."""
        return WriteResultHandle(self._core.upsert(self._fill(row)))

    def delete(self, pk: Key) -> WriteResultHandle:
        """Puts a key into the buffer, whose row is to be deleted: the primary key's values."""
        return WriteResultHandle(self._core.delete(self._fill_key(pk)))

    async def flush(self) -> None:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""
        await self._core.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.flush()


def _given(schema: Schema, columns: _Columns | None) -> list[str]:
    """The names of the columns that rows are given with."""
    counted = schema.get_auto_increment_columns()
    return [name for name in schema.get_column_names() if name not in counted] if columns is None else [*columns]

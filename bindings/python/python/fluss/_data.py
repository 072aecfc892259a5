"""What is written in one call: rows and columns of any kind, made into Arrow data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from itertools import chain, islice
from typing import Any

from fluss._fluss import ArrowParts, ArrowTable, WriteHandle
from fluss.errors import ArgumentError, ArgumentTypeError

__all__ = ["AsColumns", "Written", "arrow_of", "note_fate"]

AsColumns = Callable[[list[Any], int], ArrowTable]
"""Makes columns of rows, or of keys; errors count them from a number."""

_ROWS = 10_000
"""So many rows of an iterator become one batch."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a call has written, all of which is stored: how many rows, the bytes of their values as Arrow data, and how
    long it took.
    """

    rows: int
    bytes: int
    seconds: float


def arrow_of(data: object, as_columns: AsColumns) -> object:
    """The data as a writer takes it: Arrow data, or the parts of it as they come."""
    if _is_arrow(data):
        return data
    match data:
        case Mapping():
            return as_columns(_rows_of_columns(data), 0)
        case list() | tuple() if data and _is_arrow(data[0]):
            return ArrowParts(iter(data), in_memory=True)
        case list() | tuple() if not hasattr(data, "_fields"):
            return as_columns([*map(_row, data)], 0)
        case _ if is_dataclass(data) and not isinstance(data, type):
            return as_columns([_row(data)], 0)
        case _ if hasattr(data, "collect_schema"):
            return ArrowParts(_collected(data), in_memory=True)
        case _:
            return ArrowParts(_parts(data, as_columns))


def note_fate(error: Exception, handle: WriteHandle | None) -> None:
    """Notes in an error how much of a write is stored or sent, as far as it is known."""
    if handle is not None:
        error.add_note(f"{handle.rows_stored} of {handle.rows} rows are known to be stored.")
    elif taken := getattr(error, "rows_taken", 0):
        error.add_note(f"{taken} rows were sent before, and are stored unless their server refuses them.")


def _is_arrow(data: object) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _collected(frame: Any) -> Iterator[object]:
    """The data frame that a ``polars.LazyFrame`` comes to, once it is asked for."""
    yield frame.collect()


def _parts(data: Any, as_columns: AsColumns) -> Iterator[object]:
    """The parts of data that is read as it goes."""
    for name in ("iter_batches", "to_batches"):  # pyarrow.parquet.ParquetFile; a pyarrow dataset, or a scanner of it
        if hasattr(data, name) and isinstance(parts := getattr(data, name)(), Iterable):
            return iter(parts)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | bytearray | memoryview):
        return _parts_of(iter(data), as_columns)
    raise ArgumentTypeError(
        "rows are given as a list of dicts, lists, tuples or dataclasses, as a dict of columns, as Arrow data, as a "
        f"data frame, or by an iterator of rows or of Arrow data, and not as {type(data).__qualname__}"
    )


def _parts_of(items: Iterator[Any], as_columns: AsColumns) -> Iterator[object]:
    """What an iterator gives: Arrow data as it is, rows many at a time."""
    for first in items:
        items = chain([first], items)
        if _is_arrow(first):
            yield from items
        break
    count = 0
    while rows := [_row(row) for row in islice(items, _ROWS)]:
        yield as_columns(rows, count)
        count += len(rows)


def _row(row: Any) -> Any:
    """The row as a dict, a list or a tuple; a key may also be a bare value."""
    if isinstance(row, dict | list | tuple):
        return row
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    return dict(row) if hasattr(row, "keys") else row


def _rows_of_columns(columns: Mapping[Any, object]) -> list[dict[Any, Any]]:
    """The rows of a dict of columns."""
    values = {name: _values(name, column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in values.items()}
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"'{name}' has {length} values" for name, length in lengths.items())
        raise ArgumentError(f"the columns are not of one length: {told}")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _values(name: object, column: Any) -> list[Any]:
    if hasattr(column, "to_pylist"):
        return [*column.to_pylist()]
    if not isinstance(column, Iterable) or isinstance(column, str | bytes | bytearray | memoryview | Mapping):
        raise ArgumentTypeError(
            f"a dict holds columns, each a list of values, and '{name}' is {column!r}: one row is given in a list"
        )
    return [*column]

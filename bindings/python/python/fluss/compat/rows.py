"""Columns by position, and rows that leave columns out."""

from collections.abc import Callable, Iterable
from typing import Any

from fluss._fluss import Schema
from fluss._row import Row
from fluss.errors import ArgumentError
from fluss.types import DataType

__all__ = ["filler", "names_at"]

_Fill = Callable[[Any], Any]


def filler(schema: Schema, columns: list[str]) -> Callable[[Row], Row]:
    """What puts None for every column that a row of these columns leaves out, and for every field of a ROW in it."""
    types = schema.data_types
    return _of_fields([(column, types[column]) for column in columns])


def names_at(schema: Schema, positions: Iterable[int]) -> list[str]:
    """The names of the columns at these positions; `fluss.ArgumentError` if there is none."""
    names = dict(enumerate(schema.get_column_names()))
    wanted = list(positions)
    if missing := [position for position in wanted if position not in names]:
        raise ArgumentError(f"there is no column {missing[0]}: the table has {len(names)}")
    return [names[position] for position in wanted]


def _of_fields(fields: list[tuple[str, DataType]]) -> _Fill:
    blank = dict.fromkeys(name for name, _ in fields)
    inner = [(place, name, fill) for place, (name, kind) in enumerate(fields) if (fill := _of(kind))]

    def fill_row(row: Any) -> Any:
        if isinstance(row, dict) and (inner or len(row) < len(blank)):
            row = {**blank, **row}
            row.update((name, fill(row[name])) for _, name, fill in inner)
        elif inner and isinstance(row, list | tuple) and len(row) == len(blank):
            row = list(row)
            for place, _, fill in inner:
                row[place] = fill(row[place])
        return row

    return fill_row


def _of(data_type: DataType) -> _Fill | None:
    """What fills the ROWs in values of a type; nothing if it has none. Values of other kinds stay as they are."""
    if (fields := data_type.fields) is not None:
        return _of_fields(fields)
    if (element := data_type.element_type) is not None:
        return _of_elements(_of(element))
    if (key := data_type.key_type) is not None and (value := data_type.value_type) is not None:
        return _of_entries(_of(key), _of(value))
    return None


def _of_elements(fill: _Fill | None) -> _Fill | None:
    return fill and (lambda items: [fill(item) for item in items] if isinstance(items, list | tuple) else items)


def _of_entries(fill_key: _Fill | None, fill_value: _Fill | None) -> _Fill | None:
    if fill_key is None and fill_value is None:
        return None
    fills = (fill_key or _as_it_is, fill_value or _as_it_is)

    def fill_entries(entries: Any) -> Any:
        pairs = list(entries.items()) if isinstance(entries, dict) else entries
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            return entries
        return [(fills[0](key), fills[1](value)) for key, value in pairs]

    return fill_entries


def _as_it_is(value: Any) -> Any:
    return value

"""Columns by position, and rows that leave columns out."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from fluss import _fluss
from fluss._fluss import Schema
from fluss._row import Row
from fluss.errors import ArgumentError
from fluss.predicate import Predicate
from fluss.types import DataType

__all__ = ["filler", "in_utc", "key_filler", "names_at", "utc_predicate"]

_Fill = Callable[[Any], Any]


def in_utc(data: object, schema: Schema) -> object:
    """Arrow data for a table, with times without a zone in UTC where it has a TIMESTAMP_LTZ."""
    has_instants = any("TIMESTAMP_LTZ" in str(kind) for kind in schema.data_types.values())
    return _fluss.assume_utc(data, schema) if has_instants else data


def filler(schema: Schema, columns: list[str]) -> Callable[[Row], Row]:
    """What puts None for every column that a row of these columns leaves out, and for every field of a ROW in it; and
    times without a zone into UTC where they are to be instants.
    """
    types = schema.data_types
    return _of_fields([(column, types[column]) for column in columns])


def key_filler(schema: Schema, columns: list[str] | None = None) -> Callable[[Any], Any]:
    """What does the latter with keys: with the values of these columns, else of the primary key, or with whole rows."""
    keys, types = columns or schema.get_primary_keys(), schema.data_types
    fills = {name: fill for name, kind in types.items() if name in keys and (fill := _of(kind))}

    def fill_key(key: Any) -> Any:
        if isinstance(key, dict):
            return {name: fills[name](value) if name in fills else value for name, value in key.items()}
        if isinstance(key, list | tuple):
            names = keys if len(key) == len(keys) else schema.get_column_names()
            return [fills[name](value) if name in fills else value for name, value in zip(names, key, strict=False)]
        return fills[keys[0]](key) if len(keys) == 1 else key

    return fill_key if fills else _as_it_is


def utc_predicate(predicate: Predicate, schema: Schema) -> Predicate:
    """The condition, with times without a zone in UTC where the column has instants."""
    operator, operands = predicate.operator, predicate.operands
    if operator in ("AND", "OR", "NOT"):
        return Predicate(operator, *(utc_predicate(part, schema) for part in operands))
    if len(operands) < 2 or not str(schema.data_types.get(operands[0], "")).startswith("TIMESTAMP_LTZ"):
        return predicate
    values = operands[1]
    values = [_utc(value) for value in values] if operator == "IN" else _utc(values)
    return Predicate(operator, operands[0], values)


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
    """What fills the ROWs in values of a type, and the times; nothing if it has none. Other values stay as they are."""
    if str(data_type).startswith("TIMESTAMP_LTZ"):
        return _utc
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


def _utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        # It is still itself where it is none, as pandas' NaT.
        return value.replace(tzinfo=UTC)
    return value

"""The value notation of tests/peers/README.md, to and from Arrow columns, exactly: no `datetime` stands between."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

MOMENTS = {"s": 1_000, "ms": 1, "us": 1_000, "ns": 1_000_000}
"""Of each unit of a timestamp: how many milliseconds it has, or how many of it a millisecond has."""


def to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of the notation as a column."""
    if pa.types.is_list(kind):
        offsets, elements = _joined(values)
        return pa.ListArray.from_arrays(offsets, to_array(elements, kind.value_type), type=kind, mask=_nulls(values))
    if pa.types.is_map(kind):
        offsets, pairs = _joined(values)
        keys = to_array([key for key, _ in pairs], kind.key_type)
        items = to_array([item for _, item in pairs], kind.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, type=kind, mask=_nulls(values))
    if pa.types.is_struct(kind):
        rows = [[None] * kind.num_fields if value is None else value for value in values]
        parts = [to_array([row[index] for row in rows], kind.field(index).type) for index in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=_nulls(values))
    stored = _stored(kind)
    return pa.array([None if value is None else _to_scalar(value, kind) for value in values], stored).view(kind)


def from_array(array: pa.Array) -> list[Any]:
    """The values of a column in the notation."""
    kind = array.type
    if pa.types.is_list(kind):
        return [from_array(scalar.values) if scalar.is_valid else None for scalar in array]
    if pa.types.is_map(kind):
        return [_pairs(scalar.values) if scalar.is_valid else None for scalar in array]
    if pa.types.is_struct(kind):
        parts = [from_array(array.field(index)) for index in range(kind.num_fields)]
        rows = [list(row) for row in zip(*parts, strict=True)] or [[] for _ in array]
        return [row if scalar.is_valid else None for row, scalar in zip(rows, array, strict=True)]
    values = array.view(_stored(kind)).to_pylist()
    return [None if value is None else _from_scalar(value, kind) for value in values]


def float_text(value: float) -> str:
    """A number as Java names it."""
    names = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    return names.get(repr(value), repr(value))


def _joined(lists: Sequence[Any]) -> tuple[pa.Array, list[Any]]:
    """Where each list begins, and the elements of all."""
    offsets, elements = [0], []
    for values in lists:
        elements += values or ()
        offsets.append(len(elements))
    return pa.array(offsets, pa.int32()), elements


def _nulls(values: Sequence[Any]) -> pa.Array:
    return pa.array([value is None for value in values], pa.bool_())


def _pairs(entries: pa.StructArray) -> list[list[Any]]:
    keys, items = (from_array(entries.field(index)) for index in range(2))
    return [list(pair) for pair in zip(keys, items, strict=True)]


def _stored(kind: pa.DataType) -> pa.DataType:
    """The integers that days and times are; any other type is what it is."""
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    return kind


def _to_scalar(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return bytes.fromhex(value)
    if pa.types.is_time(kind):
        return value // 1000 if kind.unit == "s" else value * MOMENTS[kind.unit]
    if pa.types.is_timestamp(kind):
        return _count(value["ms"], value["ns"], kind.unit)
    return value


def _count(millis: int, nanos: int, unit: str) -> int:
    if unit == "s":
        return millis // MOMENTS[unit]
    return millis * MOMENTS[unit] + nanos * MOMENTS[unit] // MOMENTS["ns"]


def _from_scalar(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return float_text(value)
    if pa.types.is_decimal(kind):
        return format(value, "f")
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return value.hex()
    if pa.types.is_time(kind):
        return value * 1000 if kind.unit == "s" else value // MOMENTS[kind.unit]
    if pa.types.is_timestamp(kind):
        return _moment(value, kind.unit)
    return value


def _moment(count: int, unit: str) -> dict[str, int]:
    if unit == "s":
        return {"ms": count * MOMENTS[unit], "ns": 0}
    millis, rest = divmod(count, MOMENTS[unit])
    return {"ms": millis, "ns": rest * MOMENTS["ns"] // MOMENTS[unit]}

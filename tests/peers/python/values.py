"""The value notation of tests/peers/README.md, to and from the Python values of rows, by Arrow type."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa

from columns import float_text

EPOCH = dt.datetime(1970, 1, 1)
MICROSECOND = dt.timedelta(microseconds=1)


ARROW = {"INT": pa.int32(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "STRING": pa.string()}


def to_arrow(data_type: str) -> tuple[pa.DataType, bool]:
    """One of the simple types of the notation in Arrow, and whether it takes nulls."""
    simple = data_type.removesuffix(" NOT NULL")
    return ARROW[simple], simple == data_type


def to_python(value: Any, kind: pa.DataType) -> Any:
    """A value of the notation as what pyfluss and pyarrow take."""
    if value is None:
        return None
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(value)
    if _is_bytes(kind):
        return bytes.fromhex(value)
    if pa.types.is_date(kind):
        return EPOCH.date() + dt.timedelta(days=value)
    if pa.types.is_time(kind):
        return (EPOCH + dt.timedelta(milliseconds=value)).time()
    if pa.types.is_timestamp(kind):
        moment = EPOCH + dt.timedelta(milliseconds=value["ms"], microseconds=value["ns"] // 1000)
        return moment.replace(tzinfo=dt.UTC) if kind.tz else moment
    return _nested_to_python(value, kind)


def _nested_to_python(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_map(kind):
        return [(to_python(key, kind.key_type), to_python(item, kind.item_type)) for key, item in value]
    if pa.types.is_list(kind):
        return [to_python(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: to_python(item, field.type) for field, item in zip(kind, value, strict=True)}
    return value


def to_notation(value: Any, kind: pa.DataType) -> Any:
    """What pyfluss and pyarrow give, in the notation. Below a microsecond they give nothing."""
    if value is None:
        return None
    if pa.types.is_floating(kind):
        return float_text(value)
    if pa.types.is_decimal(kind):
        return format(value, "f")
    if _is_bytes(kind):
        return value.hex()
    if pa.types.is_date(kind):
        return (value - EPOCH.date()).days
    if pa.types.is_time(kind):
        return (dt.datetime.combine(EPOCH, value) - EPOCH) // dt.timedelta(milliseconds=1)
    if pa.types.is_timestamp(kind):
        microseconds = (value.replace(tzinfo=None) - EPOCH) // MICROSECOND
        return {"ms": microseconds // 1000, "ns": microseconds % 1000 * 1000}
    return _nested_to_notation(value, kind)


def _nested_to_notation(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_map(kind):
        return [[to_notation(key, kind.key_type), to_notation(item, kind.item_type)] for key, item in value]
    if pa.types.is_list(kind):
        return [to_notation(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return [to_notation(value[field.name], field.type) for field in kind]
    return value


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind)

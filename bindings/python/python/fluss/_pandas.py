"""From Arrow columns to data frames of pandas, without a value lost."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from fluss.errors import ArgumentError

__all__ = ["to_pandas"]

_BACKENDS = ("numpy_nullable", "pyarrow")


def to_pandas(data: Any, dtype_backend: str | None, types_mapper: Callable[[Any], Any] | None) -> Any:
    """The ``pandas.DataFrame`` of a pyarrow Table or RecordBatch.

    Integers with nulls come in the nullable types of pandas: as floats those beyond 2**53 would be others.
    """
    if dtype_backend is not None and types_mapper is not None:
        raise ArgumentError("dtype_backend and types_mapper say the same: one of them can be given")
    if dtype_backend not in (None, *_BACKENDS):
        raise ArgumentError(f"dtype_backend is one of {', '.join(_BACKENDS)}, not {dtype_backend!r}")
    pandas, pyarrow = import_module("pandas"), import_module("pyarrow")
    if dtype_backend == "pyarrow":
        return data.to_pandas(types_mapper=pandas.ArrowDtype)
    nullable = _nullable(pandas, pyarrow)
    if dtype_backend == "numpy_nullable":
        return data.to_pandas(types_mapper=nullable.get, integer_object_nulls=True)
    # In lists, maps and rows integers with nulls stay what they are too.
    frame = data.to_pandas(types_mapper=types_mapper, integer_object_nulls=True)
    for position, column in enumerate(data.columns):
        mapped = types_mapper is not None and types_mapper(column.type) is not None
        if pyarrow.types.is_integer(column.type) and column.null_count and not mapped:
            frame.isetitem(position, column.to_pandas(types_mapper=nullable.get).array)
    return frame


def _nullable(pandas: Any, pyarrow: Any) -> dict[Any, Any]:
    """The nullable types of pandas that hold the values of tables."""
    return {
        pyarrow.bool_(): pandas.BooleanDtype(),
        pyarrow.int8(): pandas.Int8Dtype(),
        pyarrow.int16(): pandas.Int16Dtype(),
        pyarrow.int32(): pandas.Int32Dtype(),
        pyarrow.int64(): pandas.Int64Dtype(),
        pyarrow.float32(): pandas.Float32Dtype(),
        pyarrow.float64(): pandas.Float64Dtype(),
        pyarrow.string(): pandas.StringDtype(),
    }

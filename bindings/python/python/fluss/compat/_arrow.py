"""pyarrow, imported only when asked for."""

from importlib import import_module
from typing import Any

__all__ = ["pyarrow", "schema_of"]


def pyarrow() -> Any:
    """The module."""
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise ImportError("this needs pyarrow: pip install 'fluss-client[pyarrow]'") from error


def schema_of(source: object) -> Any:
    """The ``pyarrow.Schema`` of anything with ``__arrow_c_schema__``."""
    return pyarrow().schema(source)

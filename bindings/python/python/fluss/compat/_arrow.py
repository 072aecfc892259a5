"""pyarrow, imported only when asked for."""

from typing import Any

from fluss._libraries import library

__all__ = ["pyarrow", "schema_of"]


def pyarrow() -> Any:
    """The module."""
    return library("pyarrow")


def schema_of(source: object) -> Any:
    """The ``pyarrow.Schema`` of anything with ``__arrow_c_schema__``."""
    return pyarrow().schema(source)

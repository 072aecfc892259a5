# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Rows that are read whole into data frames; calls block."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from fluss._fluss import ArrowTable
from fluss._waits import Timeout

__all__ = ["Frames"]


class Frames(ABC):
    """Rows that may be had as a data frame."""

    @abstractmethod
    def _read_whole(self, timeout: Timeout) -> ArrowTable:
        """All rows as one table."""

    def to_pandas(
        self,
        *,
        dtype_backend: str | None = None,
        types_mapper: Callable[[Any], Any] | None = None,
        timeout: Timeout = None,
    ) -> Any:
        """The rows as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""
        rows = self._read_whole(timeout)
        return rows.to_pandas(dtype_backend=dtype_backend, types_mapper=types_mapper)

    def to_polars(self, *, timeout: Timeout = None) -> Any:
        """The rows as a ``polars.DataFrame``. Needs polars."""
        return self._read_whole(timeout).to_polars()

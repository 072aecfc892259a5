# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Rows that are read once; calls block."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from fluss import _fluss
from fluss._fluss import ArrowTable

__all__ = ["Rows"]


class Rows:
    """Rows that come as they are read, once. Iterating over them gives Arrow tables of some rows.

    Whatever is left or interrupted goes on where it was.
    """

    def __init__(self, core: "_fluss.RowReader | _fluss.ReplicaScan") -> None:
        self._core = core

    def close(self) -> None:
        """Stops reading. Every later call raises `fluss.ClosedError`."""
        self._core.close().wait()

    def __iter__(self) -> Iterator[ArrowTable]:
        self._core.begin()
        return self._batches()

    def _batches(self) -> Iterator[ArrowTable]:
        # It may begin long after it was made.
        self._core.begin()
        while (rows := self._core.next_batch().wait()) is not None:
            yield rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __arrow_c_schema__(self) -> object:
        return self._core.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._core.__arrow_c_stream__(requested_schema)

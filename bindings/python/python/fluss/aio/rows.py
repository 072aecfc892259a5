"""Rows that are read once, to be awaited."""

from collections.abc import AsyncIterator
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

    async def close(self) -> None:
        """Stops reading. Every later call raises `fluss.ClosedError`."""
        await self._core.close()

    def __aiter__(self) -> AsyncIterator[ArrowTable]:
        self._core.begin()
        return self._batches()

    async def _batches(self) -> AsyncIterator[ArrowTable]:
        # It may begin long after it was made.
        self._core.begin()
        while (rows := await self._core.next_batch()) is not None:
            yield rows

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __arrow_c_schema__(self) -> object:
        return self._core.__arrow_c_schema__()

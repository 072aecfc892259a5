"""Queries whose rows are polled, to be awaited."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._sql import Row, row_maker
from fluss._waits import Timeout

__all__ = ["StreamedQuery"]


@final
class StreamedQuery:
    """A query whose rows are polled, or iterated over. Whoever lets go of it stops it, as does the end of an
    ``async with`` block.

    Whatever is cancelled or interrupted loses nothing: the next call returns what it would have.
    """

    def __init__(self, core: _fluss.SqlRows) -> None:
        self._core = core
        self._make = row_maker(core.columns, None)
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._behind = core.position

    @property
    def query_id(self) -> str:
        """The id of the query, which no other of this process has."""
        return self._core.query_id

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _, _ in self._core.columns]

    @property
    def position(self) -> str | None:
        """From where another query goes on; None of a query without ``EMIT CHANGES``.

        It moves on with each batch of rows of which all were polled: of the batch that is being polled rows come again.
        """
        return self._behind if self._waiting else self._core.position

    async def poll(self, timeout: Timeout = None) -> Row | None:
        """The next row; None if none has come in ``timeout``, or if the query has ended: see `is_complete`.

        Without a ``timeout`` it waits until there is one.
        """
        while not self._waiting:
            self._behind = self._core.position
            rows = await self._core.next_rows(limit=timeout)
            if not rows:
                return None
            self._waiting.extend(rows)
        row: Row = self._make(self._waiting.popleft())
        return row

    def is_complete(self) -> bool:
        """Whether no row comes any more: the query has ended, or was cancelled."""
        return not self._waiting and self._core.is_complete()

    def is_caught_up(self) -> bool:
        """Whether all rows were read that there were when the query began."""
        return not self._waiting and self._core.is_caught_up()

    def cancel(self) -> None:
        """Stops the query. No row comes any more; a poll that waits returns None."""
        self._waiting.clear()
        self._core.cancel()

    async def __aiter__(self) -> AsyncIterator[Row]:
        while (row := await self.poll()) is not None:
            yield row

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"StreamedQuery(query_id={self.query_id!r}, columns={self.columns})"

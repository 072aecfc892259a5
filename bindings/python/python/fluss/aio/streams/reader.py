"""Events as they are read, to be awaited."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, final

from fluss import _fluss
from fluss._fluss import ArrowTable, Positions
from fluss._streams import CaughtUp, RecordedEvent, RecordedParts, recorded
from fluss._waits import Timeout
from fluss.errors import ArgumentError

__all__ = ["EventReader", "Subscription"]


@final
class EventReader:
    """Events that there are, to be iterated over, once; or read whole, as columns.

    Whatever is cancelled or interrupted loses nothing: the next call returns what it would have.
    """

    def __init__(self, core: _fluss.EventReader) -> None:
        self._core = core
        self._waiting: deque[RecordedParts] = deque()

    async def next_event(self, timeout: Timeout = None) -> RecordedEvent | None:
        """The next event; None at the end, or if none has come in ``timeout``."""
        while not self._waiting:
            found = await self._core.next_events(limit=timeout)
            if found is None or (timeout is not None and not found[0]):
                return None
            self._waiting.extend(found[0])
        return recorded(self._waiting.popleft())

    async def to_arrow(self) -> ArrowTable:
        """All events that are left, as one Arrow table, a row for each."""
        self._check()
        return await self._core.read_all()

    async def to_pandas(self) -> Any:
        """All events that are left as a pandas DataFrame."""
        table = await self.to_arrow()
        return table.to_pandas()

    async def to_polars(self) -> Any:
        """All events that are left as a polars DataFrame."""
        table = await self.to_arrow()
        return table.to_polars()

    def __arrow_c_schema__(self) -> object:
        return self._core.__arrow_c_schema__()

    def _check(self) -> None:
        if self._waiting:
            raise ArgumentError("some of the events were read one by one, and are not handed out yet")
        self._core.begin()

    async def __aiter__(self) -> AsyncIterator[RecordedEvent]:
        while (event := await self.next_event()) is not None:
            yield event


@final
class Subscription:
    """Events as they are appended, to be iterated over. The end of an ``async with`` block ends it, as does `close`.

    Whatever is cancelled or interrupted loses nothing: the next call returns what it would have.
    """

    def __init__(
        self, core: _fluss.EventReader, streams: _fluss.EventStreams, consumer: str | None, tells: bool
    ) -> None:
        self._core = core
        self._streams = streams
        self._consumer = consumer
        self._tells = tells
        self._waiting: deque[RecordedParts] = deque()
        self._caught_up = False

    async def next_event(self, timeout: Timeout = None) -> RecordedEvent | CaughtUp | None:
        """The next event; None if none has come in ``timeout``, or once it is closed.

        Without a ``timeout`` it waits until there is one. A `CaughtUp` comes once, if it was asked for.
        """
        while not self._waiting:
            found = await self._core.next_events(limit=timeout)
            if found is None:
                return None
            events, is_caught_up = found
            self._waiting.extend(events)
            if is_caught_up:
                self._caught_up = True
                if self._tells:
                    return CaughtUp()
            elif not events:
                return None
        return recorded(self._waiting.popleft())

    @property
    def is_caught_up(self) -> bool:
        """Whether all was read that there was when it began."""
        return self._caught_up and not self._waiting

    @property
    def position(self) -> Positions | None:
        """From where another subscription to all streams goes on; None of a subscription to one stream.

        It is behind the last append of which all events were read: those of one that is half read come again.
        """
        places = ((event[8], event[9]) for event in self._waiting)
        waiting = [(bucket, offset) for bucket, offset in places if bucket is not None and offset is not None]
        return self._core.positions(waiting)

    async def save(self) -> None:
        """Saves where it is, for the ``consumer`` that it was begun for; it is stored when this returns."""
        position = self.position
        if self._consumer is None or position is None:
            raise ArgumentError("the subscription is of no consumer: subscribe_to_all(consumer=…)")
        core = self._streams
        await core.save_positions(self._consumer, position)

    def close(self) -> None:
        """Ends it. No event comes any more; whoever waits for one gets None."""
        self._waiting.clear()
        self._core.close()

    async def __aiter__(self) -> AsyncIterator[RecordedEvent | CaughtUp]:
        while (event := await self.next_event()) is not None:
            yield event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

"""Event streams with expected versions, to be awaited: see `fluss.streams`, which has the same classes.

::

    from fluss.aio import streams

    async with await streams.open("fluss://localhost:9123", "fluss.orders") as orders:
        await orders.append_to_stream("order:123", [event], current_version=streams.StreamState.NO_STREAM)
        async for event in await orders.read_stream("order:123"):
            print(event)
"""

from fluss._streams import CaughtUp, CurrentVersion, FromPosition, NewEvent, RecordedEvent, StreamState
from fluss.aio.streams.reader import EventReader, Subscription
from fluss.aio.streams.store import EventStreams, open
from fluss.errors import StreamDeletedError, StreamNotFoundError, WrongCurrentVersionError

__all__ = [
    "CaughtUp",
    "CurrentVersion",
    "EventReader",
    "EventStreams",
    "FromPosition",
    "NewEvent",
    "RecordedEvent",
    "StreamDeletedError",
    "StreamNotFoundError",
    "StreamState",
    "Subscription",
    "WrongCurrentVersionError",
    "open",
]

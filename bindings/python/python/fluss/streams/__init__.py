"""Event streams with expected versions, on a primary-key table; calls block. `fluss.aio.streams` has the same, awaited.

::

    from fluss import streams
    from fluss.streams import NewEvent, StreamState

    with streams.open("embedded:./data", "fluss.orders") as orders:
        event = NewEvent(type="OrderCreated", data=b'{"name": "Greg"}')
        orders.append_to_stream("order:123", [event], current_version=StreamState.NO_STREAM)
        for event in orders.read_stream("order:123"):
            print(event)

A stream is a name and a list of events, whose versions count from 0. Whoever appends says what the stream is to be at;
of two that expect the same version only one succeeds, on any cluster, and the other gets a `WrongCurrentVersionError`.
``docs/streams.md`` says how, and what it costs.
"""

from fluss._streams import CaughtUp, CurrentVersion, FromPosition, NewEvent, RecordedEvent, StreamState
from fluss.errors import StreamDeletedError, StreamNotFoundError, WrongCurrentVersionError
from fluss.streams.reader import EventReader, Subscription
from fluss.streams.store import EventStreams, open

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

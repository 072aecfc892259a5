"""What both faces of streams have in common: events and states."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeAlias, final
from uuid import UUID, uuid4

from fluss._fluss import Positions
from fluss.errors import ArgumentTypeError

__all__ = ["CaughtUp", "CurrentVersion", "FromPosition", "NewEvent", "RecordedEvent", "StreamState"]

EventParts: TypeAlias = tuple[str, str, bytes, bytes, str]
RecordedParts: TypeAlias = tuple[str, str, bytes, bytes, str, str, int, int, int | None, int | None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@final
class StreamState(Enum):
    """What state a stream is to be in for an append, where no version says it."""

    NO_STREAM = "NO_STREAM"
    """It has no events, or was deleted."""
    EXISTS = "EXISTS"
    """It has events."""
    ANY = "ANY"
    """Any at all."""


CurrentVersion: TypeAlias = int | StreamState
"""What state a stream is to be in: the version of its last event, or a `StreamState`."""

FromPosition: TypeAlias = Positions | int | dict[int, int] | None
"""Where events of all streams are read from: None for the first that is still there, a commit position, behind which it
goes on, if the table has one bucket; else one for each bucket; or the position of a subscription."""


@final
@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended. An append that is tried again is known by the ids of its events."""

    type: str
    """What kind of event it is, such as ``OrderCreated``."""
    data: bytes
    """What it says."""
    metadata: bytes = b""
    """What is said of it."""
    content_type: str = "application/json"
    """The format of ``data``."""
    id: UUID = field(default_factory=uuid4)
    """What tells it from all others."""


@final
@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of a stream."""

    type: str
    """What kind of event it is."""
    data: bytes
    """What it says."""
    metadata: bytes
    """What is said of it."""
    content_type: str
    """The format of ``data``."""
    id: UUID
    """What tells it from all others."""
    stream_name: str
    """The stream."""
    version: int
    """How many events the stream had before it."""
    recorded_at: datetime
    """When it was appended, by the clock of the program that did it."""
    bucket: int | None
    """The bucket of the table that it is in; None where it was read by its stream."""
    commit_position: int | None
    """Where its append ends in the changelog of the bucket; None where it was read by its stream."""


@final
@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that there was when a subscription began is read."""


def parts(events: NewEvent | Iterable[NewEvent]) -> list[EventParts]:
    """Events as the core takes them."""
    several = [events] if isinstance(events, NewEvent) else list(events)
    for event in several:
        if not isinstance(event, NewEvent):
            raise ArgumentTypeError(f"an event is a NewEvent, not {type(event).__name__}")
    return [(str(event.id), event.type, event.data, event.metadata, event.content_type) for event in several]


def recorded(event: RecordedParts) -> RecordedEvent:
    """An event as the core gives it."""
    identity, kind, data, metadata, content_type, stream, version, millis, bucket, offset = event
    moment = _EPOCH + timedelta(milliseconds=millis)
    behind = None if offset is None else offset + 1
    return RecordedEvent(kind, data, metadata, content_type, UUID(identity), stream, version, moment, bucket, behind)


def state(expected: CurrentVersion) -> int | str:
    """What is expected of a stream, as the core takes it."""
    if isinstance(expected, StreamState):
        return expected.value
    if isinstance(expected, int) and not isinstance(expected, bool):
        return expected
    raise ArgumentTypeError(f"current_version is a number or a StreamState, not {expected!r}")


def texts(value: str | Iterable[str]) -> list[str]:
    """One text, or several."""
    return [value] if isinstance(value, str) else list(value)

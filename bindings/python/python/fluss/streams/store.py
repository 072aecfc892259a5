# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""The streams of a table; calls block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, final

from fluss import _fluss
from fluss._leave import leave
from fluss._streams import CurrentVersion, FromPosition, NewEvent, StreamState, parts, state, texts
from fluss._target import configuration, options
from fluss._waits import Timeout
from fluss.client import Connection
from fluss.config import Configuration
from fluss.metadata import TablePath
from fluss.streams.reader import EventReader, Subscription

__all__ = ["EventStreams", "open"]


def open(
    target: Connection | Configuration | Mapping[str, object] | str,
    table: TablePath | str,
    *,
    create: bool = True,
    buckets: int = 1,
    timeout: Timeout = None,
) -> EventStreams:
    """Opens the streams of a table, on a connection that there is, or one of its own to ``target``.

    If there is no such table it is created with so many ``buckets``, unless ``create`` is false. With one bucket all
    events of all streams are in one order; with more, servers share the work, and the events of each stream are in
    order.
    """
    own = None
    if isinstance(target, Connection):
        core = target._core
    else:
        config = configuration(target, None) if isinstance(target, str) else target
        own = core = _fluss.Connection.open(options(config)).within(timeout).wait()
    return EventStreams(core.streams(table, create, buckets).within(timeout).wait(), own)


@final
class EventStreams:
    """The streams of a table. Threads may share it. At the end of a ``with`` block it closes."""

    def __init__(self, core: _fluss.EventStreams, connection: _fluss.Connection | None) -> None:
        self._core = core
        self._connection = connection

    def append_to_stream(
        self,
        stream_name: str,
        events: NewEvent | Iterable[NewEvent],
        current_version: CurrentVersion,
        *,
        timeout: Timeout = None,
    ) -> int:
        """Appends events to a stream that is at ``current_version``: all of them, or none.

        It returns the commit position: whoever has read the changelog to there has read them. If the stream is at
        another version it raises `fluss.streams.WrongCurrentVersionError`, which says at which. An append that is tried
        again with the same events, by their ids, is stored once, and succeeds: so it is safe after an error whose
        ``outcome_unknown`` is true.
        """
        appended = self._core.append(stream_name, parts(events), state(current_version), timeout).wait()
        return self._position(appended)

    def delete_stream(self, stream_name: str, current_version: CurrentVersion, *, timeout: Timeout = None) -> int:
        """Deletes a stream: what it has is read no more. Events that are appended later have the versions that follow.

        The rows stay in the table: who reads or follows all streams still sees the events.
        """
        return self._position(self._core.delete(stream_name, state(current_version), timeout).wait())

    def tombstone_stream(self, stream_name: str, current_version: CurrentVersion, *, timeout: Timeout = None) -> int:
        """Deletes a stream for good: nothing can be appended to it any more."""
        return self._position(self._core.tombstone(stream_name, state(current_version), timeout).wait())

    def _position(self, appended: tuple[int, tuple[int, int] | None]) -> int:
        _, position = appended
        return self.get_commit_position() if position is None else position[1]

    def read_stream(
        self,
        stream_name: str,
        from_version: int | None = None,
        *,
        backwards: bool = False,
        limit: int | None = None,
    ) -> EventReader:
        """The events of a stream, up to the last one that it has when the first is read.

        Reading raises `fluss.streams.StreamNotFoundError` if there is no such stream.
        """
        return EventReader(self._core.read_stream(stream_name, from_version, backwards, limit))

    def read_all(
        self,
        from_position: FromPosition = None,
        *,
        stream_prefix: str | Iterable[str] = (),
        types: str | Iterable[str] = (),
        timeout: Timeout = None,
    ) -> EventReader:
        """The events of all streams that there are now: those of streams whose names begin with ``stream_prefix``, and
        of these ``types``, if they are given.
        """
        start = "start" if from_position is None else from_position
        return EventReader(
            self._core.follow_all(start, texts(stream_prefix), texts(types), True).within(timeout).wait()
        )

    def subscribe_to_all(
        self,
        from_position: FromPosition = None,
        *,
        from_end: bool = False,
        consumer: str | None = None,
        stream_prefix: str | Iterable[str] = (),
        types: str | Iterable[str] = (),
        include_caught_up: bool = False,
        timeout: Timeout = None,
    ) -> Subscription:
        """The events of all streams that there are, and those that are appended from now on.

        With a ``consumer`` it goes on where a subscription of that name saved its position last (`Subscription.save`);
        if none has, from ``from_position``, or with ``from_end`` with what is appended from now on.
        """
        start: FromPosition | str = from_position
        if consumer is not None:
            saved = self._core.saved_positions(consumer).within(timeout).wait()
            start = from_position if saved is None else saved
        if start is None:
            start = "end" if from_end else "start"
        core = self._core.follow_all(start, texts(stream_prefix), texts(types), False).within(timeout).wait()
        return Subscription(core, self._core, consumer, include_caught_up)

    def subscribe_to_stream(
        self,
        stream_name: str,
        from_version: int = 0,
        *,
        include_caught_up: bool = False,
        timeout: Timeout = None,
    ) -> Subscription:
        """The events of a stream from a version on, and those that are appended to it from now on.

        The stream need not be there yet.
        """
        core = self._core.follow_stream(stream_name, from_version).within(timeout).wait()
        return Subscription(core, self._core, None, include_caught_up)

    def get_current_version(self, stream_name: str, *, timeout: Timeout = None) -> CurrentVersion:
        """The version of the last event of a stream, or `StreamState.NO_STREAM`."""
        version = self._core.current_version(stream_name).within(timeout).wait()
        return StreamState.NO_STREAM if version is None else version

    def get_commit_position(self, *, timeout: Timeout = None) -> int:
        """How many appends the table has taken: the position of the last one, 0 if there is none."""
        ends = self._core.ends().within(timeout).wait()
        return sum(ends.values())

    def close(self) -> None:
        """Closes the connection, if `open` has made it; else nothing happens."""
        core = self._connection
        if core is not None:
            core.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            leave(self._connection, exc)

    def __repr__(self) -> str:
        return f"EventStreams('{self._core.table_path}')"

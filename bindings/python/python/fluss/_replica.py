"""What both faces of replicas have in common: how new a copy is, and what is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, final

from fluss._fluss import Positions, WriteHandle
from fluss.errors import ArgumentTypeError
from fluss.metadata import TableBucket

__all__ = ["BucketLag", "Lag", "Until"]

BehindParts: TypeAlias = tuple[TableBucket, int, int, timedelta | None]
LagParts: TypeAlias = tuple[int | None, timedelta | None, list[BehindParts]]
UntilParts: TypeAlias = WriteHandle | Positions | int | list[tuple[TableBucket | int, int]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Until: TypeAlias = WriteHandle | datetime | Positions | Mapping[TableBucket | int, int]
"""What a replica is to have come to: a write; all that was stored by a time (a naive one is local); the place of a
scanner; or for some buckets (without partitions their numbers will do) an offset of the changelog."""


@final
@dataclass(frozen=True, slots=True)
class BucketLag:
    """How far a bucket of a copy is behind."""

    bucket: TableBucket
    """The bucket."""
    applied: int
    """The end of what is applied of its changelog, as an offset."""
    end: int
    """Where its changelog ended when the cluster was last asked."""
    rows: int
    """How many changes are not applied."""
    behind: timedelta | None
    """How long ago what was applied last was stored; None if the bucket is not behind, or nothing was applied yet."""


@final
@dataclass(frozen=True, slots=True)
class Lag:
    """How far a copy is behind its table."""

    as_of: datetime | None
    """All that was stored by then is in the copy, by the clock of whoever follows; None if that is not known."""
    age: timedelta | None
    """How long ago that was."""
    rows: int
    """How many changes are not applied, of those that there were when the cluster was last asked."""
    buckets: list[BucketLag]
    """The buckets."""


def lag(parts: LagParts) -> Lag:
    """How far a copy is behind, as the core tells it."""
    as_of, age, buckets = parts
    moment = None if as_of is None else _EPOCH + timedelta(milliseconds=as_of)
    behind = [BucketLag(bucket, applied, end, end - applied, since) for bucket, applied, end, since in buckets]
    return Lag(moment, age, sum(bucket.rows for bucket in behind), behind)


def until(what: Until) -> UntilParts:
    """What is waited for, as the core takes it: a time in milliseconds, buckets as a list."""
    if isinstance(what, WriteHandle | Positions):
        return what
    if isinstance(what, datetime):
        # The first millisecond that is not before it.
        return -((_EPOCH - what.astimezone(UTC)) // timedelta(milliseconds=1))
    if isinstance(what, Mapping):
        return list(what.items())
    raise ArgumentTypeError(
        f"a replica waits for a WriteHandle, a datetime, Positions, or a dict of buckets and offsets, not {what!r}"
    )

"""What reads take: moments and bounds."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from fluss._fluss import OffsetSpec
from fluss.metadata import TableBucket

Moment: TypeAlias = datetime | int | Mapping[TableBucket, int]
"""A time (a naive one is local, a number is of milliseconds since 1970), or each bucket's end, as an offset."""

Bound: TypeAlias = OffsetSpec | Mapping[TableBucket, int | OffsetSpec]
"""An offset for all buckets, or for each of some."""

Skipped: TypeAlias = tuple[TableBucket | int, int]
"""A batch that is passed over: its bucket (without partitions its number will do) and its first record's offset."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(as_of: Moment | None) -> int | dict[TableBucket, int] | None:
    """The moment as the client takes it: times to the millisecond that they are in."""
    if isinstance(as_of, datetime):
        return (as_of.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    return dict(as_of) if isinstance(as_of, Mapping) else as_of


def bound(bound: Bound) -> OffsetSpec | dict[TableBucket, int | OffsetSpec]:
    """The bound as the client takes it."""
    return dict(bound) if isinstance(bound, Mapping) else bound

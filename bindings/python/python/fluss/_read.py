"""What reads take: moments and bounds."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from fluss._fluss import OffsetSpec
from fluss.errors import ArgumentError, ArgumentTypeError
from fluss.metadata import TableBucket
from fluss.predicate import Predicate

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


def columns_of(columns: Iterable[str | int]) -> list[str | int]:
    """The columns of a projection as the client takes them."""
    if isinstance(columns, str | bytes):
        raise ArgumentTypeError(f"columns are given as a list: [{columns!r}], not {columns!r}")
    return list(columns)


def condition(predicate: Predicate) -> Predicate:
    """The condition of a filter."""
    if not isinstance(predicate, Predicate):
        sql = "; SQL is for connection.sql(…)" if isinstance(predicate, str) else ""
        raise ArgumentTypeError(
            f"a filter is a condition such as fluss.col('id') > 1, not {predicate!r} ({type(predicate).__name__}){sql}"
        )
    return predicate


def row_limit(rows: int) -> int:
    """The number of rows of a limit."""
    if rows < 0:
        raise ArgumentError(f"a limit of {rows} rows is negative")
    return rows


def start_of(since: datetime | int | Bound | None) -> OffsetSpec | dict[TableBucket, int | OffsetSpec]:
    """Where changes since a time, or since a bound, begin; without one at the first record that is still there."""
    if since is None:
        return OffsetSpec.earliest()
    return OffsetSpec.timestamp(since) if isinstance(since, datetime | int) else bound(since)


def millis(timeout_ms: int | timedelta) -> int:
    """The time of a poll."""
    whole = whole_millis(timeout_ms)
    if whole < 0:
        raise ArgumentError(f"timeout_ms is {whole}: a poll that waits for nothing has 0")
    return whole


def whole_millis(time: int | timedelta) -> int:
    """The milliseconds of a time; of a ``timedelta`` those that it has begun."""
    return -(-time // timedelta(milliseconds=1)) if isinstance(time, timedelta) else time

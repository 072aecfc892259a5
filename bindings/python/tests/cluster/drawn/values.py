"""Random values, and how they look to whom.

A value is as `tests/peers/README.md` writes it, but that equal values are equal, and can be the key of a dict: lists
are tuples, a moment is the tuple of its milliseconds and nanoseconds, maps are in order, and numbers have one text.
"""

import datetime as dt
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from random import Random
from typing import Any

from columns import float_text
from drawn.kinds import Kind
from fluss.types import Timestamp

INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
NESTED = ("ARRAY", "MAP", "ROW")
MOMENTS = ("TIMESTAMP", "TIMESTAMP_LTZ")
DAY_MS = 86_400_000
YEAR_1 = dt.date(1, 1, 1).toordinal() - dt.date(1970, 1, 1).toordinal()
YEAR_9999 = dt.date(9999, 12, 31).toordinal() - dt.date(1970, 1, 1).toordinal()
LETTERS = "aZ09 ~\0äß€語🎉"
EXACT = Context(prec=76)
REFUSED_IN_A_ROW = 1000

Refusal = Callable[[Kind, Any, bool], bool]
"""Whether a value of a type, nested or not, is left out."""


class Values:
    """Draws values of any type, the extremes among them."""

    def __init__(self, random: Random, refusals: Sequence[Refusal] = ()) -> None:
        self._random = random
        self._refusals = refusals

    def draw(self, kind: Kind, nested: bool = False) -> Any:
        """A value, or None where the type takes it."""
        if kind.nullable and self._random.random() < 0.15:
            return None
        for _ in range(REFUSED_IN_A_ROW):
            value = self._present(kind)
            if not any(refused(kind, value, nested) for refused in self._refusals):
                return value
        raise AssertionError(f"every value of {kind} is left out")

    def distinct(self, kind: Kind, count: int) -> list[Any]:
        """At most so many values, of which no two are the same."""
        return list(dict.fromkeys(self.draw(kind) for _ in range(count)))

    def _present(self, kind: Kind) -> Any:
        random = self._random
        if kind.root == "ARRAY":
            return tuple(self.draw(kind.parts[0], nested=True) for _ in range(random.randint(0, 3)))
        if kind.root == "MAP":
            keys = {self.draw(kind.parts[0], nested=True) for _ in range(random.randint(0, 3))}
            return _in_order((key, self.draw(kind.parts[1], nested=True)) for key in sorted(keys, key=repr))
        if kind.root == "ROW":
            return tuple(self.draw(part, nested=True) for part in kind.parts)
        return SCALARS[kind.root](random, kind)


def _integer(random: Random, kind: Kind) -> int:
    half = 1 << INTEGERS[kind.root] - 1
    return random.choice([-half, half - 1, 0, -1, random.randint(0, 100), random.randrange(-half, half)])


def _name(number: float) -> str:
    name: str = float_text(number)
    return name


def _float(random: Random, _: Kind) -> str:
    greatest, least = struct.unpack("<ff", bytes.fromhex("ffff7f7f01000000"))
    special = random.choice([0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), greatest, -greatest, least])
    return _name(random.choice([special, single(random.uniform(-1000, 1000)), single(random.gauss(0, 1e30))]))


def _double(random: Random, _: Kind) -> str:
    special = random.choice([0.0, -0.0, 0.1, float("inf"), float("nan"), 5e-324, 1.7976931348623157e308])
    return _name(random.choice([special, -special, random.uniform(-1000, 1000), random.gauss(0, 1e300)]))


def _text(random: Random, kind: Kind) -> str:
    longest = kind.sizes[0] if kind.sizes else random.choice([3, 20, 20, 300])
    return "".join(random.choices(LETTERS, k=random.randint(0, longest)))


def _bytes(random: Random, kind: Kind) -> str:
    length = kind.sizes[0] if kind.sizes else random.choice([0, 1, 7, 8, 20, 300])
    return random.choice([bytes(length), b"\xff" * length, random.randbytes(length), random.randbytes(length)]).hex()


def _decimal(random: Random, kind: Kind) -> str:
    precision, scale = kind.sizes
    limit = 10**precision - 1
    shorter = 10 ** random.randint(0, precision)
    unscaled = random.choice([limit, -limit, 0, 1, -1, random.randint(-limit, limit) // shorter])
    return format(Decimal(unscaled).scaleb(-scale, EXACT), "f")


def _date(random: Random, _: Kind) -> int:
    anywhere = random.randint(YEAR_1, YEAR_9999)
    return random.choice([-(2**31), 2**31 - 1, YEAR_1, YEAR_9999, -1, 0, random.randint(0, 30_000), anywhere])


def _time(random: Random, kind: Kind) -> int:
    unit: int = 10 ** (3 - min(kind.sizes[0], 3))
    return random.choice([0, DAY_MS // unit - 1, random.randrange(DAY_MS // unit)]) * unit


def _moment(random: Random, kind: Kind) -> tuple[int, int]:
    precision = kind.sizes[0]
    digits = 3 if precision <= 3 else 6 if precision <= 6 else 9
    per_milli = 10 ** (digits - 3)
    # As far as their number reaches; milliseconds as far as Java's clock does.
    limit = 2**63 - 1 if digits > 3 else 2**63 // 1000
    day = DAY_MS * per_milli
    places = [limit, -limit, 0, -1, YEAR_1 * day, (YEAR_9999 + 1) * day - 1, random.randrange(30_000 * day)]
    count = random.choice([place for place in places if abs(place) <= limit])
    step = 10 ** (digits - precision)
    millis, rest = divmod(abs(count) // step * step * (1 if count > 0 else -1), per_milli)
    return millis, rest * (1_000_000 // per_milli)


SCALARS: dict[str, Callable[[Random, Kind], Any]] = {
    "BOOLEAN": lambda random, _: random.random() < 0.5,
    **dict.fromkeys(INTEGERS, _integer),
    "FLOAT": _float,
    "DOUBLE": _double,
    **dict.fromkeys(("CHAR", "STRING"), _text),
    **dict.fromkeys(("BINARY", "BYTES"), _bytes),
    "DECIMAL": _decimal,
    "DATE": _date,
    "TIME": _time,
    **dict.fromkeys(MOMENTS, _moment),
}


def single(value: float) -> float:
    """The FLOAT that is next to a number."""
    packed: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return packed


def _in_order(entries: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(entries, key=repr))


def _parts(convert: Callable[[Kind, Any], Any], kind: Kind, value: Iterable[Any]) -> list[Any]:
    """What becomes of the parts of a nested value: elements, entries or fields."""
    if kind.root == "ARRAY":
        return [convert(kind.parts[0], element) for element in value]
    if kind.root == "MAP":
        return [tuple(map(convert, kind.parts, entry)) for entry in value]
    return list(map(convert, kind.parts, value))


def from_notation(kind: Kind, value: Any) -> Any:
    """A value as a peer tells it."""
    if value is None:
        return None
    if kind.root in NESTED:
        parts = _parts(from_notation, kind, value)
        return _in_order(parts) if kind.root == "MAP" else tuple(parts)
    if kind.root in MOMENTS:
        return value["ms"], value["ns"]
    if kind.root in ("FLOAT", "DOUBLE"):
        return _name(single(float(value)) if kind.root == "FLOAT" else float(value))
    if kind.root == "DECIMAL":
        return format(Decimal(value).quantize(Decimal(1).scaleb(-kind.sizes[1]), context=EXACT), "f")
    return value


def to_notation(kind: Kind, value: Any) -> Any:
    """A value as peers are told it."""
    if value is None:
        return None
    if kind.root in NESTED:
        return _parts(to_notation, kind, value)
    return {"ms": value[0], "ns": value[1]} if kind.root in MOMENTS else value


def to_python(kind: Kind, value: Any) -> Any:
    """A value as our client takes it in a row."""
    if value is None:
        return None
    if kind.root in NESTED:
        return _parts(to_python, kind, value)
    return PYTHON[kind.root](value) if kind.root in PYTHON else value


PYTHON: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("FLOAT", "DOUBLE"), float),
    **dict.fromkeys(("BINARY", "BYTES"), bytes.fromhex),
    "DECIMAL": Decimal,
    "DATE": lambda days: dt.date(1970, 1, 1) + dt.timedelta(days=days),
    "TIME": lambda millis: (dt.datetime.min + dt.timedelta(milliseconds=millis)).time(),
    **dict.fromkeys(MOMENTS, lambda moment: Timestamp(*moment)),
}


def from_python(kind: Kind, value: Any) -> Any:
    """A value as our client gives it in a row that is read exactly."""
    if value is None:
        return None
    if kind.root == "MAP":
        return _in_order(_parts(from_python, kind, value.items()))
    if kind.root in NESTED:
        return tuple(_parts(from_python, kind, value.values() if kind.root == "ROW" else value))
    if kind.root in MOMENTS:
        return value.millis, value.nanos
    if kind.root == "TIME":
        return (dt.datetime.combine(dt.datetime.min, value) - dt.datetime.min) // dt.timedelta(milliseconds=1)
    return from_notation(kind, value.hex() if isinstance(value, bytes) else value)


def is_date_of_python(kind: Kind, value: Any) -> bool:
    """Whether a value, if it is a DATE, is one that ``datetime`` has."""
    return kind.root != "DATE" or YEAR_1 <= value <= YEAR_9999


def fits_python(kind: Kind, value: Any) -> bool:
    """Whether our client takes a value in a row: it does but for days that ``datetime`` has not."""
    if value is None or kind.root not in NESTED:
        return value is None or is_date_of_python(kind, value)
    parts = _parts(fits_python, kind, value)
    return all(all(part) if isinstance(part, tuple) else part for part in parts)

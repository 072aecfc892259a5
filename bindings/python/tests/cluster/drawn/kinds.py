"""Random types of columns, in the words of `tests/peers/README.md`."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fluss.types import DataType


@dataclass(frozen=True)
class Kind:
    """The type of a column."""

    root: str
    sizes: tuple[int, ...] = ()
    """A length, a precision, or a precision and a scale."""
    parts: tuple["Kind", ...] = ()
    """What an ARRAY, MAP or ROW is of. The fields of a ROW are named in the order of `FIELDS`."""
    nullable: bool = True

    def __str__(self) -> str:
        return f"{self.root}{self._arguments()}{'' if self.nullable else ' NOT NULL'}"

    @property
    def data_type(self) -> DataType:
        """The same type to our client."""
        return DataType(str(self))

    def _arguments(self) -> str:
        if self.root == "ROW":
            return f"<{','.join(f'{name} {part}' for name, part in zip(FIELDS, self.parts, strict=False))}>"
        if self.parts:
            return f"<{','.join(map(str, self.parts))}>"
        return f"({','.join(map(str, self.sizes))})" if self.sizes else ""


FIELDS = "abc"

PLAIN = ["BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "STRING", "BYTES", "DATE"]


def _decimal(random: Random) -> tuple[int, ...]:
    precision = random.choice([1, 9, 10, 18, 19, 38, random.randint(1, 38)])
    return precision, random.choice([0, precision, random.randint(0, precision)])


def _length(random: Random) -> tuple[int, ...]:
    return (random.randint(1, 12),)


def _precision(random: Random) -> tuple[int, ...]:
    return (random.choice([0, 3, 6, 9, random.randint(0, 9)]),)


SIZED: dict[str, Callable[[Random], tuple[int, ...]]] = {
    "CHAR": _length,
    "BINARY": _length,
    "DECIMAL": _decimal,
    "TIME": _precision,
    "TIMESTAMP": _precision,
    "TIMESTAMP_LTZ": _precision,
}
SCALARS = [*PLAIN, *SIZED]
PARTITIONING = [root for root in SCALARS if root != "DECIMAL"]
"""By which tables can be partitioned."""


def scalar(random: Random, roots: list[str] = SCALARS, nullable: bool = True) -> Kind:
    """A type that is not nested."""
    root = random.choice(roots)
    return Kind(root, SIZED[root](random) if root in SIZED else (), nullable=nullable)


def any_kind(random: Random, depth: int = 3) -> Kind:
    """A type of any sort, that may be NOT NULL, with ARRAYs, MAPs and ROWs at most so many deep."""
    nullable = random.random() < 0.7
    if depth == 0 or random.random() < 0.6:
        return scalar(random, nullable=nullable)
    root = random.choice(["ARRAY", "MAP", "ROW"])
    if root == "ARRAY":
        parts = [any_kind(random, depth - 1)]
    elif root == "MAP":
        parts = [scalar(random, nullable=False), any_kind(random, depth - 1)]
    else:
        parts = [any_kind(random, depth - 1) for _ in range(random.randint(1, len(FIELDS)))]
    return Kind(root, parts=tuple(parts), nullable=nullable)

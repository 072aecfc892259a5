"""Random writes to a table, and what they come to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from drawn.kinds import Kind
from drawn.tables import NUMBER, Table
from drawn.values import DAY_MS, MOMENTS, Values, is_date_of_python
from key_model import Mode, Model, Row

NAMES = ["e", "U", "1", "_", "eu", "us-1", "A_2"]
"""Text by which tables can be partitioned."""


@dataclass(frozen=True)
class Write:
    """Rows that a client writes at once, and waits for."""

    client: str
    op: str
    """``append``, ``upsert`` or ``delete``."""
    arrow: bool
    columns: tuple[str, ...] | None
    """Those that are written, if not all are."""
    rows: list[Row]
    """Whole rows, also where only some of their columns count."""


@dataclass(frozen=True)
class Writer:
    """A client that may write."""

    name: str
    forms: Sequence[bool]
    """Whether as Arrow."""
    creates_partitions: bool = True
    mixes_partitions: bool = True
    """Whether rows of several partitions can be written at once."""


class Rows:
    """Draws rows of a table, of few partitions, few keys and few bucket keys."""

    def __init__(self, random: Random, table: Table, values: Values, keys: Values, partitions: Values) -> None:
        self._random = random
        self._table = table
        self._values = values
        self._key_values = keys
        self._partition_values = partitions
        self._written = 0
        few = {name: keys.distinct(table.columns[name], 3) for name in (*table.key, *table.bucket_key)}
        self._few = few | {name: self._parts(table.columns[name]) for name in table.partitioned_by}
        self.partitions = self._combined(table.partitioned_by, 3)
        self.keys = self._combined(table.key, 8) if table.key else []

    def row(self, partition: Row | None = None) -> Row:
        """Any row, or one of a partition."""
        row = {name: self._value(name, kind) for name, kind in self._table.columns.items()}
        key = self._random.choice(self.keys) if self.keys else {}
        self._written += 1
        number = {NUMBER: self._written} if not self._table.key else {}
        return row | key | (partition or self._random.choice(self.partitions)) | number

    def missing_key(self) -> Row:
        """A key of any values, which is most likely not there."""
        columns = {name: self._table.columns[name] for name in self._table.key}
        other = {name: self._key_values.draw(kind) for name, kind in columns.items()}
        return other | self._random.choice(self.partitions)

    def _value(self, name: str, kind: Kind) -> Any:
        return self._random.choice(self._few[name]) if name in self._few else self._values.draw(kind)

    def _combined(self, names: Sequence[str], most: int) -> list[Row]:
        drawn = [tuple(self._random.choice(self._few[name]) for name in names) for _ in range(most)]
        return [dict(zip(names, values, strict=True)) for values in dict.fromkeys(drawn)]

    def _parts(self, kind: Kind) -> list[Any]:
        """Values of a column by which a table is partitioned."""
        if kind.root in ("CHAR", "STRING"):
            # As long as the type is, which no client and no format makes another of.
            return self._random.sample([letter * kind.sizes[0] for letter in "eU1"] if kind.sizes else NAMES, 3)
        drawn = self._partition_values.distinct(kind, 12)
        return [value for value in drawn if _names_a_partition(kind, value)][:3] or [LIKELY[kind.root]]


def _names_a_partition(kind: Kind, value: Any) -> bool:
    """Whether a partition's name can say the value: text of few letters, no empty one, years of four digits."""
    if kind.root == "BYTES":
        return 0 < len(value) <= 40
    day = value[0] // DAY_MS if kind.root in MOMENTS else value
    return kind.root not in ("DATE", *MOMENTS) or is_date_of_python(Kind("DATE"), day)


LIKELY: dict[str, Any] = {"BYTES": "00ff", "DATE": 0, **dict.fromkeys(MOMENTS, (0, 0))}
"""Values that name a partition in any case."""


def draw(random: Random, table: Table, rows: Rows, writers: Sequence[Writer]) -> Iterator[Write]:
    """Writes by clients in turn, of which the first creates the partitions that there are to be."""
    if table.partitioned_by:
        creator = random.choice([writer for writer in writers if writer.creates_partitions])
        first = [rows.row(partition) for partition in rows.partitions]
        yield Write(creator.name, "upsert" if table.key else "append", random.choice(creator.forms), None, first)
    for _ in range(random.randint(3, 8)):
        writer = random.choice(writers)
        partition = None if writer.mixes_partitions else random.choice(rows.partitions)
        written = [rows.row(partition) for _ in range(random.randint(1, 6))]
        op = random.choice(["upsert", "upsert", "delete"]) if table.key else "append"
        yield Write(writer.name, op, random.choice(writer.forms), _columns(random, table), written)


def _columns(random: Random, table: Table) -> tuple[str, ...] | None:
    if not table.key or not table.can_be_updated_in_part or random.random() < 0.6:
        return None
    others = [name for name in table.columns if name not in table.key]
    chosen = [*table.key, *random.sample(others, random.randint(0, len(others)))]
    return tuple(random.sample(chosen, len(chosen)))


@dataclass
class Outcome:
    """What a table is to hold, and what its log is to tell."""

    table: Table
    appended: list[Row] = field(default_factory=list)
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        self.model = Model(list(self.table.columns), self.table.key)

    @property
    def records(self) -> int:
        """How many the log has."""
        return len(self.model.changes if self.table.key else self.appended)

    def apply(self, write: Write) -> None:
        mode = Mode(write.columns)
        for row in write.rows:
            if write.op == "append":
                self.appended.append(row)
            elif write.op == "upsert":
                self.model.upsert(mode, row)
            else:
                self.model.delete(mode, self.model.key_of(row))

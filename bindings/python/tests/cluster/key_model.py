"""What a primary-key table is to hold, and what its changelog is to tell, after a sequence of writes.

The rules are those of `behaviour.md` §3.2 to §3.5 and §5.2.
"""

import struct
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Key = tuple[Any, ...]
Merge = Callable[[Any, Any], Any]
COUNTED = 1
"""What stands for every value that the server has counted up: nobody can foretell it."""


@dataclass(frozen=True)
class Mode:
    """What a writer writes: all columns or some, and whether it passes the merge engine over."""

    columns: tuple[str, ...] | None = None
    overwrite: bool = False


@dataclass
class Model:
    """A table in memory."""

    columns: list[str]
    key: list[str]
    first_row: bool = False
    version: str | None = None
    """The column by which the versioned engine chooses."""
    aggregates: Mapping[str, Merge] | None = None
    """For the aggregation engine, the function of each column that is not of the key."""
    deletes: bool = True
    """Whether deletes are obeyed or passed over. Those of a writer that overwrites always are obeyed."""
    wal: bool = False
    """Whether the changelog lacks what updates replace."""
    counter: str | None = None
    """The auto-increment column."""
    rows: dict[Key, Row] = field(default_factory=dict)
    changes: list[tuple[str, Row]] = field(default_factory=list)

    def key_of(self, row: Row) -> Key:
        return tuple(row[name] for name in self.key)

    def upsert(self, mode: Mode, row: Row) -> None:
        """Writes a row, of which the columns that the writer does not write are passed over."""
        old = self.rows.get(self.key_of(row))
        if old is None:
            # With nothing to depend on, nobody looks whether there is an old row.
            blind = self.wal and self._replaces(mode) and mode.columns is None and self.counter is None
            self._put("+U" if blind else "+I", self._new(mode, row))
        elif not self._stays(mode, old, row):
            self._update(old, {name: self._merged(mode, name, old[name], row[name]) for name in self.columns})

    def insert_if_missing(self, key: Key) -> None:
        """Does what a look-up does that inserts what it does not find."""
        if key not in self.rows:
            row = dict.fromkeys(self.columns) | dict(zip(self.key, key, strict=True))
            self.upsert(Mode(columns=tuple(self.key)), row)

    def delete(self, mode: Mode, key: Key) -> None:
        old = self.rows.get(key)
        if old is None or not (self.deletes or mode.overwrite):
            return
        stay = [name for name in self.columns if name in self.key or not self._writes(mode, name)]
        left = {name: old[name] if name in stay else None for name in self.columns}
        if any(left[name] is not None for name in self.columns if name not in self.key):
            self._update(old, left)
        else:
            del self.rows[key]
            self.changes.append(("-D", old))

    def _new(self, mode: Mode, row: Row) -> Row:
        new = {name: row[name] if self._writes(mode, name) else None for name in self.columns}
        return new | ({self.counter: COUNTED} if self.counter else {})

    def _update(self, old: Row, new: Row) -> None:
        if not self.wal:
            self.changes.append(("-U", old))
        self._put("+U", new)

    def _put(self, change: str, row: Row) -> None:
        self.rows[self.key_of(row)] = row
        self.changes.append((change, row))

    def _stays(self, mode: Mode, old: Row, row: Row) -> bool:
        """Whether the old row stays as if nothing had been written."""
        if self._replaces(mode):
            return mode.columns is not None and set(mode.columns) <= set(self.key)
        if self.version:
            before, now = old[self.version], row[self.version]
            return before is not None and (now is None or now < before)
        return self.first_row

    def _merged(self, mode: Mode, name: str, old: Any, new: Any) -> Any:
        if not self._writes(mode, name):
            return old
        if self.aggregates is None or mode.overwrite or name in self.key:
            return new
        return self.aggregates[name](old, new)

    def _replaces(self, mode: Mode) -> bool:
        engine = self.first_row or self.version or self.aggregates is not None
        return mode.overwrite or not engine

    def _writes(self, mode: Mode, name: str) -> bool:
        return name != self.counter and (mode.columns is None or name in mode.columns)


BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
MERGES: dict[str, Merge] = {
    "sum": lambda old, new: old + new,
    "product": lambda old, new: old * new,
    "max": max,
    "min": min,
    "last_value_ignore_nulls": lambda old, new: new,
    "first_value": lambda old, new: old,
    "first_value_ignore_nulls": lambda old, new: old,
    "listagg": lambda old, new: f"{old},{new}",
    "bool_and": lambda old, new: old and new,
    "bool_or": lambda old, new: old or new,
    "rbm32": lambda old, new: bitmap32(members32(old) | members32(new)),
    "rbm64": lambda old, new: bitmap64(members64(old) | members64(new)),
}


def aggregate(function: str, data_type: str, delimiter: str = ",") -> Merge:
    """An aggregation function for columns of a type. Nulls are passed over, but by ``last_value``."""

    def fitted(value: Any, old: Any) -> Any:
        """Integers are cut to their width, decimals to their scale."""
        if data_type not in BITS:
            return value.quantize(old) if isinstance(value, Decimal) else value
        half = 1 << BITS[data_type] - 1
        return (value + half) % (2 * half) - half

    def merge(old: Any, new: Any) -> Any:
        if function == "last_value" or old is None:
            return new
        if new is None:
            return old
        if function == "string_agg":
            return f"{old}{delimiter}{new}"
        value = MERGES[function](old, new)
        return fitted(value, old) if function in ("sum", "product") else value

    return merge


# What `Roaring64Bitmap` writes before and after its only container, if all numbers are below 65,536.
HEAD64 = bytes.fromhex("01010000000000000004000000000000000000000000000000000001000000fe0100000001")
TAIL64 = (1).to_bytes(16, "little")


def bitmap32(numbers: set[int]) -> bytes:
    """A serialised roaring bitmap of a few numbers below 65,536, of which no two are neighbours."""
    return struct.pack("<IIHHI", 12346, 1, 0, len(numbers) - 1, 16) + _packed(numbers)


def members32(data: bytes) -> set[int]:
    return set(array("H", data[16:]))


def bitmap64(numbers: set[int]) -> bytes:
    """The same for numbers of 64 bits."""
    return HEAD64 + struct.pack("<BI", 2, len(numbers)) + _packed(numbers) + TAIL64


def members64(data: bytes) -> set[int]:
    return set(array("H", data[len(HEAD64) + 5 : -len(TAIL64)]))


def _packed(numbers: set[int]) -> bytes:
    return array("H", sorted(numbers)).tobytes()

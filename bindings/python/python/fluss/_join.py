"""Columns of rows that are looked up, beside those of the rows that they are looked up for."""

from typing import Literal, TypeAlias, final

from fluss._define import Names, names_of
from fluss._fluss import ArrowTable, Schema, joined, key_columns
from fluss.errors import ArgumentError

__all__ = ["How", "Lookup"]

How: TypeAlias = Literal["left", "inner"]
"""What becomes of rows for which nothing is found: they stay, with nulls, or are left out."""


@final
class Lookup:
    """Rows of Arrow data whose keys are looked up."""

    def __init__(self, frame: object, schema: Schema, on: Names, how: How) -> None:
        if how not in ("left", "inner"):
            raise ArgumentError(f"how is 'left' or 'inner', not {how!r}")
        self._key = schema.get_primary_keys()
        self._inner = how == "inner"
        columns = self._key if on is None else names_of(on)
        if len(columns) != len(self._key):
            raise ArgumentError(f"the primary key has the columns {self._key}, and on names {columns}")
        self._rows = ArrowTable(frame)
        self.keys = key_columns(self._rows, columns, self._key)

    def joined(self, found: ArrowTable) -> ArrowTable:
        """The rows, each with the columns of the row that was found for it."""
        added = [name for name in found.column_names if name not in self._key]
        return joined(self._rows, found, added, self._key[0] if self._inner else None)

# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Looking up rows of primary-key tables by their keys; calls block."""

from collections.abc import Iterable
from typing import Any, final

from fluss import _bases, _fluss
from fluss._fluss import ArrowTable
from fluss._read import columns_of
from fluss._row import Key
from fluss._waits import Timeout

__all__ = ["Lookuper", "PrefixLookuper", "TableLookup", "TablePrefixLookup"]


@final
class TableLookup(_bases.TableLookup):
    """A look-up, before it begins. Each method returns a new one."""

    def __init__(self, core: _fluss.Table, insert_if_not_exists: bool = False) -> None:
        self._core = core
        self._insert_if_not_exists = insert_if_not_exists

    def insert_if_not_exists(self) -> "TableLookup":
        """Inserts a row for a key that has none: None beside the key, but for an auto-increment column.

        Not in a partitioned table, nor where columns beside the key take no None.
        """
        return TableLookup(self._core, True)

    def lookup_by(self, columns: Iterable[str | int]) -> "TablePrefixLookup":
        """Looks up all rows whose primary keys begin with the same values of these columns: the table's bucket key, and
        among them the columns that it is partitioned by.
        """
        return TablePrefixLookup(self._core, columns_of(columns))

    def create_lookuper(self) -> "Lookuper":
        """A lookuper of rows by primary key; `fluss.ArgumentError` if the table has none."""
        return Lookuper(self._core.lookuper(self._insert_if_not_exists))


@final
class TablePrefixLookup(_bases.TablePrefixLookup):
    """A look-up by the beginning of the primary key, before it begins."""

    def __init__(self, core: _fluss.Table, columns: list[str | int]) -> None:
        self._core = core
        self._columns = columns

    def create_lookuper(self) -> "PrefixLookuper":
        """A lookuper; `fluss.SchemaError` if the columns are not the bucket key, or no beginning of the primary key."""
        return PrefixLookuper(self._core.prefix_lookuper(self._columns))


@final
class Lookuper(_bases.Lookuper):
    """Looks rows up by their primary key. Threads may share it: what they look up at the same time is sent together.

    A key is a list, tuple or dict of the primary key's columns; one of a single column may also be its bare value.
    """

    def __init__(self, core: _fluss.Lookuper) -> None:
        self._core = core

    def lookup(self, key: Key, *, exact: bool = False, timeout: Timeout = None) -> dict[str, Any] | None:
        """The row of a key, or None; there is none in a partition that does not exist.

        With ``exact``, moments come as of `fluss.client.ScanRecord.get_row`.
        """
        return self._core.lookup(key, exact=exact).within(timeout).wait()

    def lookup_many(
        self, keys: Iterable[Key], *, exact: bool = False, timeout: Timeout = None
    ) -> list[dict[str, Any] | None]:
        """The rows of many keys, in their order, with None for those that are not there."""
        return self._core.lookup_many(keys, exact=exact).within(timeout).wait()

    def lookup_arrow(self, keys: object, *, timeout: Timeout = None) -> ArrowTable:
        """The rows of the keys in Arrow data, in their order, as one table of all columns.

        Where a key has no row, or a null in it, all columns are null. Columns beside those of the primary key are
        passed over.
        """
        return self._core.lookup_arrow(keys).within(timeout).wait()


@final
class PrefixLookuper(_bases.PrefixLookuper):
    """Looks up all rows whose primary keys begin with the same values. Threads may share it."""

    def __init__(self, core: _fluss.PrefixLookuper) -> None:
        self._core = core

    def lookup(self, prefix: Key, *, exact: bool = False, timeout: Timeout = None) -> list[dict[str, Any]]:
        """The rows of a prefix, in the order of their encoded keys."""
        return self._core.lookup(prefix, exact=exact).within(timeout).wait()

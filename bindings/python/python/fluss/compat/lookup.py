"""Look-ups by key."""

from collections.abc import Callable, Iterable
from typing import Any, final

from fluss import _bases, _fluss
from fluss._row import Key
from fluss.compat.rows import key_filler

__all__ = ["Lookuper", "PrefixLookuper", "TableLookup", "TablePrefixLookup"]


@final
class TableLookup(_bases.TableLookup):
    """A look-up, before it begins."""

    def __init__(self, core: _fluss.Table) -> None:
        self._core = core

    def create_lookuper(self) -> "Lookuper":
        """A lookuper of rows by primary key; `fluss.ArgumentError` if the table has none."""
        return Lookuper(self._core.lookuper(False, map_pairs=True), key_filler(self._core.info().get_schema()))

    def lookup_by(self, column_names: Iterable[str]) -> "TablePrefixLookup":
        """Looks up all rows whose primary keys begin with the same values of these columns, the table's bucket key."""
        return TablePrefixLookup(self._core, list(column_names))


@final
class TablePrefixLookup(_bases.TablePrefixLookup):
    """A look-up by the beginning of the primary key, before it begins."""

    def __init__(self, core: _fluss.Table, column_names: list[str | int]) -> None:
        self._core = core
        self._column_names = column_names

    def create_lookuper(self) -> "PrefixLookuper":
        """A lookuper; `fluss.SchemaError` if the columns are not the bucket key, or no beginning of the primary key."""
        fill = key_filler(self._core.info().get_schema(), [str(name) for name in self._column_names])
        return PrefixLookuper(self._core.prefix_lookuper(self._column_names, map_pairs=True), fill)


@final
class Lookuper(_bases.Lookuper):
    """Looks rows up by their primary key. Tasks may share it: what they look up at the same time is sent together."""

    def __init__(self, core: _fluss.Lookuper, fill: Callable[[Key], Key]) -> None:
        self._core = core
        self._fill = fill

    async def lookup(self, pk: Key) -> dict[str, Any] | None:
        """The row of a key (list, tuple or dict), or None."""
        return await self._core.lookup(self._fill(pk))


@final
class PrefixLookuper(_bases.PrefixLookuper):
    """Looks up all rows whose primary keys begin with the same values. Tasks may share it."""

    def __init__(self, core: _fluss.PrefixLookuper, fill: Callable[[Key], Key]) -> None:
        self._core = core
        self._fill = fill

    async def lookup(self, prefix: Key) -> list[dict[str, Any]]:
        """The rows of a prefix (list, tuple or dict), in the order of their encoded keys."""
        return await self._core.lookup(self._fill(prefix))

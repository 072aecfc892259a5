"""What clients do otherwise, or not at all, and is not drawn for them. `docs/differences.md` tells it, too."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from drawn.kinds import Kind
from drawn.tables import Table
from drawn.values import MOMENTS, Refusal, is_date_of_python

OURS = ("ours", "awaited")
PYFLUSS = ("pyfluss", "pyfluss as Arrow")
JAVA = ("java",)
CLIENTS = (*OURS, *JAVA, *PYFLUSS)
"""Who writes and reads: our two faces, each with rows and with Arrow, the Java client, which has rows, and pyfluss."""

POINTED = ("FLOAT", "DOUBLE", *MOMENTS)


@dataclass(frozen=True)
class LeftOut:
    """Something that is not drawn where these clients take part."""

    clients: Sequence[str]
    what: str
    """``table``: they take no part in it; ``write``, ``look up``: they do not do it; ``value``: nobody writes it;
    ``key``, ``partition``: no key has it, no partition is named by it."""
    when: Callable[..., bool]
    """Of the table; for values of the table, the type, the value and whether it is nested."""
    reason: str


def _has_moment_beyond_datetime(_: Table, kind: Kind, value: Any, __: bool) -> bool:
    if kind.root in MOMENTS:
        return value[1] % 1000 != 0 or not is_date_of_python(Kind("DATE"), value[0] // 86_400_000)
    return not is_date_of_python(kind, value)


def _is_made_to_fit(table: Table, kind: Kind, value: Any, nested: bool) -> bool:
    fixed = nested or "INDEXED" in table.formats
    return fixed and kind.root == "CHAR" and len(value.encode()) != kind.sizes[0]


def _is_filled_up_by_the_server(table: Table, kind: Kind, value: Any, _: bool) -> bool:
    return table.kv_format == "INDEXED" and kind.root == "CHAR" and len(value.encode()) < kind.sizes[0]


def _is_cut(table: Table, kind: Kind, value: Any, _: bool) -> bool:
    if "INDEXED" not in table.formats:
        return False
    if kind.root == "CHAR":
        return len(value.encode()) > kind.sizes[0] or value.endswith("\0")
    return kind.root == "BINARY" and value.endswith("00")


def _has_long_decimals(table: Table, kind: Kind, value: Any, _: bool) -> bool:
    is_long = [part.root == "DECIMAL" and part.sizes[0] > 18 for part in kind.parts]
    return bool(table.key) and kind.root == "MAP" and len(value) > 0 and any(is_long)


LEFT_OUT = [
    LeftOut(
        CLIENTS,
        "table",
        lambda table: table.log_format == table.kv_format == "INDEXED",
        "With INDEXED rows and an INDEXED log a cluster 0.9.1 refuses writes: IndexWalBuilder requires IndexedRow.",
    ),
    LeftOut(
        CLIENTS,
        "value",
        _is_cut,
        "An INDEXED row has n bytes for a CHAR(n) or BINARY(n), and its readers strip the zeros at the end.",
    ),
    LeftOut(
        CLIENTS,
        "value",
        _is_filled_up_by_the_server,
        "A cluster 0.9.1 tells a CHAR of an INDEXED row with the zeros that fill it up in the changelog.",
    ),
    LeftOut(
        OURS,
        "value",
        lambda _, kind, value, __: kind.root == "MAP" and {"0.0", "-0.0"} <= {entry[0] for entry in value},
        "A dict of Python takes 0.0 and -0.0 for the same key.",
    ),
    LeftOut(
        OURS,
        "key",
        lambda _, kind, value, __: not is_date_of_python(kind, value),
        "Our client takes days before the year 1 or after 9999 as Arrow, but beginnings of keys are looked up as rows.",
    ),
    LeftOut(
        JAVA,
        "value",
        lambda _, kind, value, __: kind.root in MOMENTS and value[0] < 0 and value[1] > 0,
        "The Java client cannot read moments before 1970 from Arrow that are no whole milliseconds.",
    ),
    LeftOut(
        JAVA,
        "value",
        _is_made_to_fit,
        "Of a CHAR(n) that is nested, or in an INDEXED row, Java gives n bytes: cut, or with zeros at the end.",
    ),
    LeftOut(
        JAVA,
        "partition",
        lambda _, kind, value, __: kind.root in ("FLOAT", "DOUBLE") and len(value) > 6,
        "Before Java 19 a number in the name of a partition may have a digit more than it needs.",
    ),
    LeftOut(
        PYFLUSS,
        "table",
        lambda table: table.log_format != "ARROW" or table.kv_format == "INDEXED",
        "pyfluss reads and writes logs of the ARROW format and keys of the COMPACTED format only.",
    ),
    LeftOut(
        ("pyfluss as Arrow",),
        "table",
        lambda table: bool(table.key),
        "pyfluss writes and reads tables with a primary key as rows only.",
    ),
    LeftOut(
        ("pyfluss",),
        "value",
        _has_moment_beyond_datetime,
        "A row of pyfluss has the types of datetime: microseconds, and years 1 to 9999.",
    ),
    LeftOut(
        ("pyfluss",),
        "value",
        lambda _, kind, value, __: kind.root in MOMENTS and value[0] > 253_402_207_200_000,
        "pyfluss cannot read moments after 9999-12-30T22:00 in a row.",
    ),
    LeftOut(
        ("pyfluss",),
        "value",
        _has_long_decimals,
        "pyfluss fails at rows that it looks up, its own too, of a map with DECIMALs of more than 18 digits.",
    ),
    LeftOut(
        PYFLUSS,
        "write",
        lambda table: table.buckets > 1 and bool(table.bucket_key or table.key),
        "pyfluss puts about half of all keys into other buckets than Java and we do.",
    ),
    LeftOut(
        PYFLUSS,
        "look up",
        lambda table: table.buckets > 1,
        "pyfluss looks for about half of all keys in other buckets than Java and we do.",
    ),
    *(
        LeftOut(
            PYFLUSS,
            what,
            lambda table: any(table.columns[name].root in POINTED for name in table.partitioned_by),
            "pyfluss has other names for partitions by numbers with a point and by moments.",
        )
        for what in ("write", "look up")
    ),
]


def takes_part(client: str, what: str, table: Table) -> bool:
    """Whether a client takes part in a table, writes to it or looks keys up in it."""
    return not any(client in entry.clients and entry.what == what and entry.when(table) for entry in LEFT_OUT)


def refusals(clients: Iterable[str], what: str, table: Table) -> list[Refusal]:
    """What values are left out where these clients take part."""
    entries = [entry for entry in LEFT_OUT if entry.what == what and not set(clients).isdisjoint(entry.clients)]
    return [lambda *of, entry=entry: entry.when(table, *of) for entry in entries]

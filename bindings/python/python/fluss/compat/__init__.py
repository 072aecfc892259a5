"""The names of pyfluss 1.0, the client of the Apache Fluss project: a program written for it runs on this package.

The top level `fluss` answers to all of them. They are an awaited face, as `fluss.aio` is, with that client's ways:

- ``append``, ``upsert``, ``delete`` and ``write_arrow`` return at once, subscribing and making a reader do so after a
  moment, during which the event loop waits; all else is awaited. What a writer has taken is sent in the background, and
  before its connection closes: writers are not closed.
- A MAP comes out as a list of pairs. A column that takes nulls may be left out of a dict, and so may a field of a ROW.
- Arrow data comes out as pyarrow's, which has to be installed.

Writers, scanners and look-ups are of the classes in here. The top level's classes of the same names, such as
`fluss.AppendWriter`, are their bases and those of `fluss.client` and `fluss.aio`: `isinstance` holds for all of them,
and hints with them for what all have in common.

What is written obeys `fluss.types`: a value with more digits than its column stores raises `fluss.DataError`. What this
client cannot do yet raises `fluss.UnsupportedError`: filters, and scans with a limit.
"""

from fluss.compat.config import Config
from fluss.compat.connection import FlussAdmin, FlussConnection, FlussTable, LakeSnapshot
from fluss.compat.lookup import Lookuper, PrefixLookuper, TableLookup, TablePrefixLookup
from fluss.compat.scan import EARLIEST_OFFSET, BatchScanner, LogScanner, TableScan
from fluss.compat.write import AppendWriter, TableAppend, TableUpsert, UpsertWriter, WriteResultHandle
from fluss.predicate import ColumnRef, Predicate, col

__all__ = [
    "EARLIEST_OFFSET",
    "AppendWriter",
    "BatchScanner",
    "ColumnRef",
    "Config",
    "FlussAdmin",
    "FlussConnection",
    "FlussTable",
    "LakeSnapshot",
    "LogScanner",
    "Lookuper",
    "Predicate",
    "PrefixLookuper",
    "TableAppend",
    "TableLookup",
    "TablePrefixLookup",
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
    "WriteResultHandle",
    "col",
]

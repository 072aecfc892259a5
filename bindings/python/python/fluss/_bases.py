"""The base classes of writers, scanners and look-ups, which those of every face have in common.

They are for type hints and `isinstance`. A method that one face waits for and another awaits returns Any here; the
classes of `fluss.client`, `fluss.aio` and `fluss.compat` say what it returns, and have more methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from fluss._row import Key, Row
from fluss.predicate import Predicate

__all__ = [
    "AppendWriter",
    "LogScanner",
    "Lookuper",
    "PrefixLookuper",
    "TableAppend",
    "TableLookup",
    "TablePrefixLookup",
    "TableScan",
    "TableUpsert",
    "UpsertWriter",
]


class AppendWriter(ABC):
    """Appends rows and Arrow batches to a log table.

    The base of `fluss.client.AppendWriter`, `fluss.aio.AppendWriter` and `fluss.compat.AppendWriter`.
    """

    @abstractmethod
    def append(self, row: Row) -> Any:
        """Puts a row (list, tuple or dict) into the writer's buffer."""

    @abstractmethod
    def flush(self) -> Any:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""


class UpsertWriter(ABC):
    """Upserts and deletes rows of a primary-key table.

    The base of `fluss.client.UpsertWriter`, `fluss.aio.UpsertWriter` and `fluss.compat.UpsertWriter`.
    """

    @abstractmethod
    def upsert(self, row: Row) -> Any:
        """Puts a row (list, tuple or dict) into the writer's buffer, to be stored under its key."""

    @abstractmethod
    def delete(self, key: Key, /) -> Any:
        """Puts a key into the buffer, whose row is to be deleted."""

    @abstractmethod
    def flush(self) -> Any:
        """Sends what is buffered and waits for all acknowledgements; raises the first failure."""


class LogScanner(ABC):
    """Reads the log of a table, bucket by bucket.

    The base of `fluss.client.LogScanner`, `fluss.aio.LogScanner` and `fluss.compat.LogScanner`.
    """

    @abstractmethod
    def subscribe(self, bucket_id: int, start_offset: Any) -> Any:
        """Subscribes to a bucket of a table without partitions, from an offset on."""

    @abstractmethod
    def subscribe_partition(self, partition_id: int, bucket_id: Any, start_offset: Any) -> Any:
        """Subscribes to a bucket of a partition, from an offset on."""

    @abstractmethod
    def subscribe_partition_buckets(self, start_offsets: Mapping[tuple[int, int], Any], /) -> Any:
        """Subscribes to buckets of partitions, each given as ``(partition_id, bucket_id)``."""

    @abstractmethod
    def unsubscribe(self, bucket_id: int) -> Any:
        """Unsubscribes from a bucket of a table without partitions."""

    @abstractmethod
    def unsubscribe_partition(self, partition_id: int, bucket_id: int) -> Any:
        """Unsubscribes from a bucket of a partition."""

    @abstractmethod
    def poll(self, timeout_ms: int) -> Any:
        """Returns the next records; none if there are none in time."""

    @abstractmethod
    def poll_arrow(self, timeout_ms: int) -> Any:
        """Returns the next records as one Arrow table; an empty one if there are none in time."""

    @abstractmethod
    def poll_record_batch(self, timeout_ms: int) -> Any:
        """Returns the next records as Arrow batches; none if there are none in time."""


class Lookuper(ABC):
    """Looks rows up by their primary key.

    The base of `fluss.client.Lookuper`, `fluss.aio.Lookuper` and `fluss.compat.Lookuper`.
    """

    @abstractmethod
    def lookup(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the row of a key, or None."""


class PrefixLookuper(ABC):
    """Looks up all rows whose primary keys begin with the same values.

    The base of `fluss.client.PrefixLookuper`, `fluss.aio.PrefixLookuper` and `fluss.compat.PrefixLookuper`.
    """

    @abstractmethod
    def lookup(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the rows of a prefix, in the order of their encoded keys."""


class TableAppend(ABC):
    """A write to a log table, before it begins.

    The base of `fluss.client.TableAppend`, `fluss.aio.TableAppend` and `fluss.compat.TableAppend`.
    """

    @abstractmethod
    def create_writer(self) -> AppendWriter:
        """Creates a writer; `fluss.ArgumentError` if the table has a primary key."""


class TableUpsert(ABC):
    """A write to a primary-key table, before it begins.

    The base of `fluss.client.TableUpsert`, `fluss.aio.TableUpsert` and `fluss.compat.TableUpsert`.
    """

    @abstractmethod
    def create_writer(self) -> UpsertWriter:
        """Creates a writer; `fluss.ArgumentError` if the table has no primary key."""


class TableLookup(ABC):
    """A look-up, before it begins.

    The base of `fluss.client.TableLookup`, `fluss.aio.TableLookup` and `fluss.compat.TableLookup`.
    """

    @abstractmethod
    def lookup_by(self, columns: Iterable[str], /) -> "TablePrefixLookup":
        """Looks up all rows whose primary keys begin with the same values of these columns, the table's bucket key."""

    @abstractmethod
    def create_lookuper(self) -> Lookuper:
        """Creates a lookuper of rows by primary key; `fluss.ArgumentError` if the table has none."""


class TablePrefixLookup(ABC):
    """A look-up by the beginning of the primary key, before it begins.

    The base of `fluss.client.TablePrefixLookup`, `fluss.aio.TablePrefixLookup` and `fluss.compat.TablePrefixLookup`.
    """

    @abstractmethod
    def create_lookuper(self) -> PrefixLookuper:
        """Creates a lookuper; `fluss.SchemaError` if the columns are not the bucket key, or no beginning of the primary
        key.
        """


class TableScan(ABC):
    """A read of a table, before it begins.

    The base of `fluss.client.TableScan`, `fluss.aio.TableScan` and `fluss.compat.TableScan`.
    """

    @abstractmethod
    def project(self, columns: Iterable[Any], /) -> "TableScan":
        """Reads only these columns, in this order."""

    @abstractmethod
    def filter(self, predicate: Predicate) -> "TableScan":
        """Reads only the rows for which a condition is true; with a former one, only those for which both are."""

    @abstractmethod
    def limit(self, rows: int, /) -> "TableScan":
        """Sets how many rows are read at most."""

    @abstractmethod
    def create_log_scanner(self) -> Any:
        """Creates a `LogScanner`, which is subscribed to no bucket yet. It takes no limit."""

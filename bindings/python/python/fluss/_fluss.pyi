from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, final, overload

from typing_extensions import disjoint_base

from fluss._replica import LagParts, UntilParts
from fluss._row import Key, Row
from fluss._sql import SessionOptions
from fluss._streams import EventParts, RecordedParts
from fluss.cluster import AlterConfig, ClusterHealth, ConfigEntry, GoalType, RebalanceProgress
from fluss.metadata import (
    ChangeType,
    DatabaseDescriptor,
    DatabaseInfo,
    DatabaseSummary,
    KvSnapshotMetadata,
    KvSnapshots,
    LakeSnapshot,
    PartitionInfo,
    ProducerOffsetsResult,
    RegisterResult,
    RemoteLogManifest,
    ServerNode,
    TableDescriptorBuilder,
)
from fluss.predicate import Predicate
from fluss.security import AclBinding, AclBindingFilter, UserInfo

_T = TypeVar("_T", covariant=True)

__all__ = [
    "Admin",
    "AppendWriter",
    "ArrowColumn",
    "ArrowParts",
    "ArrowSchema",
    "ArrowStream",
    "ArrowTable",
    "BoundedReader",
    "BucketRead",
    "Connection",
    "DataType",
    "Documents",
    "EventReader",
    "EventStreams",
    "KvSnapshotLease",
    "LogScanner",
    "Lookuper",
    "OffsetSpec",
    "Pending",
    "Positions",
    "PrefixLookuper",
    "RecordBatch",
    "ReplicaCore",
    "ReplicaReads",
    "ReplicaScan",
    "RowReader",
    "ScanRecord",
    "ScanRecords",
    "Schema",
    "SchemaBuilder",
    "SqlPrepared",
    "SqlRows",
    "SqlSession",
    "Table",
    "TableBucket",
    "TableChange",
    "TableDescriptor",
    "TableInfo",
    "TablePath",
    "TableRead",
    "Timestamp",
    "UpsertWriter",
    "WriteHandle",
    "__version__",
    "assume_utc",
    "check_option",
    "environment_options",
    "is_retriable",
    "joined",
    "key_columns",
    "metric_values",
    "options_of",
    "parse_bytes",
    "parse_millis",
    "run_program",
    "sql_rows",
    "without_secrets",
]

__version__: str

def check_option(key: str, value: str) -> tuple[str, str]:
    """Checks a key and its value, and returns the key under which this client knows it, with the value."""

def environment_options(variables: dict[str, str]) -> list[tuple[str, str]]:
    """The options that environment variables say; `ConfigError` if there is no ``FLUSS_TARGET``."""

def options_of(text: str) -> list[tuple[str, str]]:
    """What a connection string says, as options by their keys; `ConfigError` if it says nothing that makes sense."""

def without_secrets(text: str) -> str:
    """A connection string as it may be shown: without a user, a password or another secret."""

def is_retriable(error_code: int) -> bool:
    """Whether what a server refused with this code can succeed later."""

def joined(rows: ArrowTable, found: ArrowTable, added: list[str], unless_null: str | None) -> ArrowTable:
    """Rows, and beside each some columns of the row that was found for it. Rows are left out where a column of what was
    found is null, if one is named.
    """

def key_columns(rows: ArrowTable, columns: list[str], key: list[str]) -> ArrowTable:
    """Some columns of rows, each under the name of a column of a key."""

def metric_values() -> list[
    tuple[
        str,
        str,
        str,
        list[tuple[str, str]],
        int | tuple[int, float, float | None, float | None, float | None, float | None, float | None],
    ]
]:
    """Name, unit, description, labels and value of every metric as of now."""

def parse_bytes(text: str) -> int:
    """The bytes of a size such as ``64 mb``."""

def parse_millis(text: str) -> int:
    """The milliseconds of a duration such as ``10 s``."""

def run_program(arguments: list[str]) -> int:
    """Runs the ``fluss`` program with these arguments, the first of which is its name, and returns its exit code."""

@final
class Pending(Generic[_T]):
    """An operation of the client. Nothing happens until it is waited for or awaited, once."""

    def wait(self, timeout: float | None = None) -> _T:
        """Blocks until the operation has ended, at most ``timeout`` seconds."""

    def within(self, limit: float | timedelta | None) -> Pending[_T]:
        """The same, which has so long: seconds or a ``timedelta``, in place of what the options say."""

    def __await__(self) -> Generator[Any, None, _T]: ...

@final
class DataType:
    """The type of a column: ``DataType("DECIMAL(10,2) NOT NULL")``. See `DataTypes` for the ways to make one."""

    def __new__(cls, text: DataType | str) -> DataType: ...
    @staticmethod
    def array(element: DataType | str) -> DataType:
        """ARRAY of these elements."""

    @staticmethod
    def map(key: DataType | str, value: DataType | str) -> DataType:
        """MAP of these keys, which become NOT NULL, and values."""

    @staticmethod
    def row(fields: list[tuple[str, DataType | str]]) -> DataType:
        """ROW of these fields."""

    def not_null(self) -> DataType:
        """The same type without nulls."""

    @property
    def nullable(self) -> bool:
        """Whether null is a value of the type."""

    @property
    def element_type(self) -> DataType | None:
        """The type of an ARRAY's elements."""

    @property
    def key_type(self) -> DataType | None:
        """The type of a MAP's keys."""

    @property
    def value_type(self) -> DataType | None:
        """The type of a MAP's values."""

    @property
    def fields(self) -> list[tuple[str, DataType]] | None:
        """Names and types of a ROW's fields."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Timestamp:
    """A moment of any year, exact to the nanosecond: what ``datetime`` cannot hold.

    ``millis`` are milliseconds since 1970-01-01T00:00 (in UTC for TIMESTAMP_LTZ), rounded down; ``nanos`` (0 to
    999,999) the nanoseconds within that millisecond.
    """

    def __new__(cls, millis: int, nanos: int = 0) -> Timestamp: ...
    @property
    def millis(self) -> int:
        """Milliseconds since 1970, rounded down."""

    @property
    def nanos(self) -> int:
        """Nanoseconds within the millisecond."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: Timestamp, /) -> bool: ...
    def __le__(self, other: Timestamp, /) -> bool: ...
    def __gt__(self, other: Timestamp, /) -> bool: ...
    def __ge__(self, other: Timestamp, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TablePath:
    """A table's database and name."""

    def __new__(cls, database_name: str, table_name: str) -> TablePath: ...
    @staticmethod
    def of(path: TablePath | str) -> TablePath:
        """A path from ``"database.table"``."""

    @property
    def database_name(self) -> str:
        """The database."""

    @property
    def table_name(self) -> str:
        """The table's name in its database."""

    def table_path_str(self) -> str:
        """``database.table``."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: TablePath, /) -> bool: ...
    def __le__(self, other: TablePath, /) -> bool: ...
    def __gt__(self, other: TablePath, /) -> bool: ...
    def __ge__(self, other: TablePath, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TableBucket:
    """One bucket of a table, or of one partition of it."""

    def __new__(cls, table_id: int, bucket: int, *, partition_id: int | None = None) -> TableBucket: ...
    @staticmethod
    def with_partition(table_id: int, partition_id: int, bucket: int) -> TableBucket:
        """A bucket of one partition."""

    @property
    def table_id(self) -> int:
        """The table's number."""

    @property
    def partition_id(self) -> int | None:
        """The partition's number, if the table is partitioned."""

    @property
    def bucket_id(self) -> int:
        """The bucket's number in the table or partition."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: TableBucket, /) -> bool: ...
    def __le__(self, other: TableBucket, /) -> bool: ...
    def __gt__(self, other: TableBucket, /) -> bool: ...
    def __ge__(self, other: TableBucket, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TableChange:
    """A change of a table, for ``Admin.alter_table``."""

    @staticmethod
    def set(key: str, value: str) -> TableChange:
        """Gives a property a value. Keys that begin with ``table.`` are the table's, all others the user's own."""

    @staticmethod
    def reset(key: str) -> TableChange:
        """Goes back to a property's default; the user's own are removed."""

    @staticmethod
    def add_column(
        name: str,
        data_type: DataType | str,
        comment: str | None = None,
        aggregate: str | None = None,
        parameters: dict[str, str] | None = None,
    ) -> TableChange:
        """Adds a column at the end, of a type that takes nulls.

        In a table of the aggregation merge engine ``aggregate`` is how its values are merged (``sum``, ``max``, …),
        with its ``parameters``. That needs a server of 1.0.
        """

    @staticmethod
    def bucket_count(count: int) -> TableChange:
        """Gives partitions that are created from now on so many buckets. No other change goes with it."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Schema:
    """The columns of a table and its primary key.

    ``Schema(schema, primary_keys=[…])`` takes the columns of an Arrow schema: of pyarrow, or anything else with
    ``__arrow_c_schema__``, which a Schema has, too.
    """

    def __new__(
        cls, schema: object, primary_keys: list[str] | None = None, auto_increment_column: str | None = None
    ) -> Schema: ...
    def __arrow_c_schema__(self) -> object: ...
    @staticmethod
    def new_builder() -> SchemaBuilder:
        """Begins a schema without columns."""

    def get_column_names(self) -> list[str]:
        """The names of the columns."""

    def get_column_types(self) -> list[str]:
        """The types of the columns in short, such as ``int NOT NULL`` or ``row<x: int, y: timestamp>``."""

    def get_columns(self) -> list[tuple[str, str]]:
        """Names and types of the columns in short. See `data_types` for the types themselves."""

    @property
    def data_types(self) -> dict[str, DataType]:
        """The type of each column."""

    def get_primary_keys(self) -> list[str]:
        """The columns of the primary key; none in a log table."""

    def get_auto_increment_columns(self) -> list[str]:
        """The column whose values the server counts up, if there is one."""

    def get_comment(self, column: str) -> str | None:
        """The comment of a column."""

    def check_row(self, row: Row, *, exact: bool = False) -> dict[str, Any]:
        """The row that a table of this schema would store and give back; `fluss.DataError` if it takes none."""

    def to_json(self) -> str:
        """The schema as servers keep it."""

    @staticmethod
    def from_json(json: str) -> Schema:
        """A schema as servers keep it."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class SchemaBuilder:
    """Puts a schema together; each method returns the builder."""

    def column(self, name: str, data_type: DataType | str) -> SchemaBuilder:
        """Adds a column."""

    def with_comment(self, comment: str) -> SchemaBuilder:
        """Sets the comment of the column added last."""

    def with_aggregate(self, function: str, parameters: dict[str, str] | None = None) -> SchemaBuilder:
        """Sets how the aggregation merge engine merges the column added last: ``sum``, ``max``, ``listagg``, …"""

    def primary_key(self, columns: list[str]) -> SchemaBuilder:
        """Names the columns of the primary key, which become NOT NULL."""

    def enable_auto_increment(self, column: str) -> SchemaBuilder:
        """Names the column whose values the server counts up."""

    def build(self) -> Schema:
        """The schema; `fluss.SchemaError` if it is not allowed."""

@final
class TableDescriptor:
    """What a table is to be when it is created.

    ``bucket_count`` and ``bucket_keys`` left out leave both to the server and the writer. ``log_format`` is ARROW,
    INDEXED or COMPACTED, ``kv_format`` COMPACTED or INDEXED; ``properties`` are the ``table.*`` keys.
    """

    def __new__(
        cls,
        schema: Schema,
        *,
        partition_keys: list[str] | None = None,
        bucket_count: int | None = None,
        bucket_keys: list[str] | None = None,
        comment: str | None = None,
        log_format: str | None = None,
        kv_format: str | None = None,
        properties: dict[str, str] | None = None,
        custom_properties: dict[str, str] | None = None,
    ) -> TableDescriptor: ...
    @staticmethod
    def builder() -> TableDescriptorBuilder:
        """Begins a descriptor, to be put together step by step."""

    def get_schema(self) -> Schema:
        """The columns and the primary key."""

    @property
    def comment(self) -> str | None:
        """The comment."""

    @property
    def bucket_count(self) -> int | None:
        """Buckets of the table, or of each of its partitions."""

    def get_bucket_keys(self) -> list[str]:
        """The columns whose values choose the bucket."""

    def get_partition_keys(self) -> list[str]:
        """The columns whose values choose the partition."""

    def get_properties(self) -> dict[str, str]:
        """The ``table.*`` properties."""

    def get_custom_properties(self) -> dict[str, str]:
        """The user's own properties."""

    def to_json(self) -> str:
        """The descriptor as servers keep it."""

    @staticmethod
    def from_json(json: str) -> TableDescriptor:
        """A descriptor as servers keep it."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class TableInfo:
    """A table as it stands on the server. Times are milliseconds since 1970."""

    @property
    def table_path(self) -> TablePath:
        """The database and name."""

    @property
    def table_id(self) -> int:
        """The number, which a table created again under the same path does not share."""

    @property
    def schema_id(self) -> int:
        """The number of the latest schema."""

    @property
    def num_buckets(self) -> int:
        """Buckets of the table, or of each partition that is created from now on: older ones may have another count."""

    @property
    def bucket_count_epoch(self) -> int:
        """How often the bucket count was changed."""

    @property
    def comment(self) -> str | None:
        """The comment."""

    @property
    def created_time(self) -> int:
        """When the table was created."""

    @property
    def modified_time(self) -> int:
        """When the table was last altered."""

    def get_table_descriptor(self) -> TableDescriptor:
        """The descriptor with the latest schema and the defaults that the server filled in."""

    def get_schema(self) -> Schema:
        """The latest schema."""

    def get_column_names(self) -> list[str]:
        """The names of the columns."""

    def get_column_count(self) -> int:
        """The number of columns."""

    def get_primary_keys(self) -> list[str]:
        """The columns of the primary key."""

    def get_bucket_keys(self) -> list[str]:
        """The columns whose values choose the bucket."""

    def get_partition_keys(self) -> list[str]:
        """The columns whose values choose the partition."""

    def get_properties(self) -> dict[str, str]:
        """The ``table.*`` properties."""

    def get_custom_properties(self) -> dict[str, str]:
        """The user's own properties."""

    def has_primary_key(self) -> bool:
        """Whether the table has a primary key."""

    def is_partitioned(self) -> bool:
        """Whether the table is partitioned."""

@final
class OffsetSpec:
    """Which offset of a bucket is wanted."""

    @staticmethod
    def earliest() -> OffsetSpec:
        """That of the first record that is still there."""

    @staticmethod
    def latest() -> OffsetSpec:
        """That after the last record."""

    @staticmethod
    def timestamp(ts: int | datetime) -> OffsetSpec:
        """That of the first batch stored at or after this time: a ``datetime`` (a naive one is local), or milliseconds
        since 1970.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ArrowSchema:
    """The names and types of Arrow columns: those of any Arrow data, or of anything with ``__arrow_c_schema__``."""

    def __new__(cls, data: object) -> ArrowSchema: ...
    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class ArrowColumn:
    """A column that was read: ``table["name"]``. Any Arrow library takes it; iterating gives its values."""

    @property
    def name(self) -> str:
        """The name."""

    def to_pylist(self) -> list[Any]:
        """The values, as `fluss.types` says."""

    def to_pyarrow(self) -> Any:
        """A ``pyarrow.ChunkedArray`` that shares the memory. Needs pyarrow."""

    def to_polars(self) -> Any:
        """A ``polars.Series``. Needs polars."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class ArrowTable:
    """Columns that were read. Any Arrow library takes it: ``pyarrow.table(t)``, ``polars.DataFrame(t)``, …

    ``t["name"]`` is a column, ``t[10:20]`` a table of some rows. ``ArrowTable(data)`` has any Arrow data, which it
    does not copy.
    """

    def __new__(cls, data: object) -> ArrowTable: ...
    @staticmethod
    def concat(schema: object, tables: list[ArrowTable]) -> ArrowTable:
        """One table of the rows of several that have the columns of ``schema``."""

    @property
    def schema(self) -> ArrowSchema:
        """The names and types of the columns."""

    @property
    def nbytes(self) -> int:
        """The bytes of the values."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""

    @property
    def num_columns(self) -> int:
        """The number of columns."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""

    @property
    def offsets(self) -> dict[TableBucket, int]:
        """Of a whole table: the offset of each bucket up to which it shows the log. Otherwise empty."""

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as dicts, with values as `fluss.types` says. Needs no other library."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: str, /) -> ArrowColumn: ...
    @overload
    def __getitem__(self, key: slice, /) -> ArrowTable: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def to_pyarrow(self) -> Any:
        """A ``pyarrow.Table`` that shares the memory. Needs pyarrow."""

    def to_pandas(self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None) -> Any:
        """A ``pandas.DataFrame``. Needs pandas and pyarrow.

        Integers of columns with nulls come in pandas' nullable types, such as ``Int64``, since no float holds them all.
        ``dtype_backend`` takes ``"numpy_nullable"`` or ``"pyarrow"``, for all columns, as pandas' own readers do;
        ``types_mapper`` is handed to pyarrow.
        """

    def to_polars(self) -> Any:
        """A ``polars.DataFrame``. Needs polars."""

@final
class Positions:
    """Where a scanner stands in each bucket that it reads, and whether it follows new partitions. It can be pickled."""

    @staticmethod
    def from_json(json: str) -> Positions:
        """What ``to_json`` has written; `fluss.ArgumentError` if the text is none, or of a later version."""

    def to_json(self) -> str:
        """A short text, which names the table."""

    @property
    def table_path(self) -> TablePath:
        """The table."""

    @property
    def table_id(self) -> int:
        """Its number, which a table created again under the same path does not share."""

    @property
    def follows_partitions(self) -> bool:
        """Whether the partitions to come are read too, from their first records on."""

    @property
    def offsets(self) -> dict[TableBucket, int | None]:
        """The next record of each bucket; None for the first that is still there."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class RecordBatch:
    """Consecutive records of one bucket as columns. Any Arrow library takes it."""

    @property
    def bucket(self) -> TableBucket:
        """The bucket."""

    @property
    def batch(self) -> Any:
        """The same as ``to_pyarrow()``."""

    @property
    def base_offset(self) -> int:
        """The offset of the first row; without a filter the others follow without gap."""

    @property
    def last_offset(self) -> int:
        """The offset of the last row."""

    @property
    def offsets(self) -> list[int]:
        """The offsets of all rows."""

    @property
    def timestamp(self) -> int:
        """When the server stored the rows, in milliseconds since 1970."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""

    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def to_pyarrow(self) -> Any:
        """A ``pyarrow.RecordBatch`` that shares the memory. Needs pyarrow."""

    def to_pandas(self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None) -> Any:
        """A ``pandas.DataFrame``. Needs pandas and pyarrow.

        Integers of columns with nulls come in pandas' nullable types, such as ``Int64``, since no float holds them all.
        ``dtype_backend`` takes ``"numpy_nullable"`` or ``"pyarrow"``, for all columns, as pandas' own readers do;
        ``types_mapper`` is handed to pyarrow.
        """

    def to_polars(self) -> Any:
        """A ``polars.DataFrame``. Needs polars."""

@final
class ScanRecord:
    """A row, and where and when it was stored. ``record["name"]`` is a value of the row, ``dict(record)`` are all."""

    @property
    def bucket(self) -> TableBucket:
        """The bucket."""

    @property
    def offset(self) -> int:
        """The position in the log of the bucket."""

    @property
    def timestamp(self) -> int:
        """When the server stored it, in milliseconds since 1970."""

    @property
    def change_type(self) -> ChangeType:
        """What it did to its key."""

    def get_row(self, *, exact: bool = False) -> dict[str, Any]:
        """The values by column, as `fluss.types` says.

        With ``exact``, TIMESTAMP and TIMESTAMP_LTZ come as `fluss.types.Timestamp`, to the nanosecond and of any year,
        and DATE as days since 1970-01-01. Without it nanoseconds are cut, and a value outside the years 1 to 9999
        raises `fluss.DataError`.
        """

    @property
    def row(self) -> dict[str, Any]:
        """The same as ``get_row()``."""

    def keys(self) -> list[str]:
        """The names of the columns."""

    def __getitem__(self, column: str, /) -> Any: ...

@final
class ScanRecords:
    """What one poll returned. Iterating gives all records, bucket by bucket; an index gives one, or a bucket's."""

    def buckets(self) -> list[TableBucket]:
        """The buckets that there are records of."""

    def records(self, bucket: TableBucket) -> list[ScanRecord]:
        """The records of a bucket, in the order of their offsets."""

    def keys(self) -> list[TableBucket]:
        """The same as ``buckets()``."""

    def values(self) -> Iterator[list[ScanRecord]]:
        """The records of each bucket."""

    def items(self) -> Iterator[tuple[TableBucket, list[ScanRecord]]]:
        """The buckets and their records."""

    def count(self) -> int:
        """The number of records."""

    def is_empty(self) -> bool:
        """Whether there are no records."""

    def to_arrow(self) -> ArrowTable:
        """The records as columns, with three more: ``_change_type`` (``+A``, ``+I``, ``-U``, ``+U``, ``-D``),
        ``_offset`` and ``_timestamp`` (when the server stored the record).
        """

    def to_pandas(self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None) -> Any:
        """As `to_arrow`, as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""

    def to_polars(self) -> Any:
        """As `to_arrow`, as a ``polars.DataFrame``. Needs polars."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ScanRecord]: ...
    def __contains__(self, bucket: TableBucket, /) -> bool: ...
    @overload
    def __getitem__(self, key: int, /) -> ScanRecord: ...
    @overload
    def __getitem__(self, key: TableBucket | slice, /) -> list[ScanRecord]: ...

@final
class WriteHandle:
    """A write on its way. It may be ignored, waited for or awaited, any number of times."""

    def wait(self, timeout: float | timedelta | None = None) -> int | None:
        """Blocks until the write is acknowledged, at most ``timeout``: seconds or a ``timedelta``.

        What waits for more rows to go with is sent at once when somebody waits for it.

        Returns the offset of the row in its bucket, where the server told it; None for Arrow data. Raises what the
        write failed of; a `fluss.TimeoutError` says with ``outcome_unknown`` whether it may be stored all the same.
        """

    @property
    def ends(self) -> dict[TableBucket, int | None]:
        """Where what is acknowledged of the write has landed: of each bucket, the offset behind it in the log.

        In a primary-key table that is the changelog. Who has read to there has seen the write: it is what a reader
        takes for ``stop``. None where the server does not tell it, as of a batch that it had stored before and was sent
        again. Complete once the write is `done`.
        """

    @property
    def rows(self) -> int:
        """How many rows the write has."""

    @property
    def nbytes(self) -> int | None:
        """The bytes of the values of Arrow data; None of a row."""

    @property
    def rows_stored(self) -> int:
        """How many rows are acknowledged. Once the write is `done`, the others are not stored, or nobody knows."""

    def done(self) -> bool:
        """Whether the write is acknowledged or has failed."""

    def acknowledged(self) -> Pending[int | None]:
        """What `wait` waits for, to be waited for or awaited within a time."""

    def __await__(self) -> Generator[Any, None, int | None]: ...

@final
class ArrowParts:
    """Arrow data for a writer that an iterator gives part by part. What it raises is raised as it is. What is in memory
    is written whole or not at all.
    """

    def __new__(cls, parts: Iterator[object], in_memory: bool = False) -> ArrowParts: ...

@final
class ArrowStream:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def assume_utc(data: object, schema: Schema) -> ArrowStream: ...

@final
class Connection:
    @staticmethod
    def open(options: dict[str, str]) -> Pending[Connection]: ...
    def admin(self) -> Admin: ...
    def table(self, path: TablePath | str) -> Pending[Table]: ...
    def sql(self, options: SessionOptions) -> SqlSession: ...
    def streams(self, path: TablePath | str, create: bool, buckets: int) -> Pending[EventStreams]: ...
    def documents(self, path: TablePath | str, owns: bool) -> Pending[Documents]: ...
    def close(self) -> Pending[None]: ...

@final
class Documents:
    def upsert_fields(self, document: dict[str, object]) -> Pending[WriteHandle]: ...
    def delete_fields(self, key: Key, columns: list[str]) -> Pending[WriteHandle]: ...
    def delete_document(self, key: Key) -> Pending[WriteHandle]: ...
    def clear_columns(self, names: list[str]) -> Pending[int]: ...
    def clear_columns_with_prefix(self, prefixes: list[str]) -> Pending[int]: ...
    def truncate(self) -> Pending[int]: ...
    def flush(self) -> Pending[None]: ...
    def close(self) -> Pending[None]: ...
    @property
    def table_path(self) -> str: ...

@final
class EventStreams:
    def append(
        self, stream: str, events: list[EventParts], expected: int | str, limit: float | timedelta | None = None
    ) -> Pending[tuple[int, tuple[int, int] | None]]: ...
    def delete(
        self, stream: str, expected: int | str, limit: float | timedelta | None = None
    ) -> Pending[tuple[int, tuple[int, int] | None]]: ...
    def tombstone(
        self, stream: str, expected: int | str, limit: float | timedelta | None = None
    ) -> Pending[tuple[int, tuple[int, int] | None]]: ...
    def current_version(self, stream: str) -> Pending[int | None]: ...
    def ends(self) -> Pending[dict[int, int]]: ...
    def read_stream(
        self, stream: str, from_version: int | None = None, backwards: bool = False, limit: int | None = None
    ) -> EventReader: ...
    def follow_all(
        self,
        start: Positions | dict[int, int] | int | str,
        stream_prefixes: list[str],
        event_types: list[str],
        ends: bool,
    ) -> Pending[EventReader]: ...
    def follow_stream(self, stream: str, from_version: int) -> Pending[EventReader]: ...
    def saved_positions(self, consumer: str) -> Pending[Positions | None]: ...
    def save_positions(self, consumer: str, positions: Positions) -> Pending[None]: ...
    @property
    def table_path(self) -> str: ...

@final
class EventReader:
    def begin(self) -> None: ...
    def next_events(
        self, limit: float | timedelta | None = None
    ) -> Pending[tuple[list[RecordedParts], bool] | None]: ...
    def read_all(self) -> Pending[ArrowTable]: ...
    def positions(self, waiting: list[tuple[int, int]]) -> Positions | None: ...
    def is_caught_up(self) -> bool: ...
    def close(self) -> None: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class ReplicaCore:
    @staticmethod
    def open(
        table: Table,
        directory: str | PathLike[str],
        columns: list[str | int] | None,
        predicate: Predicate | None,
        max_staleness: float | timedelta | None,
        freshness_interval: float | timedelta | None,
    ) -> Pending[ReplicaCore]: ...
    @staticmethod
    def attach(directory: str | PathLike[str], max_staleness: float | timedelta | None) -> ReplicaCore: ...
    def start(self, limit: float | timedelta | None) -> Pending[None]: ...
    def shut_down(self) -> Pending[None]: ...
    def wait_until(self, what: UntilParts, limit: float | timedelta | None) -> Pending[None]: ...
    def wait_until_caught_up(self, limit: float | timedelta | None) -> Pending[None]: ...
    def is_caught_up(self) -> bool: ...
    def lag(self) -> LagParts: ...
    @property
    def table(self) -> TablePath: ...
    @property
    def directory(self) -> Path: ...
    @property
    def follows(self) -> bool: ...

@disjoint_base
class ReplicaReads:
    """Reads rows of a replica."""

    def __new__(cls, core: ReplicaCore, *_others: object) -> Self: ...
    def get(self, key: Key, *, exact: bool = False) -> dict[str, Any] | None:
        """The row of a key as a dict, or None.

        With ``exact``, moments come as of `fluss.client.ScanRecord.get_row`.
        """

    def get_value(self, key: Key, column: str, *, exact: bool = False) -> Any:
        """The value of a column in the row of a key; None if there is no such row, or none in it."""

    def get_string_value(self, key: Key, column: str) -> str | None:
        """The text in a column of STRING or CHAR; None if there is none.

        This, and its likes for other types, raise `fluss.errors.ArgumentTypeError` for a column of another type.
        """

    def get_bytes_value(self, key: Key, column: str) -> bytes | None:
        """The bytes in a column of BYTES or BINARY; None if there are none."""

    def get_int_value(self, key: Key, column: str) -> int | None:
        """The number in a column of TINYINT, SMALLINT, INT or BIGINT; None if there is none."""

    def get_float_value(self, key: Key, column: str) -> float | None:
        """The number in a column of FLOAT or DOUBLE; None if there is none."""

    def get_bool_value(self, key: Key, column: str) -> bool | None:
        """What is in a column of BOOLEAN; None if there is nothing."""

    def multiget(self, keys: Iterable[Key], *, exact: bool = False) -> list[dict[str, Any] | None]:
        """The rows of keys in their order, all of one moment, with None for those that are not there."""

    def multiget_values(self, keys: Iterable[Key], column: str, *, exact: bool = False) -> list[Any]:
        """The values of a column in the rows of keys, in their order, all of one moment, with None for those that are
        not there.
        """

    def multiget_string_values(self, keys: Iterable[Key], column: str) -> Iterator[str | None]:
        """As `multiget_values`, of a column of STRING or CHAR, as an iterator."""

    def multiget_bytes_values(self, keys: Iterable[Key], column: str) -> Iterator[bytes | None]:
        """As `multiget_values`, of a column of BYTES or BINARY, as an iterator."""

    def multiget_arrow(self, keys: object) -> ArrowTable:
        """The rows of keys in their order, all of one moment, as one Arrow table.

        Keys are a list of them, or Arrow data with the columns of the primary key; others are passed over. Where a key
        has no row, or a null in it, all columns are null.
        """

    def read_rows(self, prefix: Key, columns: list[str | int] | None) -> ReplicaScan: ...
    def count(self) -> int:
        """The number of rows."""

    def __len__(self) -> int: ...
    def __contains__(self, key: Key, /) -> bool: ...
    @property
    def column_names(self) -> list[str]:
        """The names of the columns that are held."""

    @property
    def schema(self) -> Any:
        """The columns that are held, as a ``pyarrow.Schema``. Needs pyarrow."""

    def __arrow_c_schema__(self) -> object: ...

@final
class ReplicaScan:
    def begin(self) -> None: ...
    def next_batch(self) -> Pending[ArrowTable | None]: ...
    def read_all(self) -> Pending[ArrowTable]: ...
    def close(self) -> Pending[None]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class SqlSession:
    def execute(self, text: str, parameters: object = None) -> Pending[SqlRows | int | None]: ...
    def execute_all(self, text: str) -> Pending[list[SqlRows | int | None]]: ...
    def fetch(self, text: str, parameters: object = None) -> Pending[tuple[str, ArrowTable] | int | None]: ...
    def prepare(self, text: str) -> Pending[SqlPrepared]: ...
    def begin(self) -> Pending[None]: ...
    def commit(self) -> Pending[None]: ...
    def rollback(self) -> Pending[None]: ...
    @property
    def database(self) -> str: ...
    def follow(self, text: str, parameters: object, start: str) -> Pending[SqlRows]: ...
    @staticmethod
    def split(text: str) -> list[str]: ...

@final
class SqlPrepared:
    def execute(self, parameters: object = None) -> Pending[SqlRows | int | None]: ...
    def fetch(self, parameters: object = None) -> Pending[tuple[str, ArrowTable] | int | None]: ...
    def execute_many(self, rows: object) -> Pending[int]: ...
    @property
    def parameter_count(self) -> int: ...
    def close(self) -> None: ...

@final
class SqlRows:
    @property
    def query_id(self) -> str: ...
    @property
    def columns(self) -> list[tuple[str, str, bool]]: ...
    @property
    def follows(self) -> bool: ...
    def begin(self) -> None: ...
    def next_batch(self) -> Pending[ArrowTable | None]: ...
    def read_all(self) -> Pending[ArrowTable]: ...
    def next_rows(self, as_dict: bool = False, limit: float | timedelta | None = None) -> Pending[list[Any] | None]: ...
    def all_rows(self, as_dict: bool = False) -> Pending[list[Any]]: ...
    def preview(self, rows: int) -> Pending[ArrowTable]: ...
    def cancel(self) -> None: ...
    @property
    def position(self) -> str | None: ...
    def is_caught_up(self) -> bool: ...
    def is_complete(self) -> bool: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def sql_rows(
    table: ArrowTable, limit: int | None = None
) -> tuple[list[tuple[str, str, bool]], list[tuple[Any, ...]]]: ...

@final
class Table:
    def info(self) -> TableInfo: ...
    def admin(self) -> Admin: ...
    def append_writer(self) -> AppendWriter: ...
    def upsert_writer(self, columns: list[str | int] | None, overwrite: bool) -> UpsertWriter: ...
    def lookuper(self, insert_if_not_exists: bool, map_pairs: bool = False) -> Lookuper: ...
    def prefix_lookuper(self, columns: list[str | int], map_pairs: bool = False) -> PrefixLookuper: ...
    def log_scanner(
        self,
        columns: list[str | int] | None,
        predicate: Predicate | None = None,
        map_pairs: bool = False,
        skipped: list[tuple[TableBucket | int, int]] | None = None,
    ) -> LogScanner: ...
    def bounded_reader(
        self,
        columns: list[str | int] | None,
        predicate: Predicate | None,
        start: OffsetSpec | dict[TableBucket, int | OffsetSpec],
        stop: OffsetSpec | dict[TableBucket, int | OffsetSpec],
        skipped: list[tuple[TableBucket | int, int]] | None = None,
    ) -> Pending[BoundedReader]: ...
    def snapshot(
        self,
        columns: list[str | int] | None,
        predicate: Predicate | None,
        as_of: int | dict[TableBucket, int] | None,
        skipped: list[tuple[TableBucket | int, int]] | None = None,
    ) -> Pending[ArrowTable]: ...
    def plan(
        self,
        columns: list[str | int] | None,
        predicate: Predicate | None,
        as_of: int | dict[TableBucket, int] | None,
        skipped: list[tuple[TableBucket | int, int]] | None = None,
    ) -> Pending[TableRead]: ...
    def limit(
        self, columns: list[str | int] | None, rows: int, skipped: list[tuple[TableBucket | int, int]] | None = None
    ) -> Pending[ArrowTable]: ...
    def limit_bucket(self, columns: list[str | int] | None, bucket: TableBucket, rows: int) -> Pending[RecordBatch]: ...

@final
class AppendWriter:
    def append(self, row: Row, *, soon: bool = False) -> WriteHandle: ...
    def rows(self, rows: list[Any], first: int = 0) -> ArrowTable: ...
    def append_arrow(self, data: object) -> Pending[WriteHandle]: ...
    def flush(self) -> Pending[None]: ...
    def close(self) -> Pending[None]: ...

@final
class UpsertWriter:
    def upsert(self, row: Row, *, soon: bool = False) -> WriteHandle: ...
    def delete(self, key: Key, *, soon: bool = False) -> WriteHandle: ...
    def rows(self, rows: list[Any], first: int = 0) -> ArrowTable: ...
    def keys(self, keys: list[Any], first: int = 0) -> ArrowTable: ...
    def upsert_arrow(self, data: object) -> Pending[WriteHandle]: ...
    def delete_arrow(self, data: object) -> Pending[WriteHandle]: ...
    def flush(self) -> Pending[None]: ...
    def close(self) -> Pending[None]: ...

@final
class Lookuper:
    def lookup(self, key: Key, *, exact: bool = False) -> Pending[dict[str, Any] | None]: ...
    def lookup_many(self, keys: Iterable[Key], *, exact: bool = False) -> Pending[list[dict[str, Any] | None]]: ...
    def lookup_arrow(self, keys: object) -> Pending[ArrowTable]: ...

@final
class PrefixLookuper:
    def lookup(self, prefix: Key, *, exact: bool = False) -> Pending[list[dict[str, Any]]]: ...

@final
class BoundedReader:
    @property
    def ends(self) -> dict[TableBucket, int]: ...
    def begin(self) -> None: ...
    def next_batch(self) -> Pending[RecordBatch | None]: ...
    def next_records(self) -> Pending[ScanRecords | None]: ...
    def read_all(self) -> Pending[ArrowTable]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class TableRead:
    def buckets(self) -> list[BucketRead]: ...
    def reader(self) -> RowReader: ...

@final
class BucketRead:
    @property
    def bucket(self) -> TableBucket: ...
    @property
    def end_offset(self) -> int | None: ...
    def reader(self) -> RowReader: ...

@final
class RowReader:
    @property
    def offsets(self) -> dict[TableBucket, int]: ...
    def begin(self) -> None: ...
    def next_batch(self) -> Pending[ArrowTable | None]: ...
    def read_all(self) -> Pending[ArrowTable]: ...
    def close(self) -> Pending[None]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class LogScanner:
    def subscribe(self, bucket: int | None, start: int | OffsetSpec) -> Pending[None]: ...
    def unsubscribe(self, bucket: int) -> Pending[None]: ...
    def subscribe_partition(self, partition: int, bucket: int | None, start: int | OffsetSpec) -> Pending[None]: ...
    def subscribe_partition_buckets(self, starts: dict[tuple[int, int], int | OffsetSpec]) -> Pending[None]: ...
    def unsubscribe_partition(self, partition: int, bucket: int | None) -> Pending[None]: ...
    def __arrow_c_schema__(self) -> object: ...
    def positions(self) -> Pending[Positions]: ...
    def subscribe_positions(self, positions: Positions) -> Pending[None]: ...
    def poll(self, timeout_ms: int) -> Pending[ScanRecords]: ...
    def poll_arrow(self, timeout_ms: int) -> Pending[ArrowTable]: ...
    def poll_record_batch(self, timeout_ms: int) -> Pending[list[RecordBatch]]: ...
    def next_batch(self, timeout_ms: int) -> Pending[RecordBatch | None]: ...
    def next_record(self) -> ScanRecord | None: ...
    def fetch(self, timeout_ms: int) -> Pending[None]: ...
    def close(self) -> None: ...

@final
class Admin:
    def create_database(
        self, name: str, descriptor: DatabaseDescriptor | None, ignore_if_exists: bool
    ) -> Pending[None]: ...
    def drop_database(self, name: str, ignore_if_not_exists: bool, cascade: bool) -> Pending[None]: ...
    def list_databases(self) -> Pending[list[str]]: ...
    def database_exists(self, name: str) -> Pending[bool]: ...
    def get_database_info(self, name: str) -> Pending[DatabaseInfo]: ...
    def create_table(
        self, path: TablePath | str, descriptor: TableDescriptor, ignore_if_exists: bool
    ) -> Pending[None]: ...
    def alter_table(
        self, path: TablePath | str, changes: list[TableChange], ignore_if_not_exists: bool
    ) -> Pending[None]: ...
    def drop_table(self, path: TablePath | str, ignore_if_not_exists: bool) -> Pending[None]: ...
    def list_tables(self, database: str) -> Pending[list[str]]: ...
    def table_exists(self, path: TablePath | str) -> Pending[bool]: ...
    def get_table_info(self, path: TablePath | str) -> Pending[TableInfo]: ...
    def get_table_schema(self, path: TablePath | str, schema_id: int | None) -> Pending[tuple[int, Schema]]: ...
    def create_partition(
        self, path: TablePath | str, spec: dict[str, str], ignore_if_exists: bool
    ) -> Pending[None]: ...
    def drop_partition(
        self, path: TablePath | str, spec: dict[str, str], ignore_if_not_exists: bool
    ) -> Pending[None]: ...
    def list_partition_infos(
        self, path: TablePath | str, spec: dict[str, str] | None, with_system: bool
    ) -> Pending[list[PartitionInfo]]: ...
    def list_offsets(self, path: TablePath | str, buckets: list[int], spec: OffsetSpec) -> Pending[dict[int, int]]: ...
    def list_partition_offsets(
        self, path: TablePath | str, partition: str, buckets: list[int], spec: OffsetSpec
    ) -> Pending[dict[int, int]]: ...
    def list_table_offsets(self, path: TablePath | str, spec: OffsetSpec) -> Pending[dict[TableBucket, int]]: ...
    def get_row_count(self, path: TablePath | str) -> Pending[int]: ...
    def get_server_nodes(self) -> Pending[list[ServerNode]]: ...
    def list_database_summaries(self) -> Pending[list[DatabaseSummary]]: ...
    def alter_database(
        self, name: str, changes: list[AlterConfig], comment: str | None, ignore_if_not_exists: bool
    ) -> Pending[None]: ...
    def create_acls(self, acls: list[AclBinding]) -> Pending[None]: ...
    def create_user(self, name: str, password: str, ignore_if_exists: bool) -> Pending[None]: ...
    def alter_user(self, name: str, password: str, ignore_if_not_exists: bool) -> Pending[None]: ...
    def drop_user(self, name: str, ignore_if_not_exists: bool) -> Pending[None]: ...
    def list_users(self) -> Pending[list[UserInfo]]: ...
    def list_acls(self, wanted: AclBindingFilter) -> Pending[list[AclBinding]]: ...
    def drop_acls(self, filters: list[AclBindingFilter]) -> Pending[list[list[AclBinding]]]: ...
    def describe_cluster_configs(self) -> Pending[list[ConfigEntry]]: ...
    def alter_cluster_configs(self, changes: list[AlterConfig]) -> Pending[None]: ...
    def get_cluster_health(self) -> Pending[ClusterHealth]: ...
    def add_server_tag(self, servers: list[int], tag: int) -> Pending[None]: ...
    def add_server_tag_by_rack(self, racks: list[str], tag: int) -> Pending[None]: ...
    def remove_server_tag_by_rack(self, racks: list[str], tag: int) -> Pending[None]: ...
    def remove_server_tag(self, servers: list[int], tag: int) -> Pending[None]: ...
    def rebalance(self, goals: list[GoalType]) -> Pending[str]: ...
    def list_rebalance_progress(self, rebalance: str | None) -> Pending[RebalanceProgress | None]: ...
    def cancel_rebalance(self, rebalance: str | None) -> Pending[None]: ...
    def register_producer_offsets(
        self, producer: str, offsets: dict[TableBucket, int], ttl_ms: int | None
    ) -> Pending[RegisterResult]: ...
    def get_producer_offsets(self, producer: str) -> Pending[ProducerOffsetsResult | None]: ...
    def delete_producer_offsets(self, producer: str) -> Pending[None]: ...
    def get_latest_kv_snapshots(self, path: TablePath | str, partition: str | None) -> Pending[KvSnapshots]: ...
    def get_kv_snapshot_metadata(self, bucket: TableBucket, snapshot: int) -> Pending[KvSnapshotMetadata]: ...
    def list_kv_snapshots(self, table: int, partition: int | None) -> Pending[list[tuple[int, int]]]: ...
    def list_remote_log_manifests(self, table: int, partition: int | None) -> Pending[list[RemoteLogManifest]]: ...
    def get_lake_snapshot(
        self, path: TablePath | str, snapshot: int | None, readable: bool
    ) -> Pending[LakeSnapshot]: ...
    def create_kv_snapshot_lease(self, lease_id: str, duration_ms: int) -> KvSnapshotLease: ...

@final
class KvSnapshotLease:
    @property
    def lease_id(self) -> str: ...
    @property
    def lease_duration_ms(self) -> int: ...
    def acquire_snapshots(self, snapshots: dict[TableBucket, int]) -> Pending[dict[TableBucket, int]]: ...
    def renew(self) -> Pending[None]: ...
    def release_snapshots(self, buckets: list[TableBucket]) -> Pending[None]: ...
    def drop_lease(self) -> Pending[None]: ...

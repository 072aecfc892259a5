"""A client for Apache Fluss: log and primary-key tables with an Arrow data path.

::

    import fluss

    with fluss.connect("fluss://localhost:9123") as connection:
        table = connection.get_table("fluss.people")
        with table.new_append().create_writer() as writer:
            writer.append([1, "Ada"])
        with table.new_scan().create_log_scanner() as scanner:
            scanner.subscribe_from_beginning()
            print(scanner.poll_arrow(1000).to_pandas())

============================  ============================================================
`fluss.client`                the blocking client: connections, tables, writers, scanners
`fluss.client.admin`          administration of a cluster
`fluss.aio`                   the same, to be awaited
`fluss.sql`, `fluss.aio.sql`  SQL: a client for it, and DB-API 2.0
`fluss.streams`               event streams with expected versions (`fluss.aio.streams`: to be awaited)
`fluss.replica`               local copies of tables that follow them (`fluss.aio.replica`: to be awaited)
`fluss.config`                options
`fluss.metadata`              schemas, descriptors, paths, snapshots
`fluss.cluster`               settings, tags of servers, rebalances, health
`fluss.security`              rights
`fluss.types`                 data types, and which Python values they take and give
`fluss.errors`                exceptions
`fluss.compat`                the names of pyfluss 1.0, which are here, too
============================  ============================================================

`AppendWriter`, `LogScanner` and the like are here the bases of those of `fluss.client`, `fluss.aio` and `fluss.compat`.
"""

from fluss import (
    _logging,
    aio,
    client,
    cluster,
    compat,
    config,
    errors,
    metadata,
    replica,
    security,
    sql,
    streams,
    types,
)
from fluss._bases import (
    AppendWriter,
    LogScanner,
    Lookuper,
    PrefixLookuper,
    TableAppend,
    TableLookup,
    TablePrefixLookup,
    TableScan,
    TableUpsert,
    UpsertWriter,
)
from fluss._fluss import OffsetSpec, RecordBatch, ScanRecord, ScanRecords, __version__
from fluss._metrics import Distribution, Metric, metrics
from fluss.client import Connection, attach_replica, connect, open_replica
from fluss.compat import (
    EARLIEST_OFFSET,
    BatchScanner,
    ColumnRef,
    Config,
    FlussAdmin,
    FlussConnection,
    FlussTable,
    LakeSnapshot,
    Predicate,
    WriteResultHandle,
    col,
)
from fluss.config import Configuration
from fluss.errors import (
    AlreadyExistsError,
    ArgumentError,
    ArgumentTypeError,
    AuthenticationError,
    AuthError,
    BufferFullError,
    ClosedError,
    ConfigError,
    ConnectionError,
    ConstraintViolationError,
    DataError,
    ErrorCode,
    ExpiredError,
    FlussError,
    ForkError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QueryError,
    SchemaError,
    ServerError,
    StorageError,
    TimeoutError,
    UnsupportedError,
    UnsupportedQueryError,
)
from fluss.metadata import (
    ChangeType,
    DatabaseDescriptor,
    DatabaseInfo,
    PartitionInfo,
    Schema,
    ServerNode,
    TableBucket,
    TableChange,
    TableDescriptor,
    TableInfo,
    TablePath,
)
from fluss.types import DataType, DataTypes, Timestamp

_logging.start()

__all__ = [
    "EARLIEST_OFFSET",
    "AlreadyExistsError",
    "AppendWriter",
    "ArgumentError",
    "ArgumentTypeError",
    "AuthError",
    "AuthenticationError",
    "BatchScanner",
    "BufferFullError",
    "ChangeType",
    "ClosedError",
    "ColumnRef",
    "Config",
    "ConfigError",
    "Configuration",
    "Connection",
    "ConnectionError",
    "ConstraintViolationError",
    "DataError",
    "DataType",
    "DataTypes",
    "DatabaseDescriptor",
    "DatabaseInfo",
    "Distribution",
    "ErrorCode",
    "ExpiredError",
    "FlussAdmin",
    "FlussConnection",
    "FlussError",
    "FlussTable",
    "ForkError",
    "LakeSnapshot",
    "LogScanner",
    "Lookuper",
    "Metric",
    "NotFoundError",
    "OffsetSpec",
    "PartitionInfo",
    "PermissionDeniedError",
    "Predicate",
    "PrefixLookuper",
    "ProtocolError",
    "QueryError",
    "RecordBatch",
    "ScanRecord",
    "ScanRecords",
    "Schema",
    "SchemaError",
    "ServerError",
    "ServerNode",
    "StorageError",
    "TableAppend",
    "TableBucket",
    "TableChange",
    "TableDescriptor",
    "TableInfo",
    "TableLookup",
    "TablePath",
    "TablePrefixLookup",
    "TableScan",
    "TableUpsert",
    "TimeoutError",
    "Timestamp",
    "UnsupportedError",
    "UnsupportedQueryError",
    "UpsertWriter",
    "WriteResultHandle",
    "__version__",
    "aio",
    "attach_replica",
    "client",
    "cluster",
    "col",
    "compat",
    "config",
    "connect",
    "errors",
    "metadata",
    "metrics",
    "open_replica",
    "replica",
    "security",
    "sql",
    "streams",
    "types",
]

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
`fluss.client.admin`          administration of databases, tables and partitions
`fluss.aio`                   the same, to be awaited
`fluss.config`                options
`fluss.metadata`              schemas, descriptors, paths
`fluss.types`                 data types, and which Python values they take and give
`fluss.errors`                exceptions
============================  ============================================================
"""

from fluss import aio, client, config, errors, metadata, types
from fluss._fluss import __version__
from fluss.client import Connection, connect
from fluss.config import Configuration
from fluss.errors import (
    AlreadyExistsError,
    ArgumentError,
    AuthError,
    ClosedError,
    ConfigError,
    ConnectionError,
    DataError,
    FlussError,
    ForkError,
    NotFoundError,
    ProtocolError,
    SchemaError,
    ServerError,
    TimeoutError,
)
from fluss.metadata import DatabaseDescriptor, Schema, TableBucket, TableDescriptor, TableInfo, TablePath
from fluss.types import DataType, DataTypes, Timestamp

__all__ = [
    "AlreadyExistsError",
    "ArgumentError",
    "AuthError",
    "ClosedError",
    "ConfigError",
    "Configuration",
    "Connection",
    "ConnectionError",
    "DataError",
    "DataType",
    "DataTypes",
    "DatabaseDescriptor",
    "FlussError",
    "ForkError",
    "NotFoundError",
    "ProtocolError",
    "Schema",
    "SchemaError",
    "ServerError",
    "TableBucket",
    "TableDescriptor",
    "TableInfo",
    "TablePath",
    "TimeoutError",
    "Timestamp",
    "__version__",
    "aio",
    "client",
    "config",
    "connect",
    "errors",
    "metadata",
    "types",
]

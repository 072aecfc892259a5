"""What databases and tables are: schemas, descriptors, paths."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from fluss._fluss import Schema, SchemaBuilder, TableBucket, TableChange, TableDescriptor, TableInfo, TablePath
from fluss.errors import SchemaError

__all__ = [
    "ChangeType",
    "DatabaseDescriptor",
    "DatabaseInfo",
    "PartitionInfo",
    "Schema",
    "SchemaBuilder",
    "ServerNode",
    "TableBucket",
    "TableChange",
    "TableDescriptor",
    "TableDescriptorBuilder",
    "TableInfo",
    "TablePath",
]


class ChangeType(IntEnum):
    """What a record did to its key. Rows of log tables are `AppendOnly`."""

    AppendOnly = 0
    Insert = 1
    UpdateBefore = 2
    UpdateAfter = 3
    Delete = 4

    def short_string(self) -> str:
        """``+A``, ``+I``, ``-U``, ``+U`` or ``-D``."""
        return ("+A", "+I", "-U", "+U", "-D")[self]


@dataclass(init=False)
class DatabaseDescriptor:
    """What a database is to be, and what the server says that it is."""

    comment: str | None
    custom_properties: dict[str, str]

    def __init__(self, comment: str | None = None, custom_properties: Mapping[str, str] | None = None) -> None:
        self.comment = comment
        self.custom_properties = dict(custom_properties or {})

    def add_custom_property(self, key: str, value: str) -> Self:
        """Sets a property of the user's own."""
        self.custom_properties[key] = value
        return self

    def get_custom_properties(self) -> dict[str, str]:
        """The user's own properties."""
        return dict(self.custom_properties)


@dataclass(frozen=True)
class DatabaseInfo:
    """A database as it stands on the server. Times are milliseconds since 1970."""

    database_name: str
    descriptor: DatabaseDescriptor
    created_time: int
    modified_time: int

    def get_database_descriptor(self) -> DatabaseDescriptor:
        """Its comment and properties."""
        return self.descriptor


@dataclass(frozen=True)
class PartitionInfo:
    """A partition of a table; ``partition_spec`` has the value of each partition key as text."""

    partition_id: int
    partition_name: str
    partition_spec: Mapping[str, str]


@dataclass(frozen=True)
class ServerNode:
    """A server of the cluster; ``server_type`` is ``CoordinatorServer`` or ``TabletServer``."""

    id: int
    host: str
    port: int
    server_type: str

    @property
    def uid(self) -> str:
        """A name of the server that is unique in the cluster."""
        return f"cs-{self.id}" if self.server_type == "CoordinatorServer" else f"ts-{self.id}"


class TableDescriptorBuilder:
    """Puts a table's descriptor together; `build` checks it."""

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._comment: str | None = None
        self._partition_keys: list[str] = []
        self._bucket_count: int | None = None
        self._bucket_keys: list[str] = []
        self._properties: dict[str, str] = {}
        self._custom_properties: dict[str, str] = {}

    def schema(self, schema: Schema) -> Self:
        """Sets the columns and the primary key."""
        self._schema = schema
        return self

    def comment(self, comment: str) -> Self:
        """Sets the comment."""
        self._comment = comment
        return self

    def partitioned_by(self, *keys: str | Iterable[str]) -> Self:
        """Names the columns whose values choose the partition."""
        self._partition_keys = _names(keys)
        return self

    def distributed_by(self, bucket_count: int | None, *keys: str | Iterable[str]) -> Self:
        """Sets the number of buckets (None: the server's default) and the columns whose values choose the bucket."""
        self._bucket_count = bucket_count
        self._bucket_keys = _names(keys)
        return self

    def property(self, key: str, value: object) -> Self:
        """Sets a ``table.*`` property."""
        self._properties[key] = _text(value)
        return self

    def properties(self, properties: Mapping[str, object]) -> Self:
        """Sets ``table.*`` properties."""
        self._properties.update({key: _text(value) for key, value in properties.items()})
        return self

    def custom_property(self, key: str, value: str) -> Self:
        """Sets a property of the user's own."""
        self._custom_properties[key] = value
        return self

    def custom_properties(self, properties: Mapping[str, str]) -> Self:
        """Sets properties of the user's own."""
        self._custom_properties.update(properties)
        return self

    def log_format(self, log_format: str) -> Self:
        """Sets how the log is laid out: ARROW (default), INDEXED or COMPACTED."""
        return self.property("table.log.format", log_format)

    def kv_format(self, kv_format: str) -> Self:
        """Sets how rows of a primary-key table are laid out: COMPACTED (default) or INDEXED."""
        return self.property("table.kv.format", kv_format)

    def build(self) -> TableDescriptor:
        """The descriptor; `fluss.SchemaError` if it is not allowed."""
        if self._schema is None:
            raise SchemaError("a table needs a schema")
        return TableDescriptor(
            self._schema,
            partition_keys=self._partition_keys,
            bucket_count=self._bucket_count,
            bucket_keys=self._bucket_keys,
            comment=self._comment,
            properties=self._properties,
            custom_properties=self._custom_properties,
        )


def _names(keys: tuple[str | Iterable[str], ...]) -> list[str]:
    """Names that were given one by one or in lists."""
    return [name for key in keys for name in ([key] if isinstance(key, str) else key)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

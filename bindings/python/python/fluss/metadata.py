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
    "DatabaseSummary",
    "FsPathAndFileName",
    "KvSnapshot",
    "KvSnapshotMetadata",
    "KvSnapshots",
    "LakeSnapshot",
    "PartitionInfo",
    "ProducerOffsetsResult",
    "RegisterResult",
    "RemoteLogManifest",
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
class DatabaseSummary:
    """A database in a list. The time is in milliseconds since 1970."""

    database_name: str
    created_time: int
    table_count: int


@dataclass(frozen=True)
class PartitionInfo:
    """A partition of a table; ``partition_spec`` has the value of each partition key as text.

    ``bucket_count`` is the number of its buckets. Those of one table may differ.
    """

    partition_id: int
    partition_name: str
    partition_spec: Mapping[str, str]
    bucket_count: int


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


@dataclass(frozen=True)
class KvSnapshot:
    """A snapshot of the rows of one bucket; the changelog goes on behind it at ``log_offset``."""

    snapshot_id: int
    log_offset: int


@dataclass(frozen=True)
class KvSnapshots:
    """The latest snapshot of every bucket of a primary-key table, or of one partition; None where there is none."""

    table_id: int
    partition_id: int | None
    snapshots: Mapping[int, KvSnapshot | None]

    @property
    def bucket_ids(self) -> set[int]:
        """The buckets."""
        return set(self.snapshots)

    def get_snapshot_id(self, bucket_id: int) -> int | None:
        """The number of a bucket's latest snapshot."""
        snapshot = self.snapshots[bucket_id]
        return None if snapshot is None else snapshot.snapshot_id

    def get_log_offset(self, bucket_id: int) -> int | None:
        """Where a bucket's changelog goes on behind its latest snapshot."""
        snapshot = self.snapshots[bucket_id]
        return None if snapshot is None else snapshot.log_offset


@dataclass(frozen=True)
class FsPathAndFileName:
    """A file of a snapshot: where it is in remote storage, and what it has to be called beside the others."""

    path: str
    file_name: str


@dataclass(frozen=True)
class KvSnapshotMetadata:
    """What a snapshot consists of: a RocksDB checkpoint, and where the changelog goes on behind it."""

    snapshot_files: list[FsPathAndFileName]
    log_offset: int


@dataclass(frozen=True)
class RemoteLogManifest:
    """The file that lists what is in remote storage of a bucket's log, and up to where (exclusive) that reaches."""

    table_bucket: TableBucket
    remote_log_manifest_path: str
    remote_log_end_offset: int


class LakeSnapshot:
    """A snapshot of a table in a lake, and the offset up to which it holds each bucket."""

    def __init__(self, snapshot_id: int, table_buckets_offset: Mapping[TableBucket, int] | None = None) -> None:
        self._snapshot_id = snapshot_id
        self._offsets = dict(table_buckets_offset or {})

    @property
    def snapshot_id(self) -> int:
        """The snapshot's number."""
        return self._snapshot_id

    @property
    def table_buckets_offset(self) -> dict[TableBucket, int]:
        """The offset of each bucket."""
        return dict(self._offsets)

    def get_bucket_offset(self, bucket: TableBucket) -> int | None:
        """The offset of a bucket, if the snapshot has it."""
        return self._offsets.get(bucket)

    def get_table_buckets(self) -> list[TableBucket]:
        """The buckets that the snapshot has."""
        return list(self._offsets)

    def __repr__(self) -> str:
        return f"LakeSnapshot(snapshot_id={self._snapshot_id}, buckets_count={len(self._offsets)})"


class RegisterResult(IntEnum):
    """What has come of `Admin.register_producer_offsets`: where there were offsets already, those stay."""

    CREATED = 0
    ALREADY_EXISTS = 1


@dataclass(frozen=True)
class ProducerOffsetsResult:
    """Where the logs that a producer writes ended before it began, by table; kept until ``expiration_time`` (ms)."""

    producer_id: str
    table_offsets: Mapping[int, Mapping[TableBucket, int]]
    expiration_time: int


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

"""Administration of a cluster, to be awaited."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import final

from fluss import _fluss
from fluss._fluss import OffsetSpec
from fluss._read import whole_millis
from fluss._waits import Timeout
from fluss.cluster import (
    AlterConfig,
    ClusterHealth,
    ConfigEntry,
    GoalType,
    RebalanceProgress,
    ServerTag,
)
from fluss.metadata import (
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
    Schema,
    ServerNode,
    TableBucket,
    TableChange,
    TableDescriptor,
    TableInfo,
    TablePath,
)
from fluss.security import ANY_ACL, AclBinding, AclBindingFilter, UserInfo

__all__ = ["Admin", "KvSnapshotLease", "OffsetSpec"]


class Admin:
    """Administers a cluster; had from ``Connection.get_admin()``.

    Every call takes ``timeout=``: seconds or a ``timedelta`` that it has, in place of ``client.request-timeout``.

    Tables are named by a `TablePath` or as ``"database.table"``. What is missing raises `fluss.NotFoundError`, what is
    there already `fluss.AlreadyExistsError`, a name or definition that is not allowed `fluss.SchemaError`. What
    changes something is sent once: after a `fluss.TimeoutError` it may have taken effect all the same. What the server
    does not offer raises `fluss.UnsupportedError`, which says what the server is.
    """

    def __init__(self, core: _fluss.Admin) -> None:
        self._core = core

    async def create_database(
        self,
        database_name: str,
        database_descriptor: DatabaseDescriptor | None = None,
        ignore_if_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Creates a database."""
        return await self._core.create_database(database_name, database_descriptor, ignore_if_exists).within(timeout)

    async def drop_database(
        self, database_name: str, ignore_if_not_exists: bool = False, cascade: bool = False, *, timeout: Timeout = None
    ) -> None:
        """Drops a database, which has no tables; with ``cascade`` also one that has, and its tables with it."""
        return await self._core.drop_database(database_name, ignore_if_not_exists, cascade).within(timeout)

    async def list_databases(self, *, timeout: Timeout = None) -> list[str]:
        """The names of all databases, sorted."""
        return await self._core.list_databases().within(timeout)

    async def database_exists(self, database_name: str, *, timeout: Timeout = None) -> bool:
        """Whether there is a database of this name."""
        return await self._core.database_exists(database_name).within(timeout)

    async def get_database_info(self, database_name: str, *, timeout: Timeout = None) -> DatabaseInfo:
        """A database's comment, properties and times."""
        return await self._core.get_database_info(database_name).within(timeout)

    async def create_table(
        self,
        table_path: TablePath | str,
        table_descriptor: TableDescriptor,
        ignore_if_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Creates a table. Writers and scanners wait until its buckets have leaders."""
        return await self._core.create_table(table_path, table_descriptor, ignore_if_exists).within(timeout)

    async def alter_table(
        self,
        table_path: TablePath | str,
        changes: Iterable[TableChange],
        ignore_if_not_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Changes properties of a table, or adds columns to it: all of the changes, or none.

        Whoever has the table already goes on with the columns that it had; ``connection.get_table`` gives one with the
        new ones, which are null in the rows from before.
        """
        return await self._core.alter_table(table_path, list(changes), ignore_if_not_exists).within(timeout)

    async def set_bucket_count(self, table_path: TablePath | str, count: int, *, timeout: Timeout = None) -> None:
        """Gives the partitions of a table that are created from now on another number of buckets.

        Those that there are keep theirs: writers, readers and look-ups go on as they are. A server that is older than
        1.0 cannot do it: ``UnsupportedError``, and nothing is sent.
        """
        await self._core.alter_table(table_path, [TableChange.bucket_count(count)], False).within(timeout)

    async def drop_table(
        self, table_path: TablePath | str, ignore_if_not_exists: bool = False, *, timeout: Timeout = None
    ) -> None:
        """Drops a table."""
        return await self._core.drop_table(table_path, ignore_if_not_exists).within(timeout)

    async def list_tables(self, database_name: str, *, timeout: Timeout = None) -> list[str]:
        """The names of a database's tables, sorted."""
        return await self._core.list_tables(database_name).within(timeout)

    async def table_exists(self, table_path: TablePath | str, *, timeout: Timeout = None) -> bool:
        """Whether there is a table of this path."""
        return await self._core.table_exists(table_path).within(timeout)

    async def get_table_info(self, table_path: TablePath | str, *, timeout: Timeout = None) -> TableInfo:
        """A table's identity, schema and properties."""
        return await self._core.get_table_info(table_path).within(timeout)

    async def get_table_schema(
        self, table_path: TablePath | str, schema_id: int | None = None, *, timeout: Timeout = None
    ) -> tuple[int, Schema]:
        """A version of a table's schema and its number; the latest if none is named."""
        return await self._core.get_table_schema(table_path, schema_id).within(timeout)

    async def create_partition(
        self,
        table_path: TablePath | str,
        partition_spec: Mapping[str, str],
        ignore_if_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Creates the partition that has these values of the partition keys."""
        return await self._core.create_partition(table_path, dict(partition_spec), ignore_if_exists).within(timeout)

    async def drop_partition(
        self,
        table_path: TablePath | str,
        partition_spec: Mapping[str, str],
        ignore_if_not_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Drops the partition that has these values of the partition keys."""
        return await self._core.drop_partition(table_path, dict(partition_spec), ignore_if_not_exists).within(timeout)

    async def list_partition_infos(
        self,
        table_path: TablePath | str,
        partition_spec: Mapping[str, str] | None = None,
        include_system_partitions: bool = False,
        *,
        timeout: Timeout = None,
    ) -> list[PartitionInfo]:
        """A table's partitions; with a spec, those that have its values.

        With ``include_system_partitions`` also the one that a cluster keeps for itself, ``__historical__``, if there is
        one.
        """
        spec = None if partition_spec is None else dict(partition_spec)
        return await self._core.list_partition_infos(table_path, spec, include_system_partitions).within(timeout)

    async def list_offsets(
        self,
        table_path: TablePath | str,
        bucket_ids: Iterable[int],
        offset_spec: OffsetSpec,
        *,
        timeout: Timeout = None,
    ) -> dict[int, int]:
        """The offset of each of these buckets of a table without partitions."""
        return await self._core.list_offsets(table_path, list(bucket_ids), offset_spec).within(timeout)

    async def list_partition_offsets(
        self,
        table_path: TablePath | str,
        partition_name: str,
        bucket_ids: Iterable[int],
        offset_spec: OffsetSpec,
        *,
        timeout: Timeout = None,
    ) -> dict[int, int]:
        """The offset of each of these buckets of a partition, which is named as `list_partition_infos` names it."""
        return await self._core.list_partition_offsets(
            table_path, partition_name, list(bucket_ids), offset_spec
        ).within(timeout)

    async def list_table_offsets(
        self, table_path: TablePath | str, offset_spec: OffsetSpec, *, timeout: Timeout = None
    ) -> dict[TableBucket, int]:
        """The offset of every bucket of the table, in all of its partitions."""
        return await self._core.list_table_offsets(table_path, offset_spec).within(timeout)

    async def get_row_count(self, table_path: TablePath | str, *, timeout: Timeout = None) -> int:
        """The number of rows in a table, in all of its partitions."""
        return await self._core.get_row_count(table_path).within(timeout)

    async def get_server_nodes(self, *, timeout: Timeout = None) -> list[ServerNode]:
        """The coordinator and the tablet servers that are alive."""
        return await self._core.get_server_nodes().within(timeout)

    async def list_database_summaries(self, *, timeout: Timeout = None) -> list[DatabaseSummary]:
        """All databases with the number of their tables, sorted by name."""
        return await self._core.list_database_summaries().within(timeout)

    async def alter_database(
        self,
        database_name: str,
        config_changes: Iterable[AlterConfig] = (),
        comment: str | None = None,
        ignore_if_not_exists: bool = False,
        *,
        timeout: Timeout = None,
    ) -> None:
        """Changes properties of a database, and its comment if one is given. A server of Fluss 0.9 cannot."""
        return await self._core.alter_database(
            database_name, list(config_changes), comment, ignore_if_not_exists
        ).within(timeout)

    async def create_acls(self, acl_bindings: Iterable[AclBinding], *, timeout: Timeout = None) -> None:
        """Gives rights; those that are given already stay. Code 47 where nobody is asked for rights."""
        return await self._core.create_acls(list(acl_bindings)).within(timeout)

    async def list_acls(
        self, acl_binding_filter: AclBindingFilter = ANY_ACL, *, timeout: Timeout = None
    ) -> list[AclBinding]:
        """The rights that a filter finds, of those about resources that the caller may see."""
        return await self._core.list_acls(acl_binding_filter).within(timeout)

    async def drop_acls(
        self, acl_binding_filters: Iterable[AclBindingFilter], *, timeout: Timeout = None
    ) -> list[list[AclBinding]]:
        """Takes away the rights that filters find, and gives those that each found."""
        return await self._core.drop_acls(list(acl_binding_filters)).within(timeout)

    async def create_user(
        self, name: str, password: str, ignore_if_exists: bool = False, *, timeout: Timeout = None
    ) -> None:
        """Creates a user of an embedded node, who can log in at once.

        With ``ignore_if_exists`` one that exists stays as it is, with its password. Where rights are asked for, it
        takes the one to alter the cluster. A cluster has no such users: `fluss.UnsupportedError`, and nothing is sent.
        Nor is a password sent to another machine in clear.
        """
        return await self._core.create_user(name, password, ignore_if_exists).within(timeout)

    async def alter_user(
        self, name: str, password: str, ignore_if_not_exists: bool = False, *, timeout: Timeout = None
    ) -> None:
        """Gives a user of an embedded node another password; everybody may change their own.

        Connections on which the user has logged in are closed, but for the one that asks.
        """
        return await self._core.alter_user(name, password, ignore_if_not_exists).within(timeout)

    async def drop_user(self, name: str, ignore_if_not_exists: bool = False, *, timeout: Timeout = None) -> None:
        """Drops a user of an embedded node, with its rights, and closes its connections."""
        return await self._core.drop_user(name, ignore_if_not_exists).within(timeout)

    async def list_users(self, *, timeout: Timeout = None) -> list[UserInfo]:
        """The users of an embedded node, sorted by name, and where they stand."""
        return await self._core.list_users().within(timeout)

    async def describe_cluster_configs(self, *, timeout: Timeout = None) -> list[ConfigEntry]:
        """The settings of the cluster that somebody has set. A 0.9.1 server shows passwords too."""
        return await self._core.describe_cluster_configs().within(timeout)

    async def alter_cluster_configs(self, alter_configs: Iterable[AlterConfig], *, timeout: Timeout = None) -> None:
        """Changes settings while the cluster runs: all of the changes, or none."""
        return await self._core.alter_cluster_configs(list(alter_configs)).within(timeout)

    async def get_cluster_health(self, *, timeout: Timeout = None) -> ClusterHealth:
        """Whether every bucket has a leader, and every replica is in sync. A server of Fluss 0.9 cannot tell."""
        return await self._core.get_cluster_health().within(timeout)

    async def add_server_tag(
        self, tablet_servers: Iterable[int], server_tag: ServerTag, *, timeout: Timeout = None
    ) -> None:
        """Tags tablet servers; a tag that they have already is fine."""
        return await self._core.add_server_tag(list(tablet_servers), server_tag).within(timeout)

    async def remove_server_tag(
        self, tablet_servers: Iterable[int], server_tag: ServerTag, *, timeout: Timeout = None
    ) -> None:
        """Takes a tag off tablet servers; a server without any is fine."""
        return await self._core.remove_server_tag(list(tablet_servers), server_tag).within(timeout)

    async def add_server_tag_by_rack(
        self, racks: Iterable[str], server_tag: ServerTag, *, timeout: Timeout = None
    ) -> None:
        """Tags all tablet servers of racks that are alive; a rack without any is passed over. Since Fluss 1.0."""
        return await self._core.add_server_tag_by_rack(list(racks), server_tag).within(timeout)

    async def remove_server_tag_by_rack(
        self, racks: Iterable[str], server_tag: ServerTag, *, timeout: Timeout = None
    ) -> None:
        """Takes a tag off all tablet servers of racks that are alive. Since Fluss 1.0."""
        return await self._core.remove_server_tag_by_rack(list(racks), server_tag).within(timeout)

    async def rebalance(self, priority_goals: Iterable[GoalType], *, timeout: Timeout = None) -> str:
        """Begins to move replicas and leaders, and gives the name by which `list_rebalance_progress` knows it."""
        return await self._core.rebalance(list(priority_goals)).within(timeout)

    async def list_rebalance_progress(
        self, rebalance_id: str | None = None, *, timeout: Timeout = None
    ) -> RebalanceProgress | None:
        """How far a rebalance has come, the current or last one if none is named; None if there was none."""
        return await self._core.list_rebalance_progress(rebalance_id).within(timeout)

    async def cancel_rebalance(self, rebalance_id: str | None = None, *, timeout: Timeout = None) -> None:
        """Calls a rebalance off, the current one if none is named. What has moved stays where it is."""
        return await self._core.cancel_rebalance(rebalance_id).within(timeout)

    async def register_producer_offsets(
        self,
        producer_id: str,
        offsets: Mapping[TableBucket, int],
        ttl_ms: int | timedelta | None = None,
        *,
        timeout: Timeout = None,
    ) -> RegisterResult:
        """Keeps offsets for a producer, unless there are some; for ``ttl_ms`` (milliseconds or a ``timedelta``), or the
        server's default of 24 hours.
        """
        ttl = None if ttl_ms is None else whole_millis(ttl_ms)
        return await self._core.register_producer_offsets(producer_id, dict(offsets), ttl).within(timeout)

    async def get_producer_offsets(self, producer_id: str, *, timeout: Timeout = None) -> ProducerOffsetsResult | None:
        """The offsets that are kept for a producer, of tables that the caller may read."""
        return await self._core.get_producer_offsets(producer_id).within(timeout)

    async def delete_producer_offsets(self, producer_id: str, *, timeout: Timeout = None) -> None:
        """Forgets the offsets of a producer; none is fine."""
        return await self._core.delete_producer_offsets(producer_id).within(timeout)

    async def get_latest_kv_snapshots(
        self, table_path: TablePath | str, partition_name: str | None = None, *, timeout: Timeout = None
    ) -> KvSnapshots:
        """The latest snapshot of every bucket of a primary-key table, or of one of its partitions."""
        return await self._core.get_latest_kv_snapshots(table_path, partition_name).within(timeout)

    async def get_kv_snapshot_metadata(
        self, bucket: TableBucket, snapshot_id: int, *, timeout: Timeout = None
    ) -> KvSnapshotMetadata:
        """What a snapshot consists of; `fluss.NotFoundError` if there is none of this number."""
        return await self._core.get_kv_snapshot_metadata(bucket, snapshot_id).within(timeout)

    async def list_kv_snapshots(
        self, table_id: int, partition_id: int | None = None, *, timeout: Timeout = None
    ) -> list[tuple[int, int]]:
        """Every snapshot that is retained or leased: pairs of a bucket and a snapshot.

        A server of Fluss 0.9 cannot tell.
        """
        return await self._core.list_kv_snapshots(table_id, partition_id).within(timeout)

    async def list_remote_log_manifests(
        self, table_id: int, partition_id: int | None = None, *, timeout: Timeout = None
    ) -> list[RemoteLogManifest]:
        """What is in remote storage of the logs of a table or partition. A server of Fluss 0.9 cannot tell."""
        return await self._core.list_remote_log_manifests(table_id, partition_id).within(timeout)

    async def get_latest_lake_snapshot(self, table_path: TablePath | str, *, timeout: Timeout = None) -> LakeSnapshot:
        """The latest snapshot of a table in its lake; `fluss.NotFoundError` if there is none."""
        return await self._core.get_lake_snapshot(table_path, None, False).within(timeout)

    async def get_lake_snapshot(
        self, table_path: TablePath | str, snapshot_id: int, *, timeout: Timeout = None
    ) -> LakeSnapshot:
        """A snapshot of a table in its lake, by its number."""
        return await self._core.get_lake_snapshot(table_path, snapshot_id, False).within(timeout)

    async def get_readable_lake_snapshot(self, table_path: TablePath | str, *, timeout: Timeout = None) -> LakeSnapshot:
        """The latest snapshot of a table in its lake that can be read."""
        return await self._core.get_lake_snapshot(table_path, None, True).within(timeout)

    def create_kv_snapshot_lease(self, lease_id: str, lease_duration_ms: int | timedelta) -> "KvSnapshotLease":
        """A lease of this name, of milliseconds or a ``timedelta``. Nothing is asked of the cluster until it holds
        something.
        """
        return KvSnapshotLease(self._core.create_kv_snapshot_lease(lease_id, whole_millis(lease_duration_ms)))


@final
class KvSnapshotLease:
    """A lease on snapshots of primary-key tables: as long as it runs, the cluster deletes none of those that it holds.

    It is a name and a duration; what it holds is kept by the cluster. It ends by `drop_lease`, or when it was not
    renewed for its duration. An embedded node keeps no snapshots, and has no leases.
    """

    def __init__(self, core: _fluss.KvSnapshotLease) -> None:
        self._core = core

    @property
    def lease_id(self) -> str:
        """The name."""
        return self._core.lease_id

    @property
    def lease_duration_ms(self) -> int:
        """How long it runs from when something was last acquired or it was renewed."""
        return self._core.lease_duration_ms

    async def acquire_snapshots(
        self, snapshot_ids: Mapping[TableBucket, int], *, timeout: Timeout = None
    ) -> dict[TableBucket, int]:
        """Holds snapshots, too, one of each bucket, and renews the lease. Gives those that could not be had."""
        return await self._core.acquire_snapshots(dict(snapshot_ids)).within(timeout)

    async def renew(self, *, timeout: Timeout = None) -> None:
        """Has the lease run for its duration from now."""
        return await self._core.renew().within(timeout)

    async def release_snapshots(self, buckets: Iterable[TableBucket], *, timeout: Timeout = None) -> None:
        """Holds nothing of these buckets any more."""
        return await self._core.release_snapshots(list(buckets)).within(timeout)

    async def drop_lease(self, *, timeout: Timeout = None) -> None:
        """Ends the lease with all that it holds. One that is not there is fine."""
        return await self._core.drop_lease().within(timeout)

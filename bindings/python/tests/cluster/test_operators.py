"""Settings, rights, producers, snapshots and rebalances, in both faces."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import create_table, settle
from fluss.cluster import (
    AlterConfig,
    AlterConfigOpType,
    ClusterHealthStatus,
    ConfigSource,
    GoalType,
    RebalanceStatus,
    ServerTag,
)
from fluss.metadata import RegisterResult, TableBucket, TableDescriptor
from fluss.security import (
    AccessControlEntryFilter,
    AclBinding,
    AclBindingFilter,
    FlussPrincipal,
    OperationType,
    Resource,
    ResourceFilter,
    ResourceType,
)
from fluss_cluster import Cluster, Node

LIMIT = "kv.rocksdb.shared-rate-limiter.bytes-per-sec"
KEYED = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
LOG = fluss.Schema.new_builder().column("id", "INT").build()

Body = Callable[[Any], Awaitable[None]]


def run(face: ModuleType, target: str, body: Body, options: dict[str, str] | None = None) -> None:
    """Runs a test with the admin of a connection of either face."""

    async def main() -> None:
        connection = await settle(face.connect(target, options))
        try:
            await body(connection.get_admin())
        finally:
            await settle(connection.close())

    asyncio.run(main())


async def refused(what: type[fluss.FlussError], act: Callable[[], Any]) -> Any:
    """The error with which something is refused, when it is called or when it is awaited."""
    with pytest.raises(what) as raised:
        pending = act()
        if isawaitable(pending):
            await pending
    return raised.value


async def new_table(admin: Any, face: ModuleType, schema: fluss.Schema, buckets: int = 1) -> fluss.TableInfo:
    path = f"fluss.operated_{face.__name__.replace('.', '_')}_{time.monotonic_ns()}"
    await create_table(admin, path, TableDescriptor(schema, bucket_count=buckets))
    info: fluss.TableInfo = await settle(admin.get_table_info(path))
    return info


def test_settings_change_while_servers_run(face: ModuleType, target: str) -> None:
    async def body(admin: Any) -> None:
        await settle(admin.alter_cluster_configs([AlterConfig(LIMIT, "100mb")]))
        entries = {entry.key: entry for entry in await settle(admin.describe_cluster_configs())}
        assert (entries[LIMIT].value, entries[LIMIT].source) == ("100mb", ConfigSource.DYNAMIC_SERVER_CONFIG)
        await settle(admin.alter_cluster_configs([AlterConfig(LIMIT, None, AlterConfigOpType.DELETE)]))
        entries = {entry.key: entry for entry in await settle(admin.describe_cluster_configs())}
        assert all(entry.source == ConfigSource.INITIAL_SERVER_CONFIG for entry in entries.values())
        error = await refused(fluss.ServerError, lambda: admin.alter_cluster_configs([AlterConfig("data.dir", "/")]))
        assert error.operation == "alter cluster configs"
        await refused(fluss.ArgumentError, lambda: admin.alter_cluster_configs([AlterConfig(LIMIT, None)]))

    run(face, target, body)


def test_databases_are_summed_up(face: ModuleType, target: str) -> None:
    async def body(admin: Any) -> None:
        await settle(admin.create_database("summed", ignore_if_exists=True))
        await settle(admin.create_table("summed.t", TableDescriptor(LOG), True))  # not written
        found = {summary.database_name: summary for summary in await settle(admin.list_database_summaries())}
        assert found["summed"].table_count == 1 and found["summed"].created_time > 0
        await settle(admin.drop_database("summed", cascade=True))

    run(face, target, body)


def test_producers_find_their_offsets_again(face: ModuleType, target: str) -> None:
    async def body(admin: Any) -> None:
        info = await new_table(admin, face, LOG, 2)
        offsets = {TableBucket(info.table_id, bucket): 5 + bucket for bucket in range(2)}
        assert await settle(admin.get_producer_offsets("job")) is None
        before = int(time.time() * 1000)
        for expected in (RegisterResult.CREATED, RegisterResult.ALREADY_EXISTS):
            assert await settle(admin.register_producer_offsets("job", offsets, 3_600_000)) is expected
        found = await settle(admin.get_producer_offsets("job"))
        assert (found.producer_id, found.table_offsets) == ("job", {info.table_id: offsets})
        assert abs(found.expiration_time - before - 3_600_000) < 60_000
        await settle(admin.delete_producer_offsets("job"))
        assert await settle(admin.get_producer_offsets("job")) is None
        await refused(fluss.SchemaError, lambda: admin.register_producer_offsets("no job", offsets))

    run(face, target, body)


def test_snapshots_that_are_not_there_are_told(face: ModuleType, target: str) -> None:
    async def body(admin: Any) -> None:
        info = await new_table(admin, face, KEYED, 2)
        found = await settle(admin.get_latest_kv_snapshots(info.table_path))
        assert (found.table_id, found.partition_id, found.bucket_ids) == (info.table_id, None, {0, 1})
        assert found.get_snapshot_id(0) is None and found.get_log_offset(1) is None
        bucket = TableBucket(info.table_id, 0)
        await refused(fluss.NotFoundError, lambda: admin.get_kv_snapshot_metadata(bucket, 99))
        await refused(fluss.NotFoundError, lambda: admin.get_latest_lake_snapshot(info.table_path))
        await refused(fluss.NotFoundError, lambda: admin.get_readable_lake_snapshot(info.table_path))
        await refused(fluss.NotFoundError, lambda: admin.get_lake_snapshot(info.table_path, 1))
        log = await new_table(admin, face, LOG)
        error = await refused(fluss.ServerError, lambda: admin.get_latest_kv_snapshots(log.table_path))
        assert error.name == "NON_PRIMARY_KEY_TABLE"

    run(face, target, body)


def test_what_a_server_lacks_is_told(face: ModuleType, target: str) -> None:
    async def body(admin: Any) -> None:
        def alter() -> Any:
            return admin.alter_database("fluss", [AlterConfig("owner", "me")], "hi")

        if not target.startswith("embedded:"):
            error = await refused(fluss.UnsupportedError, alter)
            assert "the server, a Fluss 0.9 coordinator, does not offer ALTER_DATABASE" in str(error)
            assert (error.operation, error.database) == ("alter database", "fluss")
            await refused(fluss.UnsupportedError, admin.get_cluster_health)
            await refused(fluss.UnsupportedError, lambda: admin.list_kv_snapshots(0))
            await refused(fluss.UnsupportedError, lambda: admin.list_remote_log_manifests(0))
            return
        await settle(alter())
        described = (await settle(admin.get_database_info("fluss"))).descriptor
        assert (described.comment, described.custom_properties["owner"]) == ("hi", "me")
        assert (await settle(admin.get_cluster_health())).status is ClusterHealthStatus.GREEN
        error = await refused(fluss.UnsupportedError, lambda: admin.rebalance([GoalType.RACK_AWARE]))
        assert "the server, an embedded node, does not offer REBALANCE" in str(error)
        await refused(fluss.UnsupportedError, lambda: admin.add_server_tag([0], ServerTag.PERMANENT_OFFLINE))
        await refused(fluss.UnsupportedError, admin.create_kv_snapshot_lease("mine", 1000).renew)

    run(face, target, body)


def test_rights_are_given_found_and_taken_away(face: ModuleType, guarded: Cluster | Node) -> None:
    root = {
        "security.protocol": "SASL",
        "security.sasl.username": "root",
        "security.sasl.password": guarded.users["root"],
    }

    async def body(admin: Any) -> None:
        table = Resource.table("fluss.t")
        given = [
            AclBinding.allow("alice", OperationType.READ, table),
            AclBinding.allow("alice", OperationType.CREATE, Resource.database("fluss"), "10.0.0.1"),
        ]
        await settle(admin.create_acls(given))
        assert {*await settle(admin.list_acls())} == {*given}
        assert await settle(admin.list_acls(AclBindingFilter.of(table))) == given[:1]
        tables = AclBindingFilter(ResourceFilter(ResourceType.TABLE))
        assert await settle(admin.list_acls(tables)) == given[:1]
        of_bob = AclBindingFilter(entry_filter=AccessControlEntryFilter(FlussPrincipal("bob")))
        from_there = AclBindingFilter(entry_filter=AccessControlEntryFilter(host="10.0.0.1"))
        assert await settle(admin.drop_acls([of_bob, from_there])) == [[], given[1:]]
        nameless = AclBindingFilter(ResourceFilter(name="fluss.t"))
        await refused(fluss.ArgumentError, lambda: admin.drop_acls([nameless]))
        assert await settle(admin.drop_acls([AclBindingFilter()])) == [given[:1]]

    run(face, f"fluss://{guarded.bootstrap}", body, root)


async def finished(admin: Any, rebalance: str) -> Any:
    deadline = time.monotonic() + 60
    while not (progress := await settle(admin.list_rebalance_progress(rebalance))).status.is_final:
        assert time.monotonic() < deadline, progress
        await asyncio.sleep(0.05)
    return progress


def test_a_cluster_is_rebalanced(face: ModuleType, cluster: Cluster) -> None:
    async def body(admin: Any) -> None:
        await settle(admin.add_server_tag([0], ServerTag.TEMPORARY_OFFLINE))
        await settle(admin.remove_server_tag([0], ServerTag.TEMPORARY_OFFLINE))
        await new_table(admin, face, LOG, 3)
        rebalance = await settle(admin.rebalance([GoalType.REPLICA_DISTRIBUTION, GoalType.LEADER_DISTRIBUTION]))
        progress = await finished(admin, rebalance)
        assert (progress.rebalance_id, progress.status) == (rebalance, RebalanceStatus.COMPLETED)
        assert progress.progress == 1
        for bucket, result in progress.progress_for_bucket_map.items():
            assert result.plan.table_bucket == bucket and result.status is RebalanceStatus.COMPLETED
        await settle(admin.cancel_rebalance(rebalance))

    run(face, f"fluss://{cluster.bootstrap}", body)


def test_a_lease_is_acquired_renewed_released_and_dropped(face: ModuleType, cluster: Cluster) -> None:
    async def body(admin: Any) -> None:
        info = await new_table(admin, face, KEYED)
        lease = admin.create_kv_snapshot_lease("mine", 60_000)
        assert (lease.lease_id, lease.lease_duration_ms) == ("mine", 60_000)
        # A 0.9.1 server does not look whether there is such a snapshot.
        bucket = TableBucket(info.table_id, 0)
        assert await settle(lease.acquire_snapshots({bucket: 0})) == {}
        await settle(lease.renew())
        await settle(lease.release_snapshots([bucket]))
        await settle(lease.drop_lease())
        await settle(lease.drop_lease())

    run(face, f"fluss://{cluster.bootstrap}", body)

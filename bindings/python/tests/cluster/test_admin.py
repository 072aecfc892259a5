"""Administration on a real cluster, in both faces."""

import asyncio

import pytest

import fluss
from faces import create_table_now
from fluss import aio
from fluss.client.admin import OffsetSpec
from fluss.metadata import DatabaseDescriptor, PartitionInfo, Schema, TableDescriptor, TablePath

SCHEMA = Schema.new_builder().column("a", "INT").column("dt", "STRING").build()


def test_databases_come_and_go(connection: fluss.Connection) -> None:
    admin = connection.get_admin()
    descriptor = DatabaseDescriptor()
    descriptor.comment = "mine"
    descriptor.add_custom_property("owner", "data-team")
    admin.create_database("blocking_db", descriptor, True)
    assert "blocking_db" in admin.list_databases()
    info = admin.get_database_info("blocking_db")
    assert info.get_database_descriptor() == descriptor and info.created_time > 0
    with pytest.raises(fluss.AlreadyExistsError) as raised:
        admin.create_database("blocking_db")
    assert (raised.value.database, raised.value.code) == ("blocking_db", 6)
    admin.create_table("blocking_db.t", TableDescriptor(SCHEMA), True)  # not written
    with pytest.raises(fluss.ServerError) as refused:
        admin.drop_database("blocking_db")
    assert refused.value.code == 5
    admin.drop_database("blocking_db", cascade=True)
    assert not admin.database_exists("blocking_db")


def test_databases_come_and_go_awaited(target: str) -> None:
    async def main() -> None:
        async with aio.connect(target) as connection:
            admin = connection.get_admin()
            await admin.create_database("awaited_db", DatabaseDescriptor("mine"))
            assert "awaited_db" in await admin.list_databases()
            assert (await admin.get_database_info("awaited_db")).descriptor.comment == "mine"
            with pytest.raises(fluss.AlreadyExistsError):
                await admin.create_database("awaited_db")
            await admin.drop_database("awaited_db")
            with pytest.raises(fluss.NotFoundError):
                await admin.drop_database("awaited_db")

    asyncio.run(main())


def test_a_table_is_what_its_descriptor_said(connection: fluss.Connection) -> None:
    admin = connection.get_admin()
    path = TablePath("fluss", "described")
    descriptor = TableDescriptor(SCHEMA, bucket_count=3, bucket_keys=["a"], comment="c", custom_properties={"k": "v"})
    create_table_now(admin, "fluss.described", descriptor)
    admin.create_table(path, descriptor, True)  # not written
    info = admin.get_table_info("fluss.described")
    assert (info.table_path, info.num_buckets, info.comment) == (path, 3, "c")
    assert info.get_schema() == SCHEMA and info.get_bucket_keys() == ["a"]
    assert not info.has_primary_key() and not info.is_partitioned()
    assert admin.get_table_schema(path) == (info.schema_id, SCHEMA)
    assert connection.get_table(path).get_table_info().table_id == info.table_id
    assert "described" in admin.list_tables("fluss")
    assert admin.list_offsets(path, range(3), OffsetSpec.latest()) == {0: 0, 1: 0, 2: 0}
    with pytest.raises(fluss.ArgumentError, match="bucket 3: the table has buckets 0 to 2"):
        admin.list_offsets(path, [0, 3], OffsetSpec.latest())
    assert admin.get_row_count(path) == 0
    admin.drop_table(path)
    assert not admin.table_exists(path)


def test_what_is_missing_is_named(connection: fluss.Connection) -> None:
    with pytest.raises(fluss.NotFoundError, match="fluss.nowhere") as raised:
        connection.get_table("fluss.nowhere")
    assert (raised.value.table, raised.value.code, raised.value.name) == (
        "fluss.nowhere",
        7,
        "TABLE_NOT_EXIST",
    )
    assert raised.value.operation and raised.value.server and not raised.value.retriable
    with pytest.raises(fluss.NotFoundError, match="nodb"):
        connection.get_admin().list_tables("nodb")
    with pytest.raises(fluss.SchemaError, match="table '__x'"):
        connection.get_admin().create_table("fluss.__x", TableDescriptor(SCHEMA))  # not written


def test_partitions_come_and_go(connection: fluss.Connection) -> None:
    admin = connection.get_admin()
    admin.create_table("fluss.parted", TableDescriptor(SCHEMA, partition_keys=["dt"], bucket_count=1))  # not written
    admin.create_partition("fluss.parted", {"dt": "2024"})
    with pytest.raises(fluss.AlreadyExistsError):
        admin.create_partition("fluss.parted", {"dt": "2024"})
    (partition,) = admin.list_partition_infos("fluss.parted")
    assert partition == PartitionInfo(partition.partition_id, "2024", {"dt": "2024"}, partition.bucket_count)
    assert admin.list_partition_infos("fluss.parted", {"dt": "2025"}) == []
    assert admin.list_partition_infos("fluss.parted", include_system_partitions=True) == [partition]
    admin.drop_partition("fluss.parted", {"dt": "2024"})
    with pytest.raises(fluss.NotFoundError):
        admin.drop_partition("fluss.parted", {"dt": "2024"})
    admin.drop_table("fluss.parted")


def test_servers_are_listed(connection: fluss.Connection, target: str) -> None:
    nodes = connection.get_admin().get_server_nodes()
    assert [node.server_type for node in nodes] == ["CoordinatorServer", "TabletServer"]
    # A node in this process has no port.
    assert all(node.host and (node.port or target.startswith("embedded:")) for node in nodes)


def test_a_closed_connection_says_so(target: str) -> None:
    connection = fluss.connect(target)
    admin = connection.get_admin()
    connection.close()
    with pytest.raises(fluss.ClosedError):
        admin.list_databases()

"""The first program that somebody writes, as the documentation has it, plain and with a login."""

import pytest

import fluss
from faces import create_table_now
from fluss.client import Connection
from fluss.config import Configuration
from fluss.metadata import DatabaseDescriptor, Schema, TableDescriptor
from fluss.types import DataTypes

MEMORY = "embedded::memory:first_steps"


@pytest.fixture(scope="module", params=["memory", "cluster", "guarded_cluster", "node", "guarded_node"])
def conf(request: pytest.FixtureRequest) -> Configuration:
    conf = Configuration()
    if request.param == "memory":
        conf.set_string("bootstrap.servers", MEMORY)
        return conf
    server = request.getfixturevalue(request.param)
    conf.set_string("bootstrap.servers", server.bootstrap)
    if server.users:
        conf.set_string("security.protocol", "SASL")
        conf.set_string("security.sasl.username", "root")
        conf.set_string("security.sasl.password", server.users["root"])
    return conf


def test_the_first_steps(conf: Configuration) -> None:
    connection = Connection(conf)
    admin = connection.get_admin()
    assert "fluss" in admin.list_databases()
    d = DatabaseDescriptor()
    d.comment = "first steps"
    d.add_custom_property("owner", "data-team")
    admin.create_database("my_db", d, True)
    schema = (
        Schema.new_builder().column("id", DataTypes.STRING()).column("age", DataTypes.INT()).primary_key(["id"]).build()
    )
    descriptor = TableDescriptor.builder().schema(schema).distributed_by(1, ["id"]).build()
    create_table_now(admin, "my_db.users", descriptor, False)
    admin.get_table_info("my_db.users")
    table = connection.get_table("my_db.users")
    assert table.get_table_info().num_buckets == 1
    writer = table.new_upsert().create_writer()
    writer.upsert(["1", 20])
    writer.flush()
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning(0)
    records = scanner.poll(10_000)
    rows = [record.get_row() for bucket in records.buckets() for record in records.records(bucket)]
    assert rows == [{"id": "1", "age": 20}]
    row = table.new_lookup().create_lookuper().lookup(["1"])
    assert row == {"id": "1", "age": 20}
    connection.close()


def test_ways_to_connect(conf: Configuration) -> None:
    with Connection.create(conf) as connection:
        assert isinstance(connection, fluss.Connection)
    with Connection(Configuration(conf.to_dict())) as connection:
        assert "fluss" in connection.get_admin().list_databases()
    servers = conf.get("bootstrap.servers")
    with fluss.connect(MEMORY if servers == MEMORY else f"fluss://{servers}", conf) as connection:
        assert "fluss" in connection.get_admin().list_databases()

"""What is said to somebody who got something wrong: what it is, and what to do."""

import socket
from collections.abc import Callable
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

import fluss
import fluss.client
from fluss import DataTypes
from fluss.metadata import Schema, TableDescriptor

PEOPLE = "fluss.people_of_messages"


@pytest.fixture
def people(connection: fluss.Connection) -> fluss.client.Table:
    schema = Schema.new_builder().column("id", DataTypes.INT()).column("name", DataTypes.STRING())
    descriptor = TableDescriptor(schema.primary_key(["id"]).build(), bucket_count=1)
    connection.get_admin().create_table(PEOPLE, descriptor, True)
    return connection.get_table(PEOPLE)


def said(call: Callable[[], Any], kind: type[fluss.FlussError] = fluss.ArgumentError) -> str:
    with pytest.raises(kind) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize("secret", ["pw", "p@w", "p,w", "p/w"])
@pytest.mark.parametrize("target", ["fluss://alice:{}@host:9123", "flus://alice:{}@host:9123", "alice:{}@host:9123"])
def test_a_password_in_a_target_is_never_shown(target: str, secret: str) -> None:
    whole = target.format(secret)
    for call in (lambda: fluss.Configuration({"bootstrap.servers": whole}), lambda: fluss.connect(whole)):
        try:
            told = repr(call())
        except fluss.FlussError as error:
            told = str(error)
        assert secret not in told and "alice" not in told, told
    if whole.startswith("flus:"):
        assert "'flus://' is not known" in said(lambda: fluss.connect(whole), fluss.ConfigError)


def test_a_closed_port_and_an_unknown_host_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = said(lambda: fluss.connect(f"fluss://127.0.0.1:{port}"), fluss.ConnectionError)
    assert f"127.0.0.1:{port} cannot be reached: no server listens on the port" in refused
    unknown = said(lambda: fluss.connect("fluss://no-such-host.invalid:9123"), fluss.ConnectionError)
    assert "the host 'no-such-host.invalid'" in unknown and "is unknown" in unknown


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("client.request-timout", "request-timeout"),
        ("client.writer.acs", "writer.acks"),
        ("bootstrap.server", "bootstrap.servers"),
        ("client.scanner.log.max-poll-record", "scanner.log.max-poll-records"),
    ],
)
def test_a_misspelt_option_gets_a_suggestion(key: str, meant: str) -> None:
    message = said(lambda: fluss.Configuration({key: "1"}), fluss.ConfigError)
    assert message == f"there is no option '{key}'; did you mean '{meant}'?"


def test_a_misspelt_column_gets_a_suggestion(people: fluss.client.Table) -> None:
    near = "; did you mean 'name'?"
    for call in (
        lambda: people.to_arrow(["nam"]),
        lambda: people.new_scan().project(["Name"]).create_log_scanner(),
        lambda: people.new_upsert().partial_update(["id", "nmae"]).create_writer(),
        lambda: people.new_scan().filter(fluss.col("names") == "a").to_arrow(),
    ):
        assert near in said(call, fluss.SchemaError)


def test_a_user_without_a_security_protocol_is_an_error() -> None:
    for key in ("username", "password"):
        options = {f"client.security.sasl.{key}": "alice"}
        message = said(lambda: fluss.connect("fluss://127.0.0.1:1", options), fluss.ConfigError)  # noqa: B023
        assert "'client.security.protocol': 'SASL'" in message


def test_what_is_no_target_is_told_with_what_is() -> None:
    connect: Any = fluss.connect
    assert said(lambda: connect(1), fluss.ArgumentTypeError) == (
        "a connection string is a text such as 'fluss://host:9123' or 'embedded:./data', not 1"
    )


def test_negative_times_and_limits_are_told(people: fluss.client.Table) -> None:
    scanner = people.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    for poll in (scanner.poll, scanner.poll_arrow, scanner.poll_record_batch):
        assert said(lambda: poll(-1)) == "timeout_ms is -1: a poll that waits for nothing has 0"  # noqa: B023
    assert said(lambda: people.new_scan().limit(-1)) == "a limit of -1 rows is negative"


def test_a_poll_without_a_subscription_is_an_error(people: fluss.client.Table) -> None:
    scanner = people.new_scan().create_log_scanner()
    for poll in (scanner.poll, scanner.poll_arrow, scanner.poll_record_batch):
        assert "nothing is subscribed" in said(lambda: poll(10))  # noqa: B023


def test_texts_in_the_place_of_conditions_and_lists_are_told(people: fluss.client.Table) -> None:
    table: Any = people
    assert "fluss.col('id') > 1" in said(lambda: table.new_scan().filter("id > 1"), fluss.ArgumentTypeError)
    for call in (
        lambda: table.to_pandas("id"),
        lambda: table.to_arrow("id"),
        lambda: table.new_scan().project("id"),
        lambda: table.new_upsert().partial_update("id"),
        lambda: table.new_lookup().lookup_by("id"),
    ):
        assert said(call, fluss.ArgumentTypeError) == "columns are given as a list: ['id'], not 'id'"
    names = "columns are given as a list of their names: ['a'], not 'a'"
    schema: Any = Schema
    one: Any = "a"
    arrow = pa.schema([pa.field("a", pa.int32(), nullable=False)])
    assert said(lambda: schema(arrow, primary_keys="a"), fluss.ArgumentTypeError) == names
    assert said(lambda: Schema.new_builder().primary_key(one), fluss.ArgumentTypeError) == names
    descriptor: Any = TableDescriptor
    whole = Schema(arrow)
    assert said(lambda: descriptor(whole, bucket_keys="a"), fluss.ArgumentTypeError) == names
    assert said(lambda: descriptor(whole, partition_keys="a"), fluss.ArgumentTypeError) == names


def test_what_is_no_type_and_no_schema_is_told() -> None:
    builder: Any = Schema.new_builder()
    assert "DataTypes.INT()" in said(lambda: builder.column("a", DataTypes.INT), fluss.ArgumentTypeError)
    assert "such as 'INT'" in said(lambda: builder.column("a", 7), fluss.ArgumentTypeError)
    descriptor: Any = TableDescriptor
    arrow = pa.schema([("a", pa.int32())])
    assert "fluss.Schema(schema, primary_keys=[…])" in said(lambda: descriptor(arrow), fluss.ArgumentTypeError)
    assert "and not dict" in said(lambda: descriptor({}), fluss.ArgumentTypeError)


def test_what_is_no_arrow_data_is_told(people: fluss.client.Table) -> None:
    with people.new_upsert().create_writer() as writer:
        for data in ([1, 2], {"id": [1]}, "id"):
            message = said(lambda: writer.upsert_arrow(data), fluss.ArgumentTypeError)  # noqa: B023
            assert "Arrow data is expected" in message and type(data).__name__ in message


def test_a_frame_without_some_columns_is_told_of_partial_updates(people: fluss.client.Table) -> None:
    with people.new_upsert().create_writer() as writer:
        message = said(lambda: writer.upsert_arrow(pa.table({"id": pa.array([1], pa.int32())})), fluss.DataError)
        assert "column 'name'" in message and "partial_update" in message


@pytest.mark.parametrize("target", ["memory"], indirect=True, scope="session")
def test_a_property_of_one_s_own_is_told_where_it_belongs(connection: fluss.Connection) -> None:
    schema = Schema.new_builder().column("id", DataTypes.INT()).build()
    descriptor = TableDescriptor(schema, bucket_count=1, properties={"owner": "me"})
    message = said(lambda: connection.get_admin().create_table("fluss.mine", descriptor), fluss.ServerError)
    assert "'owner'" in message and "custom_properties" in message


def test_a_frame_that_cannot_be_is_told_as_a_fault_of_the_protocol() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1 << 16)
                peer.sendall((-1).to_bytes(4, "big", signed=True))
                peer.recv(1 << 16)

        import threading

        thread = threading.Thread(target=answer)
        thread.start()
        message = said(lambda: fluss.connect(f"fluss://127.0.0.1:{port}"), fluss.ConnectionError)
        thread.join()
    assert "does not speak the Fluss protocol" in message

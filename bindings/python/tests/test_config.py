"""Configurations, without a server."""

from datetime import timedelta

import pytest

import fluss
from fluss.config import Configuration


def test_keys_of_java_and_without_their_prefix_are_the_same() -> None:
    java = Configuration({"client.writer.batch-size": "1 mb"})
    short = Configuration({"writer.batch-size": "1 mb"})
    assert java == short and java.get("writer.batch-size") == java.get("client.writer.batch-size") == "1 mb"


def test_options_are_set_from_any_plain_value() -> None:
    conf = Configuration()
    conf.set_string("bootstrap.servers", "localhost:9123")
    conf.set("request-timeout", timedelta(seconds=2)).set("writer.enable-idempotence", True)
    conf.set("writer.batch-timeout-ms", 50).set("writer.batch-timeout-ms", timedelta(milliseconds=70))
    assert conf.to_dict() == {
        "bootstrap.servers": "localhost:9123",
        "client.request-timeout": "2000000 us",
        "client.writer.enable-idempotence": "true",
        "client.writer.batch-timeout": "70 ms",
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("client.writer.bathsize", "1", "did you mean 'writer"),
        ("nonsense", "1", "there is no option 'nonsense'"),
        ("client.request-timeout", "10", "say '10 s'"),
        ("client.request-timeout", "-1 s", "no duration"),
        ("client.request-timeout", "10 parsecs", "no duration"),
        ("client.writer.batch-size", "big", "no size"),
        ("client.writer.acks", "2", "none of all, 1, 0"),
        ("bootstrap.servers", "localhost:", "the port of 'localhost' is no number"),
        ("client.security.protocol", "SSL", "neither PLAINTEXT nor SASL"),
    ],
)
def test_a_bad_option_is_refused_when_it_is_set(key: str, value: str, message: str) -> None:
    with pytest.raises(fluss.ConfigError, match=message) as raised:
        Configuration().set(key, value)
    assert isinstance(raised.value, ValueError)
    assert (key if key != "bootstrap.servers" else "connection string") in str(raised.value)


def test_options_of_other_clients_are_taken() -> None:
    Configuration({"client.writer.buffer.page-size": "128 kb", "netty.client.num-network-threads": "4"})


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Configuration({"security.sasl.password": "hunter2"}))
    assert "hunter2" not in repr(Configuration({"client.remote.s3.secret-key": "hunter2"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'bootstrap.servers' is missing"),
        ({"bootstrap.servers": "h:1", "security.protocol": "SASL"}, "security.sasl.username"),
        ({"bootstrap.servers": "h:1", "writer.acks": "1"}, "idempotent writer needs acks = all"),
        ({"bootstrap.servers": "h:1", "remote.s3.access-key": "id"}, "'client.remote.s3.access-key' and"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(fluss.ConfigError, match=message):
        fluss.Connection(options)


def test_a_target_of_another_kind_is_refused() -> None:
    with pytest.raises(fluss.ConfigError, match="fluss://"):
        fluss.connect("http://localhost:9123")

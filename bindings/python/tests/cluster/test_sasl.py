"""Logins at servers that ask for them."""

import time

import pytest

import fluss
from fluss_cluster import Cluster, Node


def login(server: Cluster | Node, user: str, password: str) -> fluss.Connection:
    options = {
        "security.protocol": "SASL",
        "security.sasl.username": user,
        "security.sasl.password": password,
    }
    return fluss.connect(f"fluss://{server.bootstrap}", options)


def test_a_user_logs_in(guarded: Cluster | Node) -> None:
    with login(guarded, "root", guarded.users["root"]) as connection:
        assert "fluss" in connection.get_admin().list_databases()


def test_a_wrong_password_is_refused(guarded: Cluster | Node) -> None:
    with pytest.raises(fluss.AuthError, match="authentication") as raised:
        login(guarded, "root", "guess")
    assert "guess" not in str(raised.value)
    assert (raised.value.code, raised.value.name) == (46, "AUTHENTICATE_EXCEPTION")
    assert raised.value.error_code == fluss.ErrorCode.AUTHENTICATE_EXCEPTION


def test_a_node_tells_of_a_wrong_password() -> None:
    """The first time at once, and then once in a while."""
    with Node(sasl=True) as node:
        with pytest.raises(fluss.AuthError):
            login(node, "mallory", "guess")
        log = node.directory / "serve.log"
        deadline = time.monotonic() + 30
        while "a login was refused" not in (told := log.read_text()):
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
    assert "WARN" in told and "guess" not in told
    assert "mallory" in told and "127.0.0.1" in told, told


def test_without_a_login_nothing_is_answered(guarded: Cluster | Node) -> None:
    with pytest.raises(fluss.FlussError) as raised:
        fluss.connect(f"fluss://{guarded.bootstrap}")
    assert isinstance(raised.value, fluss.AuthError), raised.value


def test_a_user_without_rights_is_refused(guarded: Cluster | Node) -> None:
    user = next(name for name in guarded.users if name != "root")
    with login(guarded, user, guarded.users[user]) as connection:
        with pytest.raises(fluss.AuthError) as raised:
            connection.get_admin().create_database("forbidden")
    assert raised.value.code == 48 and raised.value.name == "AUTHORIZATION_EXCEPTION"

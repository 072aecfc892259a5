"""Users of a node that come and go while it runs, in both faces; and what a cluster says of them."""

import asyncio
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

import fluss
from faces import settle
from fluss.security import UserInfo, UserSource
from fluss_cluster import Cluster, Node

PASSWORD = "open sesame"


def login(user: str, password: str) -> dict[str, str]:
    return {
        "security.protocol": "SASL",
        "security.sasl.username": user,
        "security.sasl.password": password,
    }


def as_root(face: ModuleType, server: Cluster | Node, body: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        options = login("root", server.users["root"])
        connection = await settle(face.connect(f"fluss://{server.bootstrap}", options))
        await body(connection.get_admin())
        await settle(connection.close())

    asyncio.run(main())


def test_users_log_in_at_once_and_stay_out_when_they_are_dropped(guarded_node: Node, face: ModuleType) -> None:
    target = f"fluss://{guarded_node.bootstrap}"

    async def stays_out(password: str) -> None:
        with pytest.raises(fluss.AuthError) as raised:
            await settle(face.connect(target, login("bob", password)))
        assert PASSWORD not in str(raised.value)

    async def body(admin: Any) -> None:
        await stays_out(PASSWORD)
        await settle(admin.create_user("bob", PASSWORD))
        users = await settle(admin.list_users())
        assert UserInfo("bob", UserSource.CATALOG) in users
        assert UserInfo("root", UserSource.FILE) in users
        assert users == sorted(users, key=lambda user: user.name)

        with pytest.raises(fluss.AlreadyExistsError) as exists:
            await settle(admin.create_user("bob", PASSWORD))
        assert exists.value.error_code == fluss.ErrorCode.USER_ALREADY_EXIST
        assert exists.value.name == "USER_ALREADY_EXIST"
        await settle(admin.create_user("bob", "another", ignore_if_exists=True, timeout=30))

        bob = await settle(face.connect(target, login("bob", PASSWORD)))
        await settle(bob.get_admin().alter_user("bob", "mine"))
        with pytest.raises(fluss.AuthError) as denied:
            await settle(bob.get_admin().list_users())
        assert denied.value.name == "AUTHORIZATION_EXCEPTION"
        await stays_out(PASSWORD)

        await settle(admin.drop_user("bob"))
        # A call that meets the end of the connection says that, or why.
        with pytest.raises((fluss.AuthError, fluss.ConnectionError)):
            await settle(bob.get_admin().list_databases())
        with pytest.raises(fluss.AuthError):
            await settle(bob.get_admin().list_databases())
        await settle(bob.close())
        await stays_out("mine")

        with pytest.raises(fluss.NotFoundError):
            await settle(admin.drop_user("bob"))
        with pytest.raises(fluss.NotFoundError):
            await settle(admin.alter_user("bob", PASSWORD))
        await settle(admin.drop_user("bob", ignore_if_not_exists=True))
        await settle(admin.alter_user("bob", PASSWORD, ignore_if_not_exists=True))
        with pytest.raises(fluss.FlussError, match="stands in the users file"):
            await settle(admin.drop_user("root"))

    as_root(face, guarded_node, body)


@pytest.mark.parametrize("guarded", ["guarded_cluster"], indirect=True)
def test_a_cluster_says_that_only_a_node_has_such_users(guarded: Cluster | Node, face: ModuleType) -> None:
    async def body(admin: Any) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "CREATE_USER": lambda: admin.create_user("bob", PASSWORD),
            "ALTER_USER": lambda: admin.alter_user("bob", PASSWORD),
            "DROP_USER": lambda: admin.drop_user("bob"),
            "LIST_USERS": lambda: admin.list_users(),
        }
        for api, call in calls.items():
            with pytest.raises(fluss.UnsupportedError) as raised:
                await settle(call())
            message = str(raised.value)
            assert f"a Fluss 0.9 coordinator, does not offer {api}, which only an embedded node does" in message
            assert PASSWORD not in message

    as_root(face, guarded, body)


@pytest.mark.parametrize("target", ["memory"], indirect=True)
def test_a_node_of_this_process_keeps_users_for_those_who_come_from_outside(
    run: Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None],
) -> None:
    async def body(connection: Any) -> None:
        admin = connection.get_admin()
        await settle(admin.create_user("bob", PASSWORD))
        assert await settle(admin.list_users()) == [UserInfo("bob", UserSource.CATALOG)]
        for name, password in [("", PASSWORD), ("b:ob", PASSWORD), ("eve", ""), ("eve", PASSWORD * 100)]:
            with pytest.raises(fluss.ArgumentError) as raised:
                await settle(admin.create_user(name, password))
            assert PASSWORD not in str(raised.value)
        await settle(admin.drop_user("bob"))
        assert await settle(admin.list_users()) == []

    run(body)

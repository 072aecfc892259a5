"""What the tests in `cluster/` are run on: a real cluster, a node in this process, `fluss serve`."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fluss
from fluss import aio

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "cluster" / "python"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "cluster"))

from faces import create_table_now, settle
from fluss_cluster import Cluster, Node

# What these insist on is explained as in the tests themselves.
pytest.register_assert_rewrite("key_trial")

# A shell starts what it runs in the background with interrupts ignored, and some of the tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)


MEMORY = "embedded::memory:tests"
"""A node that the tests of this process share, as long as one of them is connected."""

PATIENT = {"zookeeper.client.session-timeout": "30 s"}
"""For clusters that lose no server: how long one may be silent, on a busy machine, before it is taken for dead."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows with a test that failed what the servers of this process complained of last."""
    report = yield
    if report.failed:
        report.sections += (
            (f"complaints of {cluster.bootstrap}", cluster.complaints()) for cluster in Cluster.running()
        )
    return report


@pytest.fixture(params=[fluss, aio], ids=["blocking", "awaited"])
def face(request: pytest.FixtureRequest) -> ModuleType:
    """The module of either face."""
    module: ModuleType = request.param
    return module


@pytest.fixture
def run(face: ModuleType, target: str) -> Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]:
    """Runs a test with a connection of either face."""

    def in_face(body: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            connection = await settle(face.connect(target))
            await body(connection)
            await settle(connection.close())

        asyncio.run(main())

    return in_face


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """Finds what was logged with some words in it, and waits for it: a record may come a moment after its call."""

    def lines(words: str) -> list[str]:
        deadline = time.monotonic() + 30
        while not (found := [line for record in caplog.records if words in (line := record.getMessage())]):
            assert time.monotonic() < deadline, f"nothing of {words!r} in: {caplog.text}"
            time.sleep(0.01)
        return found

    return lines


@pytest.fixture(scope="session")
def needs_java() -> None:
    """Leaves a test out, and says so, where there is no Java. In continuous integration there is."""
    if shutil.which("java") and shutil.which("javac"):
        return
    if "CI" in os.environ:
        pytest.fail("there is no Java")
    pytest.skip("there is no Java")


@pytest.fixture(scope="session")
def cluster(needs_java: None) -> Iterator[Cluster]:
    with Cluster(tablet_servers=1, properties=PATIENT) as running:
        yield running


@pytest.fixture(scope="session")
def guarded_cluster(needs_java: None) -> Iterator[Cluster]:
    with Cluster(tablet_servers=1, sasl=True, properties=PATIENT) as running:
        yield running


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with Node() as running:
        yield running


@pytest.fixture(scope="session")
def guarded_node() -> Iterator[Node]:
    with Node(sasl=True) as running:
        yield running


@pytest.fixture(scope="session", params=["cluster", "node"])
def server(request: pytest.FixtureRequest) -> Cluster | Node:
    """What programs of other clients connect to."""
    running: Cluster | Node = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session", params=["guarded_cluster", "guarded_node"])
def guarded(request: pytest.FixtureRequest) -> Cluster | Node:
    """The same, for whoever logs in."""
    running: Cluster | Node = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session", params=["memory", "cluster"])
def target(request: pytest.FixtureRequest) -> str:
    """A node in memory, and a cluster of one server; ``fluss serve`` for those who ask for ``node``."""
    if request.param == "memory":
        return MEMORY
    running: Cluster | Node = request.getfixturevalue(request.param)
    return f"fluss://{running.bootstrap}"


@pytest.fixture
def silence(request: pytest.FixtureRequest, target: str) -> Callable[[], AbstractContextManager[None]]:
    """Has the server that stores the tables of the target say nothing for as long as a block takes."""
    (name,) = (name for name in ("cluster", "node") if name in request.node.callspec.params.values())
    running: Cluster | Node = request.getfixturevalue(name)

    if isinstance(running, Cluster):
        stop, cont = partial(running.stop, 0), partial(running.cont, 0)
    else:
        stop, cont = partial(running.stop), partial(running.cont)

    @contextmanager
    def silent() -> Iterator[None]:
        stop()
        try:
            yield
        finally:
            cont()

    return silent


@pytest.fixture(scope="session", params=["memory", "plain", "sasl"])
def options(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """How to connect to a node in memory, and to a cluster of three servers, plain and with a login."""
    if request.param == "memory":
        yield {"bootstrap.servers": MEMORY}
        return
    request.getfixturevalue("needs_java")
    with Cluster(tablet_servers=3, sasl=request.param == "sasl", properties=PATIENT) as cluster:
        login = {
            "security.protocol": "SASL",
            "security.sasl.username": "root",
            "security.sasl.password": cluster.users.get("root", ""),
        }
        yield {"bootstrap.servers": cluster.bootstrap, **(login if cluster.users else {})}


@pytest.fixture(scope="session")
def connection(target: str) -> Iterator[fluss.Connection]:
    with fluss.connect(target) as opened:
        yield opened


_numbers = count()


@pytest.fixture
def new_table(connection: fluss.Connection) -> Callable[..., str]:
    """Creates a table of its own for a test and returns its path: ``new_table(a="INT", b="STRING")``."""

    def create(buckets: int = 1, properties: dict[str, str] | None = None, **columns: str) -> str:
        path = f"fluss.python_{next(_numbers)}"
        builder = fluss.Schema.new_builder()
        for name, data_type in columns.items():
            builder.column(name, data_type)
        descriptor = fluss.TableDescriptor(builder.build(), bucket_count=buckets, properties=properties)
        create_table_now(connection.get_admin(), path, descriptor)
        return path

    return create

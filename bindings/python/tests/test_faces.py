"""The two faces stay in step, and the stubs say what is there."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fluss
import fluss._fluss

PACKAGE = Path(fluss.__file__).parent
TESTS = Path(__file__).parent
TWINS = {"__enter__": "__aenter__", "__exit__": "__aexit__", "__iter__": "__aiter__"}
CLASSES = {"Client": "AsyncClient"}
"""Classes whose names differ."""
AWAITED_ONLY = {"__await__"}
BLOCKING_ONLY = {"__arrow_c_stream__", "__len__", "__bool__"}
"""Whoever takes a stream or a length waits for it: `read_all` or `count` is awaited instead."""
SHARED = [kind for kind in vars(fluss._fluss).values() if inspect.isclass(kind)]
"""What is the same in both faces, because nothing in it waits or because it can do both."""


def classes(module: ModuleType) -> dict[str, type]:
    """The classes that a face defines itself."""
    own = module.__name__
    found = {name: kind for name, kind in vars(module).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in found.items() if kind.__module__ == own and kind not in SHARED}


def methods(kind: type) -> dict[str, inspect.Signature]:
    def is_public(name: str) -> bool:
        return not name.startswith("_") or (name.endswith("__") and name not in ("__init__", "__doc__"))

    functions = {name: getattr(kind, name) for name in vars(kind) if is_public(name)}
    return {name: inspect.signature(f) for name, f in functions.items() if inspect.isroutine(f)}


PARTS = ["", ".admin", ".frames", ".lookup", ".scan", ".table", ".table_rows", ".write"]
SQL_PARTS = [".client", ".result", ".statement", ".stream", ".transaction"]
STREAMS_PARTS = [".reader", ".store"]
REPLICA_PARTS = [".documents", ".replica"]
FACES = [
    *(tuple(importlib.import_module(f"fluss.{face}{part}") for face in ("client", "aio")) for part in PARTS),
    *(tuple(importlib.import_module(f"fluss.{face}{part}") for face in ("sql", "aio.sql")) for part in SQL_PARTS),
    *(
        tuple(importlib.import_module(f"fluss.{face}{part}") for face in ("streams", "aio.streams"))
        for part in STREAMS_PARTS
    ),
    *(
        tuple(importlib.import_module(f"fluss.{face}{part}") for face in ("replica", "aio.replica"))
        for part in REPLICA_PARTS
    ),
]


@pytest.mark.parametrize(("blocking", "awaited"), FACES)
def test_both_faces_have_the_same_names(blocking: ModuleType, awaited: ModuleType) -> None:
    assert [CLASSES.get(name, name) for name in blocking.__all__] == awaited.__all__
    assert {CLASSES.get(name, name) for name in classes(blocking)} == classes(awaited).keys()


@pytest.mark.parametrize(("blocking", "awaited"), FACES)
def test_both_faces_have_the_same_methods_with_the_same_arguments(blocking: ModuleType, awaited: ModuleType) -> None:
    for name, kind in classes(blocking).items():
        own = {m: s for m, s in methods(kind).items() if m not in BLOCKING_ONLY}
        expected = {TWINS.get(method, method): signature for method, signature in own.items()}
        found = {m: s for m, s in methods(classes(awaited)[CLASSES.get(name, name)]).items() if m not in AWAITED_ONLY}
        assert expected.keys() == found.keys(), name
        for method, signature in expected.items():
            assert signature.parameters == found[method].parameters, f"{name}.{method}"


def test_both_faces_of_streams_have_the_same_classes() -> None:
    blocking, awaited = importlib.import_module("fluss.streams"), importlib.import_module("fluss.aio.streams")
    assert blocking.__all__ == awaited.__all__


def test_both_faces_of_replicas_have_the_same_classes() -> None:
    blocking, awaited = importlib.import_module("fluss.replica"), importlib.import_module("fluss.aio.replica")
    assert blocking.__all__ == awaited.__all__


def test_both_faces_of_sql_have_the_same_classes() -> None:
    blocking, awaited = importlib.import_module("fluss.sql"), importlib.import_module("fluss.aio.sql")
    assert {CLASSES.get(name, name) for name in blocking.__all__} >= set(awaited.__all__)


@pytest.mark.parametrize(
    "module",
    [
        "fluss",
        *(f"fluss.client{part}" for part in PARTS),
        *(f"fluss.aio{part}" for part in PARTS),
        "fluss.aio.sql",
        "fluss.cluster",
        "fluss.config",
        "fluss.errors",
        "fluss.metadata",
        "fluss.replica",
        "fluss.aio.replica",
        "fluss.security",
        "fluss.sql",
        "fluss.sql.dbapi",
        "fluss.streams",
        "fluss.aio.streams",
        "fluss.types",
    ],
)
def test_everything_that_is_exported_is_there_and_documented(module: str) -> None:
    imported = importlib.import_module(module)
    for name in imported.__all__:
        exported = getattr(imported, name)
        assert not inspect.isroutine(exported) or inspect.getdoc(exported), name


def run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_say_what_is_there() -> None:
    pytest.importorskip("mypy")
    run("mypy.stubtest", "fluss._fluss", "--allowlist", str(TESTS / "stubtest-allowlist.txt"), "--concise")


def test_the_package_and_its_tests_are_typed() -> None:
    pytest.importorskip("mypy")
    run("mypy", "--strict", "-p", "fluss")
    run("mypy", "--strict", "tests")

"""The top level has every public name of pyfluss 1.0, and what programs get has the same methods.

`record_pyfluss.py` recorded the names, with their parameters.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import fluss
from fluss.compat.rows import filler

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("pyfluss.json").read_text())
CLASSES: dict[str, dict[str, Any]] = RECORDED["classes"]
OF_INSTANCES = {"FlussError": vars(fluss.FlussError("what"))}
"""Attributes that only instances have."""


def takes(function: Any, wanted: list[str], *, bound: bool = False) -> str | None:
    """What is wrong if a call with the wanted parameters, given any way that they allow, does not fit."""
    found = list(inspect.signature(function).parameters.values())[bound:]
    by_name = {parameter.name: parameter for parameter in found}
    positional = wanted[: wanted.index("*")] if "*" in wanted else wanted
    for index, name in enumerate(positional):
        if index >= len(found) or found[index].name != name.removesuffix("="):
            return f"parameter {index} is not '{name}': {found}"
    for name in wanted:
        parameter = by_name.get(name.removesuffix("="))
        if name != "*" and (parameter is None or (name.endswith("=") and parameter.default is parameter.empty)):
            return f"'{name}' is missing, or cannot be left out: {found}"
    known = {name.removesuffix("=") for name in wanted}
    more = [p for p in found if p.name not in known and p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    return f"more is needed: {more}" if more else None


def of_pyfluss(name: str) -> Any:
    """The class of what programs get: where the top level's name is that of a base, the class of `fluss.compat`."""
    return getattr(fluss.compat, name, getattr(fluss, name))


def has(name: str, attribute: str) -> bool:
    kind = of_pyfluss(name)
    fields = getattr(kind, "__dataclass_fields__", {})
    return hasattr(kind, attribute) or attribute in fields or attribute in OF_INSTANCES.get(name, {})


def test_every_name_is_exported() -> None:
    names = {*RECORDED["constants"], *RECORDED["functions"], *CLASSES}
    assert names <= set(fluss.__all__)
    assert all(issubclass(of_pyfluss(name), getattr(fluss, name)) for name in CLASSES)
    assert fluss.EARLIEST_OFFSET == -2


def test_functions_take_the_same_parameters() -> None:
    for name, parameters in RECORDED["functions"].items():
        assert takes(getattr(fluss, name), parameters) is None


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_made_with_the_same_parameters(name: str) -> None:
    if (parameters := CLASSES[name].get("constructor")) is not None:
        assert takes(of_pyfluss(name), parameters) is None


@pytest.mark.parametrize("name", CLASSES)
def test_methods_take_the_same_parameters_and_are_awaited_or_not(name: str) -> None:
    kind = of_pyfluss(name)
    for method, parameters in CLASSES[name].get("methods", {}).items():
        function = getattr(kind, method)
        static = isinstance(inspect.getattr_static(kind, method), staticmethod)
        wrong = takes(function, parameters, bound=not static)
        assert wrong is None, f"{name}.{method}: {wrong}"
        awaited = method in CLASSES[name].get("awaited", [])
        assert inspect.iscoroutinefunction(function) == awaited, f"{name}.{method}"
        # What is compiled is documented in its stubs.
        assert inspect.getdoc(function) or not inspect.isfunction(function), f"{name}.{method}"


@pytest.mark.parametrize("name", CLASSES)
def test_attributes_and_protocols_are_there(name: str) -> None:
    kind, recorded = of_pyfluss(name), CLASSES[name]
    for constant, value in recorded.get("constants", {}).items():
        assert getattr(kind, constant) == value, f"{name}.{constant}"
    for attribute in [*recorded.get("properties", []), *recorded.get("protocols", [])]:
        assert has(name, attribute), f"{name}.{attribute}"
    for attribute in recorded.get("settable", []):
        assert hasattr(inspect.getattr_static(kind, attribute), "__set__"), f"{name}.{attribute}"


def test_options_are_attributes() -> None:
    config = fluss.Config({"bootstrap.servers": "a:1", "writer.batch-timeout-ms": "5", "connect-timeout": "700"})
    assert (config.bootstrap_servers, config.writer_batch_timeout_ms, config.connect_timeout_ms) == ("a:1", 5, 700)
    config.writer_batch_size, config.writer_acks, config.writer_enable_idempotence = 1 << 20, "1", False
    assert config.to_dict() == {
        "bootstrap.servers": "a:1",
        "client.writer.batch-timeout": "5 ms",
        "client.connect-timeout": "700 ms",
        "client.writer.batch-size": "1048576",
        "client.writer.acks": "1",
        "client.writer.enable-idempotence": "false",
    }
    assert config.writer_enable_idempotence is False and config.writer_retries == 2**31 - 1
    with pytest.raises(fluss.FlussError, match="none of all, 1, 0"):
        config.writer_acks = "7"


@pytest.mark.parametrize("name", CLASSES["Config"]["settable"])
def test_every_option_can_be_set_to_what_it_is_and_changed(name: str) -> None:
    config = fluss.Config()
    before = getattr(config, name)
    config_value: dict[type, Any] = {int: 77, bool: not before}
    changed = config_value.get(type(before), before or "text")
    setattr(config, name, changed)
    assert getattr(config, name) == changed and type(getattr(config, name)) is type(before)


def test_errors_are_told_apart_by_their_number() -> None:
    error = fluss.FlussError("no leader", fluss.ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert (error.message, error.error_code, error.code, error.is_retriable) == ("no leader", 12, 12, True)
    client = fluss.FlussError("what")
    assert (client.error_code, client.code, client.is_retriable) == (fluss.ErrorCode.CLIENT_ERROR, None, False)
    assert fluss.ConnectionError("gone").error_code == fluss.ErrorCode.NETWORK_EXCEPTION


def test_conditions_are_built_but_neither_true_nor_false() -> None:
    condition = (fluss.col("id") >= 200) & fluss.col("name").starts_with("high") | fluss.col("id").is_in([1, 2])
    assert repr(condition) == "Predicate(((id >= 200 AND name STARTS WITH 'high') OR id IN (1, 2)))"
    assert repr(~condition) == "Predicate(NOT ((id >= 200 AND name STARTS WITH 'high') OR id IN (1, 2)))"
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(condition)
    with pytest.raises(TypeError, match="compare it"):
        bool(fluss.col("id"))
    with pytest.raises(TypeError, match="no column is compared to"):
        fluss.col("id").equal(object())


def test_types_are_named_in_short() -> None:
    builder = fluss.Schema.new_builder().column("t", "TIMESTAMP(6)").column("u", "TIMESTAMP_LTZ(3) NOT NULL")
    builder.column("r", "ROW<x INT NOT NULL,y ARRAY<TIME>>").column("m", "MAP<STRING,DECIMAL(5,2)>")
    names = ["timestamp", "timestamp_ltz(3) NOT NULL", "row<x: int NOT NULL, y: array<time>>"]
    assert builder.build().get_column_types() == [*names, "map<string NOT NULL,decimal(5,2)>"]


NESTED = {
    "id": "INT",
    "r": "ROW<x INT,y ROW<z INT,w INT>>",
    "many": "ARRAY<ROW<x INT,y INT>>",
    "m": "MAP<INT,ROW<x INT>>",
}


@pytest.mark.parametrize(
    ("row", "filled"),
    [
        ({"id": 1}, {"id": 1, "r": None, "many": None, "m": None}),
        ({"r": {"y": {"w": 3}}}, {"id": None, "r": {"x": None, "y": {"z": None, "w": 3}}, "many": None, "m": None}),
        (
            [1, {}, [{"y": 2}, None], {7: {}}],
            [1, {"x": None, "y": None}, [{"x": None, "y": 2}, None], [(7, {"x": None})]],
        ),
        ((1, [2, {}], None, [(7, {})]), [1, [2, {"z": None, "w": None}], None, [(7, {"x": None})]]),
        ([1, 2, 3, [4]], [1, 2, 3, [4]]),
        ({"other": 1}, {"other": 1, "id": None, "r": None, "many": None, "m": None}),
        ([1], [1]),
        ("text", "text"),
    ],
)
def test_what_rows_leave_out_is_none(row: Any, filled: Any) -> None:
    builder = fluss.Schema.new_builder()
    for name, data_type in NESTED.items():
        builder.column(name, data_type)
    given = repr(row)
    assert filler(builder.build(), list(NESTED))(row) == filled and repr(row) == given


def test_dropping_tables_with_their_database_is_asked_for_but_by_programs_of_pyfluss() -> None:
    def cascades(admin: Any) -> object:
        return inspect.signature(admin.drop_database).parameters["cascade"].default

    assert [cascades(kind) for kind in (fluss.client.Admin, fluss.aio.Admin, fluss.FlussAdmin)] == [False, False, True]

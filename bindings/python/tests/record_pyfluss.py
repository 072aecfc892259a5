"""Records the public names and parameters of pyfluss in pyfluss.json, from its published stubs.

It runs in an environment that has pyfluss: ``.cache/fluss-cluster/pyfluss/bin/python record_pyfluss.py``, once
``peers.pyfluss()`` has made it. A parameter that may be left out ends in ``=``; those after ``*`` need their names.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fluss

STUBS = Path(fluss.__file__).with_suffix(".pyi")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parameters(function: Function, *, bound: bool) -> list[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    named = [f"{arg.arg}{'=' * (index >= required)}" for index, arg in enumerate(positional)][bound:]
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    optional = [f"{arg.arg}{'=' * (default is not None)}" for arg, default in keywords]
    return [*named, *(["*", *optional] if optional else [])]


def functions(body: list[ast.stmt]) -> Iterator[tuple[Function, list[str]]]:
    for node in body:
        if isinstance(node, Function):
            yield node, [ast.unparse(decorator) for decorator in node.decorator_list]


def attributes(node: ast.ClassDef) -> list[str]:
    assigned = [n.targets[0].id for n in node.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)]
    declared = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return assigned + declared


def describe(node: ast.ClassDef) -> dict[str, Any]:
    kind, found = getattr(fluss, node.name), attributes(node)
    constants = {name: int(getattr(kind, name)) for name in found if not name.islower()}
    told: dict[str, Any] = {"constants": constants, "properties": [n for n in found if n.islower()], "settable": []}
    told |= {"methods": {}, "awaited": [], "protocols": []}
    for function, decorators in functions(node.body):
        name = function.name
        if name == "__new__":
            told["constructor"] = parameters(function, bound=True)
        elif name.startswith("__"):
            told["protocols"] += [name] * (name not in told["protocols"])
        elif "property" in decorators:
            told["properties"].append(name)
        elif f"{name}.setter" in decorators:
            told["settable"].append(name)
        else:
            told["methods"][name] = parameters(function, bound="staticmethod" not in decorators)
            told["awaited"] += [name] * isinstance(function, ast.AsyncFunctionDef)
    return {key: value for key, value in told.items() if value}


def main() -> None:
    body = ast.parse(STUBS.read_text()).body
    recorded: dict[str, Any] = {
        "version": fluss.__version__,
        "constants": [n.target.id for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)],
        "functions": {function.name: parameters(function, bound=False) for function, _ in functions(body)},
    }
    told = {node.name: describe(node) for node in body if isinstance(node, ast.ClassDef)}
    classes = ",\n".join(f"  {json.dumps(name)}: {json.dumps(kind)}" for name, kind in told.items())
    text = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in recorded.items())
    Path(__file__).with_name("pyfluss.json").write_text(f'{{\n{text} "classes": {{\n{classes}\n }}\n}}\n')


if __name__ == "__main__":
    main()

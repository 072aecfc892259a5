"""Where connections lead, and with which options."""

import os
from collections.abc import Mapping

from fluss._fluss import environment_options
from fluss.config import Configuration
from fluss.errors import ArgumentError, ArgumentTypeError


def configuration(
    target: str | os.PathLike[str] | None,
    config: Configuration | Mapping[str, object] | None,
    more: Mapping[str, object] | None = None,
) -> Configuration:
    """The options of a connection string, with those of ``config`` and ``more``, which win over the former; without a
    string, those of the environment.
    """
    merged = Configuration(dict(environment_options(dict(os.environ))) if target is None else {})
    for key, value in [*options(config or {}).items(), *(more or {}).items()]:
        merged.set(key, value)
    return merged if target is None else merged.set("bootstrap.servers", _string(target))


def options(config: Configuration | Mapping[str, object]) -> dict[str, str]:
    """The options of a configuration, checked."""
    return (config if isinstance(config, Configuration) else Configuration(config)).to_dict()


def login(user: str | None, password: str | None) -> dict[str, object]:
    """The options by which a user logs in."""
    if (user is None) != (password is None):
        given, missing = ("user", "password") if password is None else ("password", "user")
        raise ArgumentError(f"a {given} was given without a {missing}: they go together")
    if user is None:
        return {}
    return {"security.protocol": "SASL", "security.sasl.username": user, "security.sasl.password": password}


def _string(target: object) -> str:
    """The connection string that a target is, or that leads to a directory."""
    if isinstance(target, str):
        return target
    if isinstance(target, os.PathLike) and isinstance(path := os.fspath(target), str):
        # A name is no more than that: neither a home directory nor a node in memory.
        place = path if os.path.isabs(path) else os.path.join(os.curdir, path)
        return "embedded:" + place.replace("%", "%25").replace("?", "%3F")
    raise ArgumentTypeError(
        f"a connection string is a text such as 'fluss://host:9123' or 'embedded:./data', not {target!r}"
    )

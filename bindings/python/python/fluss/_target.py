"""Where connections lead, and with which options."""

import os
from collections.abc import Mapping

from fluss._fluss import environment_options
from fluss.config import Configuration
from fluss.errors import ArgumentTypeError


def configuration(target: str | None, config: Configuration | Mapping[str, object] | None) -> Configuration:
    """The options of a connection string, with those of ``config``; without one, those of the environment."""
    if target is None:
        merged = Configuration(dict(environment_options(dict(os.environ))))
        for key, value in options(config or {}).items():
            merged.set(key, value)
        return merged
    if not isinstance(target, str):
        raise ArgumentTypeError(_not_a_target(target))
    return Configuration(options(config or {})).set("bootstrap.servers", target)


def options(config: Configuration | Mapping[str, object]) -> dict[str, str]:
    """The options of a configuration, checked."""
    return (config if isinstance(config, Configuration) else Configuration(config)).to_dict()


def _not_a_target(target: object) -> str:
    if isinstance(target, os.PathLike):
        return f"a connection string is a text: for a node in a directory, 'embedded:{os.fspath(target)}'"
    return f"a connection string is a text such as 'fluss://host:9123' or 'embedded:./data', not {target!r}"

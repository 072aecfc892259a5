"""Targets and configurations of connections."""

import os
from collections.abc import Mapping

from fluss.config import Configuration
from fluss.errors import ArgumentTypeError, ConfigError

_SCHEME = "fluss://"
_EMBEDDED = "embedded:"


def configuration(target: str, config: Configuration | Mapping[str, object] | None) -> Configuration:
    """The options for a target such as ``fluss://host:9123`` or ``embedded:./data``, with those of ``config``."""
    if not isinstance(target, str):
        raise ArgumentTypeError(_not_a_target(target))
    if not target.startswith((_SCHEME, _EMBEDDED)):
        raise ConfigError(f"target '{_shown(target)}' begins with neither '{_SCHEME}' nor '{_EMBEDDED}'")
    merged = Configuration(options(config or {}))
    servers = target.removeprefix(_SCHEME).rstrip("/") if target.startswith(_SCHEME) else target
    return merged.set("bootstrap.servers", servers)


def options(config: Configuration | Mapping[str, object]) -> dict[str, str]:
    """The options of a configuration, checked."""
    return (config if isinstance(config, Configuration) else Configuration(config)).to_dict()


def _not_a_target(target: object) -> str:
    if isinstance(target, os.PathLike):
        return f"a target is a text: for a node in a directory, 'embedded:{os.fspath(target)}'"
    return f"a target is a text such as 'fluss://host:9123' or 'embedded:./data', not {target!r}"


def _shown(target: str) -> str:
    """The target without a user and a password, should there be any."""
    secret, at, rest = target.rpartition("@")
    scheme, slashes, _ = secret.partition("//")
    return f"{scheme + slashes if slashes else ''}***@{rest}" if at else target

"""Targets and configurations of connections."""

from collections.abc import Mapping

from fluss.config import Configuration
from fluss.errors import ConfigError

_SCHEME = "fluss://"


def configuration(target: str, config: Configuration | Mapping[str, object] | None) -> Configuration:
    """The options for a target such as ``fluss://host:9123,host2:9123``, with those of ``config``."""
    if not target.startswith(_SCHEME):
        raise ConfigError(f"target '{target}' does not begin with '{_SCHEME}'")
    merged = Configuration(options(config or {}))
    return merged.set("bootstrap.servers", target.removeprefix(_SCHEME).rstrip("/"))


def options(config: Configuration | Mapping[str, object]) -> dict[str, str]:
    """The options of a configuration, checked."""
    return (config if isinstance(config, Configuration) else Configuration(config)).to_dict()

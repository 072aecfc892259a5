"""Targets and configurations of connections."""

from collections.abc import Mapping

from fluss.config import Configuration
from fluss.errors import ConfigError

_SCHEME = "fluss://"
_EMBEDDED = "embedded:"


def configuration(target: str, config: Configuration | Mapping[str, object] | None) -> Configuration:
    """The options for a target such as ``fluss://host:9123`` or ``embedded:./data``, with those of ``config``."""
    if not target.startswith((_SCHEME, _EMBEDDED)):
        raise ConfigError(f"target '{target}' begins with neither '{_SCHEME}' nor '{_EMBEDDED}'")
    merged = Configuration(options(config or {}))
    servers = target.removeprefix(_SCHEME).rstrip("/") if target.startswith(_SCHEME) else target
    return merged.set("bootstrap.servers", servers)


def options(config: Configuration | Mapping[str, object]) -> dict[str, str]:
    """The options of a configuration, checked."""
    return (config if isinstance(config, Configuration) else Configuration(config)).to_dict()

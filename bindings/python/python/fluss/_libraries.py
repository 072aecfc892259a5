"""Libraries that are optional, imported only when asked for."""

from importlib import import_module
from typing import Any

__all__ = ["library"]


def library(name: str) -> Any:
    """The module; an ImportError that says how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"this needs {name}: pip install 'fluss-client[{name}]'") from error

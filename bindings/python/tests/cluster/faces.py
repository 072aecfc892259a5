"""Tests that are the same for both faces."""

from inspect import isawaitable
from typing import Any


async def settle(value: Any) -> Any:
    """What a call came to: the awaited face's calls are awaited, the blocking one's have ended."""
    return await value if isawaitable(value) else value

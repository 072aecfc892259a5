"""Tests that are the same for both faces."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from types import ModuleType
from typing import Any

from fluss import aio
from fluss.client import WriteHandle


async def settle(value: Any) -> Any:
    """What a call came to: the awaited face's calls are awaited, the blocking one's have ended.

    The handle of a write, which both faces can await, stays a handle.
    """
    return await value if isawaitable(value) and not isinstance(value, WriteHandle) else value


async def acknowledged(face: ModuleType, handle: WriteHandle) -> None:
    """Waits for what becomes of a write, as the face does it."""
    if face is aio:
        await handle
    else:
        handle.wait()


def beside(face: ModuleType, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """Starts work that goes on beside the caller's: in a task, or for the blocking face in a thread."""
    if face is aio:
        return asyncio.ensure_future(work)
    return asyncio.get_running_loop().run_in_executor(_threads, asyncio.run, work)


_threads = ThreadPoolExecutor(max_workers=32)

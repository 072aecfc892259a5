"""Tests that are the same for both faces."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from inspect import isawaitable
from types import ModuleType
from typing import Any

import fluss
from fluss import aio
from fluss.client import WriteHandle


async def settle(value: Any) -> Any:
    """What a call came to: the awaited face's calls are awaited, the blocking one's have ended.

    The handle of a write, which both faces can await, stays a handle.
    """
    return await value if isawaitable(value) and not isinstance(value, WriteHandle) else value


async def create_table(
    admin: Any, path: str, descriptor: fluss.TableDescriptor, ignore_if_exists: bool = False
) -> None:
    """Creates a table: every one on a cluster that a test writes to is created here.

    One with partitions is known to the coordinator from then on: a cluster 0.9.1 gives no bucket a leader any more once
    a partition is created of a table that its coordinator does not know. It knows it when a table that was created
    later has a leader.
    """

    async def create() -> None:
        await settle(admin.create_table(path, descriptor, ignore_if_exists))

    await _with_leaders(admin, path, create, partitioned=bool(descriptor.get_partition_keys()))


async def created(connection: Any, path: str, schema: object, **options: Any) -> Any:
    """The same by ``connection.create_table``, whose table it returns."""

    async def create() -> Any:
        return await settle(connection.create_table(path, schema, **options))

    return await _with_leaders(connection.get_admin(), path, create, partitioned="partitioned_by" in options)


def create_table_now(admin: Any, path: str, descriptor: fluss.TableDescriptor, ignore_if_exists: bool = False) -> None:
    """The same for the blocking face, which leaves nothing to be awaited."""
    _now(create_table(admin, path, descriptor, ignore_if_exists))


def create_in_sql(run: Callable[[str], object], admin: Any, path: str, text: str) -> None:
    """The same by a statement, for the blocking face."""

    async def create() -> None:
        run(text)

    _now(_with_leaders(admin, path, create, partitioned="PARTITIONED BY" in text))


def _now(work: Coroutine[Any, Any, Any]) -> None:
    """Runs to its end what has nothing to await."""
    with suppress(StopIteration):
        work.send(None)


async def _with_leaders(
    admin: Any, path: str, create: Callable[[], Coroutine[Any, Any, Any]], *, partitioned: bool
) -> Any:
    """What creates a table returns, once it has leaders, or is known to the coordinator."""
    if not partitioned:
        return await _until_led(admin, path, create)
    table = await create()
    later = f"{path}_and_later"
    schema = fluss.Schema.new_builder().column("c", "INT").build()
    await create_table(admin, later, fluss.TableDescriptor(schema, bucket_count=1))
    await settle(admin.drop_table(later))
    return table


async def _until_led(admin: Any, path: str, create: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What creates a table without partitions returns.

    Of many that a cluster 0.9.1 creates, now and then one never gets leaders: then there is another one in its place.
    """
    for _ in range(3):
        table = await create()
        buckets = range((await settle(admin.get_table_info(path))).num_buckets)
        try:
            await settle(admin.list_offsets(path, list(buckets), fluss.OffsetSpec.earliest()))
        except fluss.FlussError as error:
            if not error.retriable:
                raise
            print(f"{path} is created again: {error}")
            await settle(admin.drop_table(path))
        else:
            return table
    raise AssertionError("no table gets leaders")


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

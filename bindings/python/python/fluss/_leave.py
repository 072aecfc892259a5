"""How the end of a ``with`` block closes what the block was about."""

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fluss._fluss import Pending

PATIENCE = 5.0
"""Seconds that a block which raised waits for what it has written."""


class Closes(Protocol):
    """What is closed at the end of a block."""

    def close(self) -> "Pending[None]": ...


def leave(core: Closes, raised: BaseException | None) -> None:
    """Closes, and raises what fails. If the block has raised, it waits for `PATIENCE` at most, and what fails becomes a
    note of what the block has raised."""
    if raised is None:
        return core.close().wait()
    try:
        core.close().wait(PATIENCE)
    except Exception as error:
        _note(raised, error)


async def leave_soon(core: Closes, raised: BaseException | None) -> None:
    """As `leave`, awaited."""
    if raised is None:
        return await core.close()
    try:
        async with asyncio.timeout(PATIENCE):
            await core.close()
    except Exception as error:
        _note(raised, error)


def _note(raised: BaseException, error: Exception) -> None:
    what = str(error) or f"{PATIENCE:g} s were not enough"
    raised.add_note(f"What was written before may not be stored: {what}")

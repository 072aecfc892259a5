"""A table of a few columns for tests of the short ways, and its rows."""

from itertools import count
from typing import Any

import pytest

from faces import created, settle

pa = pytest.importorskip("pyarrow")

SCHEMA = pa.schema([pa.field("id", pa.int32(), nullable=False), ("name", pa.string()), ("n", pa.int64())])
ROWS: list[dict[str, Any]] = [{"id": number, "name": f"n{number % 3}", "n": number * 10} for number in range(6)]
_numbers = count()


def new_path() -> str:
    """The path of a table that is not there yet."""
    return f"fluss.short_{next(_numbers)}"


async def table(connection: Any, *, key: bool, buckets: int = 2) -> Any:
    """A table of `SCHEMA`."""
    return await created(connection, new_path(), SCHEMA, primary_key="id" if key else None, buckets=buckets)


async def listed(values: Any) -> list[Any]:
    """All that an iterator of either face gives."""
    return [value async for value in values] if hasattr(values, "__aiter__") else list(values)


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by their ids."""
    return sorted(rows, key=lambda row: int(row["id"]))


async def stored(of: Any) -> list[dict[str, Any]]:
    """The rows of a table by their ids."""
    return by_id((await settle(of.to_arrow())).to_pylist())

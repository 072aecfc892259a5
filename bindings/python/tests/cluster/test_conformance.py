"""Log tables on three tablet servers, plain and with logins, in both faces.

Every type with nulls and extremes, in every format and compression, on 1 to 16 buckets.
"""

import asyncio
from itertools import count
from types import ModuleType
from typing import Any

import pytest

import fluss
from all_types import VALUES, rows_of_every_type
from faces import create_table, settle
from fluss.client.admin import OffsetSpec

POLL_MS = 10_000
LAYOUTS = {
    "ARROW ZSTD": {},
    "ARROW ZSTD 19": {"table.log.arrow.compression.zstd.level": "19"},
    "ARROW LZ4_FRAME": {"table.log.arrow.compression.type": "LZ4_FRAME"},
    "ARROW NONE": {"table.log.arrow.compression.type": "NONE"},
    "INDEXED": {"table.log.format": "INDEXED"},
    "COMPACTED": {"table.log.format": "COMPACTED"},
}
COLUMNS = {"id": "BIGINT NOT NULL", **{f"c{index}": data_type for index, data_type in enumerate(VALUES)}}
ROWS = [[number, *row] for number, row in enumerate(rows_of_every_type() * 2)]
_numbers = count()


def descriptor(buckets: int, properties: dict[str, str]) -> fluss.TableDescriptor:
    builder = fluss.Schema.new_builder()
    for name, data_type in COLUMNS.items():
        builder.column(name, data_type)
    return fluss.TableDescriptor(builder.build(), bucket_count=buckets, properties=properties)


async def write(table: Any, rows: list[Any], arrow: list[Any]) -> None:
    writer = table.new_append().create_writer()
    for row in rows:
        writer.append(row)
    for data in arrow:
        await settle(writer.append_arrow(data))
    await settle(writer.close())


async def scan(table: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """All rows by id, and the same as Arrow."""
    rows: list[dict[str, Any]] = []
    arrow: list[Any] = []
    scanner = table.new_scan().create_log_scanner()
    await settle(scanner.subscribe_from_beginning())
    while len(rows) < len(ROWS):
        records = await settle(scanner.poll(POLL_MS))
        assert len(records) > 0, f"{len(rows)} of {len(ROWS)} rows came"
        rows += [record.get_row() for record in records]
    await settle(scanner.subscribe_from_beginning())
    while sum(len(batch) for batch in arrow) < len(ROWS):
        arrow.append(await settle(scanner.poll_arrow(POLL_MS)))
        assert len(arrow[-1]) > 0, "the rows did not come as Arrow"
    await settle(scanner.close())
    return sorted(rows, key=lambda row: row["id"]), arrow


async def check(face: ModuleType, options: dict[str, str], properties: dict[str, str], buckets: int) -> None:
    connection = await settle(face.Connection.create(options))
    admin = connection.get_admin()
    expected = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    paths = [f"fluss.conformance_{next(_numbers)}" for _ in range(2)]
    for path in paths:
        await create_table(admin, path, descriptor(buckets, properties))
    first, second = [await settle(connection.get_table(path)) for path in paths]
    await write(first, ROWS, [])
    rows, arrow = await scan(first)
    assert rows == expected
    await write(second, [], arrow)
    rows, _ = await scan(second)
    assert rows == expected
    await check_admin(admin, paths, buckets)
    await settle(connection.close())


async def check_admin(admin: Any, paths: list[str], buckets: int) -> None:
    for path in paths:
        ends = await settle(admin.list_offsets(path, list(range(buckets)), OffsetSpec.latest()))
        assert sum(ends.values()) == await settle(admin.get_row_count(path)) == len(ROWS)
        assert (await settle(admin.get_table_info(path))).num_buckets == buckets
        assert path.removeprefix("fluss.") in await settle(admin.list_tables("fluss"))
        await settle(admin.drop_table(path))
        assert not await settle(admin.table_exists(path))


@pytest.mark.parametrize("buckets", [1, 3, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_everything_comes_back(face: ModuleType, options: dict[str, str], layout: str, buckets: int) -> None:
    asyncio.run(check(face, options, LAYOUTS[layout], buckets))

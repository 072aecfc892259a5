"""Tables that are written in one call, from all that rows come in, in both faces."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from short import ROWS, SCHEMA, stored, table

import fluss
from faces import settle

pa = pytest.importorskip("pyarrow")

Body = Callable[[Any], Coroutine[Any, Any, None]]


@dataclass
class Person:
    id: int
    name: str
    n: int | None = None


def inputs(folder: Path) -> dict[str, Callable[[], Any]]:
    """`ROWS` as all that is taken, made anew for each write."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    parquet, dataset = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.dataset")
    columns = {name: [row[name] for row in ROWS] for name in ("id", "name", "n")}
    arrow = pa.table(columns, SCHEMA)
    halves = arrow.to_batches(max_chunksize=3)
    frame = polars.DataFrame(arrow)
    file = folder / "rows.parquet"
    parquet.write_table(arrow, file)
    return {
        "pyarrow table": lambda: arrow,
        "record batch": lambda: arrow.to_batches()[0],
        "record batch reader": lambda: arrow.to_reader(),
        "pandas": lambda: pandas.DataFrame(columns).astype({"id": "int32"}),
        "polars": lambda: frame,
        "lazy frame": lambda: frame.lazy(),
        "dicts": lambda: ROWS,
        "tuples": lambda: [tuple(row.values()) for row in ROWS],
        "dataclasses": lambda: [Person(**row) for row in ROWS],
        "dict of lists": lambda: columns,
        "dict of arrays": lambda: {name: arrow[name] for name in columns},
        "dict of series": lambda: {name: frame[name] for name in columns},
        "list of batches": lambda: halves,
        "iterator of batches": lambda: iter(halves),
        "iterator of frames": lambda: (frame[begin : begin + 3] for begin in (0, 3)),
        "iterator of dicts": lambda: iter(ROWS),
        "parquet file": lambda: parquet.ParquetFile(file),
        "dataset": lambda: dataset.dataset(file),
        "scanner": lambda: dataset.dataset(file).scanner(),
    }


@pytest.mark.parametrize("key", [False, True])
def test_rows_are_written_whatever_they_are_in(run: Callable[[Body], None], key: bool, tmp_path: Path) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=key)
        write = made.upsert if key else made.append
        kinds = inputs(tmp_path)
        for number, (name, data) in enumerate(kinds.items()):
            written = await settle(write(data()))
            assert (written.rows, written.seconds > 0, written.bytes > 0) == (6, True, True), name
            if key:
                assert await stored(made) == ROWS, name
                assert await settle(made.delete([row["id"] for row in ROWS])) and await stored(made) == [], name
            else:
                assert await stored(made) == [row for row in ROWS for _ in range(number + 1)], name
        nothings: list[Any] = [[], iter([]), {}, SCHEMA.empty_table()]
        for nothing in nothings:
            written = await settle(write(nothing))
            assert (written.rows, written.bytes) == (0, 0)

    run(body)


def test_keys_are_deleted_whatever_they_are_in(run: Callable[[Body], None]) -> None:
    polars = pytest.importorskip("polars")

    async def body(connection: Any) -> None:
        made = await table(connection, key=True)
        ids = pa.array([0, 1], pa.int32())
        for keys in (
            [0, 1],
            ((0,), [1]),
            ROWS[:2],
            iter([{"id": 0}, {"id": 1}]),
            {"id": [0, 1]},
            pa.table({"id": ids}),
            polars.DataFrame({"id": [0, 1], "more": ["a", "b"]}, schema_overrides={"id": polars.Int32}),
            [Person(0, "x"), Person(1, "y")],
            {0, 1},
        ):
            await settle(made.upsert(ROWS))
            assert (await settle(made.delete(keys))).rows == 2
            assert await stored(made) == ROWS[2:]
        assert (await settle(made.delete([77]))).rows == 1
        for bad in ([[1, 2]], [{"name": "n1"}], ["one"], [None], "1", 1, pa.table({"name": ["n1"]})):
            with pytest.raises(fluss.FlussError):
                await settle(made.delete(bad))
        assert await stored(made) == ROWS[2:]

    run(body)


@pytest.mark.parametrize("key", [False, True])
def test_nonsense_is_refused_and_the_table_goes_on(run: Callable[[Body], None], key: bool) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=key)
        write, other = (made.upsert, made.append) if key else (made.append, made.upsert)
        wrong: list[tuple[Any, type[Exception], str]] = [
            (None, fluss.ArgumentTypeError, "and not as NoneType"),
            ("rows", fluss.ArgumentTypeError, "and not as str"),
            (7, fluss.ArgumentTypeError, "and not as int"),
            ([1, "Ada", 2], fluss.DataError, "row 0"),
            ({"id": 1, "name": "Ada", "n": 2}, fluss.ArgumentTypeError, "one row is given in a list"),
            ({"id": [1, 2], "name": ["Ada"]}, fluss.ArgumentError, "'id' has 2 values, 'name' has 1 values"),
            ([{"id": 1, "nome": "Ada", "n": 2}], fluss.DataError, "name"),
            ([ROWS[0], {"id": "one"}], fluss.DataError, "id"),
            ([ROWS[0], (2, "Grace")], fluss.DataError, "row 1"),
            ([Person(1, "Ada"), Person(None, "Nobody")], fluss.DataError, "id"),  # type: ignore[arg-type]
            (pa.table({"id": [1.5], "name": ["Ada"], "n": [1]}), fluss.DataError, "id"),
            (pa.array([1, 2]), fluss.DataError, "columns are needed"),
            (iter([pa.table({"idd": [1]})]), fluss.DataError, "id"),
            (iter([SCHEMA.empty_table(), 3]), fluss.ArgumentTypeError, "Arrow data is expected"),
        ]
        for data, error, message in wrong:
            with pytest.raises(error, match=message):
                await settle(write(data))
        with pytest.raises(fluss.ArgumentError, match="primary key"):
            await settle(other(ROWS))
        for timeout in (-1, float("nan")):
            with pytest.raises(ValueError, match="is no duration"):
                await settle(write(ROWS, timeout=timeout))
        assert await stored(made) == []
        assert (await settle(write(ROWS, timeout=60))).rows == 6
        assert await stored(made) == ROWS

    run(body)


def test_of_rows_that_come_one_by_one_an_error_says_which_and_how_many_were_taken(run: Callable[[Body], None]) -> None:
    def rows(bad: int, raised: Exception | None = None) -> Iterator[dict[str, Any]]:
        for number in range(30_000):
            if number == bad and raised is not None:
                raise raised
            yield {"id": None if number == bad else number, "name": "x" * 10, "n": number}

    async def body(connection: Any) -> None:
        made = await table(connection, key=False)
        with pytest.raises(fluss.DataError) as faulty:
            await settle(made.append(rows(12_345)))
        assert (faulty.value.row, faulty.value.column, faulty.value.rows_taken) == (12_345, "id", 0)
        assert "row 12345" in str(faulty.value)
        own = LookupError("no more luck")
        with pytest.raises(LookupError) as raised:
            await settle(made.append(rows(12_345, own)))
        assert raised.value is own
        assert await settle(made.count()) == 0
        writer = made.new_append().create_writer()
        handle = await settle(writer.append_many(rows(-1)))
        await settle(writer.flush())
        assert (handle.rows, handle.rows_stored) == (30_000, 30_000)
        assert await settle(made.count()) == 30_000
        await settle(writer.close())

    run(body)


def test_of_more_than_the_buffer_what_was_taken_is_told(face: Any, target: str) -> None:
    def parts() -> Iterator[Any]:
        for begin in range(0, 40_000, 1000):
            ids = pa.array(range(begin, begin + 1000), pa.int32())
            yield pa.table({"id": ids, "name": ["name"] * 1000, "n": list(range(1000))}, SCHEMA)
        raise LookupError("no more luck")

    async def main() -> None:
        connection = await settle(face.connect(target, writer_buffer_memory_size="64 kb", writer_batch_size="16 kb"))
        made = await table(connection, key=False)
        with pytest.raises(LookupError, match="no more luck") as raised:
            await settle(made.append(parts()))
        taken = raised.value.rows_taken  # type: ignore[attr-defined]
        assert 0 < taken <= 40_000
        assert f"{taken} rows were sent before" in raised.value.__notes__[0]
        await settle(made.append(ROWS))
        assert await settle(made.count()) == taken + 6

        # What is in memory is looked through before the first row is sent.
        whole = await table(connection, key=False)
        for begin in (0, 30_000):
            ids = pa.array([*range(begin, begin + 29_999), None], pa.int32())
            bad = pa.table({"id": ids, "name": ["name"] * 30_000, "n": ids.cast(pa.int64())})
            with pytest.raises(fluss.DataError) as refused:
                await settle(whole.append([bad[:15_000], bad[15_000:]]))
            assert (refused.value.row, refused.value.rows_taken) == (29_999, 0)
        assert await settle(whole.count()) == 0
        await settle(connection.close())

    asyncio.run(main())


def test_many_rows_are_written_by_a_writer(run: Callable[[Body], None]) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=True)
        writer = made.new_upsert().partial_update(["id", "n"]).create_writer()
        handle = await settle(writer.upsert_many([(1, 10), {"id": 2, "n": 20}]))
        with pytest.raises(fluss.DataError, match="row 1"):
            await settle(writer.upsert_many([(3, 30), ("four", 40)]))
        await settle(writer.flush())
        assert handle.done() and (handle.rows, handle.rows_stored, handle.nbytes > 0) == (2, 2, True)
        await settle(writer.close())
        assert await stored(made) == [{"id": 1, "name": None, "n": 10}, {"id": 2, "name": None, "n": 20}]

    run(body)


@pytest.mark.parametrize("target", ["cluster", "node"], indirect=True)
def test_a_write_that_is_not_answered_says_how_much_is_known_to_be_stored(
    run: Callable[[Body], None], silence: Callable[[], AbstractContextManager[None]]
) -> None:
    async def body(connection: Any) -> None:
        made = await table(connection, key=True)
        await settle(made.upsert(ROWS))
        with silence(), pytest.raises(fluss.TimeoutError) as raised:
            await settle(made.upsert(ROWS, timeout=0.3))
        assert raised.value.__notes__ == ["0 of 6 rows are known to be stored."]
        assert (await settle(made.upsert(ROWS))).rows == 6 and await stored(made) == ROWS

    run(body)

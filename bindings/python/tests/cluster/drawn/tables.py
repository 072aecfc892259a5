"""Random tables, of every sort that servers take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

import fluss
from drawn.kinds import PARTITIONING, Kind, any_kind, scalar

LOG_FORMATS = {None: ["ARROW", "INDEXED", "COMPACTED"], "COMPACTED": ["ARROW", "COMPACTED"]}
LOG_FORMATS["INDEXED"] = LOG_FORMATS[None]
"""The formats of a log, by that of the rows that it is the changelog of."""
NUMBER = "n"
"""The column of a log table that tells its rows apart."""


@dataclass(frozen=True)
class Table:
    """A table to be made."""

    columns: dict[str, Kind]
    key: list[str]
    """None in a log table."""
    bucket_key: list[str]
    partitioned_by: list[str]
    buckets: int
    log_format: str
    kv_format: str | None
    compression: str

    @property
    def properties(self) -> dict[str, str]:
        kv_format = {"table.kv.format": self.kv_format} if self.kv_format else {}
        return {
            "table.log.format": self.log_format,
            "table.log.arrow.compression.type": self.compression,
            **kv_format,
        }

    @property
    def formats(self) -> set[str | None]:
        """Those in which rows are stored."""
        return {self.log_format, self.kv_format}

    @property
    def prefix(self) -> list[str]:
        """The columns by which beginnings of keys can be looked for, if there are such."""
        physical = [name for name in self.key if name not in self.partitioned_by]
        length = len(self.bucket_key)
        is_prefix = 0 < length < len(physical) and physical[:length] == self.bucket_key
        return [*self.partitioned_by, *self.bucket_key] if is_prefix else []

    def is_prefix(self, key: Mapping[str, object]) -> bool:
        """Whether this is the beginning of a key, and not a whole one."""
        return len(key) < len(self.key)

    @property
    def can_be_updated_in_part(self) -> bool:
        return all(kind.nullable for name, kind in self.columns.items() if name not in self.key)

    def schema(self) -> fluss.Schema:
        builder = fluss.Schema.new_builder()
        for name, kind in self.columns.items():
            builder.column(name, str(kind))
        return (builder.primary_key(self.key) if self.key else builder).build()

    def descriptor(self) -> fluss.TableDescriptor:
        return fluss.TableDescriptor(
            self.schema(),
            partition_keys=self.partitioned_by,
            bucket_count=self.buckets,
            bucket_keys=self.bucket_key,
            properties=self.properties,
        )


def draw(random: Random) -> Table:
    """Any table."""
    return _keyed(random) if random.random() < 0.5 else _log(random)


def _log(random: Random) -> Table:
    partitions = _partitions(random)
    columns = {NUMBER: Kind("BIGINT", nullable=False), **partitions, **_values(random, random.randint(1, 7))}
    scalars = [name for name, kind in columns.items() if not kind.parts and name not in partitions]
    bucket_key = random.sample(scalars, random.randint(1, min(2, len(scalars)))) if random.random() < 0.4 else []
    columns |= {name: replace(columns[name], nullable=False) for name in bucket_key}
    return _table(random, columns, [], bucket_key, list(partitions), None)


def _keyed(random: Random) -> Table:
    partitions = _partitions(random)
    own = {f"k{index}": scalar(random, nullable=False) for index in range(random.randint(1, 3))}
    values = _values(random, random.randint(0, 6))
    if random.random() < 0.6:
        values = {name: replace(kind, nullable=True) for name, kind in values.items()}
    key = _shuffled(random, [*partitions, *own])
    physical = [name for name in key if name in own]
    begins = physical[: random.randint(1, len(physical))]
    bucket_key = random.choice([[], begins, begins, random.sample(physical, len(begins))])
    kv_format = random.choice(["COMPACTED", "COMPACTED", "INDEXED"])
    return _table(random, {**partitions, **own, **values}, key, bucket_key, list(partitions), kv_format)


def _partitions(random: Random) -> dict[str, Kind]:
    count = random.choice([0, 0, 1, 2])
    roots = random.choice([PARTITIONING, PARTITIONING, ["STRING", "INT", "DATE"]])
    return {f"p{index}": scalar(random, roots, nullable=False) for index in range(count)}


def _values(random: Random, count: int) -> dict[str, Kind]:
    return {f"c{index}": any_kind(random) for index in range(count)}


def _table(
    random: Random,
    columns: dict[str, Kind],
    key: list[str],
    bucket_key: list[str],
    partitioned_by: list[str],
    kv_format: str | None,
) -> Table:
    return Table(
        columns={name: columns[name] for name in _shuffled(random, list(columns))},
        key=key,
        bucket_key=bucket_key,
        partitioned_by=_shuffled(random, partitioned_by),
        buckets=random.choice([1, 1, 2, 3, 4, 5]),
        log_format=random.choice(["ARROW", *LOG_FORMATS[kv_format]]),
        kv_format=kv_format,
        compression=random.choice(["NONE", "LZ4_FRAME", "ZSTD"]),
    )


def _shuffled(random: Random, names: list[str]) -> list[str]:
    return random.sample(names, len(names))

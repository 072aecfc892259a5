"""Compares the clients side by side on one real cluster: ``run.py [--rounds 3] [--only OP,..] [--clients NAME,..]``.

Every job runs in a process of its own, after a shorter one of the same kind that warms it up. Within a round all
clients do an operation one after the other, in an order that changes from round to round.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import fluss

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "peers"))

import peers  # noqa: E402
from fluss_cluster import Cluster  # noqa: E402

Json = dict[str, Any]
DATABASE = "fluss"
BUCKETS = 3
COLUMNS = {"id": "BIGINT", "name": "STRING", "value": "DOUBLE", "at": "TIMESTAMP(6)"}
# What a warm-up does of the job that it warms up for.
WARM_UP = 0.2
# The rows of the log table that is read.
LOGGED = 6_000_000
# The keys of the primary-key table that is read. Each was written twice: three records of the changelog.
KEYS = 300_000


@dataclass(frozen=True)
class Operation:
    """What is compared, over how many rows, and which floor lies under it."""

    name: str
    rows: int
    floor: str | None = None
    reads: bool = False
    keyed: bool = False
    seconds: float | None = None
    """Rows beyond this time are left out."""


OPERATIONS = [
    Operation("append_rows", 600_000),
    Operation("append_arrow", 6_000_000, floor="encode"),
    Operation("append_one", 30),
    Operation("scan_rows", 1_500_000, reads=True),
    Operation("scan_arrow", LOGGED, floor="decode", reads=True),
    Operation("scan_projected", LOGGED, reads=True),
    Operation("upsert_rows", KEYS, keyed=True),
    Operation("upsert_arrow", KEYS, keyed=True),
    Operation("changelog_rows", 3 * KEYS, reads=True, keyed=True),
    Operation("changelog_arrow", 3 * KEYS, reads=True, keyed=True),
    Operation("lookup_one", 10_000, floor="lookup", reads=True, keyed=True, seconds=4),
    Operation("lookup_1000", 100_000, reads=True, keyed=True),
    Operation("lookup_many", 50_000, reads=True, keyed=True),
    Operation("connect", 200, floor="round_trip", seconds=4),
]
FLOORS = [
    Operation("encode", 6_000_000),
    Operation("decode", 6_000_000),
    Operation("loopback", 6_000_000),
    Operation("round_trip", 10_000),
    Operation("lookup", 10_000, reads=True, keyed=True),
]


@functools.cache
def built() -> list[str]:
    """The programs of this repository that are measured, built for release if they have to be. All in one go: alone, a
    package may want its dependencies with other features, and so once more. SQL is measured in Python."""
    command = ["cargo", "build", "--quiet", "--release", "--message-format", "json"]
    command += ["--package", "bench-ours", "--package", "fluss-cli", "--no-default-features"]
    messages = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    programs = (json.loads(line).get("executable") for line in messages.splitlines())
    return [path for path in programs if path]


def program(name: str) -> str:
    """The path of one of these programs."""
    return next(path for path in built() if Path(path).name == name)


def ours(name: str = "bench-ours") -> peers.Peer:
    """This client from Rust, or the floors."""
    return peers.Peer([program(name)])


def ours_python() -> peers.Peer:
    """This client from Python, as it is installed beside this program."""
    return peers.Peer([sys.executable, str(HERE / "ours" / "python" / "peer.py")])


CLIENTS: dict[str, Callable[[], peers.Peer]] = {
    "ours": ours,
    "fluss-rs": lambda: peers.fluss_rs("release"),
    "java": lambda: peers.java("bench"),
    "java-1.0": lambda: peers.java_1_0("bench"),
    "ours-python": ours_python,
    "pyfluss": lambda: peers.pyfluss("bench"),
}
OURS = {"ours": ["fluss-rs", "java", "java-1.0", "pyfluss"], "ours-python": ["pyfluss"]}


@dataclass
class Figures:
    """What a client did in all rounds of an operation."""

    results: list[Json] = field(default_factory=list)

    def add(self, result: Json) -> None:
        self.results.append(result)

    @property
    def rate(self) -> float:
        """Rows a second."""
        return median(result["rows"] / result["seconds"] for result in self.results)

    @property
    def cpu_micros(self) -> float:
        """Processor time of the client, in microseconds a row."""
        return median(result["cpu_seconds"] / result["rows"] * 1e6 for result in self.results)

    @property
    def peak_mib(self) -> float:
        return median(result["peak_rss_kib"] / 1024 for result in self.results)

    def micros(self, percentile: str) -> str:
        """A percentile of the calls in microseconds, where calls were timed one by one."""
        key = f"{percentile}_micros"
        return f"{median(result[key] for result in self.results):,.0f}" if key in self.results[0] else ""


def descriptor(keyed: bool, buckets: int = BUCKETS) -> fluss.TableDescriptor:
    """A table of the benchmark, with keys or without."""
    schema = fluss.Schema.new_builder()
    for column, data_type in COLUMNS.items():
        schema.column(column, data_type)
    if keyed:
        schema.primary_key(["id"])
    return fluss.TableDescriptor(schema.build(), bucket_count=buckets)


class Bench:
    """The cluster, its tables, and the jobs that are done on them."""

    def __init__(self, cluster: Cluster, scale: float) -> None:
        self._bootstrap = cluster.bootstrap
        self._connection = fluss.connect(f"fluss://{cluster.bootstrap}")
        self._numbers = itertools.count()
        self._scale = scale
        self._filled: dict[str, str] = {}

    def measure(self, client: str, operation: Operation) -> Json | None:
        """The result of one job; nothing if the client does not offer the operation."""
        table = self._table_to_read(client, operation) if operation.reads else self._new_table(operation.keyed)
        rows = self._scaled(operation.rows)
        job = {"bootstrap": self._bootstrap, "database": DATABASE, "table": table, "batch_rows": 10_000}
        job["stored"] = self._stored(operation.keyed)
        if operation.seconds:
            job["seconds"] = operation.seconds
        with (CLIENTS | {"floor": lambda: ours("bench-floors")})[client]() as peer:
            try:
                peer.ask(op=operation.name, rows=max(1, int(rows * WARM_UP)), **job)
                result = peer.ask(op=operation.name, rows=rows, **job)
            except peers.PeerError as error:
                if "not offered" in str(error):
                    return None
                raise
        self._check(operation, result)
        if not operation.reads:
            self._connection.get_admin().drop_table(f"{DATABASE}.{table}")
        return result

    def _scaled(self, rows: int) -> int:
        return max(1, int(rows * self._scale))

    def _new_table(self, keyed: bool) -> str:
        name = f"bench_{next(self._numbers)}"
        self._connection.get_admin().create_table(f"{DATABASE}.{name}", descriptor(keyed))
        return name

    def _stored(self, keyed: bool) -> int:
        """How many rows there are in a table that is read."""
        return self._scaled(KEYS if keyed else LOGGED)

    def _table_to_read(self, client: str, operation: Operation) -> str:
        """A table that was filled by the client, or by another that puts keys into the same buckets."""
        by_fluss_rs = operation.keyed and client in ("fluss-rs", "pyfluss")
        filler = "fluss-rs" if by_fluss_rs else "ours"
        purpose = f"{filler} {operation.keyed}"
        if purpose not in self._filled:
            self._filled[purpose] = table = self._new_table(operation.keyed)
            job = {"database": DATABASE, "table": table, "rows": self._stored(operation.keyed), "batch_rows": 10_000}
            with CLIENTS[filler]() as peer:
                for op in ("upsert_rows", "upsert_rows") if operation.keyed else ("append_arrow",):
                    peer.ask(op=op, bootstrap=self._bootstrap, **job)
        return self._filled[purpose]

    def _check(self, operation: Operation, result: Json) -> None:
        """Every row once: the whole table is read, so the sum of its ids is known."""
        rows = self._scaled(operation.rows)
        whole = operation.reads and not operation.keyed and rows == self._stored(False)
        if whole and result["sum_id"] != rows * (rows - 1) // 2:
            raise SystemExit(f"{result['client']}: {operation.name} read something else than was written: {result}")


def run(bench: Bench, operations: list[Operation], clients: list[str], rounds: int) -> dict[str, dict[str, Figures]]:
    """Figures by operation and client."""
    figures: dict[str, dict[str, Figures]] = {operation.name: {} for operation in [*operations, *FLOORS]}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for operation in operations:
            turn = number % len(clients)
            for client in clients[turn:] + clients[:turn]:
                add(figures, bench, client, operation)
        for floor in FLOORS:
            add(figures, bench, "floor", floor)
    return figures


def add(figures: dict[str, dict[str, Figures]], bench: Bench, client: str, operation: Operation) -> None:
    if result := bench.measure(client, operation):
        figures[operation.name].setdefault(client, Figures()).add(result)
        rate = result["rows"] / result["seconds"]
        print(f"  {operation.name:15} {client:12} {rate:>12,.0f} /s", file=sys.stderr)


HEADER = [
    "operation",
    "client",
    "rows/s",
    "CPU µs/row",
    "p50 µs",
    "p99 µs",
    "peak MiB",
    "rows/s ×",
    "CPU ×",
    "of floor",
]


def table(figures: dict[str, dict[str, Figures]], operations: list[Operation]) -> list[list[str]]:
    """The lines of the report. Ratios are to the best peer: × of its rows a second, × of its processor time."""
    lines = [HEADER]
    for operation in operations:
        clients = figures[operation.name]
        for client, figure in clients.items():
            lines.append(line(operation.name, client, figure) + ratios(client, clients))
            floor = figures.get(operation.floor or "", {}).get("floor")
            lines[-1].append(f"{figure.rate / floor.rate:.2f}" if floor else "")
    for floor in FLOORS:
        if figure := figures[floor.name].get("floor"):
            lines.append([*line(floor.name, "floor", figure), "", "", ""])
    return lines


def line(operation: str, client: str, figure: Figures) -> list[str]:
    latencies = [figure.micros("p50"), figure.micros("p99")]
    return [operation, client, f"{figure.rate:,.0f}", f"{figure.cpu_micros:.3f}", *latencies, f"{figure.peak_mib:,.0f}"]


def ratios(client: str, clients: dict[str, Figures]) -> list[str]:
    best = [clients[peer] for peer in OURS.get(client, []) if peer in clients]
    if not best:
        return ["", ""]
    rate = clients[client].rate / max(peer.rate for peer in best)
    least = min(peer.cpu_micros for peer in best)
    return [f"{rate:.2f}", f"{clients[client].cpu_micros / least:.2f}" if least else ""]


def print_table(lines: list[list[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for cells in lines:
        texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
        print("  ".join([*texts, *numbers]).rstrip())


def chosen(all_of_them: Iterable[str], names: str | None) -> list[str]:
    return [name for name in all_of_them if not names or name in names.split(",")]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that the drivers have in common."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows of every job")
    parser.add_argument("--only", help="operations, with commas between")
    parser.add_argument("--clients", help="clients, with commas between")
    return parser


def main() -> None:
    arguments = parser(__doc__).parse_args()
    names = chosen([operation.name for operation in OPERATIONS], arguments.only)
    operations = [operation for operation in OPERATIONS if operation.name in names]
    clients = chosen(CLIENTS, arguments.clients)
    if not operations:
        return
    with Cluster(tablet_servers=1, heap_mib=2048, optimized=True) as cluster:
        figures = run(Bench(cluster, arguments.scale), operations, clients, arguments.rounds)
    print_table(table(figures, operations))


if __name__ == "__main__":
    main()

"""Fills large tables through ``fluss serve`` on a disk: ``large.py [--scale 1]``.

Prints how much anonymous memory the node has while they are written and read, and how long it takes from its start
until it has answered for every bucket of them, after an orderly end and after a SIGKILL.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import run
import servers
from run import BUCKETS, DATABASE, peers

import fluss

LOG_ROWS = 10_000_000
KEYS = 2_000_000
LOOK_UPS = 400_000
# How often memory is looked at, in seconds.
TICK = 0.02
# What a single node is asked to be.
MOST_MIB = 300
MOST_OPEN_MS = 2_000

LOG = "large_log"
KEYED = "large_keyed"


class Peak:
    """The most anonymous memory that a process has while a block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.mib = 0.0

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(TICK):
            self.mib = max(self.mib, servers.anonymous_mib([self._pid]))


def jobs(scale: float) -> Iterator[tuple[str, str, str, int]]:
    """What is done: in words, by operation, on a table, over so many rows."""
    log_rows, keys, look_ups = (max(1, int(rows * scale)) for rows in (LOG_ROWS, KEYS, LOOK_UPS))
    yield "append as Arrow", "append_arrow", LOG, log_rows
    yield "upsert, new keys", "upsert_rows", KEYED, keys
    yield "upsert again", "upsert_rows", KEYED, keys
    yield "scan as Arrow", "scan_arrow", LOG, log_rows
    yield "scan two columns", "scan_projected", LOG, log_rows
    yield "read the changelog", "changelog_arrow", KEYED, 3 * keys
    yield "look up, 1,000 at a time", "lookup_1000", KEYED, look_ups
    yield "look up one by one", "lookup_one", KEYED, look_ups // 20


def do(server: servers.Server, scale: float) -> list[list[str]]:
    """Does all jobs, each in a process of its own; what came of them."""
    lines = [["job", "", "rows", "rows/s", "CPU µs/row", "peak MiB"]]
    for words, op, table, rows in jobs(scale):
        before = servers.cpu_seconds(server.pids)
        with run.ours() as peer, Peak(server.pids[0]) as peak:
            result = ask(peer, server, op=op, table=table, rows=rows, stored=int(KEYS * scale))
        micros = (servers.cpu_seconds(server.pids) - before) / result["rows"] * 1e6
        rate = result["rows"] / result["seconds"]
        lines.append([words, "", f"{result['rows']:,}", f"{rate:,.0f}", f"{micros:.3f}", f"{peak.mib:,.0f}"])
    return lines


def ask(peer: peers.Peer, server: servers.Server, **job: object) -> run.Json:
    return peer.ask(bootstrap=server.bootstrap, database=DATABASE, batch_rows=10_000, **job)


def make_tables(server: servers.Server) -> None:
    with fluss.connect(server.target) as connection:
        for table, keyed in ((LOG, False), (KEYED, True)):
            connection.get_admin().create_table(f"{DATABASE}.{table}", run.descriptor(keyed))


@contextmanager
def opened(directory: Path) -> Iterator[tuple[servers.Server, float]]:
    """The node, and the milliseconds from its start until it had answered for every bucket of both tables."""
    begun = time.perf_counter()
    with servers.node(directory) as server:
        with fluss.connect(server.target) as connection:
            for table in (LOG, KEYED):
                latest = fluss.OffsetSpec.latest()
                connection.get_admin().list_offsets(f"{DATABASE}.{table}", range(BUCKETS), latest)
            lookuper = connection.get_table(f"{DATABASE}.{KEYED}").new_lookup().create_lookuper()
            assert lookuper.lookup([0])
        yield server, (time.perf_counter() - begun) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fluss-large-", dir=".") as scratch:
        directory = Path(scratch)
        with servers.node(directory) as server:
            make_tables(server)
            run.print_table(do(server, arguments.scale))
        with opened(directory) as (server, after_end_ms):
            with run.ours() as peer:
                ask(peer, server, op="append_rows", table=LOG, rows=100_000)
                ask(peer, server, op="upsert_rows", table=KEYED, rows=100_000)
            server.kill()
        with opened(directory) as (server, after_kill_ms):
            at_rest = servers.anonymous_mib(server.pids)
        size = sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
    print()
    print(f"opened in {after_end_ms:,.0f} ms, after SIGKILL in {after_kill_ms:,.0f} ms; at most {MOST_OPEN_MS:,} ms")
    print(f"anonymous memory is to stay below {MOST_MIB} MiB; after opening it is {at_rest:,.0f}")
    print(f"on the disk: {size / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()

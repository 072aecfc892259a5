"""Reads large tables whole, as their rows come: ``stream.py [--scale 1] [--servers node,java]``.

Prints how much memory that takes beside what the client has before, when the first rows are there, and how long all
take: a log table and a primary-key table of 5 M rows, from Rust and from Python. Each read is a process of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import run
import servers
from run import DATABASE, Json, peers

import fluss

ROWS = 5_000_000
# What a read is asked to hold at most, and when its first rows are asked to be there.
MOST_MIB = 64
FIRST_SHARE = 0.1

# Of the primary-key table. Where servers do not give its rows out, a bucket is read to its end before its first row is
# known, and held meanwhile: a table of this size has more than a few.
BUCKETS = 32

READERS: dict[str, Callable[[], peers.Peer]] = {"rust": run.ours, "python": run.ours_python}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--servers", default="node,java")
    arguments = parser.parse_args()
    rows = max(1, int(ROWS * arguments.scale))
    print(f"{'':32}{'seconds':>10}{'first':>10}{'MiB':>8}   (asked for: first {FIRST_SHARE} of it, {MOST_MIB} MiB)")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluss-stream-")))
        start: dict[str, Callable[[], servers.Server]] = {
            "node": lambda: stack.enter_context(servers.node(scratch)),
            "java": lambda: stack.enter_context(servers.java()),
        }
        for name in run.chosen(start, arguments.servers):
            server = start[name]()
            for keyed in (False, True):
                table = fill(server, keyed, rows)
                for reader, open_peer in READERS.items():
                    # The second read counts: by then the JVM has compiled what it runs.
                    for _ in range(2):
                        with open_peer() as peer:
                            result = peer.ask(op="read_whole", rows=rows, **at(server, table))
                    show(f"{name}, {'keys' if keyed else 'log'}, {reader}", result, rows)


def at(server: servers.Server, table: str) -> Json:
    return {"bootstrap": server.bootstrap, "database": DATABASE, "table": table, "batch_rows": 10_000}


def fill(server: servers.Server, keyed: bool, rows: int) -> str:
    table = "streamed_keys" if keyed else "streamed_log"
    with fluss.connect(server.target) as connection:
        descriptor = run.descriptor(keyed, BUCKETS) if keyed else run.descriptor(keyed)
        connection.get_admin().create_table(f"{DATABASE}.{table}", descriptor)
    with run.ours() as peer:
        peer.ask(op="upsert_rows" if keyed else "append_arrow", rows=rows, **at(server, table))
    return table


def show(name: str, result: Json, rows: int) -> None:
    assert result["rows"] == rows and result["sum_id"] == rows * (rows - 1) // 2, result
    held = (result["peak_rss_kib"] - result["resting_rss_kib"]) / 1024
    first = result["first_seconds"] / result["seconds"]
    print(f"{name:32}{result['seconds']:>10.2f}{first:>10.3f}{held:>8.0f}", flush=True)


if __name__ == "__main__":
    main()

"""Compares the node with the Java server, under the same client: ``servers.py [--rounds 3] [--only OP,..]``.

What is measured is the server: the processor time that it takes for a row, how soon it answers after its start, and the
memory that it has when idle. Every job is done twice, of which the second counts, so that the JVM has compiled what it
needs. The node is also measured in the process of the client, and by TLS, against itself over loopback.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import run
from run import DATABASE, Figures, Json, Operation, peers

import fluss
from fluss_cluster import Cluster

# The keys of the table that is looked at, and the rows of the log that is read.
KEYS = 500_000
LOGGED = 6_000_000
# How often the node is started to see how soon it answers.
STARTS = 9
# How long a server is left alone before its memory is looked at, in seconds.
REST = 3
# What a single node is asked to be.
MOST_START_MS = 100
MOST_IDLE_MIB = 40

OPERATIONS = [
    Operation("append_arrow", LOGGED),
    Operation("append_rows", 2_000_000),
    Operation("upsert_rows", KEYS, keyed=True),
    Operation("upsert_random", KEYS, keyed=True),
    Operation("lookup_one", 20_000, reads=True, keyed=True, seconds=4),
    Operation("lookup_1000", 200_000, reads=True, keyed=True),
    Operation("lookup_many", 400_000, reads=True, keyed=True),
    Operation("scan_rows", LOGGED, reads=True),
    Operation("scan_arrow", LOGGED, reads=True),
    Operation("scan_projected", LOGGED, reads=True),
    Operation("changelog_arrow", KEYS, reads=True, keyed=True),
]
# What a program that has the node inside gains by it.
IN_PROCESS = ("lookup_one", "lookup_1000", "lookup_many")
# What TLS costs most where many bytes go.
BY_TLS = ("append_arrow", "scan_arrow")
# The least that is asked for, and what is aimed at, of the rows a second without.
LEAST_BY_TLS = 0.6
AIM_BY_TLS = 0.8


@dataclass
class Server:
    """A server to be measured."""

    name: str
    target: str
    """What a client connects to."""
    pids: list[int] = field(default_factory=list)
    """Its processes; none if the client has it inside."""
    helpers: list[int] = field(default_factory=list)
    """Processes without which it does not run, and that are not counted."""
    start_ms: float = 0.0
    """From its start to its first answer."""
    filled: dict[bool, str] = field(default_factory=dict)
    """Tables to be read, by whether they have keys."""
    only: tuple[str, ...] = ()
    """The operations that are measured on it; all if there are none."""

    @property
    def bootstrap(self) -> str:
        """As a job names it."""
        return self.target.removeprefix("fluss://")

    def kill(self) -> None:
        """Ends it at once (SIGKILL)."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of all threads that these processes have and had."""
    # The kernel's number for the processor clock of another process.
    return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in pids) / 1e9


def anonymous_mib(pids: list[int]) -> float:
    """Memory in use that is not of files."""
    return sum(status_kib(pid, "RssAnon") for pid in pids) / 1024


def status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def node(directory: Path, *options: str, query: str = "") -> Iterator[Server]:
    """The node that serves a directory, until the end of the block; ``query`` is what clients need to connect."""
    command = [run.program("fluss"), "serve", "--data-dir", str(directory), "--listen", "127.0.0.1:0", *options]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        target = process.stdout.readline().rsplit(maxsplit=1)[-1] + query
        start_ms = first_answer_ms(target, begun)
        yield Server("node", target, [process.pid], start_ms=start_ms)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def node_by_tls(directory: Path) -> Iterator[Server]:
    """The node with a certificate that is made here, and clients that come by TLS."""
    directory.mkdir()
    certificate, key = directory / "node.pem", directory / "node.key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=node", "-days", "2"]
    # A certificate of its own authority, which a client would not take from a server.
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(made, check=True, stderr=subprocess.DEVNULL)
    options = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with node(directory / "data", *options, query=f"?tls=true&tlsCaFile={certificate}") as server:
        server.name, server.only = "by tls", BY_TLS
        yield server


@contextmanager
def java() -> Iterator[Server]:
    """One tablet server and the coordinator that it needs."""
    begun = time.perf_counter()
    with Cluster(tablet_servers=1, heap_mib=2048, optimized=True) as cluster:
        target = f"fluss://{cluster.bootstrap}"
        start_ms = first_answer_ms(target, begun)
        described = cluster.describe()
        pids = [server["pid"] for server in [described["coordinator"], *described["tablet_servers"]]]
        helpers = sorted(siblings(pids[0]) - set(pids))
        yield Server("java", target, pids, helpers, start_ms)


def first_answer_ms(target: str, begun: float) -> float:
    """Asks for the servers; how long ago ``begun`` is then, in milliseconds."""
    with fluss.connect(target) as connection:
        connection.get_admin().get_server_nodes()
        return (time.perf_counter() - begun) * 1000


def siblings(pid: int) -> set[int]:
    """The processes that were started by whoever started this one."""
    parent = next(
        line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("PPid:")
    )
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def in_process(directory: Path, scale: float) -> Server:
    """The node of a directory, to be opened by each client in its own process; another has filled it before."""
    with node(directory) as filler:
        Measurement(filler, scale).fill()
    return Server("in process", f"embedded:{directory}", filled=filler.filled, only=IN_PROCESS)


class Measurement:
    """Tables on a server, and the jobs that are done on them."""

    def __init__(self, server: Server, scale: float) -> None:
        self._server = server
        self._scale = scale
        self._numbers = itertools.count()

    def measure(self, operation: Operation) -> Iterator[tuple[str, Json]]:
        """The results by name: writing of rows with keys is done once more, over the rows that are there then."""
        with run.ours() as peer:
            if operation.reads:
                table = self._filled_table(peer, operation.keyed)
                if self._server.pids:
                    self._ask(peer, operation, table)
                yield operation.name, self._ask(peer, operation, table)
                return
            tables = [self._new_table(operation.keyed) for _ in range(2)]
            results = [self._ask(peer, operation, table) for table in tables]
            yield operation.name, results[-1]
            if operation.keyed:
                yield f"{operation.name} again", self._ask(peer, operation, tables[-1])
            for table in tables:
                self._drop_table(table)

    def fill(self) -> None:
        """Makes the table that keys are looked up in."""
        with run.ours() as peer:
            self._filled_table(peer, keyed=True)

    def _ask(self, peer: peers.Peer, operation: Operation, table: str) -> Json:
        job: Json = {"bootstrap": self._server.bootstrap, "database": DATABASE, "table": table, "batch_rows": 10_000}
        job["stored"] = self._scaled(KEYS if operation.keyed else LOGGED)
        if operation.seconds:
            job["seconds"] = operation.seconds
        before = cpu_seconds(self._server.pids)
        result = peer.ask(op=operation.name, rows=self._scaled(operation.rows), **job)
        result["server_cpu_seconds"] = cpu_seconds(self._server.pids) - before
        return result

    def _filled_table(self, peer: peers.Peer, keyed: bool) -> str:
        filled = self._server.filled
        if keyed not in filled:
            filled[keyed] = table = self._new_table(keyed)
            operation = Operation("upsert_rows", KEYS, keyed=True) if keyed else Operation("append_arrow", LOGGED)
            self._ask(peer, operation, table)
        return filled[keyed]

    def _scaled(self, rows: int) -> int:
        return max(1, int(rows * self._scale))

    def _new_table(self, keyed: bool) -> str:
        name = f"servers_{next(self._numbers)}"
        with fluss.connect(self._server.target) as connection:
            connection.get_admin().create_table(f"{DATABASE}.{name}", run.descriptor(keyed))
        return name

    def _drop_table(self, name: str) -> None:
        with fluss.connect(self._server.target) as connection:
            connection.get_admin().drop_table(f"{DATABASE}.{name}")


@dataclass
class ServerFigures(Figures):
    """What a server did in all rounds of an operation."""

    @property
    def server_micros(self) -> float:
        """Processor time of the server, in microseconds a row."""
        return median(result["server_cpu_seconds"] / result["rows"] * 1e6 for result in self.results)

    @property
    def all_micros(self) -> float:
        """The same with that of the client."""
        return self.server_micros + self.cpu_micros


ByServer = dict[str, dict[str, ServerFigures]]


def work(servers: list[Server], operations: list[Operation], rounds: int, scale: float) -> ByServer:
    """Figures by operation and server."""
    figures: ByServer = {}
    measurements = {server.name: Measurement(server, scale) for server in servers}
    for number in range(rounds):
        print(f"servers, round {number + 1} of {rounds}", file=sys.stderr)
        for operation in operations:
            turn = number % len(servers)
            for server in servers[turn:] + servers[:turn]:
                if server.only and operation.name not in server.only:
                    continue
                for name, result in measurements[server.name].measure(operation):
                    by_server = figures.setdefault(name, {})
                    by_server.setdefault(server.name, ServerFigures()).add(result)
                    micros = result["server_cpu_seconds"] / result["rows"] * 1e6
                    print(f"  {name:20} {server.name:12} {micros:8.3f} µs", file=sys.stderr)
    return figures


def lines_of_work(figures: ByServer) -> list[list[str]]:
    """Rows a second and the server's processor time; the node's as a multiple of the Java server's."""
    lines = [["operation", "server", "rows/s", "server CPU µs/row", "rows/s ×", "CPU ×"]]
    for operation, servers in figures.items():
        for name in ("node", "java"):
            if figure := servers.get(name):
                lines.append([operation, name, f"{figure.rate:,.0f}", f"{figure.server_micros:.3f}"])
                lines[-1] += ratios(figure, servers["java"]) if name == "node" and "java" in servers else ["", ""]
    return lines


def ratios(figure: ServerFigures, java: ServerFigures) -> list[str]:
    return [f"{figure.rate / java.rate:.2f}", f"{figure.server_micros / java.server_micros:.2f}"]


def lines_in_process(figures: ByServer) -> list[list[str]]:
    """The node in the client's process, beside the same over loopback; processor time is of both sides together."""
    lines = [["operation", "node", "rows/s", "CPU µs/row", "p50 µs", "p99 µs", "rows/s ×", "CPU ×"]]
    for operation, servers in figures.items():
        if not {"in process", "node"} <= servers.keys():
            continue
        over, within = servers["node"], servers["in process"]
        lines.append([operation, "loopback", *costs(over), "", ""])
        gains = [f"{within.rate / over.rate:.2f}", f"{within.all_micros / over.all_micros:.2f}"]
        lines.append([operation, "in process", *costs(within), *gains])
    return lines


def lines_by_tls(figures: ByServer) -> list[list[str]]:
    """The node by TLS, beside the same without; processor time is of both sides together."""
    lines = [["operation", "node", "rows/s", "CPU µs/row", "rows/s ×", "CPU ×"]]
    for operation, servers in figures.items():
        if not {"by tls", "node"} <= servers.keys():
            continue
        plain, by_tls = servers["node"], servers["by tls"]
        lines.append([operation, "plain", f"{plain.rate:,.0f}", f"{plain.all_micros:.3f}", "", ""])
        lines.append([operation, "by tls", f"{by_tls.rate:,.0f}", f"{by_tls.all_micros:.3f}"])
        lines[-1] += [f"{by_tls.rate / plain.rate:.2f}", f"{by_tls.all_micros / plain.all_micros:.2f}"]
    lines.append(["asked for", "", "", "", f"{LEAST_BY_TLS} (aim {AIM_BY_TLS})", ""])
    return lines


def costs(figure: ServerFigures) -> list[str]:
    """Rows a second, processor time of both sides, and how long single calls take."""
    return [f"{figure.rate:,.0f}", f"{figure.all_micros:.3f}", figure.micros("p50"), figure.micros("p99")]


def lines_at_rest(servers: list[Server], node_starts: list[float]) -> list[list[str]]:
    """Start to first answer, and memory when idle."""
    lines = [["server", "", "first answer ms", "idle MiB", "helpers MiB"]]
    for server in servers:
        if server.pids and server.name != "by tls":
            start_ms = median(node_starts) if server.name == "node" else server.start_ms
            memory = [f"{anonymous_mib(pids):,.1f}" if pids else "" for pids in (server.pids, server.helpers)]
            lines.append([server.name, "", f"{start_ms:,.0f}", *memory])
    lines.append(["asked for", "", f"{MOST_START_MS}", f"{MOST_IDLE_MIB}", ""])
    return lines


def starts(scratch: Path) -> list[float]:
    """How long the node took to its first answer, each time in a new directory."""
    taken = []
    for number in range(STARTS):
        with node(scratch / f"start-{number}") as server:
            taken.append(server.start_ms)
    return taken


def main() -> None:
    parser = run.parser(__doc__)
    parser.add_argument("--servers", help="node, by tls, java or in process, with commas between")
    arguments = parser.parse_args()
    names = run.chosen([operation.name for operation in OPERATIONS], arguments.only)
    operations = [operation for operation in OPERATIONS if operation.name in names]
    if not operations or "ours" not in run.chosen(["ours"], arguments.clients):
        return
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluss-servers-")))
        start: dict[str, Callable[[], Server]] = {
            "node": lambda: stack.enter_context(node(scratch / "served")),
            "by tls": lambda: stack.enter_context(node_by_tls(scratch / "tls")),
            "java": lambda: stack.enter_context(java()),
            "in process": lambda: in_process(scratch / "inside", arguments.scale),
        }
        servers = [start[name]() for name in run.chosen(start, arguments.servers)]
        time.sleep(REST)
        at_rest = lines_at_rest(servers, starts(scratch))
        figures = work(servers, operations, arguments.rounds, arguments.scale)
        for lines in (at_rest, lines_of_work(figures), lines_in_process(figures), lines_by_tls(figures)):
            print()
            run.print_table(lines)


if __name__ == "__main__":
    main()

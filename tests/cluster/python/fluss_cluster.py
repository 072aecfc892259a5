"""A real Apache Fluss cluster for Python tests, and ``fluss serve`` in its place, as context managers.

    with Cluster(tablet_servers=3) as cluster:
        connection = fluss.connect(f"fluss://{cluster.bootstrap}")
        cluster.kill(1)
        cluster.wait_ready()

    with Node(sasl=True) as node:
        connection = fluss.connect(f"fluss://{node.bootstrap}", ...)

    with Cluster(tls=Tls(certificate, key)) as cluster:  # behind proxies that end TLS
        connection = fluss.connect(f"fluss://{cluster.bootstrap}?tls=true&tlsCaFile=...")

The programs are built with cargo, unless ``$FLUSS_CLUSTER_BIN`` and ``$FLUSS_BIN`` name them. Both end with the
``with`` block, and with this process however that ends. Only the standard library is needed.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

CRATE = Path(__file__).resolve().parent.parent
COORDINATOR = "cs"
LINE = 300
"""How much is shown of a line of a log."""

USERS = {"root": "root-secret", "alice": "alice-secret"}
"""Who may log in to a node; the same as to a cluster."""

__all__ = [
    "COORDINATOR",
    "Cluster",
    "ClusterError",
    "Front",
    "Node",
    "Tls",
    "java_class_path",
    "node_program",
    "program",
]


class ClusterError(Exception):
    """What was to be run did not start, or did not do what it was told; the text ends with the tail of its logs."""


def program() -> str:
    """The path of the ``fluss-cluster`` program, built if it has to be."""
    return os.environ.get("FLUSS_CLUSTER_BIN") or _built("fluss-cluster", "fluss-cluster")


def node_program() -> str:
    """The path of the ``fluss`` program, built if it has to be."""
    return os.environ.get("FLUSS_BIN") or _built("fluss-cli", "fluss")


@functools.cache
def _built(package: str, binary: str) -> str:
    command = ["cargo", "build", "--quiet", "--package", package, "--bin", binary, "--message-format", "json"]
    built = subprocess.run(command, cwd=CRATE, check=True, stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, built.stdout.splitlines())
    return next(path for message in messages if (path := message.get("executable")))


def java_class_path(source: Path, *, next_version: bool = False) -> str:
    """Compiles a Java program; returns the class path to run it with.

    The Java client is that of the cluster's version, or that of 1.0.0.
    """
    command = [program(), "compile-peer", str(source), *(["--next"] if next_version else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    answer = json.loads(done.stdout)
    if done.returncode:
        raise ClusterError(answer["error"])
    return answer


@dataclass(frozen=True)
class Tls:
    """What a proxy that ends TLS shows to clients; with ``client_ca`` they have to show a certificate of its authority.

    All are PEM files.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def arguments(self) -> list[str]:
        """The same for the command line."""
        files = {"certificate": self.certificate, "key": self.key, "client-ca": self.client_ca}
        return [f"--tls-{name}={file}" for name, file in files.items() if file]


class _Program:
    """What the ``fluss-cluster`` program runs. It ends with its input."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [program(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the test runner, which then ends the cluster in order.
            start_new_session=True,
        )
        try:
            self._first = self._read()
        except ClusterError:
            self.close()
            raise

    def close(self) -> None:
        """Ends it, and removes its data. May be called again."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClusterError("fluss-cluster ended without an answer")
        answer = json.loads(line)
        if not answer["ok"]:
            raise ClusterError(answer["error"])
        return answer


class Front(_Program):
    """A proxy that ends TLS before one server, given as ``address:port``."""

    def __init__(self, tls: Tls, to: str) -> None:
        super().__init__("front", to, *tls.arguments())

    @property
    def address(self) -> str:
        """Where clients connect to, ``address:port``."""
        return self._first["address"]


class Cluster(_Program):
    """A cluster that is ready. Servers are named by the id of a tablet server (from 0) or by ``COORDINATOR``."""

    _running: ClassVar[weakref.WeakSet[Cluster]] = weakref.WeakSet()

    def __init__(
        self,
        tablet_servers: int = 1,
        *,
        sasl: bool = False,
        tls: Tls | None = None,
        properties: Mapping[str, str] | None = None,
        plugins: Sequence[str] = (),
        jvm_options: Sequence[str] = (),
        heap_mib: int = 512,
        optimized: bool = False,
        keep_data: bool = False,
    ) -> None:
        command = ["run", f"--tablet-servers={tablet_servers}", f"--heap-mib={heap_mib}"]
        command += [f"--property={key}={value}" for key, value in (properties or {}).items()]
        command += [f"--plugin={name}" for name in plugins] + [f"--jvm-option={option}" for option in jvm_options]
        switches = {"--sasl": sasl, "--optimized": optimized, "--keep-data": keep_data}
        command += [switch for switch, wanted in switches.items() if wanted]
        super().__init__(*command, *(tls.arguments() if tls else []))
        Cluster._running.add(self)

    @classmethod
    def running(cls) -> list[Cluster]:
        """The clusters that this process has started and not closed."""
        return list(cls._running)

    @property
    def bootstrap(self) -> str:
        """The client addresses of every server, ``host:port`` with commas between; with TLS those of their fronts."""
        return self._first["bootstrap"]

    @property
    def directory(self) -> Path:
        """Data, and in ``logs`` the output of every process."""
        return Path(self._first["directory"])

    @property
    def users(self) -> dict[str, str]:
        """Names and passwords for SASL/PLAIN; ``root`` is the super user. Empty without SASL."""
        return {user["name"]: user["password"] for user in self._first["users"]}

    def complaints(self, most: int = 20) -> str:
        """The last warnings and errors in the log of each process, with the milliseconds since its start."""
        lines = []
        for log in sorted(self.directory.glob("logs/*.log")):
            text = log.read_text(errors="replace").splitlines()
            found = [line[:LINE] for line in text if " WARN " in line or " ERROR " in line]
            last = [line[:LINE] for line in text[-1:]]
            lines += [f"{log.stem}:", *found[-most:], "at its end:", *last]
        return "\n".join(lines)

    def describe(self) -> dict[str, Any]:
        """Every server with its id, pid and addresses, and whether it runs."""
        return self._tell("describe")

    def kill(self, server: int | str) -> None:
        """Ends a server at once (SIGKILL)."""
        self._tell(f"kill {_name(server)}")

    def stop(self, server: int | str) -> None:
        """Freezes a server (SIGSTOP): its connections stay open and nobody answers."""
        self._tell(f"stop {_name(server)}")

    def cont(self, server: int | str) -> None:
        """Lets a frozen server go on (SIGCONT)."""
        self._tell(f"cont {_name(server)}")

    def restart(self, server: int | str) -> None:
        """Starts a server again on its old data; does not wait until it is ready."""
        self._tell(f"restart {_name(server)}")

    def wait_ready(self, seconds: int = 60) -> None:
        """Waits until every running server names exactly the running servers."""
        self._tell(f"ready {seconds}")

    def wait_in_sync(self, table_id: int, seconds: int = 60) -> list[int]:
        """Waits until every replica of a table without partitions is in sync; returns the leaders of its buckets."""
        return self._tell(f"in-sync {table_id} {seconds}")

    def close(self) -> None:
        """Ends the cluster and removes its data. May be called again."""
        Cluster._running.discard(self)
        super().close()

    def _tell(self, command: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()["result"]


# Runs a program until the shell's input ends, which it does with the process that holds the other end.
UNTIL_THE_INPUT_ENDS = '"$@" </dev/null & exec >&-; read -r _; kill "$!"; wait "$!"'


class Node:
    """``fluss serve``, ready, on a directory of its own. With ``sasl`` users have to log in, and need rights."""

    def __init__(self, *, sasl: bool = False, properties: Mapping[str, str] | None = None) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="fluss-node-")
        self._sasl = sasl
        guarded = {"authorizer.enabled": "true", "super.users": "User:root"} if sasl else {}
        self._process = self._start({**guarded, **(properties or {})})
        try:
            self._bootstrap = self._read_address()
        except ClusterError:
            self.close()
            raise

    @property
    def bootstrap(self) -> str:
        """The address for clients, ``host:port``."""
        return self._bootstrap

    @property
    def directory(self) -> Path:
        """The data, and in ``serve.log`` what the node said."""
        return Path(self._home.name)

    @property
    def users(self) -> dict[str, str]:
        """Names and passwords for SASL/PLAIN; ``root`` is the super user. Empty without SASL."""
        return dict(USERS) if self._sasl else {}

    def stop(self) -> None:
        """Stops the node with SIGSTOP: its connections stay open. It does nothing any more when this returns."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 30
        while any(state not in "TtZ" for state in _states(self._process.pid)):
            if time.monotonic() > deadline:
                raise ClusterError("the node does not stop")
            time.sleep(0.005)

    def cont(self) -> None:
        """Lets a stopped node go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends the node and removes its data. May be called again."""
        # Closes the input, and with that the shell ends the node.
        self._process.communicate()
        self._home.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, properties: Mapping[str, str]) -> subprocess.Popen[str]:
        config = self.directory / "fluss.yaml"
        config.write_text("".join(f"{key}: {value}\n" for key, value in properties.items()))
        command = [node_program(), "serve", "--data-dir", str(self.directory / "data"), "--listen", "127.0.0.1:0"]
        command += ["--config", str(config)]
        if self._sasl:
            command += ["--users", str(self._add_users())]
        with (self.directory / "serve.log").open("w") as log:
            return subprocess.Popen(
                ["sh", "-c", UNTIL_THE_INPUT_ENDS, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # As for a cluster: Ctrl-C is for the test runner.
                start_new_session=True,
            )

    def _add_users(self) -> Path:
        file = self.directory / "users"
        for name, password in USERS.items():
            subprocess.run([node_program(), "add-user", str(file), name], input=password, text=True, check=True)
        return file

    def _read_address(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if "fluss://" not in line:
            raise ClusterError(f"fluss serve: {(self.directory / 'serve.log').read_text()[-4000:]}")
        return line.strip().split("fluss://")[1]


def _states(group: int) -> Iterator[str]:
    """How the threads of a process group are, where there is a ``/proc``: one that runs goes on for a while when its
    process is stopped."""
    for thread in Path("/proc").glob("[0-9]*/task/*/stat"):
        try:
            # Behind the name, which may have spaces: the state, the parent, the group.
            state, _, its_group = thread.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group:
            yield state


def _name(server: int | str) -> str:
    return f"ts {server}" if isinstance(server, int) else server

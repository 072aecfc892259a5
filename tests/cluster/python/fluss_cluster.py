"""A real Apache Fluss cluster for Python tests: the ``fluss-cluster`` program behind a context manager.

    with Cluster(tablet_servers=3) as cluster:
        connection = fluss.connect(f"fluss://{cluster.bootstrap}")
        cluster.kill(1)
        cluster.wait_ready()

The program is built with cargo, unless ``$FLUSS_CLUSTER_BIN`` names it. The cluster ends with the ``with`` block, and
with this process however that ends. Only the standard library is needed.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CRATE = Path(__file__).resolve().parent.parent
COORDINATOR = "cs"

__all__ = ["COORDINATOR", "Cluster", "ClusterError", "java_class_path", "program"]


class ClusterError(Exception):
    """The cluster did not start, or did not do what it was told; the text ends with the tail of its logs."""


@functools.cache
def program() -> str:
    """The path of the ``fluss-cluster`` program, built if it has to be."""
    if path := os.environ.get("FLUSS_CLUSTER_BIN"):
        return path
    command = ["cargo", "build", "--quiet", "--bin", "fluss-cluster", "--message-format", "json"]
    built = subprocess.run(command, cwd=CRATE, check=True, stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, built.stdout.splitlines())
    return next(path for message in messages if (path := message.get("executable")))


def java_class_path(source: Path) -> str:
    """Compiles a Java program against the Java client; returns the class path to run it with."""
    done = subprocess.run([program(), "compile-peer", str(source)], stdout=subprocess.PIPE, text=True, check=False)
    answer = json.loads(done.stdout)
    if done.returncode:
        raise ClusterError(answer["error"])
    return answer


class Cluster:
    """A cluster that is ready. Servers are named by the id of a tablet server (from 0) or by ``COORDINATOR``."""

    def __init__(
        self,
        tablet_servers: int = 1,
        *,
        sasl: bool = False,
        properties: Mapping[str, str] | None = None,
        heap_mib: int = 512,
        optimized: bool = False,
        keep_data: bool = False,
    ) -> None:
        command = [program(), "run", f"--tablet-servers={tablet_servers}", f"--heap-mib={heap_mib}"]
        command += [f"--property={key}={value}" for key, value in (properties or {}).items()]
        switches = {"--sasl": sasl, "--optimized": optimized, "--keep-data": keep_data}
        command += [switch for switch, wanted in switches.items() if wanted]
        self._process = subprocess.Popen(
            command,
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

    @property
    def bootstrap(self) -> str:
        """The client addresses of every server, ``host:port`` with commas between."""
        return self._first["bootstrap"]

    @property
    def directory(self) -> Path:
        """Data, and in ``logs`` the output of every process."""
        return Path(self._first["directory"])

    @property
    def users(self) -> dict[str, str]:
        """Names and passwords for SASL/PLAIN; ``root`` is the super user. Empty without SASL."""
        return {user["name"]: user["password"] for user in self._first["users"]}

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
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, command: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()["result"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClusterError("fluss-cluster ended without an answer")
        answer = json.loads(line)
        if not answer["ok"]:
            raise ClusterError(answer["error"])
        return answer


def _name(server: int | str) -> str:
    return f"ts {server}" if isinstance(server, int) else server

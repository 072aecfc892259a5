"""Starts the peers for Python tests and benches; ``README.md`` says what they understand.

with java() as peer:
    peer.ask(op="connect", bootstrap=cluster.bootstrap)
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "cluster" / "python"))

from fluss_cluster import java_class_path  # noqa: E402

__all__ = ["TOUR", "Peer", "PeerError", "fluss_rs", "java", "java_1_0", "pyfluss", "pyfluss_on_ours", "pyfluss_python"]

TOUR = HERE / "python" / "tour.py"
"""A program that does all that pyfluss can do, to be compared."""


class PeerError(Exception):
    """The peer could not do what it was asked; the text is its own."""


class Peer:
    """A program that answers each line of JSON with a line of JSON; it ends with the ``with`` block."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends a request and waits for its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"the peer ended with {self._process.wait()}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise PeerError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the program. May be called again."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def java(mode: str = "serve", *, next_version: bool = False) -> Peer:
    """The published Java client, 0.9.1 or 1.0.0."""
    class_path = java_class_path(HERE / "java" / "Peer.java", next_version=next_version)
    opens = "--add-opens=java.base/java.nio=ALL-UNNAMED"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return Peer(["java", opens, quiet, "-cp", class_path, "Peer", mode])


def java_1_0(mode: str = "serve") -> Peer:
    """The published Java client, 1.0.0."""
    return java(mode, next_version=True)


def pyfluss(mode: str = "serve") -> Peer:
    """The published Python client, in an environment of its own."""
    return Peer([str(pyfluss_python()), str(HERE / "python" / "peer.py"), mode])


def pyfluss_on_ours(mode: str = "serve") -> Peer:
    """The same program on our package, which this interpreter has to have."""
    return Peer([sys.executable, str(HERE / "python" / "peer.py"), mode])


def pyfluss_python() -> Path:
    """An interpreter that has the published Python client."""
    return _environment() / "bin" / "python"


def fluss_rs(profile: str = "dev") -> Peer:
    """The published Rust client; it does the jobs of a benchmark only, for which the profile is ``release``."""
    command = ["cargo", "build", "--quiet", "--profile", profile, "--message-format", "json"]
    package = REPOSITORY / "benches" / "peers" / "fluss-rs"
    built = subprocess.run(command, cwd=package, check=True, stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, built.stdout.splitlines())
    return Peer([next(path for message in messages if (path := message.get("executable")))])


def _environment() -> Path:
    cache = Path(os.environ.get("FLUSS_CLUSTER_CACHE", REPOSITORY / ".cache" / "fluss-cluster"))
    environment = cache / "pyfluss"
    finished = environment / "finished"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "pyfluss.lock").open("w") as lock:
        # Tests run in several processes, and all of them want it at first.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            venv.create(environment, with_pip=True)
            pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, "-r", str(HERE / "python" / "requirements.txt")], check=True)
            finished.touch()
    return environment

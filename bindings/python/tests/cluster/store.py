"""A store that speaks S3, and a cluster that moves its logs there."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from fluss_cluster import Cluster


@dataclass
class Read:
    """A read of a part of an object: what for, and who signed it."""

    path: str
    range: str
    signed_by: str
    session: str | None


@dataclass
class Store:
    """Where the store is, and which parts of log segments and of snapshots were read from it."""

    endpoint: str = ""
    reads: list[Read] = field(default_factory=list)

    def watch(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The application, and notes of what is read of segments and of snapshots."""

        def watched(request: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
            path = request["PATH_INFO"]
            if request["REQUEST_METHOD"] == "GET" and (path.endswith(".log") or "/kv/" in path):
                signature = request.get("HTTP_AUTHORIZATION", "")
                read = Read(
                    path=path,
                    range=request.get("HTTP_RANGE", ""),
                    signed_by=signature.partition("Credential=")[2].partition("/")[0],
                    session=request.get("HTTP_X_AMZ_SECURITY_TOKEN"),
                )
                self.reads.append(read)
            return app(request, respond)

        return watched


@contextmanager
def store() -> Iterator[Store]:
    """A store with a bucket `fluss`."""
    running = Store()
    app = running.watch(DomainDispatcherApplication(create_backend_app))
    with _served(app) as port:
        running.endpoint = f"http://127.0.0.1:{port}"
        _put_bucket(port, "fluss")
        yield running


@contextmanager
def cluster(of: Store) -> Iterator[Cluster]:
    """A cluster that moves small segments to the bucket `fluss` as soon as they are full, and snapshots, too.

    Its servers get session tokens at the one address that they know, which is not of this machine: through a proxy.
    """
    properties = {
        "remote.data.dir": "s3://fluss/remote",
        "log.segment.file-size": "16kb",
        "remote.log.task-interval-duration": "1 s",
        "kv.snapshot.interval": "1 s",
        "s3.endpoint": of.endpoint,
        "s3.region": "us-east-1",
        "s3.access-key": "the-server",
        "s3.secret-key": "secret",
        "s3.path.style.access": "true",
    }
    tokens = DomainDispatcherApplication(create_backend_app)
    with _served(tokens, ssl_context="adhoc") as port, _proxy(port) as proxy:
        options = [
            "-Dhttps.proxyHost=127.0.0.1",
            f"-Dhttps.proxyPort={proxy}",
            "-Dhttp.nonProxyHosts=127.0.0.1",
            "-Dcom.amazonaws.sdk.disableCertChecking=true",
        ]
        with Cluster(properties=properties, plugins=["fluss-fs-s3"], jvm_options=options) as running:
            yield running


@contextmanager
def _served(app: Any, **options: Any) -> Iterator[int]:
    """The port at which an application is served."""
    server: BaseWSGIServer = make_server("127.0.0.1", 0, app, threaded=True, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()


def _put_bucket(port: int, name: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        request = f"PUT /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        assert b" 200 " in connection.recv(4096)


@contextmanager
def _proxy(target: int) -> Iterator[int]:
    """The port of a proxy that leads every tunnel to a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=_tunnel, args=(connection, target), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def _tunnel(connection: socket.socket, target: int) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(4096)
    with socket.create_connection(("127.0.0.1", target)) as inner:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_pump, args=(inner, connection), daemon=True)
        back.start()
        _pump(connection, inner)
        back.join()
    connection.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

"""TLS to a node, in both faces. The certificates are made here, with ``openssl``."""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import fluss
from faces import create_table, settle

pa = pytest.importorskip("pyarrow")
OPENSSL = shutil.which("openssl")
assert OPENSSL, "openssl is missing"


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run([str(OPENSSL), *map(str, arguments)], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@dataclass
class Authority:
    """An authority, and what it signs, in a directory."""

    directory: Path
    name: str

    def __post_init__(self) -> None:
        subject = f"/CN={self.name}"
        openssl(*KEY, "-x509", "-keyout", self.file("key"), "-out", self.file("pem"), "-subj", subject, "-days", "2")

    def file(self, ending: str, name: str | None = None) -> Path:
        return self.directory / f"{self.name}{'-' + name if name else ''}.{ending}"

    def sign(self, name: str, *, hosts: str = "", days: int = 2) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, request, certificate = (self.file(ending, name) for ending in ("key", "csr", "pem"))
        openssl(*KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extension = self.file("ext", name)
        extension.write_text(f"subjectAltName={hosts}\n" if hosts else "basicConstraints=CA:FALSE\n")
        by: list[str | Path] = ["-CA", self.file("pem"), "-CAkey", self.file("key"), "-CAcreateserial"]
        signed: list[str | Path] = ["-in", request, "-out", certificate, "-days", str(days), "-extfile", extension]
        openssl("x509", "-req", *by, *signed)
        return certificate, key


KEY = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


def serve(directory: Path, *arguments: str | Path) -> Iterator[str]:
    """Where a node listens that is started with these."""
    program = Path(sys.executable).with_name("fluss")
    command = [program, "serve", "--data-dir", directory, "--listen", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("serving at ").strip()
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def by_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that speaks TLS."""
    certificate, key = authority.sign("node", hosts="IP:127.0.0.1,DNS:localhost")
    yield from serve(tmp_path_factory.mktemp("tls"), "--tls-cert", certificate, "--tls-key", key)


@pytest.fixture(scope="module")
def for_clients(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that asks clients for a certificate."""
    certificate, key = authority.sign("strict", hosts="IP:127.0.0.1")
    options: list[str | Path] = ["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.file("pem")]
    yield from serve(tmp_path_factory.mktemp("strict"), *options)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that speaks no TLS."""
    yield from serve(tmp_path_factory.mktemp("plain"))


def refusal(face: ModuleType, target: str) -> fluss.FlussError:
    async def body() -> None:
        await settle((await settle(face.connect(target))).close())

    with pytest.raises(fluss.FlussError) as raised:
        asyncio.run(body())
    return raised.value


def test_rows_go_and_come_by_tls(by_tls: str, authority: Authority, face: ModuleType) -> None:
    async def body() -> None:
        connection = await settle(face.connect(f"{by_tls}?tls=true&tlsCaFile={authority.file('pem')}"))
        path = f"fluss.by_tls_{face.__name__.replace('.', '_')}"
        schema = fluss.Schema.new_builder().column("id", "INT").build()
        await create_table(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
        table = await settle(connection.get_table(path))
        writer = table.new_append().create_writer()
        rows = pa.table({"id": pa.array(range(100_000), pa.int32())})
        await settle(writer.append_arrow(rows))
        await settle(writer.close())
        assert pa.table(await settle(table.to_arrow())).sort_by("id") == rows
        await settle(connection.close())

    asyncio.run(body())


def test_what_is_no_trusted_server_is_told_with_what_to_do(
    by_tls: str, for_clients: str, without: str, authority: Authority, tmp_path: Path, face: ModuleType
) -> None:
    ca = f"tls=true&tlsCaFile={authority.file('pem')}"
    other = Authority(tmp_path, "other")
    stranger, key = other.sign("stranger")
    port = for_clients.rsplit(":", 1)[1]
    for target, words in [
        (f"{by_tls}?tls=true&tlsCaFile={other.file('pem')}", "tls-ca-file"),
        (f"fluss://localhost:{port}?{ca}", "not for 'localhost'"),
        (f"{for_clients}?{ca}", "user-cert-file"),
        (f"{for_clients}?{ca}&userCertFile={stranger}&userKeyFile={key}", "does not accept the client certificate"),
        (f"{without}?{ca}", "TLS"),
        (by_tls, "connect with tls=true"),
        (f"{by_tls}?tls=true&tlsCaFile={tmp_path / 'none.pem'}", "none.pem"),
        (f"{by_tls}?tlsCaFile={authority.file('pem')}", "no effect without"),
    ]:
        error = refusal(face, target)
        assert words in str(error), (target, str(error))


def test_a_certificate_says_who_the_client_is(for_clients: str, authority: Authority, face: ModuleType) -> None:
    certificate, key = authority.sign("alice")
    ca = f"tls=true&tlsCaFile={authority.file('pem')}"

    async def body() -> None:
        connection = await settle(face.connect(f"{for_clients}?{ca}&userCertFile={certificate}&userKeyFile={key}"))
        assert await settle(connection.get_admin().list_databases()) == ["fluss"]
        await settle(connection.close())

    asyncio.run(body())


def test_other_programs_agree_that_it_is_tls(by_tls: str, authority: Authority) -> None:
    address = by_tls.removeprefix("fluss://")
    command = [str(OPENSSL), "s_client", "-connect", address, "-CAfile", str(authority.file("pem"))]
    told = subprocess.run(command, input="", capture_output=True, text=True, timeout=60).stdout
    assert "Verify return code: 0 (ok)" in told and "TLSv1.3" in told


def test_a_password_is_not_sent_in_clear_to_another_machine(face: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(0.2)
        # The name of this machine is no loopback to whoever reads it.
        error = refusal(face, f"fluss://alice:secret@0.0.0.0:{port}")
        assert "allow-insecure-password" in str(error) and "secret" not in str(error)
        with pytest.raises(TimeoutError):
            listener.accept()

"""TLS to a node, and to a cluster behind proxies, in both faces. The certificates are made here, with ``openssl``."""

import asyncio
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from frames import API_VERSIONS, field

import fluss
from faces import acknowledged, create_table, settle
from fluss.sql import Client
from fluss_cluster import Cluster, Front, Tls

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

    def sign(self, name: str, *, hosts: str = "", expired: bool = False) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, request, certificate = (self.file(ending, name) for ending in ("key", "csr", "pem"))
        openssl(*KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extension = self.file("ext", name)
        extension.write_text(f"subjectAltName={hosts}\n" if hosts else "basicConstraints=CA:FALSE\n")
        by: list[str | Path] = [
            "-cert",
            self.file("pem"),
            "-keyfile",
            self.file("key"),
            "-config",
            self._register(name),
        ]
        signed: list[str | Path] = ["-in", request, "-out", certificate, "-notext", "-extfile", extension]
        time = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] if expired else ["-days", "2"]
        openssl("ca", "-batch", "-rand_serial", *by, *signed, *time)
        return certificate, key

    def _register(self, name: str) -> Path:
        """What an authority writes down of what it signs, which nobody reads here. Others cannot sign with dates."""
        self.file("index", name).touch()
        register = self.file("conf", name)
        register.write_text(
            f"[ca]\ndefault_ca = own\n[own]\ndatabase = {self.file('index', name)}\nnew_certs_dir = {self.directory}\n"
            f"serial = {self.file('serial', name)}\npolicy = any\ndefault_md = sha256\nunique_subject = no\n"
            "[any]\ncommonName = supplied\n"
        )
        return register


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
def expired(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node whose certificate has expired."""
    certificate, key = authority.sign("expired", hosts="IP:127.0.0.1", expired=True)
    yield from serve(tmp_path_factory.mktemp("expired"), "--tls-cert", certificate, "--tls-key", key)


@pytest.fixture(scope="module")
def fronted(needs_java: None, authority: Authority) -> Iterator[Cluster]:
    """A cluster where users log in, with a proxy that has TLS before each of its servers."""
    certificate, key = authority.sign("fronts", hosts="DNS:localhost,IP:127.0.0.1,IP:0.0.0.0")
    # Each bucket has one server, so that a server that is gone is missed until it comes back.
    with Cluster(tablet_servers=2, sasl=True, tls=Tls(certificate, key)) as cluster:
        yield cluster


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
    by_tls: str, for_clients: str, expired: str, without: str, authority: Authority, tmp_path: Path, face: ModuleType
) -> None:
    ca = f"tls=true&tlsCaFile={authority.file('pem')}"
    other = Authority(tmp_path, "other")
    stranger, key = other.sign("stranger")
    port = for_clients.rsplit(":", 1)[1]
    for target, words in [
        (f"{by_tls}?tls=true&tlsCaFile={other.file('pem')}", "tls-ca-file"),
        (f"{expired}?{ca}", "has expired"),
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
    assert versions_by_openssl(address, authority, "127.0.0.1")


def versions_by_openssl(address: str, authority: Authority, host: str) -> bytes:
    """What a server answers to a question for its versions, which ``openssl`` sends to it by TLS."""
    trusts = ["-CAfile", str(authority.file("pem")), "-verify_return_error"]
    names = ["-verify_ip", host] if host[0].isdigit() else ["-verify_hostname", host, "-servername", host]
    command = [str(OPENSSL), "s_client", "-connect", address, "-quiet", "-no_ign_eof", *trusts, *names]
    body = field(1, b"openssl") + field(2, b"3")
    question = struct.pack(">ihhi", 8 + len(body), API_VERSIONS, 0, 77) + body
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdin and client.stdout
        stopping = threading.Timer(60, client.kill)
        stopping.start()
        try:
            client.stdin.write(question)
            client.stdin.flush()
            head = client.stdout.read(9)
            assert len(head) == 9, "no answer"
            length, kind, number = struct.unpack(">ibi", head)
            answer = client.stdout.read(length - 5)
        finally:
            stopping.cancel()
            client.kill()
    assert (kind, number) == (0, 77)
    return answer


def test_a_password_is_not_sent_in_clear_to_another_machine(face: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(0.2)
        # The name of this machine is no loopback to whoever reads it.
        error = refusal(face, f"fluss://alice:secret@0.0.0.0:{port}")
        assert "allow-insecure-password" in str(error) and "secret" not in str(error)
        with pytest.raises(TimeoutError):
            listener.accept()


def behind(cluster: Cluster, authority: Authority, user: str = "root", more: str = "") -> str:
    """How a user connects to a cluster behind fronts."""
    login = f"{user}:{cluster.users[user]}"
    return f"fluss://{login}@{cluster.bootstrap}?tls=true&tlsCaFile={authority.file('pem')}{more}"


def test_a_cluster_behind_fronts_is_one_as_any_other(fronted: Cluster, authority: Authority, face: ModuleType) -> None:
    async def body() -> None:
        connection = await settle(face.connect(behind(fronted, authority)))
        admin = connection.get_admin()
        name = face.__name__.replace(".", "_")
        log, keyed = f"fluss.log_behind_{name}", f"fluss.keys_behind_{name}"
        schema = fluss.Schema.new_builder().column("id", "BIGINT NOT NULL")
        await create_table(admin, log, fluss.TableDescriptor(schema.build(), bucket_count=4))
        await create_table(admin, keyed, fluss.TableDescriptor(schema.primary_key(["id"]).build(), bucket_count=4))
        rows = pa.table({"id": pa.array(range(100_000), pa.int64())}, schema=pa.schema([("id", pa.int64(), False)]))
        table = await settle(connection.get_table(log))
        writer = table.new_append().create_writer()
        await settle(writer.append_arrow(rows))
        await settle(writer.close())
        assert pa.table(await settle(table.to_arrow()))["id"].sort() == rows["id"]

        table = await settle(connection.get_table(keyed))
        upserts = table.new_upsert().create_writer()
        await settle(upserts.upsert_arrow(rows.slice(0, 1_000)))
        await settle(upserts.close())
        lookuper = table.new_lookup().create_lookuper()
        keys = [[key] for key in (0, 999, 1_000)]
        assert await settle(lookuper.lookup_many(keys)) == [{"id": 0}, {"id": 999}, None]
        await settle(connection.close())

    asyncio.run(body())


def test_a_login_goes_through_a_front_under_any_name(fronted: Cluster, authority: Authority, face: ModuleType) -> None:
    async def body() -> None:
        # It leads to this machine, which its text does not say: without TLS the password would stay back.
        elsewhere = behind(fronted, authority, "alice").replace("127.0.0.1", "0.0.0.0")
        connection = await settle(face.connect(elsewhere))
        with pytest.raises(fluss.AuthError):
            await settle(connection.get_admin().create_database("of_alice"))
        await settle(connection.close())

    asyncio.run(body())
    error = refusal(face, behind(fronted, authority).replace("root-secret", "wrong"))
    assert isinstance(error, fluss.AuthError) and "wrong" not in str(error)


def test_fronts_that_are_not_to_be_trusted_are_told_apart(
    fronted: Cluster, authority: Authority, tmp_path: Path, face: ModuleType
) -> None:
    server = fronted.describe()["coordinator"]
    ca = f"tls=true&tlsCaFile={authority.file('pem')}"
    other = Authority(tmp_path, "other")
    stranger, stranger_key = other.sign("stranger")
    alice, alice_key = authority.sign("alice-at-fronts")
    late = Tls(*authority.sign("late", hosts="IP:127.0.0.1", expired=True))
    misnamed = Tls(*authority.sign("misnamed", hosts="DNS:db.example.com"))
    strict = Tls(*authority.sign("strict-front", hosts="IP:127.0.0.1,DNS:localhost"), authority.file("pem"))

    def through(front: Front, more: str = "") -> str:
        return f"fluss://root:root-secret@{front.address}?{ca}{more}"

    with Front(late, server["own_address"]) as is_late, Front(misnamed, server["own_address"]) as is_misnamed:
        with Front(strict, server["own_address"]) as asks:
            cases = [
                (behind(fronted, other), "tls-ca-file"),
                (through(is_late), "has expired"),
                (through(is_misnamed), "not for '127.0.0.1' but for db.example.com"),
                (through(asks), "user-cert-file"),
                (
                    through(asks, f"&userCertFile={stranger}&userKeyFile={stranger_key}"),
                    "does not accept the client certificate",
                ),
                (f"fluss://{server['internal_address']}?{ca}", "not speak TLS"),
                # This proxy hangs up without a word of TLS.
                (f"fluss://{server['address']}", "speaks TLS, connect with tls=true"),
            ]
            for target, words in cases:
                error = refusal(face, target)
                assert words in str(error), (target, str(error))
                assert "root-secret" not in str(error)

            async def is_let_in() -> None:
                own = f"&userCertFile={alice}&userKeyFile={alice_key}"
                connection = await settle(face.connect(through(asks, own)))
                assert "fluss" in await settle(connection.get_admin().list_databases())
                await settle(connection.close())

            asyncio.run(is_let_in())


def test_other_programs_ask_each_server_through_its_front(fronted: Cluster, authority: Authority) -> None:
    for address in fronted.bootstrap.split(","):
        assert versions_by_openssl(address, authority, "localhost")


def test_a_server_that_is_killed_behind_its_front_is_missed_until_it_is_back(
    fronted: Cluster, authority: Authority, face: ModuleType
) -> None:
    async def body() -> None:
        connection = await settle(face.connect(behind(fronted, authority)))
        admin = connection.get_admin()
        path = f"fluss.killed_behind_{face.__name__.replace('.', '_')}"
        schema = fluss.Schema.new_builder().column("id", "BIGINT NOT NULL").primary_key(["id"]).build()
        await create_table(admin, path, fluss.TableDescriptor(schema, bucket_count=2))
        table = await settle(connection.get_table(path))
        leaders = fronted.wait_in_sync(table.get_table_info().table_id)
        assert sorted(leaders) == [0, 1]
        writer = table.new_upsert().create_writer()
        handles = [writer.upsert([key]) for key in range(40)]
        await settle(writer.flush())
        # Where each row is: the other server knows none of it.
        at = {key: next(iter(handle.ends)).bucket_id for key, handle in enumerate(handles)}
        lost = leaders.index(1)
        mine, others = ([key for key, bucket in at.items() if (bucket == lost) is gone] for gone in (True, False))
        assert mine and others
        lookuper = table.new_lookup().create_lookuper()
        fronted.kill(1)
        # Its front takes connections, and closes them.
        for key in others:
            await acknowledged(face, writer.upsert([key]))
            assert await settle(lookuper.lookup([key])) == {"id": key}
        with pytest.raises(fluss.FlussError) as raised:
            await settle(lookuper.lookup([mine[0]], timeout=2))
        assert raised.value.retriable
        late = [writer.upsert([key]) for key in mine]
        fronted.restart(1)
        for handle in late:
            await acknowledged(face, handle)
        assert await settle(lookuper.lookup_many([[key] for key in range(40)])) == [{"id": key} for key in range(40)]
        await settle(connection.close())
        fronted.wait_ready()

    asyncio.run(body())


def test_sql_is_asked_by_tls(by_tls: str, authority: Authority) -> None:
    """As the documentation of Kimberlite has it: see `sql_clients.programs`."""
    address = by_tls.removeprefix("fluss://")
    with Client(addresses=[address], tls_enabled=True, tls_ca_cert=str(authority.file("pem"))) as client:
        assert client.query("SELECT 1 AS one")[0]["one"] == 1
    with pytest.raises(fluss.ConnectionError):
        Client(addresses=[address], tls_enabled=True, timeout=10)

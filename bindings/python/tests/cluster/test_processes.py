"""Programs that end whatever is under way, and processes that are spawned, or started by a server of them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import fluss
from faces import create_table_now
from fluss import aio

ROUNDS = {"memory": 5, "directory": 4, "node": 4, "cluster": 1}
"""How often each program is run on each target: more than 300 times in all."""

AT_A_TIME = 8
LIMIT_SECONDS = 120

PROLOGUE = """
import asyncio, atexit, os, signal, socket, sys, threading, time
import fluss
from faces import create_table_now
from fluss import aio

target, = sys.argv[1:]

def create(kind):
    schema = fluss.Schema.new_builder().column("id", "INT").column("text", "STRING")
    if kind == "keys":
        schema = schema.primary_key(["id"])
    path = f"fluss.of_{os.getpid()}_{kind}"
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema.build(), bucket_count=2))
    return path

connection = fluss.connect(target)
log, keys = create("log"), create("keys")
table, keyed = connection.get_table(log), connection.get_table(keys)
appends, upserts = table.new_append().create_writer(), keyed.new_upsert().create_writer()
appends.append([0, "first"]).wait(timeout=60)
upserts.upsert([0, "first"]).wait(timeout=60)
lookuper = keyed.new_lookup().create_lookuper()

def scanner():
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    return scanner

def go_on(work):
    "Does something again and again in a thread that nobody waits for, and returns when it has done it once."
    begun = threading.Event()
    def loop():
        try:
            while True:
                work()
                begun.set()
        except fluss.ClosedError:
            pass
    threading.Thread(target=loop, daemon=True).start()
    assert begun.wait(60)

def begin(work):
    "Does something in a thread that nobody waits for, and returns while it does."
    begun = threading.Event()
    threading.Thread(target=lambda: (begun.set(), work()), daemon=True).start()
    assert begun.wait(60)
"""

PROGRAMS = {
    "rows that nobody flushed": """
for number in range(5000):
    appends.append([number, "a"])
    upserts.upsert([number, "b"])
""",
    "rows of writers that were let go": """
for number in range(5000):
    appends.append([number, "a"])
    upserts.upsert([number, "b"])
del appends, upserts, lookuper, table, keyed, connection
""",
    "a poll": """
polled = scanner()
assert len(polled.poll(10_000))
begin(lambda: polled.poll(60_000))
""",
    "polls and appends": """
for _ in range(4):
    polled = scanner()
    go_on(lambda polled=polled: polled.poll(5))
go_on(lambda: appends.append([1, "x"]))
""",
    "a scanner in a loop": """
def read():
    for _ in scanner():
        pass
begin(read)
go_on(lambda: appends.append([1, "x"]).wait())
""",
    "look-ups": """
for number in range(4):
    go_on(lambda number=number: lookuper.lookup([number]))
""",
    "look-ups of many keys": """
for number in range(4):
    go_on(lambda: lookuper.lookup_many([[number] for number in range(100)]))
""",
    "handles that are waited for": """
for number in range(4):
    go_on(lambda: upserts.upsert([1, "x"]).wait())
""",
    "connections that come and go": """
for _ in range(3):
    go_on(lambda: fluss.connect(target).close())
""",
    "a connection that is being closed": """
go_on(lambda: appends.append([1, "x"]).wait())
begin(connection.close)
""",
    "a connection that does not come about": """
silent = socket.create_server(("127.0.0.1", 0))
nowhere = f"fluss://127.0.0.1:{silent.getsockname()[1]}"
begin(lambda: fluss.connect(nowhere))
begin(lambda: asyncio.run(aio.connect(nowhere)._open()))
""",
    "tasks": """
async def main():
    opened = await aio.connect(target)
    table, keyed = await opened.get_table(log), await opened.get_table(keys)
    scanner = table.new_scan().create_log_scanner()
    await scanner.subscribe_from_beginning()
    await scanner.poll(10_000)
    lookuper, writer = keyed.new_lookup().create_lookuper(), table.new_append().create_writer()
    tasks = [asyncio.create_task(scanner.poll(60_000))]
    tasks += [asyncio.create_task(lookuper.lookup([number])) for number in range(10)]
    for number in range(1000):
        writer.append([number, "x"])
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "an event loop in a thread": """
begun = threading.Event()
async def main():
    opened = await aio.connect(target)
    lookuper = (await opened.get_table(keys)).new_lookup().create_lookuper()
    while True:
        await asyncio.gather(*(lookuper.lookup([number]) for number in range(10)))
        begun.set()
threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
assert begun.wait(60)
""",
    "an exit without an end": """
go_on(lambda: appends.append([1, "x"]))
polled = scanner()
go_on(lambda: polled.poll(5))
os._exit(0)
""",
    "such an exit of another thread": """
go_on(lambda: appends.append([1, "x"]))
polled = scanner()
begin(lambda: (polled.poll(10_000), os._exit(0)))
while True:
    scanner().poll(60_000)
""",
    "a thread that exits": """
thread = threading.Thread(target=lambda: (appends.append([1, "x"]), sys.exit(3)))
thread.start()
thread.join()
""",
    "SIGTERM in a poll": """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
polled = scanner()
while True:
    polled.poll(60_000)
""",
    "calls at the exit": """
def last():
    appends.append([2, "late"])
    assert lookuper.lookup([0]) == {"id": 0, "text": "first"}
    connection.close()
atexit.register(last)
""",
    "an object that outlives its module": """
class Late:
    def __del__(self, use=lookuper, error=fluss.FlussError):
        try:
            use.lookup([0])
        except error:
            pass
sys.late = Late()
""",
    "readers": """
import pyarrow
sys.kept = pyarrow.RecordBatchReader.from_stream(table.to_reader()), table.new_scan().create_bounded_reader()
for _ in range(3):
    go_on(keyed.to_arrow)
""",
    "events for loggers": """
import logging
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
polled = scanner()
go_on(lambda: polled.poll(5))
go_on(lambda: appends.append([1, "x"]).wait())
""",
    "another node": """
import tempfile
directory = tempfile.TemporaryDirectory()
other = fluss.connect(f"embedded:{directory.name}")
schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"])
other.get_admin().create_table("fluss.t", fluss.TableDescriptor(schema.build(), bucket_count=3))  # on a node
writer = other.get_table("fluss.t").new_upsert().create_writer()
go_on(lambda: writer.upsert([1]).wait())
os._exit(0)
""",
}


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) * sum(ROUNDS.values()) >= 300


@pytest.fixture(params=list(ROUNDS))
def server(request: pytest.FixtureRequest) -> str:
    """The name of what programs run on."""
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def _programs_create_tables_as_tests_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def targets(server: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A target for each program: of embedded nodes one of its own."""

    def each() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            match server:
                case "memory":
                    yield "embedded::memory:shared"
                case "directory":
                    yield f"embedded:{tmp_path / str(number)}"
                case _:
                    yield f"fluss://{request.getfixturevalue(server).bootstrap}"

    return each()


def run(program: str | Path, *arguments: str, stdin: str = "") -> tuple[int | str, str]:
    """The exit code of a program, and all that it and its children have said."""
    how = [str(program)] if isinstance(program, Path) else ["-c", program]
    command = [sys.executable, "-X", "faulthandler", *how, *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as running:
        try:
            said, _ = running.communicate(stdin, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            # Where it hangs, and its children.
            os.killpg(running.pid, signal.SIGABRT)
            said, _ = running.communicate(timeout=LIMIT_SECONDS)
            return "it does not end", said
    return running.returncode, said


def test_programs_end_whatever_is_under_way(server: str, targets: Iterator[str]) -> None:
    """With code 0, and nothing to say."""
    runs = [(name, next(targets)) for _ in range(ROUNDS[server]) for name in PROGRAMS]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        ends = pool.map(lambda each: (each[0], *run(PROLOGUE + PROGRAMS[each[0]], each[1])), runs)
        wrong = [end for end in ends if end[1:] != (0, "")]
    assert wrong == []


POOL = """
import logging, multiprocessing, os, sys, threading
from concurrent.futures import ProcessPoolExecutor
import fluss
from faces import create_table_now

OF_THE_PARENT = {}

def refused():
    "Which calls of what was inherited are not refused at once."
    taken = []
    for name, call in OF_THE_PARENT.items():
        try:
            call()
            taken.append(name)
        except fluss.ForkError:
            pass
    return taken

def work(arguments):
    target, path, number = arguments
    assert refused() == []
    with fluss.connect(target) as connection:
        if target.startswith("embedded"):
            create(connection, path)
        table = connection.get_table(path)
        table.new_append().create_writer().append([number])
        return connection.get_admin().get_row_count(path) >= 0

def unflushed(target, path, number):
    # The connection outlives this function, and the process it.
    global kept
    kept = fluss.connect(target, {"writer.batch-timeout": "60 s"})
    writer = kept.get_table(path).new_append().create_writer()
    for _ in range(100):
        writer.append([number])

def create(connection, path):
    schema = fluss.Schema.new_builder().column("id", "INT").build()
    create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1), True)

def be_busy(connection, path):
    create(connection, path)
    table = connection.get_table(path)
    writer = table.new_append().create_writer()
    scanner = table.new_scan().create_log_scanner()
    scanner.subscribe_from_beginning()
    stop = threading.Event()
    def loop(work):
        while not stop.is_set():
            work()
    admin = connection.get_admin()
    works = [lambda: writer.append([-1]).wait(timeout=60), lambda: scanner.poll(5), admin.list_databases]
    threads = [threading.Thread(target=loop, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    OF_THE_PARENT.update(
        append=lambda: writer.append([0]), flush=writer.flush, poll=lambda: scanner.poll(0),
        get_table=lambda: connection.get_table(path), close=connection.close, get_admin=connection.get_admin,
    )
    return stop, threads

class Listener(logging.Handler):
    "Takes what is told, and writes it nowhere: a child has the lock of a file as a thread of its parent left it."
    def emit(self, record):
        record.getMessage()

def main():
    method, target, path = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG, handlers=[Listener()])
    context = multiprocessing.get_context(method)
    parent = fluss.connect(target)
    stop, threads = be_busy(parent, f"{path}_busy")
    try:
        create(parent, path)
        jobs = [(target, path, number) for number in range(24)]
        with context.Pool(4) as pool:
            assert all(pool.map(work, jobs, chunksize=1))
            pool.close()
            pool.join()
        with ProcessPoolExecutor(4, mp_context=context) as pool:
            assert all(pool.map(work, jobs))
        processes = [context.Process(target=unflushed, args=(target, path, number)) for number in range(3)]
        if target.startswith("fluss:"):
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            assert [process.exitcode for process in processes] == [0, 0, 0]
            rows = parent.get_table(path).to_arrow().num_rows
            assert rows == 2 * len(jobs) + 300, rows
    finally:
        stop.set()
    for thread in threads:
        thread.join()
    parent.close()

if __name__ == "__main__":
    main()
"""


POOLS = [(server, method) for server in ("memory", "node", "cluster") for method in ("fork", "spawn", "forkserver")]


@pytest.mark.parametrize(("server", "method"), POOLS, indirect=["server"])
def test_processes_of_pools_connect_afresh(method: str, targets: Iterator[str], tmp_path: Path) -> None:
    """While their parent is busy. What it has opened they cannot use, and what they have not flushed is stored."""
    program = tmp_path / "pool.py"
    program.write_text(POOL)
    path, target = f"fluss.pool_{method}_{os.getpid()}", next(targets)
    if not target.startswith("embedded"):
        # A table that never gets leaders, as one of 0.9.1 now and then, would hold the program up.
        schema = fluss.Schema.new_builder().column("id", "INT").build()
        with fluss.connect(target) as connection:
            create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
    assert run(program, method, target, path) == (0, "")


WORKERS = r"""
import os, signal, sys, time
import pyarrow
import fluss
from faces import create_table_now

target, path = sys.argv[1:]

# What a server of workers loads before it forks them.
connection = fluss.connect(target)
schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
create_table_now(connection.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
table = connection.get_table(path)
writer = table.new_upsert().create_writer()
writer.upsert([0]).wait(timeout=60)
lookuper = table.new_lookup().create_lookuper()
reader = table.to_reader()
arrow = pyarrow.RecordBatchReader.from_stream(table.to_reader())
# These are on their way, or wait, when the workers begin.
rows = [writer.upsert([number]) for number in range(1, 1000)]

def worker(number):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for call in (lambda: lookuper.lookup([0]), lambda: writer.upsert([5]), writer.close, rows[0].wait, rows[0].done,
                 reader.__arrow_c_stream__, connection.close, lambda: writer.__exit__(None, None, None)):
        try:
            call()
        except fluss.ForkError:
            continue
        raise SystemExit(f"{call} is not refused")
    try:
        arrow.read_next_batch()
    except Exception as error:
        assert "before the process was forked" in str(error), error
    else:
        raise SystemExit("an Arrow stream is not refused")
    own = "embedded::memory:" if target.startswith("embedded") else target
    opened = fluss.connect(own)
    assert opened.get_admin().list_databases()
    os.write(1, b"ready\n")
    while True:
        time.sleep(60)

workers = []
for number in range(3):
    child = os.fork()
    if child == 0:
        worker(number)
    workers.append(child)
for handle in rows:
    handle.wait(timeout=60)
sys.stdin.readline()
for child in workers:
    os.kill(child, signal.SIGTERM)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in workers]
assert codes == [0, 0, 0], codes
assert lookuper.lookup([999]) == {"id": 999}
assert reader.read_all().num_rows >= 1
"""


def test_workers_of_a_preloaded_program_connect_afresh(server: str, targets: Iterator[str], tmp_path: Path) -> None:
    """As of a server that loads a program, and forks the processes that run it."""
    program = [sys.executable, "-c", WORKERS, next(targets), f"fluss.workers_{os.getpid()}_{server}"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(program, text=True, **pipes) as running:
        assert running.stdout is not None
        assert [running.stdout.readline() for _ in range(3)] == ["ready\n"] * 3
        assert running.communicate("end\n", timeout=LIMIT_SECONDS) == ("", "")
    assert running.returncode == 0


IN_A_LOOP = """
import asyncio, gc, os, sys
import fluss
from faces import create_table
from fluss import aio

target, path = sys.argv[1:]

async def main():
    opened = await aio.connect(target)
    schema = fluss.Schema.new_builder().column("id", "INT").build()
    await create_table(opened.get_admin(), path, fluss.TableDescriptor(schema, bucket_count=1))
    table = await opened.get_table(path)
    scanner, writer = table.new_scan().create_log_scanner(), table.new_append().create_writer()
    await scanner.subscribe_from_beginning()
    polling = asyncio.create_task(scanner.poll(60_000))
    await asyncio.sleep(0.1)
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        await writer.append([1])
        assert [record.row for record in await polling] == [{"id": 1}]
        await opened.close()
        return
    # The child leaves the loop behind, and what waits in it.
    try:
        writer.append([2])
    except fluss.ForkError:
        with fluss.connect(target if target.startswith("fluss:") else "embedded::memory:") as connection:
            assert connection.get_admin().list_databases()
        polling._log_destroy_pending = False
        polling.get_coro().close()
        del polling, scanner, writer, table, opened
        gc.collect()
        os._exit(0)

asyncio.run(main())
"""


def test_a_child_may_be_forked_in_an_event_loop(server: str, targets: Iterator[str]) -> None:
    assert run(IN_A_LOOP, next(targets), f"fluss.in_a_loop_{os.getpid()}_{server}") == (0, "")


DIRECTORY = """
import os, sys, time
import fluss

directory, = sys.argv[1:]
target = f"embedded:{directory}"

def use(connection):
    schema = fluss.Schema.new_builder().column("id", "INT").primary_key(["id"]).build()
    connection.get_admin().create_table("fluss.t", fluss.TableDescriptor(schema, bucket_count=2), True)  # on a node
    table = connection.get_table("fluss.t")
    with table.new_upsert().create_writer() as writer:
        writer.upsert([os.getpid()])
    return table.to_arrow().num_rows

parent = fluss.connect(target)
assert use(parent) == 1
(go_on, may), (said, tell) = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    try:
        fluss.connect(target)
        raise SystemExit("the directory is its parent's")
    except fluss.FlussError as error:
        assert "in use by another process" in str(error), error
    os.write(tell, b"refused\\n")
    os.read(go_on, 1)
    # Its parent has closed the node, which takes a moment to end, or is gone.
    end, said = time.monotonic() + 60, "in use by another process"
    while "in use by another process" in said and time.monotonic() < end:
        try:
            raise SystemExit(f"the directory is {fluss.connect(target)}'s")
        except fluss.FlussError as error:
            said = str(error)
    assert "was open when this process was forked" in said, said
    os._exit(0)
assert os.read(said, 20) == b"refused\\n"
if sys.stdin.readline() == "close\\n":
    parent.close()
    # The child has the descriptors still, and no lock.
    with fluss.connect(target) as parent:
        assert use(parent) == 1
    os.write(may, b".")
    assert os.waitpid(child, 0)[1] == 0
else:
    print(child, flush=True)
    # It ends without a word; the child waits.
    os.kill(os.getpid(), 9)
"""


def test_a_directory_is_its_opener_s_whatever_children_have_inherited(tmp_path: Path) -> None:
    directory = str(tmp_path / "closed")
    assert run(DIRECTORY, directory, stdin="close\n") == (0, "")


def test_a_directory_is_free_when_its_opener_was_killed_though_a_child_lives(tmp_path: Path) -> None:
    directory = str(tmp_path / "killed")
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    program = [sys.executable, "-c", DIRECTORY, directory]
    with subprocess.Popen(program, text=True, **pipes) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write("die\n")
        running.stdin.flush()
        child = int(running.stdout.readline())
        try:
            assert running.wait(LIMIT_SECONDS) == -signal.SIGKILL
            with fluss.connect(f"embedded:{directory}") as connection:
                assert connection.get_table("fluss.t").to_arrow().num_rows == 1
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_subinterpreter_connects_too() -> None:
    """Or says at once that it cannot, where interpreters share nothing."""
    interpreters = pytest.importorskip("_xxsubinterpreters")
    inner = interpreters.create()
    try:
        interpreters.run_string(inner, "import fluss; fluss.connect('embedded::memory:').close()")
    except Exception as error:
        assert "subinterpreter" in str(error)
    interpreters.destroy(inner)

    async def connect() -> None:
        async with aio.connect("embedded::memory:") as connection:
            assert await connection.get_admin().list_databases()

    # What ends with it is not what others wait for.
    asyncio.run(asyncio.wait_for(connect(), LIMIT_SECONDS))


LOOPS = """
import asyncio, sys, threading
import fluss
from faces import create_table
from fluss import aio

target, path = sys.argv[1:]

async def use(things, number):
    "Every class that is awaited, as made in another loop."
    connection, admin, table, keyed, writer, upserts, scanner, lookuper, prefixes = things
    assert await admin.list_databases()
    await writer.append([number, "a"])
    await upserts.upsert([number, "a"])
    await upserts.flush()
    assert await lookuper.lookup([number, "a"]) == {"id": number, "text": "a"}
    assert await prefixes.lookup([number]) == [{"id": number, "text": "a"}]
    await scanner.poll(1)
    assert (await table.to_arrow()).num_rows >= 1
    reader = await table.new_scan().create_bounded_reader()
    assert (await reader.read_all()).num_rows >= 1
    async for _ in await keyed.to_reader():
        pass
    assert await connection.get_table(path)
    return await table.new_scan().create_bounded_reader(), writer.append([number, "b"])

async def make():
    connection = await aio.connect(target)
    admin = connection.get_admin()
    schema = fluss.Schema.new_builder().column("id", "INT").column("text", "STRING")
    await create_table(admin, path, fluss.TableDescriptor(schema.build(), bucket_count=2))
    keyed = schema.primary_key(["id", "text"]).build()
    await create_table(admin, f"{path}_keyed", fluss.TableDescriptor(keyed, bucket_count=2, bucket_keys=["id"]))
    table, keyed = await connection.get_table(path), await connection.get_table(f"{path}_keyed")
    scanner = table.new_scan().create_log_scanner()
    await scanner.subscribe_from_beginning()
    lookup = keyed.new_lookup()
    return (connection, admin, table, keyed, table.new_append().create_writer(), keyed.new_upsert().create_writer(),
            scanner, lookup.create_lookuper(), lookup.lookup_by(["id"]).create_lookuper())

async def finish(reader, handle):
    assert (await reader.read_all()).num_rows >= 1
    await handle

things = asyncio.run(make())
for number in range(3):
    # Made in one loop, and finished in another.
    asyncio.run(finish(*asyncio.run(use(things, number))))

failures = []
def in_a_loop_of_its_own(number):
    try:
        for round in range(10):
            asyncio.run(finish(*asyncio.run(use(things, 100 * number + round))))
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=in_a_loop_of_its_own, args=(number,)) for number in range(1, 5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures

# A task that was left behind in a loop, and what it waited for.
loop = asyncio.new_event_loop()
polling = loop.create_task(things[6].poll(60_000))
loop.run_until_complete(asyncio.sleep(0))
polling.cancel()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
asyncio.run(things[6].poll(1))
asyncio.run(things[0].close())
"""


def test_a_connection_is_used_from_any_event_loop(server: str, targets: Iterator[str]) -> None:
    assert run(LOOPS, next(targets), f"fluss.loops_{os.getpid()}_{server}") == (0, "")

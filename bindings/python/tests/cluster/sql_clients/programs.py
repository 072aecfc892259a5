"""Programs that were written for Kimberlite and ksqlDB, with what is changed in them, and what is refused.

Their texts are those of the documentation of these clients, each in a file of its own. All that is changed is imports,
names, and a PRIMARY KEY where rows are updated; each change says why. ``python programs.py HOST:PORT`` runs them all.
"""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import fluss
from fluss.sql import Client, UnsupportedQueryError

TEXTS: Final = Path(__file__).parent
ADDRESS: Final = "localhost:3000"
"""The server, in the programs of Kimberlite."""


class Change(NamedTuple):
    """What is written instead of something, and why."""

    old: str
    new: str
    why: str


@dataclass(frozen=True)
class Program:
    """A program: where its text is, what is changed, and what comes of it."""

    file: str
    changes: list[Change] = field(default_factory=list)
    before: str = ""
    """Statements that make what the program takes for granted."""
    given: bool = False
    """Whether it begins with a client that there is already."""
    refused: dict[str, str] = field(default_factory=dict)
    """Statements of the program that are taken out of it, each with the words by which it is refused."""
    printed: list[str] = field(default_factory=list)
    """What is among the lines that it prints."""

    @property
    def name(self) -> str:
        """The name of the file."""
        return Path(self.file).stem

    def text(self) -> str:
        """The text with its changes."""
        text = (TEXTS / self.file).read_text()
        for change in self.changes:
            assert change.old in text, (self.file, change.old)
            text = text.replace(change.old, change.new)
        return text


IMPORT = Change("from kimberlite import", "from fluss.sql import", "the import")

KIMBERLITE: Final = [
    Program(
        "kimberlite/quick_verification.txt",
        [
            Change("import kimberlite", "import fluss", "the import"),
            Change("kimberlite.__version__", "fluss.__version__", "the name"),
        ],
        printed=[f"Version: {fluss.__version__}"],
    ),
    Program("kimberlite/create_and_query.txt", [IMPORT], printed=["User 1: alice@example.com"]),
    Program(
        "kimberlite/tenants.txt",
        [
            IMPORT,
            Change(
                "# Tenant 2 cannot see tenant 1's data\n",
                "# Tenant 2 cannot see tenant 1's data\ntenant2_client.execute(\"CREATE TABLE orders (id INT, customer"
                ' TEXT, amount DECIMAL)")\n',
                "a tenant is a database, with tables of its own: the name 'orders' has to be given in each",
            ),
        ],
        printed=["Tenant 2 sees 0 orders", "Tenant 2 sees 1 orders"],
    ),
    Program(
        "kimberlite/classification.txt",
        [
            IMPORT,
            Change(
                """client.execute("ALTER TABLE patients MODIFY COLUMN ssn SET CLASSIFICATION 'PHI'")
client.execute("ALTER TABLE patients MODIFY COLUMN diagnosis SET CLASSIFICATION 'MEDICAL'")
""",
                "",
                "refused by name",
            ),
            Change('client.execute("CREATE MASK ssn_mask ON patients.ssn USING REDACT")\n', "", "refused by name"),
            Change(
                """classifications = client.query("SHOW CLASSIFICATIONS FOR patients")
for cls in classifications:
    print(f"{cls['column']}: {cls['classification']}")
""",
                "",
                "refused by name",
            ),
        ],
        refused={
            "ALTER TABLE patients MODIFY COLUMN ssn SET CLASSIFICATION 'PHI'": "MODIFY",
            "ALTER TABLE patients MODIFY COLUMN diagnosis SET CLASSIFICATION 'MEDICAL'": "MODIFY",
            "CREATE MASK ssn_mask ON patients.ssn USING REDACT": "MASK",
            "SHOW CLASSIFICATIONS FOR patients": "CLASSIFICATIONS",
        },
        printed=["Alice Johnson: SSN=123-45-6789", "Bob Smith: SSN=987-65-4321"],
    ),
    Program(
        "kimberlite/time_travel.txt",
        [
            IMPORT,
            Change(
                "inventory (product_id INT, quantity INT)",
                "inventory (product_id INT PRIMARY KEY, quantity INT)",
                "rows that are updated have a primary key",
            ),
        ],
        printed=["Current quantity: 75", "Historical quantity: 100"],
    ),
    Program(
        "kimberlite/executing.txt",
        given=True,
        printed=["Inserted 1 rows"],
    ),
    Program(
        "kimberlite/querying.txt",
        before="""
            CREATE TABLE products (id INT PRIMARY KEY, name TEXT NOT NULL, price DECIMAL(10,2));
            INSERT INTO products VALUES (1, 'Widget', 19.99), (2, 'Gadget', 29.99);
            CREATE TABLE large_table (id INT, text TEXT);
            INSERT INTO large_table VALUES (1, 'one'), (2, 'two');
        """,
        given=True,
        printed=[
            "Widget: $19.99",
            "Gadget: $29.99",
            "{'id': 1, 'name': 'Widget', 'price': Decimal('19.99')}",
            "(1, 'Widget', Decimal('19.99'))",
            "processed Row(id=1, text='one')",
            "processed Row(id=2, text='two')",
        ],
    ),
    Program(
        "kimberlite/transactions.txt",
        before="""
            CREATE TABLE accounts (id INT PRIMARY KEY, balance INT) DISTRIBUTED BY (id) INTO 1 BUCKETS;
            INSERT INTO accounts VALUES (1, 1000), (2, 1000);
        """,
        given=True,
    ),
    Program(
        "kimberlite/errors.txt",
        [
            IMPORT,
            Change(
                "    ConstraintViolationError\n)",
                "    ConstraintViolationError,\n    Client,\n)",
                "the import, which stands in another program",
            ),
        ],
        before="""
            CREATE TABLE users (id INT PRIMARY KEY, email TEXT NOT NULL);
            INSERT INTO users VALUES (1, 'alice@example.com');
        """,
        printed=["Constraint violation: "],
    ),
    Program(
        "kimberlite/prepared.txt",
        [
            Change(
                "# Prepare statement",
                "from datetime import datetime\n\n# Prepare statement",
                "the import, which stands in another program",
            )
        ],
        before="CREATE TABLE logs (timestamp TIMESTAMP, message TEXT)",
        given=True,
    ),
    Program(
        "kimberlite/types.txt",
        [Change("from kimberlite import types", "from fluss import types", "the import")],
        before="""
            CREATE TABLE transactions (
                id INT PRIMARY KEY, amount DECIMAL(10,2), timestamp TIMESTAMP, metadata MAP<STRING, STRING>
            )
        """,
        given=True,
        printed=["Amount: 99.99", "Metadata: {'source': 'web', 'ip': '192.168.1.1'}"],
    ),
    Program(
        "kimberlite/asynchronous.txt",
        [Change("from kimberlite.aio import", "from fluss.aio.sql import", "the import")],
        before="""
            CREATE TABLE users (id INT PRIMARY KEY, email TEXT NOT NULL);
            INSERT INTO users VALUES (1, 'alice@example.com');
        """,
        printed=["Row(id=1, email='alice@example.com')", "Found 1 users"],
    ),
]

ASKED_TO_LOG_IN: Final = Program(
    "kimberlite/clients.txt",
    [
        IMPORT,
        Change('user="username"', "user=USER", "the user's name"),
        Change('password="password"', "password=PASSWORD", "the user's password"),
        Change(
            """client = Client(
    addresses=["localhost:3000"],
    tls_enabled=True,
    tls_ca_cert="/path/to/ca.pem"
)
""",
            "",
            "TLS, which `test_tls` tries",
        ),
        Change(
            """client = Client(addresses=["localhost:3000"])

# With authentication""",
            "# With authentication",
            "a server that asks nobody who he is, which the other programs have",
        ),
        Change("    tenant_id=1\n", "    user=USER, password=PASSWORD, tenant_id=1\n", "this server asks for a login"),
        Change(
            'with Client(addresses=["localhost:3000"]) as client',
            'with Client(addresses=["localhost:3000"], user=USER, password=PASSWORD) as client',
            "this server asks for a login",
        ),
    ],
)

RIGHTS: Final = Program(
    "kimberlite/access_control.txt",
    [
        IMPORT,
        Change('user="admin"', "user=ADMIN", "the user's name"),
        Change('"admin-password"', "ADMIN_PASSWORD", "the user's password"),
        Change('user="analyst1"', "user=ANALYST", "the user's name"),
        Change('password="analyst-password"', "password=ANALYST_PASSWORD", "the user's password"),
        Change(
            '''admin_client.execute("""
    CREATE ROLE data_analyst;
    GRANT SELECT ON patients TO data_analyst;
""")
''',
            "",
            "refused by name: rights are given by fluss.client.admin",
        ),
        Change(
            '''admin_client.execute("""
    CREATE USER analyst1
    WITH PASSWORD 'analyst-password'
    WITH ROLE data_analyst;
""")
''',
            "",
            "refused by name: users are made by fluss.client.admin, or stand in a file",
        ),
    ],
    refused={
        "CREATE ROLE data_analyst": "ROLE",
        "GRANT SELECT ON patients TO data_analyst": "GRANT",
        "CREATE USER analyst1 WITH PASSWORD 'analyst-password' WITH ROLE data_analyst": "USER",
    },
    printed=["Found 1 patients", "Access denied: "],
)

TESTS: Final = Program("kimberlite/pytest_fixtures.txt", [IMPORT])
"""Tests for pytest."""

KSQLDB_IMPORTS: Final = [
    Change("from ksqldb_confluent.client import Client", "from fluss.aio.sql import AsyncClient", "the import"),
    Change("from ksqldb_confluent.row import Row", "from fluss.aio.sql import Row", "the import"),
    Change(
        "client: Client = Client(host='localhost', port=8088)",
        f"client = AsyncClient(addresses=['{ADDRESS}'])",
        "names",
    ),
]
RATINGS: Final = """
    CREATE TABLE RATINGS (id INT, stars INT);
    INSERT INTO RATINGS VALUES (1, 5), (2, 4), (3, 3), (4, 2);
"""

STREAM: Final = Program(
    "ksqldb/stream_query.txt",
    [
        *KSQLDB_IMPORTS,
        Change(
            "from ksqldb_confluent.streamed_query_result import StreamedQueryResult",
            "from fluss.aio.sql import StreamedQuery",
            "the import",
        ),
        Change(
            "StreamedQueryResult = await client.stream_query_async",
            "StreamedQuery = await client.stream_query",
            "names",
        ),
        Change("result.poll_async()", "result.poll()", "the name"),
    ],
    before="CREATE TABLE RATINGS (id INT, stars INT)",
)

KSQLDB: Final = [
    Program(
        "ksqldb/execute_query.txt",
        [
            *(change for change in KSQLDB_IMPORTS if "row import" not in change.old),
            Change(
                "from ksqldb_confluent.batched_query_result import BatchedQueryResult",
                "from fluss.aio.sql import BatchedQueryResult",
                "the import",
            ),
            Change("await client.execute_query_async", "await client.execute_query", "the name"),
        ],
        before=RATINGS,
        printed=["Got result query id: ", "Row: Row(id="],
    ),
]

LOGIN: Final = Program(
    "ksqldb/login.txt",
    [
        Change(
            "client: Client = Client(host='<ksqlDB-endpoint>', port=<port>, username='<ksqlDB-API-key>', "
            "password='<ksqlDB-API-secret>')",
            f"from fluss.sql import Client\nclient = Client(addresses=['{ADDRESS}'], user=USER, password=PASSWORD)",
            "the import, names, and who it is",
        )
    ],
)


@contextlib.contextmanager
def leaving_nothing(address: str, **login: Any) -> Iterator[Client]:
    """A client for what comes before a program. In the end the tables are dropped that there were not before."""
    with Client(addresses=[address], **login) as client:
        there = {row["name"] for row in client.query("SHOW TABLES")}
        try:
            yield client
        finally:
            for row in client.query("SHOW TABLES"):
                if row["name"] not in there:
                    client.execute(f'DROP TABLE "{row["name"]}"')
            for tenant in ("tenant_1", "tenant_2"):
                client.execute(f"DROP DATABASE IF EXISTS {tenant} CASCADE")


def run(program: Program, address: str, login: dict[str, Any] | None = None, **names: Any) -> str:
    """Runs a program, and returns what it prints. Statements that are refused are tried by themselves."""
    out = io.StringIO()
    with leaving_nothing(address, **(login or {})) as client, contextlib.redirect_stdout(out):
        if program.before:
            client.execute(program.before)
        if program.given:
            names["client"] = client
        names.setdefault("process", lambda row: print("processed", row))
        code = compile(program.text().replace(ADDRESS, address), program.file, "exec")
        exec(code, {"__name__": "__main__", **names})
        for statement, words in program.refused.items():
            try:
                client.execute(statement)
            except UnsupportedQueryError as error:
                assert words.lower() in str(error).lower(), (statement, str(error))
            else:
                raise AssertionError(f"{statement} is not refused")
    printed = out.getvalue()
    for words in program.printed:
        assert words in printed, (program.file, words, printed)
    return printed


class Enough(Exception):
    """So many rows are enough of a query that does not end."""


def follow(address: str, rows: int = 3) -> list[str]:
    """Runs the program that polls a query which does not end, while another client writes, until it has enough rows."""
    printed: list[str] = []
    begun, stopped = threading.Event(), threading.Event()

    def show(line: str) -> None:
        printed.append(line)
        begun.set()
        if len([line for line in printed if line.startswith("Row: ")]) == rows:
            # The table is dropped next.
            stopped.set()
            writer.join()
            raise Enough

    def write() -> None:
        begun.wait(60)
        with Client(addresses=[address]) as client:
            for number in range(1000):
                if stopped.wait(0.05):
                    return
                client.execute("INSERT INTO RATINGS VALUES (?, ?)", (number, number % 5))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        run(STREAM, address, print=show)
    except Enough:
        pass
    finally:
        begun.set()
        stopped.set()
        writer.join()
    return printed


if __name__ == "__main__":
    for each in [*KIMBERLITE, *KSQLDB]:
        run(each, sys.argv[1])
        print(each.file)
    assert len(follow(sys.argv[1])) == 4

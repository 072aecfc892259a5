"""Writes the answers into the files of this folder. Run it by hand after a change: no test runs it.

    pip install duckdb pyarrow numpy datafusion
    python fluss-sql/tests/slt/make.py            # writes what has changed, prints the names of the files
    python fluss-sql/tests/slt/make.py --check    # writes nothing, and fails if anything would change

The statements are written by hand, the answers of plain SQL come from DuckDB. The statements of a file run in a fresh
database in their order, and the lines after `----` and the numbers of `statement count` are replaced. A comment right
before a record says otherwise:

    # duckdb: TEXT    DuckDB runs this text in place of the statement (nothing, if it is `-`)
    # datafusion      the answer is DataFusion's on the same rows: its types or texts differ from DuckDB's
    # alone: WHY      DataFusion by itself does not get this right, and is not compared with
    # fluss           the answer is written by hand: only Fluss knows it, and DuckDB does not run the statement

The other answers are compared with DataFusion's, where the package is installed. Its version
must be that of the crate.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

try:
    import datafusion
except ImportError:
    datafusion = None

HERE = Path(__file__).resolve().parent


@dataclass
class Record:
    """A record of a file: its comments, its head, the text of the statement and the answer."""

    comments: list[str] = field(default_factory=list)
    head: str = ""
    sql: list[str] = field(default_factory=list)
    answer: list[str] | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.sql)

    def marked(self, mark: str) -> bool:
        return any(comment == f"# {mark}" or comment.startswith(f"# {mark}: ") for comment in self.comments)

    def in_duckdb(self) -> str | None:
        """What DuckDB runs, if anything."""
        for comment in self.comments:
            if comment.startswith("# duckdb: "):
                other = comment.removeprefix("# duckdb: ")
                return None if other == "-" else other
        return None if self.marked("fluss") or " error" in self.head or not self.sql else self.text

    def lines(self) -> list[str]:
        answer = [] if self.answer is None else ["----", *self.answer]
        return [*self.comments, *([self.head] if self.head else []), *self.sql, *answer]


def parse(text: str) -> list[Record]:
    records = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        record = Record()
        for line in block.split("\n"):
            if record.answer is not None:
                record.answer.append(line)
            elif line == "----":
                record.answer = []
            elif line.startswith("#") and not record.head:
                record.comments.append(line)
            elif not record.head:
                record.head = line
            else:
                record.sql.append(line)
        if record.head.startswith("query") and "error" not in record.head and record.answer is None:
            record.answer = []
        records.append(record)
    return records


# --- Texts of values: those of arrow's `ArrayFormatter`, with NULL for null and (empty) for an empty text. ---


def value_text(scalar: Any, top: bool = True) -> str:
    kind = scalar.type
    if not scalar.is_valid:
        return "NULL"
    if pa.types.is_boolean(kind):
        return "true" if scalar.as_py() else "false"
    if pa.types.is_floating(kind):
        return float_text(scalar.as_py(), pa.types.is_float32(kind))
    if pa.types.is_decimal(kind):
        return format(scalar.as_py(), "f")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return scalar.as_py().hex() or ("(empty)" if top else "")
    if pa.types.is_timestamp(kind):
        text = np.datetime_as_string(np.datetime64(scalar.value, kind.unit))
        return _fraction(str(text)) + ("Z" if kind.tz else "")
    if pa.types.is_time(kind):
        return _fraction(scalar.as_py().isoformat())
    if pa.types.is_map(kind):
        entries = [] if scalar.values is None else scalar.values
        pairs = (f"{value_text(entry[0], False)}: {value_text(entry[1], False)}" for entry in entries)
        return "{" + ", ".join(pairs) + "}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{name}: {value_text(value, False)}" for name, value in scalar.items()) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "[" + ", ".join(value_text(value, False) for value in scalar.values) + "]"
    if pa.types.is_interval(kind) or pa.types.is_duration(kind):
        raise ValueError("intervals have no text here: cast them")
    text = str(scalar.as_py())
    return "(empty)" if top and text == "" else text


def _fraction(text: str) -> str:
    """Cuts zeros at the end of a second, three at a time."""
    whole, _, rest = text.partition(".")
    rest = rest.ljust(9, "0")
    while rest and rest.endswith("000"):
        rest = rest[:-3]
    return f"{whole}.{rest}" if rest else whole


def float_text(value: float, single: bool) -> str:
    """The shortest text, with an exponent for great and small numbers."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    shortest = str(np.float32(value)) if single else repr(value)
    sign, digits, exponent = Decimal(shortest).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    exponent = int(exponent) + len(digits) - len(text)
    minus = "-" if sign else ""
    if not text:
        return f"{minus}0.0"
    point = len(text) + exponent
    if exponent >= 0 and point <= (13 if single else 16):
        return f"{minus}{text}{'0' * exponent}.0"
    if 0 < point <= (13 if single else 16):
        return f"{minus}{text[:point]}.{text[point:]}"
    if (-6 if single else -5) < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    mantissa = text if len(text) == 1 else f"{text[0]}.{text[1:]}"
    return f"{minus}{mantissa}e{point - 1}"


def answer(table: Any, head: str) -> list[str]:
    rows = [[value_text(column[row]) for column in table.columns] for row in range(len(table))]
    return [" ".join(row) for row in (sorted(rows) if "rowsort" in head else rows)]


# --- Fluss's spelling of DDL, as DuckDB has it. ---

NAMES = {
    "STRING": "VARCHAR",
    "TEXT": "VARCHAR",
    "CHAR": "VARCHAR",
    "BYTES": "BLOB",
    "VARBINARY": "BLOB",
    "BINARY": "BLOB",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP_LTZ": "TIMESTAMPTZ",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "INT": "INTEGER",
}
TOKEN = re.compile(r"'(?:[^']|'')*'|\w+|\s+|.", re.S)


def ddl(text: str) -> str:
    """CREATE TABLE without what DuckDB does not have."""
    text = re.sub(r"\s+NOT\s+ENFORCED\b", "", text)
    head, select = (re.split(r"\bAS\s+(?=SELECT\b|WITH\b)", text, maxsplit=1) + [""])[:2]
    head = re.sub(r"\s+COMMENT\s+'(?:[^']|'')*'", "", head)
    head = re.sub(r"\s+PARTITIONED\s+BY\s*\([^)]*\)", "", head)
    head = re.sub(r"\s+DISTRIBUTED\s+(BY\s*\([^)]*\)\s*)?(INTO\s+\d+\s+BUCKETS)?", " ", head)
    head = re.sub(r"\s+WITH\s*\((?:'(?:[^']|'')*'|[^)])*\)", "", head)
    return types(head) + (f" AS {select}" if select else "")


def types(text: str) -> str:
    tokens = [token for token in TOKEN.findall(text)]
    out, at = [], 0
    while at < len(tokens):
        piece, at = _type(tokens, at)
        out.append(piece)
    return "".join(out)


def _type(tokens: list[str], at: int) -> tuple[str, int]:
    """The piece of text that begins at a token, a type with all its parts, and the token after it."""
    token = tokens[at]
    name = token.upper()
    follows = tokens[at + 1] if at + 1 < len(tokens) else ""
    if name in ("ARRAY", "MAP", "ROW", "STRUCT") and follows == "<":
        parts, at = _parts(tokens, at + 2)
        if name == "ARRAY":
            return f"{parts[0]}[]", at
        return (f"MAP({', '.join(parts)})" if name == "MAP" else f"STRUCT({', '.join(parts)})"), at
    if name in NAMES:
        at += 1
        if follows == "(":
            at = tokens.index(")", at) + 1
        return NAMES[name], at
    return token, at + 1


def _parts(tokens: list[str], at: int) -> tuple[list[str], int]:
    parts, part = [], ""
    depth = 0
    while True:
        token = tokens[at]
        if token == ">" and depth == 0:
            return [*parts, part.strip()], at + 1
        if token == "," and depth == 0:
            parts.append(part.strip())
            part, at = "", at + 1
            continue
        depth += (token == "(") - (token == ")")
        piece, at = _type(tokens, at)
        part += piece


class DuckDb:
    """A fresh database, which sorts nulls and divides integers as DataFusion does."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for setting in (
            "TimeZone = 'UTC'",
            "default_null_order = 'nulls_last_on_asc_first_on_desc'",
            "integer_division = true",
        ):
            self.connection.execute(f"SET {setting}")
        self.keyed: set[str] = set()

    def run(self, text: str, exact: bool) -> Any:
        """Runs a statement; if it is `exact`, DuckDB's own."""
        if not exact:
            text = self.translated(text)
        return self.connection.execute(text)

    def translated(self, text: str) -> str:
        words = text.upper().split()
        if words[:2] == ["CREATE", "TABLE"]:
            name = re.match(r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", text, re.I)
            if name and re.search(r"\bPRIMARY\s+KEY\b", text, re.I):
                self.keyed.add(name[1])
            return ddl(text)
        if words[:2] == ["ALTER", "TABLE"]:
            return types(text)
        into = re.match(r"INSERT\s+INTO\s+(\w+)", text, re.I)
        if into and into[1] in self.keyed and "ON CONFLICT" not in text.upper():
            return "INSERT OR REPLACE INTO" + text[len("INSERT INTO") :]
        return text

    def tables(self) -> Iterator[tuple[str, Any]]:
        names = self.connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        for (name,) in names:
            yield name, arrow(self.connection.sql(f"SELECT * FROM {name}"))


def arrow(relation: Any) -> Any:
    return relation.to_arrow_table()


def ask_datafusion(database: DuckDb, text: str) -> Any:
    config = (
        datafusion.SessionConfig()
        .set("datafusion.sql_parser.parse_float_as_decimal", "true")
        .set("datafusion.sql_parser.enable_ident_normalization", "false")
        .set("datafusion.sql_parser.dialect", "duckdb")
    )
    context = datafusion.SessionContext(config)
    for name, table in database.tables():
        batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        context.register_record_batches(name, [batches])
    frame = context.sql(text)
    batches = frame.collect()
    # Schemas of a plan and of its batches may differ in what may be null.
    return pa.Table.from_batches(batches) if batches else frame.schema().empty_table()


class File:
    """A file whose answers are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.old = path.read_text()
        self.records = parse(self.old)
        self.database = DuckDb()
        self.complaints: list[str] = []

    def fill(self) -> str:
        for record in self.records:
            try:
                self.fill_record(record)
            except Exception as error:
                self.complain(record, f"{type(error).__name__}: {error}")
        return "\n\n".join("\n".join(record.lines()) for record in self.records) + "\n"

    def complain(self, record: Record, words: str) -> None:
        self.complaints.append(f"{self.path.relative_to(HERE)}: {record.text}\n    {words}")

    def fill_record(self, record: Record) -> None:
        if " error" in record.head:
            self.check_refusal(record)
        text = record.in_duckdb()
        if text is None:
            return
        own = record.marked("duckdb")
        if not record.head.startswith("query"):
            done = self.database.run(text, own).fetchall()
            if record.head.startswith("statement count"):
                record.head = f"statement count {done[0][0]}"
            return
        if record.marked("datafusion"):
            if datafusion:
                record.answer = answer(ask_datafusion(self.database, record.text), record.head)
            return
        table = arrow(self.database.connection.sql(self.database.translated(text) if not own else text))
        record.answer = answer(table, record.head)
        if datafusion and not record.marked("alone"):
            try:
                other = answer(ask_datafusion(self.database, record.text), record.head)
            except Exception as error:
                self.complain(record, f"DataFusion: {error}")
                return
            if other != record.answer:
                self.complain(record, f"DuckDB says {record.answer}\n    DataFusion   {other}")

    def check_refusal(self, record: Record) -> None:
        """Complains of a query that DataFusion answers, though it is to fail, unless the record is ours alone."""
        query = re.match(r"SELECT|WITH|VALUES|\(", record.text, re.I)
        if not datafusion or not query or record.marked("fluss"):
            return
        try:
            ask_datafusion(self.database, record.text)
        except Exception:
            return
        self.complain(record, "DataFusion does it")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("only", nargs="*", help="parts of names of files")
    given = parser.parse_args()
    changed, failed, count = [], False, 0
    for path in sorted(HERE.rglob("*.slt")):
        if given.only and not any(part in str(path.relative_to(HERE)) for part in given.only):
            continue
        file = File(path)
        new = file.fill()
        count += sum(1 for record in file.records if record.sql)
        for complaint in file.complaints:
            failed = True
            print(complaint, file=sys.stderr)
        if new != file.old:
            changed.append(path)
            if not given.check:
                path.write_text(new)
    for path in changed:
        print(path.relative_to(HERE))
    print(f"{count} records")
    return int(failed or (given.check and bool(changed)))


if __name__ == "__main__":
    sys.exit(main())

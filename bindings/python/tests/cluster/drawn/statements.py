"""Random statements of SQL over a few tables, written so that DuckDB and Fluss must say the same.

Left out is what is not the same by intent: sums that overflow, division, and some of what DataFusion does with doubles.
It tells zeros apart by their sign in sorts, windows, `nullif` and contradictions, sorts a NaN with a sign below all
numbers, finds no infinity as the least or greatest of a group, and takes what is not known for false in an IN within an
OR or a NOT.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

MARK = re.compile(r"\?(\d+)\?")
PATTERNS = ["'a%'", "'%b'", "'_'", "'%'", "''"]
INFINITE = ("CAST('inf' AS DOUBLE)", "CAST('-inf' AS DOUBLE)", "CAST('NaN' AS DOUBLE)")


@dataclass(frozen=True)
class Table:
    """A table: its columns with their types, its key, and how its rows lie."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...] = ()
    layout: str = ""

    def ddl(self) -> str:
        columns = [f"{name} {kind}" for name, kind in self.columns.items()]
        key = [f"PRIMARY KEY ({', '.join(self.key)}) NOT ENFORCED"] if self.key else []
        return f"CREATE TABLE {self.name} ({', '.join(columns + key)}) {self.layout}"

    def duckdb_ddl(self) -> str:
        columns = [f"{name} {kind.replace('STRING', 'VARCHAR')}" for name, kind in self.columns.items()]
        key = [f"PRIMARY KEY ({', '.join(self.key)})"] if self.key else []
        return f"CREATE TABLE {self.name} ({', '.join(columns + key)})"


@dataclass(frozen=True)
class Statement:
    """A statement, the values of its parameters, and whether its rows come in an order."""

    text: str
    parameters: tuple[Any, ...] = ()
    is_ordered: bool = False

    def __str__(self) -> str:
        return f"{self.text}  {list(self.parameters)}" if self.parameters else self.text


SHAPE = {"a": "INT", "s": "STRING", "d": "DOUBLE", "f": "BOOLEAN", "n": "DECIMAL(10, 2)", "day": "DATE"}


def tables(suffix: str) -> list[Table]:
    """Two key tables, one of which has a bucket key, a log, and a partitioned log."""
    return [
        Table(f"k{suffix}", {"id": "INT", "b": "BIGINT", **SHAPE}, ("id",), "DISTRIBUTED BY (id) INTO 3 BUCKETS"),
        Table(f"p{suffix}", {"g": "STRING", "h": "INT", **SHAPE}, ("g", "h"), "DISTRIBUTED BY (g) INTO 2 BUCKETS"),
        Table(f"l{suffix}", {"h": "INT", **SHAPE}, (), "DISTRIBUTED BY (h) INTO 2 BUCKETS"),
        Table(f"m{suffix}", {"g": "STRING", **SHAPE}, (), "PARTITIONED BY (g)"),
    ]


class Column:
    """A column of a table that stands in FROM under a name."""

    def __init__(self, alias: str, name: str, kind: str) -> None:
        self.text = f"{alias}.{name}" if alias else name
        self.name = name
        self.kind = kind.partition("(")[0]


def columns_of(table: Table, alias: str = "") -> list[Column]:
    return [Column(alias, name, kind) for name, kind in table.columns.items()]


class Statements:
    """Draws statements over tables."""

    def __init__(self, random: Random, tables: Sequence[Table]) -> None:
        self.random = random
        self.tables = list(tables)
        self.keyed = [table for table in tables if table.key]
        self._parameters: list[Any] | None = None

    # Rows and literals.

    def literal(self, kind: str, nullable: bool = True) -> str:
        random = self.random
        if nullable and random.random() < 0.12:
            return "NULL"
        if kind == "INT":
            return str(random.randint(-3, 9))
        if kind == "BIGINT":
            return random.choice(["0", "7", "-7", str(2**63 - 1), str(-(2**63) + 1)])
        if kind == "STRING":
            return random.choice(["''", "'a'", "'b'", "'ab'", "'B'", "'a%'", "'äö'", "'it''s'"])
        if kind == "DOUBLE":
            zeros = ["CAST('0.0' AS DOUBLE)", "CAST('-0.0' AS DOUBLE)"]
            quarter = f"CAST('{random.randint(-8, 8) / 4}' AS DOUBLE)"
            return random.choice([*zeros, *INFINITE, quarter, quarter, quarter])
        if kind == "BOOLEAN":
            return random.choice(["true", "false"])
        if kind == "DECIMAL":
            return random.choice(["0.00", "1.50", "-1.25", "99999999.99"])
        return f"DATE '{random.choice(['1969-12-31', '1970-01-01', '2024-02-29', '2024-03-01'])}'"

    def row(self, table: Table, number: int) -> str:
        """A row to insert; those of other numbers have other keys."""
        keys = {"id": str(number), "h": str(number % 7), "g": f"'{'xyz'[number // 7 % 3]}'"}
        values = [keys.get(name) or self.literal(kind.partition("(")[0]) for name, kind in table.columns.items()]
        return f"({', '.join(values)})"

    def insert(self, table: Table, count: int) -> Statement:
        rows = ", ".join(self.row(table, number) for number in self.random.sample(range(21), min(count, 21)))
        return Statement(f"INSERT INTO {table.name} VALUES {rows}")

    # Expressions.

    def value(self, kind: str) -> str:
        """A literal, or the parameter that stands for it."""
        if self._parameters is not None and kind in ("INT", "STRING") and self.random.random() < 0.5:
            value: Any = self.random.randint(-3, 9) if kind == "INT" else self.random.choice(["", "a", "ab", "äö"])
            self._parameters.append(value)
            return f"?{len(self._parameters) - 1}?"
        return self.literal(kind, nullable=False)

    def of(self, columns: Sequence[Column], kind: str) -> str:
        """A column of a type, or a literal if there is none."""
        fitting = [column.text for column in columns if column.kind == kind]
        return self.random.choice(fitting) if fitting else self.literal(kind, nullable=False)

    def expression(self, columns: Sequence[Column], kind: str, depth: int = 2) -> str:
        random = self.random
        if depth == 0 or random.random() < 0.4:
            return self.of(columns, kind) if random.random() < 0.8 else self.literal(kind, nullable=False)

        def inner(kind: str) -> str:
            return self.expression(columns, kind, depth - 1)

        forms: list[Callable[[], str]] = [
            lambda: f"CASE WHEN {self.predicate(columns, 1)} THEN {inner(kind)} ELSE {inner(kind)} END",
            lambda: f"coalesce({inner(kind)}, {self.literal(kind, nullable=False)})",
        ]
        if kind != "DOUBLE":
            forms.append(lambda: f"nullif({inner(kind)}, {self.literal(kind, nullable=False)})")
        if kind == "INT":
            forms += [
                lambda: f"({inner('INT')} {random.choice('+-*')} {self.literal('INT', nullable=False)})",
                lambda: f"({inner('INT')} % {random.randint(2, 5)})",
                lambda: f"length({inner('STRING')})",
                lambda: f"abs({inner('INT')})",
            ]
        if kind == "DOUBLE":
            forms += [
                lambda: f"({inner('DOUBLE')} {random.choice('+-*')} CAST({random.randint(1, 4)} AS DOUBLE))",
                lambda: f"CAST({inner('INT')} AS DOUBLE)",
            ]
        if kind == "STRING":
            forms += [
                lambda: f"upper({inner('STRING')})",
                lambda: f"({inner('STRING')} || {self.literal('STRING', nullable=False)})",
                lambda: f"substring({inner('STRING')}, 1, {random.randint(1, 3)})",
            ]
        if kind == "BOOLEAN":
            forms += [lambda: f"({self.predicate(columns, 1)})"]
        return random.choice(forms)()

    def predicate(
        self, columns: Sequence[Column], depth: int = 2, subqueries: bool = False, is_conjunct: bool = True
    ) -> str:
        """A condition; if it is a conjunct, rows for which it is not true are not wanted."""
        random = self.random
        if depth > 0 and random.random() < 0.45:
            form = random.choice(["({} AND {})", "({} OR {})", "NOT ({})"])
            is_conjunct = is_conjunct and "AND" in form
            parts = (self.predicate(columns, depth - 1, subqueries, is_conjunct) for _ in range(form.count("{}")))
            return form.format(*parts)
        if subqueries and random.random() < 0.35:
            return self.subquery(columns, is_conjunct)
        return random.choice([self.comparison, self.comparison, self.test])(columns)

    def comparison(self, columns: Sequence[Column]) -> str:
        kind = self.random.choice(["INT", "INT", "STRING", "DOUBLE", "DOUBLE", "DECIMAL", "DATE", "BIGINT"])
        operators = ["=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
        other = self.value(kind) if self.random.random() < 0.7 else self.of(columns, kind)
        if kind == "DOUBLE" and self.random.random() < 0.3:
            other = str(self.random.randint(-8, 8) / 4)
        return f"({self.expression(columns, kind, 1)} {self.random.choice(operators)} {other})"

    def test(self, columns: Sequence[Column]) -> str:
        random = self.random
        column = random.choice(columns)
        kind = column.kind

        def literals(count: int, nullable: bool) -> str:
            return ", ".join(self.literal(kind, nullable) for _ in range(count))

        forms = [
            f"{column.text} IS NULL",
            f"{column.text} IS NOT NULL",
            f"{column.text} IN ({literals(3, random.random() < 0.3)})",
            f"{column.text} NOT IN ({literals(2, random.random() < 0.3)})",
            f"{column.text} BETWEEN {self.literal(kind)} AND {self.literal(kind)}",
            f"{self.of(columns, 'STRING')} {random.choice(['LIKE', 'NOT LIKE'])} {random.choice(PATTERNS)}",
            f"{self.of(columns, 'BOOLEAN')} IS {random.choice(['TRUE', 'NOT TRUE', 'FALSE'])}",
            # Nothing holds these, or everything.
            random.choice(["false", "true", "1 = 2", "NULL IS NULL"]),
            f"{column.text} = NULL",
            f"({column.text} < {self.literal(kind, False)} AND {column.text} > {self.literal(kind, False)})",
        ]
        if kind != "DOUBLE":
            first, second = self.literal(kind, False), self.literal(kind, False)
            forms.append(f"({column.text} = {first} AND {column.text} = {second})")
        return random.choice(forms)

    def subquery(self, columns: Sequence[Column], is_conjunct: bool) -> str:
        random = self.random
        table = random.choice(self.tables)
        inner = columns_of(table, "q")
        kind = random.choice(["INT", "STRING"])
        mine, theirs = self.of(columns, kind), self.of(inner, kind)
        where = self.predicate(inner, 1)
        if not is_conjunct:
            # Here DataFusion does not know what is not known.
            mine = f"coalesce({mine}, {self.literal(kind, nullable=False)})"
            where = f"{theirs} IS NOT NULL AND {where}"
        forms = [
            f"{mine} IN (SELECT {theirs} FROM {table.name} AS q WHERE {where})",
            f"{mine} NOT IN (SELECT {theirs} FROM {table.name} AS q WHERE {where})",
            f"EXISTS (SELECT 1 FROM {table.name} AS q WHERE {theirs} = {mine} AND {where})",
            f"NOT EXISTS (SELECT 1 FROM {table.name} AS q WHERE {theirs} = {mine} AND {where})",
            f"{self.of(columns, 'INT')} > (SELECT min(q.a) FROM {table.name} AS q WHERE {where})",
            f"{self.of(columns, 'INT')} <= (SELECT count(*) FROM {table.name} AS q WHERE {where})",
            f"{self.of(columns, 'INT')} = (SELECT max(q.a) FROM {table.name} AS q WHERE {theirs} = {mine})",
        ]
        if table.key and is_conjunct:
            order = ", ".join(f"q.{name}" for name in table.key)
            first = f"SELECT {theirs} FROM {table.name} AS q ORDER BY {order} LIMIT {random.randint(0, 4)}"
            forms.append(f"{mine} IN ({first})")
        return random.choice(forms)

    # Statements.

    def drawn(self, draw: Callable[[], tuple[str, bool]]) -> Statement:
        """A statement, some of whose literals may be parameters."""
        self._parameters = [] if self.random.random() < 0.25 else None
        text, is_ordered = draw()
        drawn, self._parameters = self._parameters or [], None
        # Some were drawn for a text that was not chosen.
        parameters = tuple(drawn[int(place)] for place in MARK.findall(text))
        return Statement(MARK.sub("?", text), parameters, is_ordered)

    def select(self) -> Statement:
        forms = [self.plain, self.plain, self.ordered, self.grouped, self.grouped, self.joined, self.joined]
        forms += [self.combined, self.windowed, self.keyed_by, self.limited, self.distinct, self.within]
        return self.drawn(self.random.choice(forms))

    def named(self, columns: Sequence[Column], count: int) -> str:
        kinds = self.random.choices(["INT", "STRING", "DOUBLE", "BOOLEAN", "DECIMAL", "DATE", "BIGINT"], k=count)
        return ", ".join(f"{self.expression(columns, kind)} AS c{place}" for place, kind in enumerate(kinds))

    def where(self, columns: Sequence[Column], subqueries: bool = True) -> str:
        return f" WHERE {self.predicate(columns, 2, subqueries)}" if self.random.random() < 0.85 else ""

    def plain(self) -> tuple[str, bool]:
        table = self.random.choice(self.tables)
        columns = columns_of(table, "t")
        if self.random.random() < 0.3:
            return f"SELECT * FROM {table.name} AS t{self.where(columns)}", False
        return f"SELECT {self.named(columns, 3)} FROM {table.name} AS t{self.where(columns)}", False

    def ordered(self) -> tuple[str, bool]:
        random = self.random
        table = random.choice(self.keyed)
        columns = columns_of(table, "t")
        first = [
            random.choice([f"t.a {random.choice(['', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST'])}", "t.day DESC", ""])
        ]
        order = ", ".join([*filter(None, first), *(f"t.{name} {random.choice(['', 'DESC'])}" for name in table.key)])
        limit = random.choice(["", f" LIMIT {random.randint(0, 8)}", f" LIMIT {random.randint(1, 5)} OFFSET 2"])
        text = f"SELECT {self.named(columns, 2)} FROM {table.name} AS t{self.where(columns)} ORDER BY {order}{limit}"
        return text, True

    AGGREGATES = (
        "count(*)",
        "count(t.a)",
        "sum(t.a)",
        "min(t.s)",
        "max(t.day)",
        "min(t.a)",
        "max(t.n)",
        "sum(t.n)",
        "count(DISTINCT t.a)",
        "avg(t.a)",
        "bool_or(t.f)",
        "count(DISTINCT t.s)",
        "sum(t.a) FILTER (WHERE t.f)",
        "count(t.d)",
    )

    def grouped(self) -> tuple[str, bool]:
        random = self.random
        table = random.choice(self.tables)
        columns = columns_of(table, "t")
        found = ", ".join(f"{text} AS x{place}" for place, text in enumerate(random.sample(self.AGGREGATES, 3)))
        by = random.sample(["t.a", "t.s", "t.f", "t.day", "t.d"], random.randint(0, 2))
        text = f"SELECT {', '.join([*by, found])} FROM {table.name} AS t{self.where(columns)}"
        if by:
            text += f" GROUP BY {', '.join(by)}"
            text += random.choice(["", "", " HAVING count(*) > 1", " HAVING max(t.a) > 2"])
        return text, False

    def joined(self) -> tuple[str, bool]:
        random = self.random
        left, right = random.choices(self.tables, k=2)
        mine, theirs = columns_of(left, "t"), columns_of(right, "u")
        kind = random.choice(["INT", "STRING", "DOUBLE", "INT"])
        on = f"{self.of(mine, kind)} = {self.of(theirs, kind)}"
        how = random.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        both = [*mine, *theirs]
        if random.random() < 0.4:
            on += f" AND {self.predicate(both if how == 'JOIN' else theirs, 1)}"
        where = f" WHERE {self.predicate(both, 1)}" if random.random() < 0.5 else ""
        if random.random() < 0.3:
            # By its key, which may be looked up.
            right = random.choice(self.keyed)
            theirs = columns_of(right, "u")
            pairs = [(f"u.{name}", "INT" if right.columns[name] == "INT" else "STRING") for name in right.key]
            on = " AND ".join(f"{self.of(mine, kind)} = {name}" for name, kind in pairs)
            how, where, both = random.choice(["JOIN", "LEFT JOIN"]), "", [*mine, *theirs]
        names = ", ".join(
            f"{self.of(both, kind)} AS c{n}" for n, kind in enumerate(["INT", "STRING", "DOUBLE", "DATE"])
        )
        return f"SELECT {names} FROM {left.name} AS t {how} {right.name} AS u ON {on}{where}", False

    def combined(self) -> tuple[str, bool]:
        random = self.random
        sides = []
        names = random.sample(["a", "s", "f", "day", "d"], random.randint(1, 2))
        for table in random.choices(self.tables, k=2):
            columns = columns_of(table, "t")
            sides.append(
                f"SELECT {', '.join(f't.{name}' for name in names)} FROM {table.name} AS t{self.where(columns)}"
            )
        return random.choice([" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT "]).join(sides), False

    def windowed(self) -> tuple[str, bool]:
        table = self.random.choice(self.keyed)
        columns = columns_of(table, "t")
        key = ", ".join(f"t.{name}" for name in table.key)
        window = f"(PARTITION BY {self.random.choice(['t.a', 't.s', 't.f', 't.day'])} ORDER BY {key})"
        calls = ["row_number()", "sum(t.a)", "lag(t.s)", "lead(t.d)", "count(*)", "first_value(t.a)", "max(t.day)"]
        found = ", ".join(f"{call} OVER {window} AS x{n}" for n, call in enumerate(self.random.sample(calls, 2)))
        return f"SELECT {key}, {found} FROM {table.name} AS t{self.where(columns)}", False

    def keyed_by(self) -> tuple[str, bool]:
        """Rows by their keys, and by a part of them."""
        random = self.random
        table = random.choice(self.keyed)
        names = table.key[: random.randint(1, len(table.key))]
        choices = {"id": range(25), "h": range(8), "g": ["'x'", "'y'", "'w'"]}
        parts = []
        for name in names:
            values = ", ".join(str(random.choice(list(choices[name]))) for _ in range(random.randint(1, 3)))
            parts.append(f"{name} IN ({values})" if "," in values else f"{name} = {values}")
        if random.random() < 0.3:
            parts.append(self.predicate(columns_of(table), 1))
        return f"SELECT * FROM {table.name} WHERE {' AND '.join(parts)}", False

    def limited(self) -> tuple[str, bool]:
        table = self.random.choice(self.tables)
        where = self.where(columns_of(table, "t"))
        limit = self.random.randint(0, 12)
        return f"SELECT count(*) AS c FROM (SELECT t.a FROM {table.name} AS t{where} LIMIT {limit}) AS few", False

    def distinct(self) -> tuple[str, bool]:
        table = self.random.choice(self.tables)
        names = ", ".join(self.random.sample(["t.a", "t.s", "t.f", "t.d", "t.n"], 2))
        return f"SELECT DISTINCT {names} FROM {table.name} AS t{self.where(columns_of(table, 't'))}", False

    def within(self) -> tuple[str, bool]:
        """A query of a query."""
        table = self.random.choice(self.tables)
        columns = columns_of(table, "t")
        kinds = {"c0": "INT", "c1": "STRING", "c2": "DOUBLE"}
        inner = ", ".join(f"{self.expression(columns, kind)} AS {name}" for name, kind in kinds.items())
        where = self.where(columns)
        outer = self.predicate([Column("w", name, kind) for name, kind in kinds.items()], 1)
        inside = f"SELECT {inner} FROM {table.name} AS t{where}"
        if self.random.random() < 0.5:
            return f"WITH w AS ({inside}) SELECT * FROM w WHERE {outer}", False
        return f"SELECT w.c0, w.c2 FROM ({inside}) AS w WHERE {outer}", False

    def update(self) -> tuple[Table, Statement]:
        table = self.random.choice(self.keyed)
        columns = columns_of(table)

        def draw() -> tuple[str, bool]:
            kinds = {name: kind for name, kind in table.columns.items() if name not in table.key}
            chosen = self.random.sample(sorted(kinds), self.random.randint(1, 3))
            sets = ", ".join(f"{name} = {self.fitting(columns, kinds[name].partition('(')[0])}" for name in chosen)
            return f"UPDATE {table.name} SET {sets}{self.which(table)}", False

        return table, self.drawn(draw)

    def fitting(self, columns: Sequence[Column], kind: str) -> str:
        """A value to set that stays small however often it is set."""
        if kind == "INT":
            return f"({self.expression(columns, 'INT')}) % 21"
        if kind == "STRING":
            return f"substring({self.expression(columns, 'STRING')}, 1, 6)"
        return self.random.choice([self.of(columns, kind), self.literal(kind)])

    def delete(self) -> tuple[Table, Statement]:
        table = self.random.choice(self.keyed)

        def draw() -> tuple[str, bool]:
            return f"DELETE FROM {table.name}{self.which(table)}", False

        return table, self.drawn(draw)

    def which(self, table: Table) -> str:
        """The rows that a statement writes to: none, some or all."""
        random = self.random
        form = random.random()
        if form < 0.04:
            return ""
        if form < 0.2:
            key = random.choice(table.key)
            order = ", ".join(f"q.{name}" for name in table.key)
            limit = random.randint(0, 3)
            return f" WHERE {key} IN (SELECT q.{key} FROM {table.name} AS q ORDER BY {order} LIMIT {limit})"
        return f" WHERE {self.predicate(columns_of(table), 2, True)}"

    def followed(self, table: Table) -> tuple[str, str, int]:
        """Expressions of a table's columns, a condition on its rows without any other table, and a limit."""
        columns = columns_of(table)
        return self.named(columns, 3), self.predicate(columns, 2), self.random.randint(1, 30)

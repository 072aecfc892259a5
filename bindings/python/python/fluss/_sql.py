"""What both faces of SQL have in common: parameters, options, rows, and results that are in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, final, overload

from fluss import _fluss, _grid
from fluss._fluss import ArrowTable
from fluss._read import moment
from fluss._target import configuration
from fluss.config import Configuration
from fluss.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "BatchedQueryResult",
    "OnDuplicate",
    "Parameters",
    "Properties",
    "QueryResult",
    "Row",
    "TransactionMode",
]

_T = TypeVar("_T", covariant=True)

Parameters: TypeAlias = Sequence[object] | Mapping[str, object] | None
"""Values of a statement's parameters: a list or tuple for ``?`` and ``$1``, a dict for ``$name`` and ``:name``."""

Properties: TypeAlias = Mapping[str, object] | None
"""Where a query with ``EMIT CHANGES`` begins: ``auto.offset.reset`` is ``"earliest"``, ``"latest"`` or a time (as a
datetime, or in milliseconds since 1970); ``position`` is where another query stood."""

OnDuplicate: TypeAlias = Literal["error", "upsert"]
"""What an INSERT does whose key exists: it raises `fluss.ConstraintViolationError`, or replaces the row."""

TransactionMode: TypeAlias = Literal["strict", "batch"]
"""What a transaction may write: rows of one bucket, which are stored together or not at all, or anything, in order."""

Column: TypeAlias = tuple[str, str, bool]
Fetched: TypeAlias = tuple[str, ArrowTable] | int | None


class SessionOptions(TypedDict, total=False):
    """What a session is told."""

    database: str | None
    on_duplicate: str | None
    transactions: str | None
    memory_limit: int | None
    spill_directory: str | None


@final
class Row(Sequence[Any]):
    """A row of a query: its values by position and by name, ``row[0]`` and ``row["id"]``.

    Iterating gives the values. ``dict(row)`` is a dict, ``tuple(row)`` a tuple; a row equals a tuple of its values.
    """

    __slots__ = ("_places", "_values")

    def __init__(self, values: tuple[Any, ...], places: Mapping[str, int]) -> None:
        self._values = values
        self._places = places

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._places)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a column, or the default if there is no such column."""
        place = self._places.get(name)
        return default if place is None else self._values[place]

    def as_dict(self) -> dict[str, Any]:
        """The values by the names of their columns."""
        return {name: self._values[place] for name, place in self._places.items()}

    @overload
    def __getitem__(self, key: int | str) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Any:
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Row):
            return self._values == other._values and list(self._places) == list(other._places)
        return self._values == other

    def __hash__(self) -> int:
        return hash(self._values)

    def __reduce__(self) -> tuple[object, ...]:
        return Row, (self._values, dict(self._places))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={self._values[place]!r}" for name, place in self._places.items())
        return f"Row({values})"


def row_maker(columns: Sequence[Column], as_dict: bool | None) -> Callable[[tuple[Any, ...]], Any]:
    """What makes of a tuple what a caller wants: a `Row`, or with ``as_dict`` a dict or the tuple itself."""
    if as_dict is False:
        return lambda values: values
    names = [name for name, _, _ in columns]
    if as_dict:
        return lambda values: dict(zip(names, values, strict=True))
    places = {name: place for place, name in reversed([*enumerate(names)])}
    places = {name: places[name] for name in names}
    return lambda values: Row(values, places)


@final
class QueryResult(Sequence[_T]):
    """All rows of a query, in memory: ``len(result)``, ``result[0]``, ``for row in result``.

    Any Arrow library takes it. In a notebook it is shown as a table.
    """

    def __init__(self, fetched: Fetched, as_dict: bool | None = None) -> None:
        self._table = fetched[1] if isinstance(fetched, tuple) else None
        self._affected = fetched if isinstance(fetched, int) else None
        self._as_dict = as_dict
        self._made: list[Any] | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns; none if the statement was no query."""
        return [] if self._table is None else self._table.column_names

    @property
    def rows_affected(self) -> int | None:
        """How many rows a statement that writes has written; None of a query."""
        return self._affected

    def to_arrow(self) -> ArrowTable:
        """The rows as an Arrow table."""
        if self._table is None:
            raise ArgumentError("the statement is no query: it has no rows")
        return self._table

    def to_pandas(self, *, dtype_backend: str | None = None, types_mapper: Callable[[Any], Any] | None = None) -> Any:
        """The rows as a ``pandas.DataFrame``; see `ArrowTable.to_pandas`. Needs pandas and pyarrow."""
        return self.to_arrow().to_pandas(dtype_backend=dtype_backend, types_mapper=types_mapper)

    def to_polars(self) -> Any:
        """The rows as a ``polars.DataFrame``. Needs polars."""
        return self.to_arrow().to_polars()

    def __arrow_c_schema__(self) -> object:
        return self.to_arrow().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    @property
    def _rows(self) -> list[Any]:
        if self._made is None:
            if self._table is None:
                return []
            columns, values = _fluss.sql_rows(self._table)
            make = row_maker(columns, self._as_dict)
            self._made = [make(row) for row in values]
        return self._made

    @overload
    def __getitem__(self, place: int) -> _T: ...
    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self._rows[place]

    def __len__(self) -> int:
        return 0 if self._table is None else self._table.num_rows

    def __iter__(self) -> Iterator[_T]:
        return iter(self._rows)

    def __repr__(self) -> str:
        if self._table is None:
            return f"QueryResult(rows_affected={self._affected})"
        return _grid.text(*shown(self._table))

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>" if self._table is None else _grid.html(*shown(self._table))


@final
class BatchedQueryResult:
    """All rows of a query that has ended, and its id."""

    def __init__(self, fetched: Fetched) -> None:
        self._result: QueryResult[Row] = QueryResult(fetched)
        self._id = fetched[0] if isinstance(fetched, tuple) else ""

    @property
    def query_id(self) -> str:
        """The id of the query, which no other of this process has."""
        return self._id

    @property
    def rows(self) -> QueryResult[Row]:
        """The rows."""
        return self._result

    def __repr__(self) -> str:
        return f"BatchedQueryResult(query_id={self._id!r}, {len(self._result)} rows)"


def shown(table: ArrowTable) -> tuple[list[Column], list[tuple[Any, ...]], bool]:
    """What is shown of a table: its columns, the first rows, and whether there are more."""
    columns, rows = _fluss.sql_rows(table, _grid.ROWS)
    return columns, rows, table.num_rows > len(rows)


def affected(outcomes: Sequence[object]) -> int:
    """How many rows statements have written."""
    return sum(outcome for outcome in outcomes if isinstance(outcome, int))


def plan_text(fetched: Fetched) -> str:
    """What EXPLAIN has returned, as text."""
    if not isinstance(fetched, tuple):
        return ""
    return "\n".join(str(row[-1]) for row in _fluss.sql_rows(fetched[1])[1])


def start(properties: Properties) -> str:
    """Where a query with ``EMIT CHANGES`` begins: at rows that come from now on, if the properties do not say."""
    chosen: object = "latest"
    for name, value in (properties or {}).items():
        if name.removeprefix("ksql.streams.") not in ("auto.offset.reset", "position"):
            raise ArgumentError(f"there is no property '{name}': a query has auto.offset.reset, or a position")
        chosen = value
    if isinstance(chosen, datetime):
        return str(moment(chosen))
    if isinstance(chosen, str | int):
        return str(chosen)
    raise ArgumentTypeError(f"a query begins at 'earliest', 'latest', a time or a position, not {chosen!r}")


def connection_options(
    target: str | None,
    addresses: Sequence[str] | None,
    user: str | None,
    password: str | None,
    tls_enabled: bool,
    tls_ca_cert: str | None,
) -> dict[str, str]:
    """The options of the connection that a client opens."""
    if target is not None and addresses is not None:
        raise ArgumentError("target and addresses both say where to connect: give one of them")
    if isinstance(addresses, str):
        raise ArgumentTypeError(f"addresses are a list: [{addresses!r}]")
    options = Configuration()
    if (user is None) != (password is None):
        raise ArgumentError("a login has a user and a password")
    if user is not None and password is not None:
        options.set("security.protocol", "SASL")
        options.set("security.sasl.username", user)
        options.set("security.sasl.password", password)
    if tls_ca_cert is not None and not tls_enabled:
        raise ArgumentError("tls_ca_cert is for TLS: tls_enabled=True")
    if tls_enabled:
        options.set("client.tls", True)
    if tls_ca_cert is not None:
        options.set("client.tls-ca-file", tls_ca_cert)
    where = ",".join(addresses) if addresses is not None else target
    return configuration(where, options).to_dict()


def database_of(database: str | None, tenant_id: int | str | None) -> str | None:
    """The database that a client is in."""
    if tenant_id is None:
        return database
    if database is not None:
        raise ArgumentError("tenant_id says which database it is: give one of tenant_id and database")
    return f"tenant_{tenant_id}"

"""Conditions on rows: ``col("id") >= 200``, combined with ``&``, ``|`` and ``~``.

A scan takes them with ``filter``, and gives exactly the rows for which they are true. As in SQL a comparison to None is
neither true nor false, and so is its opposite: ``is_null`` asks for None. Of floating-point numbers both zeros are
equal, and NaN equals NaN and is above all others.
"""

import datetime
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, NoReturn, final

from fluss._fluss import Timestamp

__all__ = ["ColumnRef", "Predicate", "col"]

_LITERALS = (
    bool,
    int,
    float,
    str,
    bytes,
    bytearray,
    memoryview,
    Decimal,
    datetime.date,
    datetime.time,
    datetime.datetime,
    Timestamp,
)


@final
class Predicate:
    """A condition on rows, made from `col`. ``&``, ``|`` and ``~`` combine them.

    It names columns, and fits any table that has them; values are checked against the columns by the scan.
    """

    __slots__ = ("operands", "operator")

    def __init__(self, operator: str, *operands: Any) -> None:
        self.operator: Final = operator
        self.operands: Final = operands

    def and_(self, other: "Predicate") -> "Predicate":
        """Both conditions."""
        return self._joined("AND", other)

    def or_(self, other: "Predicate") -> "Predicate":
        """At least one of the conditions."""
        return self._joined("OR", other)

    def not_(self) -> "Predicate":
        """The opposite."""
        return Predicate("NOT", self)

    def _joined(self, operator: str, other: "Predicate") -> "Predicate":
        # Long chains stay flat.
        parts = [part.operands if part.operator == operator else (part,) for part in (self, other)]
        return Predicate(operator, *parts[0], *parts[1])

    def __and__(self, other: "Predicate") -> "Predicate":
        return self.and_(other) if isinstance(other, Predicate) else NotImplemented

    def __or__(self, other: "Predicate") -> "Predicate":
        return self.or_(other) if isinstance(other, Predicate) else NotImplemented

    def __invert__(self) -> "Predicate":
        return self.not_()

    def __bool__(self) -> NoReturn:
        raise TypeError("a Predicate is neither true nor false: combine with &, | and ~, not with and, or, not")

    def __repr__(self) -> str:
        return f"Predicate({self})"

    def __str__(self) -> str:
        match self.operator, self.operands:
            case "AND" | "OR", parts:
                return "(" + f" {self.operator} ".join(map(str, parts)) + ")"
            case "NOT", (part,):
                return f"NOT {part}"
            case "IS NULL", (column,):
                return f"{column} IS NULL"
            case "IN", (column, values):
                return f"{column} IN ({', '.join(map(repr, values))})"
            case _, (column, value):
                return f"{column} {self.operator} {value!r}"
            case _:
                return f"{self.operator} {self.operands}"


@final
class ColumnRef:
    """A column by its name. Comparing it to a plain value makes a `Predicate`: ``col("id") >= 200``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The column's name."""
        return self._name

    def __eq__(self, value: Any) -> Predicate:  # type: ignore[override]
        return self.equal(value)

    def __ne__(self, value: Any) -> Predicate:  # type: ignore[override]
        return self.not_equal(value)

    def __lt__(self, value: Any) -> Predicate:
        return self.less_than(value)

    def __le__(self, value: Any) -> Predicate:
        return self.less_or_equal(value)

    def __gt__(self, value: Any) -> Predicate:
        return self.greater_than(value)

    def __ge__(self, value: Any) -> Predicate:
        return self.greater_or_equal(value)

    __hash__ = None  # type: ignore[assignment]

    def equal(self, value: Any) -> Predicate:
        """The column equals a value."""
        return self._compared("=", value)

    def not_equal(self, value: Any) -> Predicate:
        """The column has another value."""
        return self._compared("<>", value)

    def less_than(self, value: Any) -> Predicate:
        """The column is less than a value."""
        return self._compared("<", value)

    def less_or_equal(self, value: Any) -> Predicate:
        """The column is at most a value."""
        return self._compared("<=", value)

    def greater_than(self, value: Any) -> Predicate:
        """The column is greater than a value."""
        return self._compared(">", value)

    def greater_or_equal(self, value: Any) -> Predicate:
        """The column is at least a value."""
        return self._compared(">=", value)

    def between(self, low: Any, high: Any) -> Predicate:
        """The column is at least one value, and at most another."""
        return self.greater_or_equal(low) & self.less_or_equal(high)

    def is_null(self) -> Predicate:
        """The column is None."""
        return Predicate("IS NULL", self._name)

    def is_not_null(self) -> Predicate:
        """The column is not None."""
        return ~self.is_null()

    def starts_with(self, prefix: str) -> Predicate:
        """The text begins with a prefix."""
        return self._compared("STARTS WITH", prefix, str)

    def ends_with(self, suffix: str) -> Predicate:
        """The text ends with a suffix."""
        return self._compared("ENDS WITH", suffix, str)

    def contains(self, infix: str) -> Predicate:
        """The text contains another."""
        return self._compared("CONTAINS", infix, str)

    def is_in(self, values: Iterable[Any]) -> Predicate:
        """The column equals one of the values."""
        return Predicate("IN", self._name, [_literal(value) for value in values])

    def not_in(self, values: Iterable[Any]) -> Predicate:
        """The column has a value, and equals none of these."""
        return ~self.is_in(values)

    def _compared(self, operator: str, value: object, *kinds: type) -> Predicate:
        return Predicate(operator, self._name, _literal(value, *kinds))

    def __bool__(self) -> NoReturn:
        raise TypeError("a ColumnRef is neither true nor false: compare it to a value first")

    def __repr__(self) -> str:
        return f"ColumnRef({self._name})"


def col(name: str) -> ColumnRef:
    """A column by its name, to be compared."""
    return ColumnRef(name)


def _literal(value: object, *kinds: type) -> Any:
    if value is None or type(value).__name__ == "NAType":
        raise TypeError(f"nothing compares to {value}: use is_null() or is_not_null()")
    # A scalar of NumPy counts as what it holds, as in rows.
    is_numpy = not kinds and hasattr(value, "dtype") and getattr(value, "ndim", None) == 0
    if not is_numpy and not isinstance(value, kinds or _LITERALS):
        raise TypeError(f"no column is compared to {value!r} ({type(value).__name__})")
    return value

"""Filter expressions. They can be built; no scan takes them yet."""

import datetime
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn, final

__all__ = ["ColumnRef", "Predicate", "col"]

_LITERALS = (bool, int, float, str, bytes, Decimal, datetime.date, datetime.time, datetime.datetime, type(None))


@final
class Predicate:
    """A condition on columns, made from `col`; ``&`` and ``|`` combine two."""

    def __init__(self, text: str) -> None:
        self._text = text

    def and_(self, other: "Predicate") -> "Predicate":
        """Both conditions."""
        return Predicate(f"({self._text} AND {other._text})")

    def or_(self, other: "Predicate") -> "Predicate":
        """At least one of the conditions."""
        return Predicate(f"({self._text} OR {other._text})")

    def __and__(self, other: "Predicate") -> "Predicate":
        return self.and_(other) if isinstance(other, Predicate) else NotImplemented

    def __or__(self, other: "Predicate") -> "Predicate":
        return self.or_(other) if isinstance(other, Predicate) else NotImplemented

    def __bool__(self) -> NoReturn:
        raise TypeError("a Predicate is neither true nor false: combine two with & and |, not with and, or, not")

    def __repr__(self) -> str:
        return f"Predicate({self._text})"


@final
class ColumnRef:
    """A column by its name. Comparing it to a plain value makes a `Predicate`: ``col("id") >= 200``."""

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
        """The column does not equal a value."""
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

    def is_null(self) -> Predicate:
        """The column is null."""
        return Predicate(f"{self._name} IS NULL")

    def is_not_null(self) -> Predicate:
        """The column is not null."""
        return Predicate(f"{self._name} IS NOT NULL")

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
        return Predicate(f"{self._name} IN ({', '.join(map(_literal, values))})")

    def not_in(self, values: Iterable[Any]) -> Predicate:
        """The column equals none of the values."""
        return Predicate(f"{self._name} NOT IN ({', '.join(map(_literal, values))})")

    def _compared(self, operator: str, value: object, *kinds: type) -> Predicate:
        return Predicate(f"{self._name} {operator} {_literal(value, *kinds)}")

    def __bool__(self) -> NoReturn:
        raise TypeError("a ColumnRef is neither true nor false: compare it to a value first")

    def __repr__(self) -> str:
        return f"ColumnRef({self._name})"


def col(name: str) -> ColumnRef:
    """A column by its name, to be compared."""
    return ColumnRef(name)


def _literal(value: object, *kinds: type) -> str:
    if not isinstance(value, kinds or _LITERALS):
        raise TypeError(f"no column is compared to {value!r} ({type(value).__name__})")
    return repr(value)

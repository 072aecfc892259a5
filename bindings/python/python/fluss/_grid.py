"""Rows as a table, for people."""

from collections.abc import Sequence
from html import escape

ROWS = 20
"""So many rows are shown."""

_WIDEST = 60


def text(columns: Sequence[tuple[str, str, bool]], rows: Sequence[Sequence[object]], more: bool) -> str:
    """A table of characters; under it how many rows there are, or that there are more."""
    head = [name for name, _, _ in columns]
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
    rule = "+".join(["", *("-" * (width + 2) for width in widths), ""])
    lines = [rule, _line(head, widths), rule, *(_line(line, widths) for line in cells), rule, _count(len(rows), more)]
    return "\n".join(lines)


def html(columns: Sequence[tuple[str, str, bool]], rows: Sequence[Sequence[object]], more: bool) -> str:
    """The same for notebooks, with the types of the columns."""
    head = "".join(f'<th title="{escape(kind)}">{escape(name)}</th>' for name, kind, _ in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>" for row in rows)
    count = escape(_count(len(rows), more))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{count}</p>"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "|".join(["", *(f" {cell:<{width}} " for cell, width in zip(cells, widths, strict=True)), ""])


def _cell(value: object) -> str:
    shown = "NULL" if value is None else str(value).replace("\n", "\\n")
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 1] + "…"


def _count(rows: int, more: bool) -> str:
    if more:
        return f"the first {rows} rows"
    return "1 row" if rows == 1 else f"{rows} rows"

"""What a row going in may be."""

Row = list[object] | tuple[object, ...] | dict[str, object]
"""Values in the order of the columns, or by name. See `fluss.types` for the values of each type."""

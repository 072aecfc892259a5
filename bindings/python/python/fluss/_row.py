"""What a row going in may be."""

Row = list[object] | tuple[object, ...] | dict[str, object]
"""Values in the order of the columns, or by name. See `fluss.types` for the values of each type."""

Key = Row | object
"""The values of a primary key's columns as a `Row`; of a single column, also the bare value."""

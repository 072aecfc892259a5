"""What a table is to be when it is created in one call."""

from collections.abc import Iterable, Mapping
from typing import Any

from fluss._fluss import ArrowSchema, Schema, TableDescriptor
from fluss.errors import ArgumentError, ArgumentTypeError
from fluss.metadata import TableDescriptorBuilder

__all__ = ["Names", "descriptor_of", "names_of", "schema_of"]

Names = str | Iterable[str] | None
"""The name of a column, or those of several."""


def descriptor_of(
    schema: object,
    primary_key: Names,
    buckets: int | None,
    partitioned_by: Names,
    properties: Mapping[str, object] | None,
    comment: str | None,
) -> TableDescriptor:
    """The descriptor of a table of these columns. Properties that do not begin with ``table.`` are the user's own."""
    builder = TableDescriptorBuilder().schema(schema_of(schema, primary_key)).distributed_by(buckets)
    builder.partitioned_by(names_of(partitioned_by))
    for key, value in (properties or {}).items():
        if key.startswith("table."):
            builder.property(key, value)
        else:
            builder.custom_property(key, str(value))
    return (builder if comment is None else builder.comment(comment)).build()


def schema_of(schema: Any, primary_key: Names) -> Schema:
    """A schema of the columns of anything that has some."""
    key = names_of(primary_key)
    if isinstance(schema, Schema):
        own = schema.get_primary_keys()
        if primary_key is not None and key != own:
            raise ArgumentError(f"the schema says itself what its primary key is: {own}, and not {key}")
        return schema
    names = ("__arrow_c_schema__", "__arrow_c_stream__", "__arrow_c_array__")
    if not any(hasattr(schema, name) for name in names):
        raise ArgumentTypeError(
            "the columns are those of a fluss.Schema, a pyarrow.Schema, a data frame of pandas or polars, or anything "
            f"else with __arrow_c_schema__ or __arrow_c_stream__, and not of {type(schema).__qualname__}"
        )
    return Schema(ArrowSchema(schema), primary_keys=key)


def names_of(columns: Names) -> list[str]:
    """The names of columns, also of a single one."""
    return [columns] if isinstance(columns, str) else list(columns or ())

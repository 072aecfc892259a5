"""Data types, schemas and descriptors, without a server."""

import json
import pickle

import pytest

import fluss
from fluss.metadata import DatabaseDescriptor, Schema, TableBucket, TableDescriptor, TableDescriptorBuilder, TablePath
from fluss.types import DataType, DataTypes, Timestamp

CONSTRUCTED = {
    "BOOLEAN": DataTypes.BOOLEAN(),
    "TINYINT": DataTypes.TINYINT(),
    "SMALLINT": DataTypes.SMALLINT(),
    "INT": DataTypes.INT(),
    "BIGINT": DataTypes.BIGINT(),
    "FLOAT": DataTypes.FLOAT(),
    "DOUBLE": DataTypes.DOUBLE(),
    "CHAR(5)": DataTypes.CHAR(5),
    "STRING": DataTypes.STRING(),
    "BINARY(3)": DataTypes.BINARY(3),
    "BYTES": DataTypes.BYTES(),
    "DECIMAL(10,2)": DataTypes.DECIMAL(10, 2),
    "DATE": DataTypes.DATE(),
    "TIME(3)": DataTypes.TIME(3),
    "TIMESTAMP(6)": DataTypes.TIMESTAMP(),
    "TIMESTAMP_LTZ(9)": DataTypes.TIMESTAMP_LTZ(9),
    "ARRAY<INT>": DataTypes.ARRAY(DataTypes.INT()),
    "MAP<STRING NOT NULL,BIGINT>": DataTypes.MAP(DataTypes.STRING(), DataTypes.BIGINT()),
    "ROW<x INT,y ARRAY<DATE>>": DataTypes.ROW({"x": DataTypes.INT(), "y": DataTypes.ARRAY("DATE")}),
    "INT NOT NULL": DataTypes.INT().not_null(),
}


@pytest.mark.parametrize("text", CONSTRUCTED)
def test_a_type_prints_as_it_is_read(text: str) -> None:
    assert str(CONSTRUCTED[text]) == text
    assert DataType(text) == CONSTRUCTED[text]
    assert hash(DataType(text)) == hash(CONSTRUCTED[text])
    assert eval(repr(DataType(text))) == DataType(text)


def test_a_name_that_is_no_word_is_quoted() -> None:
    names = ["a b", "a`b", "it's", '"', "a\n", ""]
    odd = DataTypes.ROW([(name, "INT") for name in names])
    assert str(odd) == "ROW<`a b` INT,`a``b` INT,`it's` INT,`\"` INT,`a\n` INT,`` INT>"
    assert DataType(str(odd)) == eval(repr(odd)) == odd
    assert odd.fields is not None and [name for name, _ in odd.fields] == names


def test_types_differ_by_their_parameters_and_nullability() -> None:
    assert DataTypes.DECIMAL(10, 2) != DataTypes.DECIMAL(10, 3)
    assert DataTypes.INT() != DataTypes.INT().not_null()
    assert DataTypes.INT().nullable and not DataTypes.INT().not_null().nullable


def test_nested_types_show_their_parts() -> None:
    nested = DataTypes.MAP("INT", DataTypes.ROW([("a", "DATE")]))
    assert nested.key_type == DataType("INT NOT NULL")
    assert nested.value_type is not None and nested.value_type.fields == [("a", DataTypes.DATE())]
    assert DataTypes.ARRAY("INT").element_type == DataTypes.INT()
    assert DataTypes.INT().element_type is None


@pytest.mark.parametrize("bad", ["INTT", "DECIMAL(39,0)", "DECIMAL(3,4)", "TIMESTAMP(10)", "ARRAY<", "CHAR(0)", ""])
def test_a_type_that_is_not_one_is_refused(bad: str) -> None:
    with pytest.raises(fluss.SchemaError):
        DataType(bad)


def people() -> Schema:
    builder = Schema.new_builder()
    builder.column("id", DataTypes.STRING()).column("age", DataTypes.INT()).with_comment("in years")
    return builder.primary_key(["id"]).build()


def test_a_schema_is_built_by_chaining_or_line_by_line() -> None:
    schema = people()
    assert schema.get_column_names() == ["id", "age"]
    assert schema.get_column_types() == ["string NOT NULL", "int"]
    assert schema.get_primary_keys() == ["id"]
    assert schema.get_comment("age") == "in years"
    assert schema == Schema.from_json(schema.to_json())


@pytest.mark.parametrize(
    ("columns", "key", "message"),
    [
        (["a", "a"], [], "column 'a' is there twice"),
        (["a"], ["b"], "primary key column 'b' does not exist"),
        (["__offset"], [], "reserved"),
        ([" "], [], "empty"),
    ],
)
def test_a_bad_schema_names_the_column(columns: list[str], key: list[str], message: str) -> None:
    builder = Schema.new_builder()
    for column in columns:
        builder.column(column, "INT")
    with pytest.raises(fluss.SchemaError, match=message) as raised:
        builder.primary_key(key).build()
    assert isinstance(raised.value, ValueError)


def test_a_descriptor_is_built_as_in_java_or_with_keywords() -> None:
    chained = (
        TableDescriptor.builder()
        .schema(people())
        .comment("c")
        .distributed_by(3, ["id"])
        .log_format("ARROW")
        .property("table.auto-partition.enabled", False)
        .custom_property("owner", "me")
        .build()
    )
    direct = TableDescriptor(
        people(),
        bucket_count=3,
        bucket_keys=["id"],
        comment="c",
        log_format="ARROW",
        properties={"table.auto-partition.enabled": "false"},
        custom_properties={"owner": "me"},
    )
    assert chained == direct == TableDescriptor.from_json(direct.to_json())
    assert json.loads(direct.to_json())["bucket_count"] == 3
    assert (chained.bucket_count, chained.get_bucket_keys(), chained.comment) == (3, ["id"], "c")
    assert chained.get_custom_properties() == {"owner": "me"}


def test_keys_are_given_one_by_one_or_in_a_list() -> None:
    def builder() -> TableDescriptorBuilder:
        return TableDescriptor.builder().schema(people())

    assert builder().distributed_by(1, "id").build() == builder().distributed_by(1, ["id"]).build()
    assert builder().partitioned_by("id").build().get_partition_keys() == ["id"]


def test_a_bad_descriptor_is_refused() -> None:
    with pytest.raises(fluss.SchemaError, match="bucket key column 'age' is not part of the primary key"):
        TableDescriptor(people(), bucket_keys=["age"])
    with pytest.raises(fluss.SchemaError, match="bucket count"):
        TableDescriptor(people(), bucket_count=0)
    with pytest.raises(fluss.SchemaError, match="CSV"):
        TableDescriptor(people(), log_format="CSV")
    with pytest.raises(fluss.SchemaError, match="needs a schema"):
        TableDescriptor.builder().build()


def test_a_database_descriptor_is_filled_in_step_by_step() -> None:
    descriptor = DatabaseDescriptor()
    descriptor.comment = "mine"
    descriptor.add_custom_property("owner", "data-team")
    assert descriptor == DatabaseDescriptor("mine", {"owner": "data-team"})


def test_paths_and_buckets_are_values() -> None:
    assert TablePath("db", "t") == TablePath.of("db.t")
    assert str(TablePath("db", "t")) == "db.t"
    assert {TablePath("db", "t"): 1}[TablePath.of("db.t")] == 1
    assert pickle.loads(pickle.dumps(TablePath("db", "t"))) == TablePath("db", "t")
    assert TableBucket(1, 2, partition_id=3) == TableBucket.with_partition(1, 3, 2)
    assert TableBucket(1, 2) != TableBucket.with_partition(1, 3, 2)
    with pytest.raises(fluss.SchemaError, match="database.table"):
        TablePath.of("t")


def test_timestamps_are_ordered_values() -> None:
    assert Timestamp(1, 5) < Timestamp(2) == Timestamp(2, 0)
    assert pickle.loads(pickle.dumps(Timestamp(-1, 999_999))) == Timestamp(-1, 999_999)
    with pytest.raises(ValueError, match="999999"):
        Timestamp(0, 1_000_000)

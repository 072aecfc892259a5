use super::*;
use crate::id::{SchemaId, TableId};
use crate::types::{DataType, Schema, TableDescriptor, TablePath, TableProperties};

/// Columns `p, a, b, v`, primary key (p, a, b), partitioned by p.
fn table(lake: Option<&str>, version: i32, bucket_keys: &[&str]) -> TableInfo {
    let schema = ["p", "a", "b", "v"]
        .iter()
        .fold(Schema::builder(), |schema, name| {
            schema.column(*name, DataType::string())
        })
        .primary_key(["p", "a", "b"])
        .build()
        .unwrap();
    let mut descriptor = TableDescriptor::builder(schema)
        .partitioned_by(["p"])
        .distributed_by(3, bucket_keys.iter().copied())
        .property("table.kv.format-version", version.to_string());
    if let Some(lake) = lake {
        descriptor = descriptor.property("table.datalake.format", lake);
    }
    let descriptor = descriptor.build().unwrap();
    TableInfo {
        path: TablePath::new("db", "t"),
        id: TableId(1),
        schema_id: SchemaId(1),
        properties: TableProperties::parse(descriptor.properties()).unwrap(),
        descriptor,
        bucket_count: 3,
        bucket_count_epoch: 0,
        created_time: 0,
        modified_time: 0,
    }
}

#[test]
fn the_table_chooses_the_format_of_its_primary_key() {
    use KeyFormat::{Fluss, Hudi, Paimon};
    for (lake, version, bucket_keys, primary, bucket) in [
        (None, 1, ["a"].as_slice(), Fluss, Fluss),
        (Some("lance"), 2, &["a"], Fluss, Fluss),
        (Some("paimon"), 1, &["a"], Paimon, Paimon),
        (Some("paimon"), 2, &["a"], Fluss, Paimon),
        (Some("paimon"), 2, &["a", "b"], Paimon, Paimon),
        (Some("paimon"), 2, &[], Paimon, Paimon),
        (Some("hudi"), 1, &["a"], Fluss, Hudi),
        (Some("hudi"), 2, &[], Fluss, Hudi),
    ] {
        let info = table(lake, version, bucket_keys);
        let rows = info.row_type();
        assert_eq!(KeyEncoder::primary_key(&info, rows).unwrap().format(), primary);
        let encoder = KeyEncoder::bucket_key(&info, rows).unwrap().unwrap();
        assert_eq!(encoder.format(), bucket);
    }
}

#[test]
fn an_iceberg_key_of_two_columns_cannot_be_encoded() {
    let info = table(Some("iceberg"), 2, &["a", "b"]);
    assert!(KeyEncoder::bucket_key(&info, info.row_type()).is_err());
}

#[test]
fn a_prefix_is_the_beginning_of_the_key() {
    let info = table(None, 2, &["a"]);
    let row = ["p", "x", "y", "v"].map(Datum::from);
    let (mut prefix, mut key) = (Vec::new(), Vec::new());
    KeyEncoder::prefix(&info, info.row_type())
        .unwrap()
        .encode(&row, &mut prefix)
        .unwrap();
    let encoder = KeyEncoder::primary_key(&info, info.row_type()).unwrap();
    encoder.encode(&row, &mut key).unwrap();
    assert!(key.starts_with(&prefix) && key.len() > prefix.len());
    assert_eq!(encoder.decode(&key).unwrap(), ["x", "y"].map(Datum::from));
    for other in [["b"].as_slice(), &["a", "b"], &["b", "a"]] {
        let info = table(None, 2, other);
        assert!(KeyEncoder::prefix(&info, info.row_type()).is_err());
    }
}

#[test]
fn keys_of_rows_with_other_columns_are_found_by_name() {
    let info = table(None, 2, &["a"]);
    let rows = info.row_type().project(&[2, 1]);
    let mut key = Vec::new();
    let encoder = KeyEncoder::primary_key(&info, &rows).unwrap();
    encoder.encode(&["y", "x"].map(Datum::from), &mut key).unwrap();
    assert_eq!(key, b"\x01x\x01y");
    assert!(KeyEncoder::primary_key(&info, &info.row_type().project(&[1])).is_err());
}

#[test]
fn a_fault_leaves_the_bytes_as_they_were() {
    let info = table(None, 2, &["a"]);
    let encoder = KeyEncoder::primary_key(&info, info.row_type()).unwrap();
    let mut out = vec![7];
    let row = ["p".into(), "x".into(), Datum::Null, "v".into()];
    let fault = encoder.encode(&row, &mut out).unwrap_err();
    assert_eq!(fault.to_string(), "column 'b': null in a key column");
    assert_eq!(out, [7]);
}

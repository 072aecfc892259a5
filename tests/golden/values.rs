//! `values.json`, `values_1_0.json`: stored values, and the batches of limit scans.

use fluss_core::id::SchemaId;
use fluss_core::record::value::{StoredValue, decode_values, encode_values, split_tag};
use fluss_core::row::RowFormat;
use fluss_core::types::RowType;
use serde_json::Value;

use crate::vectors::{assert_same, each, hex, row, row_type};

fn check(found: &StoredValue<'_>, record: &Value, row_type: &RowType, format: RowFormat) {
    assert_eq!(
        Some(i64::from(found.schema_id.get())),
        record["schema_id"].as_i64()
    );
    let expected = row(row_type, &record["row"]);
    assert_same(&format.decode(row_type, found.row).unwrap(), &expected);
    let mut encoded = Vec::new();
    format.encode(row_type, &expected, &mut encoded).unwrap();
    assert_eq!(encoded, found.row);
}

#[test]
fn values_are_read_and_written() {
    each("values.json", 33, |vector| {
        let row_type = row_type(vector);
        let format = if vector["kv_format"] == "INDEXED" {
            RowFormat::Indexed
        } else {
            RowFormat::Compacted
        };
        let bytes = hex(&vector["bytes"]);
        if vector["kind"] == "value" {
            let value = StoredValue::decode(&bytes).unwrap();
            check(&value, vector, &row_type, format);
            let mut again = Vec::new();
            StoredValue {
                schema_id: SchemaId(value.schema_id.get()),
                row: value.row,
            }
            .encode(&mut again);
            assert_eq!(again, bytes);
            return;
        }
        let values = decode_values(&bytes).unwrap();
        let records = vector["records"].as_array().unwrap();
        assert_eq!(values.len(), records.len());
        for (value, record) in values.iter().zip(records) {
            check(value, record, &row_type, format);
        }
        assert_eq!(encode_values(&values), bytes);
        for length in 0..bytes.len() {
            assert!(decode_values(&bytes[..length]).is_err());
        }
    });
}

#[test]
fn tagged_values_are_read() {
    each("values_1_0.json", 10, |vector| {
        let bytes = hex(&vector["bytes"]);
        let (tag, plain) = split_tag(&bytes).unwrap();
        assert_eq!(Some(tag), vector["value_tag"].as_i64());
        assert_eq!(plain, hex(&vector["plain"]));
        let value = StoredValue::decode(plain).unwrap();
        check(&value, vector, &row_type(vector), RowFormat::Compacted);
        assert!(split_tag(&bytes[..7]).is_err());
    });
}

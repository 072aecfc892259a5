//! `keys.json`, `bucket_routing_1_0.json`: keys in the encodings of Fluss and the lakes, and their buckets.

use fluss_core::row::{BucketFunction, KeyEncoder, KeyFormat};
use serde_json::Value;

use crate::vectors::{assert_same, check_buckets, each, hex, row, row_type};

/// The key, or nothing if the encoder refuses the columns or the row.
pub fn encode(vector: &Value, format: KeyFormat) -> Option<Vec<u8>> {
    let row_type = row_type(vector);
    let columns: Vec<_> = (0..row_type.len()).collect();
    let mut key = Vec::new();
    let encoder = KeyEncoder::new(format, &row_type, &columns).ok()?;
    encoder
        .encode(&row(&row_type, &vector["values"]), &mut key)
        .ok()?;
    Some(key)
}

fn check(vector: &Value, format: KeyFormat, function: BucketFunction, expected: &Value) {
    let key = encode(vector, format);
    if expected.get("error").is_some() {
        assert_eq!(key, None, "{format:?} must refuse");
        return;
    }
    let key = key.unwrap_or_else(|| panic!("{format:?} refuses"));
    assert_eq!(key, hex(&expected["key"]), "{format:?}");
    check_buckets(function, &key, &expected["buckets"]);
}

#[test]
fn keys_choose_their_buckets() {
    each("keys.json", 195, |vector| {
        check(vector, KeyFormat::Fluss, BucketFunction::Fluss, &vector["fluss"]);
        check(
            vector,
            KeyFormat::Paimon,
            BucketFunction::Paimon,
            &vector["paimon"],
        );
        check(
            vector,
            KeyFormat::Iceberg,
            BucketFunction::Iceberg,
            &vector["iceberg"],
        );
    });
}

#[test]
fn a_key_has_a_bucket_of_every_count() {
    each("bucket_routing_1_0.json", 9, |vector| {
        let key = encode(vector, KeyFormat::Fluss).unwrap();
        assert_eq!(key, hex(&vector["key"]));
        check_buckets(BucketFunction::Fluss, &key, &vector["buckets"]);
    });
}

#[test]
fn fluss_keys_are_read() {
    let mut read = 0;
    each("keys.json", 195, |vector| {
        let Some(key) = vector["fluss"].get("key").map(hex) else {
            return;
        };
        let row_type = row_type(vector);
        let columns: Vec<_> = (0..row_type.len()).collect();
        let encoder = KeyEncoder::new(KeyFormat::Fluss, &row_type, &columns).unwrap();
        let values = encoder.decode(&key).unwrap();
        let mut again = Vec::new();
        encoder.encode(&values, &mut again).unwrap();
        assert_eq!(again, key);
        if !vector["types"].to_string().contains("TIMESTAMP") {
            assert_same(&values, &row(&row_type, &vector["values"]));
        }
        read += 1;
    });
    assert!(read > 150, "{read}");
}

//! Vector files as JSON, and the JSON in them as types and values.

use std::fs;
use std::path::Path;

use fluss_core::id::BucketId;
use fluss_core::row::BucketFunction;
use fluss_core::types::{DataType, Datum, Field, RowType};
pub use fluss_tests::notation::{hex, row};
use serde_json::Value;

/// Runs `check` on every vector of a file, and complains with the vector's name.
///
/// `count` is the number of vectors that the README states.
pub fn each(file: &str, count: usize, mut check: impl FnMut(&Value)) {
    let vectors = load(file);
    println!("{file}: {} vectors", vectors.len());
    assert_eq!(vectors.len(), count, "{file}");
    for (position, vector) in vectors.iter().enumerate() {
        let name = vector["id"]
            .as_str()
            .map_or_else(|| position.to_string(), ToOwned::to_owned);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(vector)));
        assert!(outcome.is_ok(), "{file}: vector {name} failed, see above");
    }
}

/// Runs `check` on the log batches of all vector files, but for those of what 0.9 calls magic 1.
pub fn each_log_batch(mut check: impl FnMut(&Value)) {
    each("log_batches.json", 51, |vector| {
        if vector["magic"] == 0 {
            check(vector);
        }
    });
    each("log_batches_1_0_snapshot.json", 15, &mut check);
    each("log_batches_1_0.json", 11, check);
}

/// The vectors of a file.
pub fn load(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/vectors")
        .join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The row type of `types`, with the column names of `names` or `c0`, `c1` and so on.
pub fn row_type(vector: &Value) -> RowType {
    let types = vector["types"].as_array().unwrap();
    RowType::new(types.iter().enumerate().map(|(index, text)| {
        let name = vector["names"][index].as_str().map(ToOwned::to_owned);
        let data_type: DataType = text.as_str().unwrap().parse().unwrap();
        Field::new(name.unwrap_or_else(|| format!("c{index}")), data_type)
    }))
}

/// Checks the buckets of a key: by bucket count, or null where the function refuses the key.
pub fn check_buckets(function: BucketFunction, key: &[u8], buckets: &Value) {
    let Some(buckets) = buckets.as_object() else {
        assert!(
            function.bucket(key, 3).is_err(),
            "{function:?} must refuse {key:02x?}"
        );
        return;
    };
    for (count, bucket) in buckets {
        let bucket = BucketId(i32::try_from(bucket.as_i64().unwrap()).unwrap());
        let count = count.parse().unwrap();
        assert_eq!(
            function.bucket(key, count),
            Ok(bucket),
            "{function:?} of {count}: {key:02x?}"
        );
    }
}

/// Whether two values are the same, which NaNs are too.
pub fn assert_same(found: &[Datum<'_>], expected: &[Datum<'_>]) {
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

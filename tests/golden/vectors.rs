//! Vector files as JSON, and the JSON in them as types and values.

use std::fs;
use std::path::Path;

use fluss_core::id::BucketId;
use fluss_core::row::BucketFunction;
use fluss_core::types::{DataType, Datum, Decimal, Field, Kind, OwnedRow, RowType, Timestamp};
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

/// The vectors of a file.
pub fn load(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/vectors")
        .join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The bytes of a hex string.
pub fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
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

/// A row of one JSON value for each field.
pub fn row(row_type: &RowType, values: &Value) -> OwnedRow {
    let values = values.as_array().unwrap();
    assert_eq!(values.len(), row_type.len());
    let fields = row_type.fields().iter();
    fields
        .zip(values)
        .map(|(field, value)| datum(&field.data_type, value))
        .collect()
}

/// A value in the notation of the README.
pub fn datum(data_type: &DataType, value: &Value) -> Datum<'static> {
    if value.is_null() {
        return Datum::Null;
    }
    let integer = || value.as_i64().unwrap();
    match data_type.kind() {
        Kind::Boolean => value.as_bool().unwrap().into(),
        Kind::TinyInt => i8::try_from(integer()).unwrap().into(),
        Kind::SmallInt => i16::try_from(integer()).unwrap().into(),
        Kind::Int => i32::try_from(integer()).unwrap().into(),
        Kind::BigInt => integer().into(),
        Kind::Float => value.as_str().unwrap().parse::<f32>().unwrap().into(),
        Kind::Double => value.as_str().unwrap().parse::<f64>().unwrap().into(),
        Kind::Char(_) | Kind::String => value.as_str().unwrap().to_owned().into(),
        Kind::Binary(_) | Kind::Bytes => hex(value).into(),
        Kind::Decimal { scale, .. } => decimal(value.as_str().unwrap(), *scale).into(),
        Kind::Date => Datum::Date(i32::try_from(integer()).unwrap()),
        Kind::Time(_) => Datum::Time(i32::try_from(integer()).unwrap()),
        Kind::Timestamp(_) => Datum::Timestamp(moment(value)),
        Kind::TimestampLtz(_) => Datum::TimestampLtz(moment(value)),
        Kind::Array(element) => Datum::Array(list(value).map(|value| datum(element, value)).collect()),
        Kind::Map(key_type, value_type) => {
            let entry = |entry: &Value| (datum(key_type, &entry[0]), datum(value_type, &entry[1]));
            Datum::Map(list(value).map(entry).collect())
        }
        Kind::Row(row_type) => Datum::Row(row(row_type, value)),
        kind => unreachable!("{kind}"),
    }
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().unwrap().iter()
}

fn decimal(text: &str, scale: u8) -> Decimal {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unscaled = format!("{whole}{fraction}").parse().unwrap();
    let given = Decimal::new(unscaled, u8::try_from(fraction.len()).unwrap());
    given.rescale(scale).unwrap()
}

fn moment(value: &Value) -> Timestamp {
    let nanos = u32::try_from(value["ns"].as_u64().unwrap()).unwrap();
    Timestamp::new(value["ms"].as_i64().unwrap(), nanos).unwrap()
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

//! Values as JSON, as the golden vectors and the peers (`tests/peers/README.md`) write them.

use std::fmt::Write as _;

use fluss_core::types::{DataType, Datum, Decimal, Kind, OwnedRow, Row, RowType, Timestamp};
use serde_json::{Value, json};

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

/// The value of this type that the JSON says.
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

/// A row as JSON.
pub fn row_to_json(row: &(impl Row + ?Sized)) -> Value {
    (0..row.len()).map(|index| to_json(&row.datum(index))).collect()
}

/// A value as JSON.
pub fn to_json(value: &Datum<'_>) -> Value {
    match value {
        Datum::Null => Value::Null,
        Datum::Boolean(value) => json!(value),
        Datum::TinyInt(value) => json!(value),
        Datum::SmallInt(value) => json!(value),
        Datum::Int(value) | Datum::Date(value) | Datum::Time(value) => json!(value),
        Datum::BigInt(value) => json!(value),
        Datum::Float(value) => float(f64::from(*value), value.to_string()),
        Datum::Double(value) => float(*value, value.to_string()),
        Datum::String(text) => json!(text),
        Datum::Bytes(bytes) => to_hex(bytes).into(),
        Datum::Decimal(value) => value.to_string().into(),
        Datum::Timestamp(moment) | Datum::TimestampLtz(moment) => {
            json!({"ms": moment.millis(), "ns": moment.nanos_of_milli()})
        }
        Datum::Array(values) | Datum::Row(values) => row_to_json(values),
        Datum::Map(entries) => entries
            .iter()
            .map(|(key, value)| [to_json(key), to_json(value)])
            .collect(),
    }
}

/// What is no number is named as in Java.
fn float(value: f64, text: String) -> Value {
    if value.is_infinite() {
        text.replace("inf", "Infinity").into()
    } else {
        text.into()
    }
}

/// The bytes of a hex string.
pub fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::{Options, rows};

    proptest! {
        #[test]
        fn rows_survive((row_type, rows) in rows(Options::default(), 1..4)) {
            for expected in rows {
                let text = row_to_json(&expected).to_string();
                let found = row(&row_type, &serde_json::from_str(&text).unwrap());
                prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            }
        }
    }

    #[test]
    fn what_is_no_number_is_named_as_in_java() {
        for (value, name) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(to_json(&value.into()), name);
            assert_eq!(
                format!("{:?}", datum(&DataType::double(), &name.into())),
                format!("{:?}", Datum::Double(value))
            );
        }
    }
}

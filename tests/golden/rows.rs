//! `rows.json`: every format, both ways.

use fluss_core::row::RowFormat;
use fluss_core::types::{Datum, Kind, RowType, Timestamp};
use serde_json::Value;

use crate::vectors::{assert_same, each, hex, row, row_type};

fn check(vector: &Value, format: RowFormat, field: &str) {
    let row_type = row_type(vector);
    let values = row(&row_type, &vector["values"]);
    let bytes = hex(&vector[field]);
    let mut encoded = Vec::new();
    format.encode(&row_type, &values, &mut encoded).unwrap();
    assert_eq!(encoded, bytes, "{format:?}");
    let decoded = format.decode(&row_type, &bytes).unwrap();
    assert_same(&decoded, &held(format, &row_type, values));
}

/// What the format holds of a row.
fn held<'a>(format: RowFormat, row_type: &RowType, row: Vec<Datum<'a>>) -> Vec<Datum<'a>> {
    let fields = row_type.fields().iter();
    fields
        .zip(row)
        .map(|(field, datum)| held_value(format, field.data_type.kind(), datum))
        .collect()
}

fn held_value<'a>(format: RowFormat, kind: &Kind, datum: Datum<'a>) -> Datum<'a> {
    match (kind, datum) {
        (Kind::Timestamp(..=3), Datum::Timestamp(moment)) => {
            Datum::Timestamp(Timestamp::from_millis(moment.millis()))
        }
        (Kind::TimestampLtz(..=3), Datum::TimestampLtz(moment)) => {
            Datum::TimestampLtz(Timestamp::from_millis(moment.millis()))
        }
        (Kind::Binary(_), Datum::Bytes(bytes)) if format == RowFormat::Indexed => {
            let end = bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |last| last + 1);
            Datum::Bytes(bytes[..end].to_vec().into())
        }
        (_, datum) => datum,
    }
}

#[test]
fn rows_are_written_and_read() {
    each("rows.json", 257, |vector| {
        check(vector, RowFormat::Compacted, "compacted");
        check(vector, RowFormat::Indexed, "indexed");
        check(vector, RowFormat::Aligned, "aligned");
    });
}

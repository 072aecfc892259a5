use crate::types::{DataType, Datum, Kind, RowType};

/// Gives the BINARY values of a row their length again: indexed rows lose the zero bytes at their end (`rows.md` §3).
pub fn pad(row_type: &RowType, row: &mut [Datum<'_>]) {
    for (field, datum) in row_type.fields().iter().zip(row) {
        pad_value(&field.data_type, datum);
    }
}

/// As [`pad`], one value.
pub fn pad_value(data_type: &DataType, datum: &mut Datum<'_>) {
    match (data_type.kind(), datum) {
        (Kind::Binary(length), Datum::Bytes(bytes)) if bytes.len() < *length as usize => {
            bytes.to_mut().resize(*length as usize, 0);
        }
        (Kind::Array(element), Datum::Array(elements)) => {
            for datum in elements {
                pad_value(element, datum);
            }
        }
        (Kind::Map(key, value), Datum::Map(entries)) => {
            for (entry_key, entry_value) in entries {
                pad_value(key, entry_key);
                pad_value(value, entry_value);
            }
        }
        (Kind::Row(row_type), Datum::Row(fields)) => pad(row_type, fields),
        _ => {}
    }
}

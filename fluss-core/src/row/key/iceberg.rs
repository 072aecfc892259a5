//! Iceberg keys (`rows.md` §5.3): one value in the bytes that Iceberg hashes.

use super::null_in_key;
use crate::ValueError;
use crate::row::physical::{DecimalBytes, fit, mismatch};
use crate::types::{DataType, Datum, Kind, Row, RowType};

/// Whether a column of this kind can be the key.
pub(super) const fn encodes(kind: &Kind) -> bool {
    match kind {
        Kind::Int
        | Kind::BigInt
        | Kind::Float
        | Kind::Double
        | Kind::Char(_)
        | Kind::String
        | Kind::Binary(_)
        | Kind::Bytes
        | Kind::Decimal { .. }
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_) => true,
        Kind::Boolean
        | Kind::TinyInt
        | Kind::SmallInt
        | Kind::TimestampLtz(_)
        | Kind::Array(_)
        | Kind::Map(..)
        | Kind::Row(_) => false,
    }
}

pub(super) fn write(
    key_type: &RowType,
    key: &(impl Row + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    for (index, field) in key_type.fields().iter().enumerate() {
        write_value(&field.data_type, &key.datum(index), out).map_err(|error| error.within(&field.name))?;
    }
    Ok(())
}

fn write_value(data_type: &DataType, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let long = match (data_type.kind(), datum) {
        (_, Datum::Null) => return Err(null_in_key()),
        (Kind::Int, Datum::Int(value)) | (Kind::Date, Datum::Date(value)) => i64::from(*value),
        (Kind::BigInt, Datum::BigInt(value)) => *value,
        (Kind::Time(_), Datum::Time(millis)) => i64::from(*millis) * 1_000,
        (Kind::Timestamp(_), Datum::Timestamp(moment)) => moment
            .micros()
            .ok_or_else(|| ValueError::row("microseconds since 1970 do not fit 64 bits"))?,
        _ => return write_bytes(data_type.kind(), datum, out),
    };
    out.extend_from_slice(&long.to_le_bytes());
    Ok(())
}

fn write_bytes(kind: &Kind, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match (kind, datum) {
        (Kind::Float, Datum::Float(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Double, Datum::Double(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Char(_) | Kind::String, Datum::String(text)) => out.extend_from_slice(text.as_bytes()),
        (Kind::Binary(_) | Kind::Bytes, Datum::Bytes(bytes)) => out.extend_from_slice(bytes),
        (Kind::Decimal { precision, scale }, Datum::Decimal(value)) => {
            let value = fit(*value, *precision, *scale)?;
            out.extend_from_slice(DecimalBytes::new(value.unscaled()).as_slice());
        }
        (kind, datum) => return Err(mismatch(kind, datum)),
    }
    Ok(())
}

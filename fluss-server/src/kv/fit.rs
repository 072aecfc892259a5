//! What rows hold and columns do not: the changelog must tell every row as it is stored, or a state made from it would
//! be another.
//!
//! Less is refused than a writer of ours refuses: a text that is too long for its CHAR harms nobody.

use fluss_core::ValueError;
use fluss_core::types::{DataType, Datum, Kind, RowType, Timestamp};

/// Returns the columns that can be given values which do not fit.
pub(super) fn restricted(row_type: &RowType) -> Vec<usize> {
    let fields = row_type.fields().iter().enumerate();
    fields
        .filter(|(_, field)| is_restricted(&field.data_type))
        .map(|(position, _)| position)
        .collect()
}

fn is_restricted(data_type: &DataType) -> bool {
    !data_type.is_nullable()
        || match data_type.kind() {
            // The keys of a map are never null.
            Kind::Binary(_) | Kind::Timestamp(4..) | Kind::TimestampLtz(4..) | Kind::Map(..) => true,
            Kind::Array(element) => is_restricted(element),
            Kind::Row(row) => !restricted(row).is_empty(),
            _ => false,
        }
}

/// Checks these columns of a row.
pub(super) fn check(row_type: &RowType, columns: &[usize], row: &[Datum<'_>]) -> Result<(), ValueError> {
    for &column in columns {
        if let (Some(field), Some(datum)) = (row_type.field(column), row.get(column)) {
            check_value(&field.data_type, datum).map_err(|error| error.within(&field.name))?;
        }
    }
    Ok(())
}

fn check_value(data_type: &DataType, datum: &Datum<'_>) -> Result<(), ValueError> {
    match (data_type.kind(), datum) {
        (_, Datum::Null) if data_type.is_nullable() => Ok(()),
        (_, Datum::Null) => Err(ValueError::row(format!("null in a column of type {data_type}"))),
        (Kind::Binary(length), Datum::Bytes(bytes)) if bytes.len() != *length as usize => {
            let reason = format!("{} bytes in a BINARY({length})", bytes.len());
            Err(ValueError::row(reason))
        }
        (Kind::Timestamp(precision @ 4..), Datum::Timestamp(moment))
        | (Kind::TimestampLtz(precision @ 4..), Datum::TimestampLtz(moment)) => {
            check_moment(*precision, *moment)
        }
        (Kind::Array(element), Datum::Array(elements)) => {
            elements.iter().try_for_each(|datum| check_value(element, datum))
        }
        (Kind::Map(key, value), Datum::Map(entries)) => entries
            .iter()
            .try_for_each(|(k, v)| check_value(key, k).and_then(|()| check_value(value, v))),
        (Kind::Row(row), Datum::Row(fields)) => {
            let fields = row.fields().iter().zip(fields);
            fields
                .into_iter()
                .try_for_each(|(field, datum)| check_value(&field.data_type, datum))
        }
        _ => Ok(()),
    }
}

fn check_moment(precision: u8, moment: Timestamp) -> Result<(), ValueError> {
    let counted = if precision <= 6 {
        moment.micros()
    } else {
        moment.nanos()
    };
    counted.map(drop).ok_or_else(|| {
        let millis = moment.millis();
        ValueError::row(format!(
            "{millis} ms are too far from 1970 for {precision} digits of a second"
        ))
    })
}

//! Whether a row fits its table: everything that is wrong with a value is found before anything is sent.

use super::physical::{fit, mismatch};
use crate::ValueError;
use crate::types::{DataType, Datum, Kind, Row, RowType, Timestamp};

const MILLIS_PER_DAY: i32 = 86_400_000;

/// Checks a row against the type of its table. Nothing is rounded or cut to make a value fit.
///
/// Rows of scalars that fit cost no allocation.
///
/// # Errors
/// The first fault, with the path to its column: a wrong number of values, null in a NOT NULL column or as the key of a
/// map, a value of another type, a CHAR that is too long, a BINARY of another length, a DECIMAL or TIME or TIMESTAMP
/// with more digits than its column, a TIME outside the day, a TIMESTAMP that its unit in Arrow cannot count in 64 bits.
pub fn check(row_type: &RowType, row: &(impl Row + ?Sized)) -> Result<(), ValueError> {
    arity(row_type, row, "the table", "columns")?;
    check_fields(row_type, row)
}

/// Checks the number of values; `whole` and `parts` say what there should be that many of.
pub(super) fn arity(
    row_type: &RowType,
    row: &(impl Row + ?Sized),
    whole: &str,
    parts: &str,
) -> Result<(), ValueError> {
    if row.len() == row_type.len() {
        return Ok(());
    }
    let (values, expected) = (row.len(), row_type.len());
    Err(ValueError::row(format!(
        "the row has {values} values, {whole} {expected} {parts}"
    )))
}

fn check_fields(row_type: &RowType, row: &(impl Row + ?Sized)) -> Result<(), ValueError> {
    for (index, field) in row_type.fields().iter().enumerate() {
        check_value(&field.data_type, &row.datum(index)).map_err(|error| error.within(&field.name))?;
    }
    Ok(())
}

/// Checks one value against the type of its column, as [`check`] does.
pub fn check_value(data_type: &DataType, datum: &Datum<'_>) -> Result<(), ValueError> {
    match (data_type.kind(), datum) {
        (_, Datum::Null) if data_type.is_nullable() => Ok(()),
        (_, Datum::Null) => Err(ValueError::row(format!("null in a column of type {data_type}"))),
        (Kind::Boolean, Datum::Boolean(_))
        | (Kind::TinyInt, Datum::TinyInt(_))
        | (Kind::SmallInt, Datum::SmallInt(_))
        | (Kind::Int, Datum::Int(_))
        | (Kind::BigInt, Datum::BigInt(_))
        | (Kind::Float, Datum::Float(_))
        | (Kind::Double, Datum::Double(_))
        | (Kind::String, Datum::String(_))
        | (Kind::Bytes, Datum::Bytes(_))
        | (Kind::Date, Datum::Date(_)) => Ok(()),
        (Kind::Char(length), Datum::String(text)) => check_char(*length as usize, text),
        (Kind::Binary(length), Datum::Bytes(bytes)) => check_binary(*length as usize, bytes),
        (Kind::Decimal { precision, scale }, Datum::Decimal(value)) => {
            fit(*value, *precision, *scale).map(drop)
        }
        (Kind::Time(precision), Datum::Time(millis)) => check_time(*precision, *millis),
        (Kind::Timestamp(precision), Datum::Timestamp(moment))
        | (Kind::TimestampLtz(precision), Datum::TimestampLtz(moment)) => {
            check_timestamp(data_type.kind(), *precision, *moment)
        }
        (Kind::Array(element), Datum::Array(elements)) => check_array(element, elements),
        (Kind::Map(key, value), Datum::Map(entries)) => check_map(key, value, entries),
        (Kind::Row(row_type), Datum::Row(fields)) => {
            arity(row_type, fields, "its type", "fields")?;
            check_fields(row_type, fields.as_slice())
        }
        (kind, datum) => Err(mismatch(kind, datum)),
    }
}

/// Characters are Unicode scalar values; text has at least as many bytes.
fn check_char(length: usize, text: &str) -> Result<(), ValueError> {
    if text.len() <= length {
        return Ok(());
    }
    match text.chars().count() {
        count if count > length => Err(ValueError::row(format!("{count} characters in a CHAR({length})"))),
        _ => Ok(()),
    }
}

fn check_binary(length: usize, bytes: &[u8]) -> Result<(), ValueError> {
    if bytes.len() == length {
        return Ok(());
    }
    let given = bytes.len();
    Err(ValueError::row(format!(
        "{given} bytes given, BINARY({length}) takes exactly {length}"
    )))
}

fn check_time(precision: u8, millis: i32) -> Result<(), ValueError> {
    if !(0..MILLIS_PER_DAY).contains(&millis) {
        return Err(ValueError::row(format!("{millis} ms are not a time of day")));
    }
    let unit = 10_i32.pow(3_u32.saturating_sub(u32::from(precision)));
    if millis % unit != 0 {
        return Err(ValueError::row(format!(
            "a time of {millis} ms has more digits than a TIME({precision})"
        )));
    }
    Ok(())
}

fn check_timestamp(kind: &Kind, precision: u8, moment: Timestamp) -> Result<(), ValueError> {
    let fault = |reason: &str| {
        let (millis, nanos) = (moment.millis(), moment.nanos_of_milli());
        Err(ValueError::row(format!(
            "{millis} ms and {nanos} ns {reason} {kind}"
        )))
    };
    if !moment.fits(precision) {
        return fault("have more digits than a");
    }
    let countable = match precision {
        ..=3 => true,
        4..=6 => moment.micros().is_some(),
        _ => moment.nanos().is_some(),
    };
    if countable {
        Ok(())
    } else {
        fault("are too far from 1970 for a")
    }
}

fn check_array(element_type: &DataType, elements: &[Datum<'_>]) -> Result<(), ValueError> {
    for (index, element) in elements.iter().enumerate() {
        check_value(element_type, element).map_err(|error| error.within(&format!("[{index}]")))?;
    }
    Ok(())
}

fn check_map(
    key_type: &DataType,
    value_type: &DataType,
    entries: &[(Datum<'_>, Datum<'_>)],
) -> Result<(), ValueError> {
    for (index, (key, value)) in entries.iter().enumerate() {
        let entry =
            |part: &'static str| move |error: ValueError| error.within(part).within(&format!("[{index}]"));
        check_value(key_type, key).map_err(entry("key"))?;
        check_value(value_type, value).map_err(entry("value"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, Field};

    fn fault(data_type: &str, datum: Datum<'_>) -> String {
        let row_type = RowType::new([Field::new("c", data_type.parse().unwrap())]);
        check(&row_type, &[datum]).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn the_number_of_values_must_be_right() {
        let row_type = RowType::new([Field::new("a", DataType::int())]);
        assert_eq!(
            check(&row_type, &[Datum::Null, Datum::Null])
                .unwrap_err()
                .to_string(),
            "the row has 2 values, the table 1 columns"
        );
    }

    #[test]
    fn faults_name_the_path() {
        let nested = "ROW<tags ARRAY<INT NOT NULL>,m MAP<STRING,ROW<x DATE>>>";
        let value = |tags, entries| Datum::Row(vec![Datum::Array(tags), Datum::Map(entries)]);
        assert_eq!(
            fault(nested, value(vec![1.into(), Datum::Null], vec![])),
            "column 'c.tags[1]': null in a column of type INT NOT NULL"
        );
        let entry = ("k".into(), Datum::Row(vec![1.into()]));
        assert_eq!(
            fault(nested, value(vec![], vec![entry])),
            "column 'c.m[0].value.x': DATE expected, INT given"
        );
        assert_eq!(
            fault(nested, value(vec![], vec![(Datum::Null, Datum::Null)])),
            "column 'c.m[0].key': null in a column of type STRING NOT NULL"
        );
    }

    #[test]
    fn lengths_are_kept() {
        assert_eq!(fault("CHAR(2)", "äö".into()), "");
        assert_eq!(
            fault("CHAR(2)", "äöü".into()),
            "column 'c': 3 characters in a CHAR(2)"
        );
        assert_eq!(fault("BINARY(1)", b"a".as_slice().into()), "");
        assert_eq!(
            fault("BINARY(2)", b"a".as_slice().into()),
            "column 'c': 1 bytes given, BINARY(2) takes exactly 2"
        );
    }

    #[test]
    fn nothing_is_rounded() {
        assert_eq!(fault("DECIMAL(4,2)", Decimal::new(12_300, 3).into()), "");
        assert_eq!(
            fault("DECIMAL(4,2)", Decimal::new(12_345, 3).into()),
            "column 'c': 12.345 does not fit DECIMAL(4,2)"
        );
        assert_eq!(
            fault("DECIMAL(4,2)", Decimal::new(123, 0).into()),
            "column 'c': 123 does not fit DECIMAL(4,2)"
        );
        assert_eq!(fault("TIME(2)", Datum::Time(10)), "");
        assert_eq!(
            fault("TIME", Datum::Time(10)),
            "column 'c': a time of 10 ms has more digits than a TIME(0)"
        );
        assert_eq!(
            fault("TIME", Datum::Time(MILLIS_PER_DAY)),
            "column 'c': 86400000 ms are not a time of day"
        );
        assert_eq!(
            fault("TIMESTAMP(3)", Timestamp::from_nanos(1).into()),
            "column 'c': 0 ms and 1 ns have more digits than a TIMESTAMP(3)"
        );
    }

    #[test]
    fn moments_must_be_countable() {
        let year_9999 = Timestamp::from_millis(253_402_300_799_999);
        assert_eq!(fault("TIMESTAMP(6)", year_9999.into()), "");
        assert_eq!(
            fault("TIMESTAMP(9)", year_9999.into()),
            "column 'c': 253402300799999 ms and 0 ns are too far from 1970 for a TIMESTAMP(9)"
        );
    }
}

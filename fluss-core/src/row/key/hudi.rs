//! Hudi keys (`rows.md` §5.4): a hash over the texts of the key's values.

use std::borrow::Cow;

use crate::ValueError;
use crate::row::java::{double_text, float_text};
use crate::row::physical::{fit, mismatch};
use crate::types::CivilTime;
use crate::types::{Datum, Kind, Row, RowType, Timestamp};

const NULL: &str = "__null__";
const EMPTY: &str = "__empty__";

pub(super) fn write(
    key_type: &RowType,
    key: &(impl Row + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let alone = key_type.len() == 1;
    let mut hash = 1_u32;
    for (index, field) in key_type.fields().iter().enumerate() {
        let element = element(alone, field.data_type.kind(), &key.datum(index))
            .map_err(|error| error.within(&field.name))?;
        hash = hash.wrapping_mul(31).wrapping_add(element);
    }
    out.extend_from_slice(&hash.to_be_bytes());
    Ok(())
}

fn element(alone: bool, kind: &Kind, datum: &Datum<'_>) -> Result<u32, ValueError> {
    if datum.is_null() {
        return Ok(if alone { string_hash(NULL) } else { 0 });
    }
    let text = text(kind, datum)?;
    if !alone && (text.contains(',') || text == NULL || text == EMPTY) {
        return Err(ValueError::row(format!(
            "'{text}' cannot be part of a Hudi key of several columns"
        )));
    }
    Ok(string_hash(&text))
}

/// The hash of a Java string.
fn string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

fn text<'d>(kind: &Kind, datum: &'d Datum<'_>) -> Result<Cow<'d, str>, ValueError> {
    Ok(Cow::Owned(match (kind, datum) {
        (Kind::Char(_) | Kind::String, Datum::String(text)) => return Ok(Cow::Borrowed(text)),
        (Kind::Boolean, Datum::Boolean(value)) => value.to_string(),
        (Kind::TinyInt, Datum::TinyInt(value)) => value.to_string(),
        (Kind::SmallInt, Datum::SmallInt(value)) => value.to_string(),
        (Kind::Int, Datum::Int(value))
        | (Kind::Date, Datum::Date(value))
        | (Kind::Time(_), Datum::Time(value)) => value.to_string(),
        (Kind::BigInt, Datum::BigInt(value)) => value.to_string(),
        (Kind::Float, Datum::Float(value)) => float_text(*value),
        (Kind::Double, Datum::Double(value)) => double_text(*value),
        (Kind::Decimal { precision, scale }, Datum::Decimal(value)) => {
            fit(*value, *precision, *scale)?.to_string()
        }
        (Kind::Timestamp(_), Datum::Timestamp(moment)) => local(*moment),
        (Kind::TimestampLtz(_), Datum::TimestampLtz(moment)) => instant(*moment),
        (kind, datum) => return Err(mismatch(kind, datum)),
    }))
}

/// Local time leaves out seconds that are zero.
fn local(moment: Timestamp) -> String {
    let time = CivilTime::from(moment);
    if time.second == 0 && time.nanos == 0 {
        to_minutes(&time)
    } else {
        to_nanos(&time)
    }
}

fn instant(moment: Timestamp) -> String {
    to_nanos(&CivilTime::from(moment)) + "Z"
}

/// Years of more than four digits have a sign.
fn to_minutes(time: &CivilTime) -> String {
    let sign = if time.date.year > 9_999 { "+" } else { "" };
    format!("{sign}{}T{:02}:{:02}", time.date, time.hour, time.minute)
}

fn to_nanos(time: &CivilTime) -> String {
    let nanos = time.nanos;
    let fraction = match nanos {
        0 => String::new(),
        _ if nanos.is_multiple_of(1_000_000) => format!(".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    };
    format!("{}:{:02}{fraction}", to_minutes(time), time.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_in_java() {
        let moment = |millis| Timestamp::from_millis(millis);
        assert_eq!(local(moment(0)), "1970-01-01T00:00");
        assert_eq!(instant(moment(0)), "1970-01-01T00:00:00Z");
        assert_eq!(local(moment(5)), "1970-01-01T00:00:00.005");
        assert_eq!(local(moment(1_000)), "1970-01-01T00:00:01");
        assert_eq!(local(moment(253_402_300_800_000)), "+10000-01-01T00:00");
        assert_eq!(local(Timestamp::from_nanos(1_000)), "1970-01-01T00:00:00.000001");
    }

    #[test]
    fn texts_that_could_be_mistaken_are_refused() {
        let kind = Kind::String;
        assert!(element(false, &kind, &"a,b".into()).is_err());
        assert!(element(false, &kind, &NULL.into()).is_err());
        assert_eq!(
            element(true, &kind, &NULL.into()),
            element(true, &kind, &Datum::Null)
        );
    }
}

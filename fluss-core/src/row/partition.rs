//! Names of partitions, from the values of rows (`rows.md` §7).

use std::fmt::Write;

use super::java::{double_text, float_text};
use super::physical::mismatch;
use crate::ValueError;
use crate::types::{
    CivilDate, CivilTime, DataType, Datum, Kind, PartitionName, PartitionSpec, Row, RowType, Timestamp,
};

/// The name of the partition that a row belongs to; `keys` are the positions of the partition keys, in their order.
///
/// Whether the server takes the name for a new partition is for [`PartitionName::validate`].
///
/// # Errors
/// A partition value is null, or of a type that cannot be a partition key.
pub fn partition_name(
    row_type: &RowType,
    keys: &[usize],
    row: &(impl Row + ?Sized),
) -> Result<PartitionName, ValueError> {
    let value = |&index: &usize| {
        let field = row_type
            .field(index)
            .ok_or_else(|| ValueError::row(format!("there is no column {index}")))?;
        partition_value(&field.data_type, &row.datum(index)).map_err(|error| error.within(&field.name))
    };
    let values = keys.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(PartitionName::from_values(&values))
}

/// The text of one value in the name of its partition.
///
/// # Errors
/// The value is null, of another type than its column, or of a type that cannot be a partition key.
pub fn partition_value(data_type: &DataType, datum: &Datum<'_>) -> Result<String, ValueError> {
    Ok(match (data_type.kind(), datum) {
        (Kind::Char(_) | Kind::String, Datum::String(text)) => text.clone().into_owned(),
        (Kind::Boolean, Datum::Boolean(value)) => value.to_string(),
        (Kind::TinyInt, Datum::TinyInt(value)) => value.to_string(),
        (Kind::SmallInt, Datum::SmallInt(value)) => value.to_string(),
        (Kind::Int, Datum::Int(value)) => value.to_string(),
        (Kind::BigInt, Datum::BigInt(value)) => value.to_string(),
        (Kind::Binary(_) | Kind::Bytes, Datum::Bytes(bytes)) => hex(bytes),
        (Kind::Date, Datum::Date(days)) => CivilDate::from_days(i64::from(*days)).to_string(),
        (Kind::Time(_), Datum::Time(millis)) => time(*millis),
        (Kind::Float, Datum::Float(value)) => number(&float_text(*value)),
        (Kind::Double, Datum::Double(value)) => number(&double_text(*value)),
        (Kind::Timestamp(_), Datum::Timestamp(moment))
        | (Kind::TimestampLtz(_), Datum::TimestampLtz(moment)) => timestamp(*moment),
        (_, Datum::Null) => return Err(ValueError::row("a partition value is null")),
        (Kind::Decimal { .. } | Kind::Array(_) | Kind::Map(..) | Kind::Row(_), _) => {
            return Err(ValueError::row(format!("{data_type} cannot be a partition key")));
        }
        (kind, datum) => return Err(mismatch(kind, datum)),
    })
}

/// The value that has this text in the name of its partition. Of text, booleans, integers, bytes and dates; nothing for
/// other types, and for a text that none of their values has.
pub fn partition_datum(data_type: &DataType, text: &str) -> Option<Datum<'static>> {
    let value = match data_type.kind() {
        Kind::Char(_) | Kind::String => Datum::from(text.to_owned()),
        Kind::Boolean => Datum::Boolean(text.parse().ok()?),
        Kind::TinyInt => Datum::TinyInt(text.parse().ok()?),
        Kind::SmallInt => Datum::SmallInt(text.parse().ok()?),
        Kind::Int => Datum::Int(text.parse().ok()?),
        Kind::BigInt => Datum::BigInt(text.parse().ok()?),
        Kind::Binary(_) | Kind::Bytes => Datum::from(bytes_of_hex(text)?),
        Kind::Date => Datum::Date(text.parse::<CivilDate>().ok()?.days().try_into().ok()?),
        _ => return None,
    };
    // Of values that several texts could stand for only the one that is written.
    (partition_value(data_type, &value).ok()? == text).then_some(value)
}

/// Checks that each value of a specification is one of its key's type: no row could belong to another partition.
///
/// # Errors
/// The key whose value is none. Keys that are no columns are passed over.
pub fn check_partition(row_type: &RowType, spec: &PartitionSpec) -> Result<(), ValueError> {
    for (key, text) in &spec.values {
        let field = row_type.fields().iter().find(|field| field.name == *key);
        if let Some(field) = field.filter(|field| !is_partition_value(&field.data_type, text)) {
            let reason = format!(
                "'{text}' is how no {} is written in the name of a partition",
                field.data_type.kind()
            );
            return Err(ValueError::column(key, reason));
        }
    }
    Ok(())
}

/// Whether a value of this type can have this text in the name of its partition, as any client writes it: floating-point
/// numbers and moments have several texts.
pub fn is_partition_value(data_type: &DataType, text: &str) -> bool {
    match data_type.kind() {
        Kind::Float | Kind::Double => matches!(text, "NaN" | "Inf" | "-Inf") || is_number(text),
        Kind::Time(_) => is_time(text),
        Kind::Timestamp(_) | Kind::TimestampLtz(_) => is_timestamp(text),
        Kind::Binary(length) => {
            let value = partition_datum(data_type, text);
            matches!(value, Some(Datum::Bytes(bytes)) if bytes.len() == *length as usize)
        }
        _ => partition_datum(data_type, text).is_some(),
    }
}

/// Digits with an underscore for the point, and an exponent.
fn is_number(text: &str) -> bool {
    let written = |c: char| c.is_ascii_digit() || matches!(c, '_' | '-' | 'E' | 'e');
    text.chars().all(written) && text.replace('_', ".").parse::<f64>().is_ok()
}

/// `HH-mm-ss`, and `_` with digits of the second.
fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('_').unwrap_or((text, ""));
    let parts: Vec<_> = clock.split('-').collect();
    let below =
        |part: &str, limit: u32| part.len() == 2 && part.parse::<u32>().is_ok_and(|part| part < limit);
    let is_clock = matches!(parts[..], [hour, minute, second] if below(hour, 24) && below(minute, 60) && below(second, 60));
    is_clock && fraction.len() <= 9 && fraction.chars().all(|c| c.is_ascii_digit())
}

/// A day, `-` and a time.
fn is_timestamp(text: &str) -> bool {
    /// `HH-mm-ss`
    const CLOCK: usize = 8;
    let end = text.find('_').unwrap_or(text.len());
    let day_end = end.checked_sub(CLOCK + 1);
    day_end.is_some_and(|day_end| {
        let (day, time) = (text.get(..day_end), text.get(day_end + 1..));
        let is_apart = text.get(day_end..=day_end) == Some("-");
        is_apart && day.is_some_and(|day| day.parse::<CivilDate>().is_ok()) && time.is_some_and(is_time)
    })
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn number(text: &str) -> String {
    text.replace('.', "_").replace("Infinity", "Inf")
}

fn time(millis: i32) -> String {
    let (seconds, millis) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
    let (minutes, second) = (seconds.div_euclid(60), seconds.rem_euclid(60));
    let (hour, minute) = (minutes.div_euclid(60), minutes.rem_euclid(60));
    format!("{hour:02}-{minute:02}-{second:02}_{millis:03}")
}

fn timestamp(moment: Timestamp) -> String {
    let CivilTime {
        date,
        hour,
        minute,
        second,
        nanos,
    } = CivilTime::from(moment);
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    format!("{date}-{hour:02}-{minute:02}-{second:02}_{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, Field};

    #[test]
    fn what_has_no_text_is_refused() {
        let row_type = RowType::new([Field::new("p", DataType::decimal(3, 0).unwrap())]);
        let fault = |datum| partition_name(&row_type, &[0], &[datum]).unwrap_err().to_string();
        assert_eq!(fault(Datum::Null), "column 'p': a partition value is null");
        assert_eq!(
            fault(Decimal::new(1, 0).into()),
            "column 'p': DECIMAL(3,0) cannot be a partition key"
        );
        assert!(partition_name(&row_type, &[1], &[Datum::Null]).is_err());
    }

    #[test]
    fn a_partition_has_a_value_of_its_key() {
        let fits = |data_type: &str, text: &str| is_partition_value(&data_type.parse().unwrap(), text);
        let cases: [(&str, &[&str], &[&str]); 9] = [
            ("STRING", &["x", "2024-01-01"], &[]),
            ("BOOLEAN", &["true", "false"], &["True", "1"]),
            ("INT", &["7", "-7"], &["x", "07", "3000000000", "1_5", ""]),
            ("TINYINT", &["-128"], &["128"]),
            (
                "DATE",
                &["2024-02-29"],
                &["2023-02-29", "20240229", "2024-2-9", "junk"],
            ),
            ("BINARY(2)", &["00ff"], &["00FF", "00", "00ff00", "zz"]),
            (
                "DOUBLE",
                &["100_0", "100", "1_0E10", "-1_5E-7", "NaN", "-Inf"],
                &["junk", "nan", "inf", "1_2_3", "_"],
            ),
            (
                "TIME(3)",
                &["23-59-59_000", "23-59-59"],
                &["24-00-00_000", "1-2-3", "235959"],
            ),
            (
                "TIMESTAMP(6)",
                &[
                    "2024-02-29-23-59-59_",
                    "2024-02-29-23-59-59_5",
                    "0001-01-01-00-00-00_000001",
                    "-0001-01-01-00-00-00_",
                ],
                &[
                    "2024-02-29",
                    "2024-02-30-00-00-00_",
                    "2024-02-29_23-59-59",
                    "junk",
                ],
            ),
        ];
        for (data_type, good, bad) in cases {
            for text in good {
                assert!(fits(data_type, text), "{data_type} {text}");
            }
            for text in bad {
                assert!(!fits(data_type, text), "{data_type} {text}");
            }
        }
    }

    #[test]
    fn every_text_that_is_written_fits() {
        for (data_type, datum) in [
            (DataType::float(), Datum::Float(-1.5e-10)),
            (DataType::float(), Datum::Float(f32::MAX)),
            (DataType::double(), Datum::Double(f64::MIN_POSITIVE)),
            (DataType::double(), Datum::Double(f64::NEG_INFINITY)),
            (DataType::time(3).unwrap(), Datum::Time(86_399_999)),
            (
                DataType::timestamp(9).unwrap(),
                Datum::Timestamp(Timestamp::from_millis(-62_167_219_200_001)),
            ),
        ] {
            let text = partition_value(&data_type, &datum).unwrap();
            assert!(is_partition_value(&data_type, &text), "{data_type} {text}");
        }
    }
}

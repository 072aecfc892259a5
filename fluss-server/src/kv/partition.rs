//! Values of partition keys, out of the names of partitions (`rows.md` §7).

use fluss_core::row::partition_value;
use fluss_core::types::{CivilDate, DataType, Datum, Kind, Timestamp};

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The value that has this text in the name of its partition; nothing if none has.
pub(super) fn parse(data_type: &DataType, text: &str) -> Option<Datum<'static>> {
    let value = match data_type.kind() {
        Kind::Char(_) | Kind::String => Datum::from(text.to_owned()),
        Kind::Boolean => Datum::Boolean(text.parse().ok()?),
        Kind::TinyInt => Datum::TinyInt(text.parse().ok()?),
        Kind::SmallInt => Datum::SmallInt(text.parse().ok()?),
        Kind::Int => Datum::Int(text.parse().ok()?),
        Kind::BigInt => Datum::BigInt(text.parse().ok()?),
        Kind::Float => Datum::Float(text.replace('_', ".").parse().ok()?),
        Kind::Double => Datum::Double(text.replace('_', ".").parse().ok()?),
        Kind::Binary(_) | Kind::Bytes => Datum::from(bytes(text)?),
        Kind::Date => Datum::Date(i32::try_from(days(text)?).ok()?),
        Kind::Time(_) => Datum::Time(i32::try_from(nanos_of_day(text)? / 1_000_000).ok()?),
        Kind::Timestamp(_) => Datum::Timestamp(moment(text)?),
        Kind::TimestampLtz(_) => Datum::TimestampLtz(moment(text)?),
        _ => return None,
    };
    // What has been read is right if it is written so.
    let is_right = partition_value(data_type, &value).is_ok_and(|written| written == text);
    is_right.then_some(value)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() {
        pairs.iter().map(byte).collect()
    } else {
        None
    }
}

/// The days since 1970 of `yyyy-MM-dd`.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.rsplitn(3, '-').map(str::parse::<i64>);
    let (day, month, year) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    // No more days than years have, from which the date is not far.
    let guess = year
        .checked_sub(1970)?
        .checked_mul(366)?
        .checked_add(31 * month + day)?;
    let wanted = (year, month, day);
    let date = |days| {
        let CivilDate { year, month, day } = CivilDate::from_days(days);
        (year, month, day)
    };
    let (mut low, mut high) = (
        guess.min(0).checked_mul(2)? - 800,
        guess.max(0).checked_mul(2)? + 800,
    );
    while low < high {
        let middle = low + (high - low) / 2;
        if date(middle) < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (date(low) == wanted).then_some(low)
}

/// The nanoseconds of `HH-mm-ss_` with any digits of the second behind it.
fn nanos_of_day(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('_')?;
    let mut seconds = 0;
    for part in whole.split('-') {
        seconds = seconds * 60 + part.parse::<u8>().ok().map(i64::from)?;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    (fraction.len() <= 9 && seconds < 86_400).then_some(seconds * 1_000_000_000 + nanos)
}

/// The moment of a date, `-` and a time of day.
fn moment(text: &str) -> Option<Timestamp> {
    let at = text.rmatch_indices('-').nth(2)?.0;
    let (date, time) = text.split_at_checked(at)?;
    let nanos = nanos_of_day(time.strip_prefix('-')?)?;
    let millis = days(date)?
        .checked_mul(MILLIS_PER_DAY)?
        .checked_add(nanos / 1_000_000)?;
    Timestamp::new(millis, u32::try_from(nanos % 1_000_000).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(data_type: &str, value: Datum<'static>) {
        let data_type: DataType = data_type.parse().unwrap();
        let text = partition_value(&data_type, &value).unwrap();
        assert_eq!(parse(&data_type, &text), Some(value), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_are_what_made_the_names(
            (small, int, long, single, double) in any::<(i8, i32, i64, f32, f64)>(),
            (truth, text, bytes) in any::<(bool, String, Vec<u8>)>(),
            (millis, nanos) in (-100_000_000_000_000_i64..1_000_000_000_000_000, 0_u32..1_000_000),
        ) {
            check("TINYINT", small.into());
            check("SMALLINT", i16::from(small).into());
            check("INT", int.into());
            check("BIGINT", long.into());
            check("FLOAT", single.into());
            check("DOUBLE", double.into());
            check("BOOLEAN", truth.into());
            check("STRING", text.into());
            check("BYTES", bytes.into());
            check("DATE", Datum::Date(int));
            check("TIME(3)", Datum::Time(int.rem_euclid(86_400_000)));
            let moment = Timestamp::new(millis, nanos).unwrap();
            check("TIMESTAMP(9)", Datum::Timestamp(moment));
            check("TIMESTAMP_LTZ(9)", Datum::TimestampLtz(moment));
        }
    }

    #[test]
    fn other_texts_have_no_value() {
        for (data_type, text) in [
            ("INT", "+1"),
            ("INT", "x"),
            ("BYTES", "abc"),
            ("BYTES", "éé"),
            ("DATE", "2024-02-30"),
            ("DATE", "2024-1-1"),
            ("DATE", "9223372036854775807-12-31"),
            ("TIME(3)", "24-00-00_000"),
            ("TIMESTAMP(9)", "00-00-00_"),
            ("DECIMAL(3,1)", "1_0"),
        ] {
            assert_eq!(
                parse(&data_type.parse().unwrap(), text),
                None,
                "{data_type} {text}"
            );
        }
    }
}

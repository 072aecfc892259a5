//! Times of day, dates with times, and instants.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, Time32MillisecondArray, Time32SecondArray,
    Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Date64Type, Int64Type, Time64NanosecondType,
    TimeUnit,
};
use fluss_client::types::{DataType, Kind};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cast::cast;
use super::misfit::{Fitted, Misfit, misfit, too_many_digits, unlike};

const SECONDS_A_DAY: i64 = 86_400;
const NANOS_A_DAY: i64 = SECONDS_A_DAY * 1_000_000_000;

/// A date and time, or an instant: the seconds since 1970, and the nanoseconds of the second.
type Moment = (i64, u32);

/// How many of a unit there are in a second.
const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// How many digits of the second a column has.
const fn precision(data_type: &DataType) -> u8 {
    match data_type.kind() {
        Kind::Timestamp(precision) | Kind::TimestampLtz(precision) => *precision,
        // Servers keep milliseconds, whatever the precision.
        Kind::Time(precision) => {
            if *precision > 3 {
                3
            } else {
                *precision
            }
        }
        _ => 9,
    }
}

/// Whether the nanoseconds of a second have no more digits than a column.
const fn has_digits(nanos: u32, precision: u8) -> bool {
    let unused = 9_u32.saturating_sub(precision as u32);
    nanos.is_multiple_of(10_u32.pow(unused))
}

/// Times of day.
pub(super) fn times(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let nanos = match array.data_type() {
        ArrowType::Time32(_) | ArrowType::Time64(_) | ArrowType::Utf8 => {
            cast(array, data_type, &ArrowType::Time64(TimeUnit::Nanosecond))?
        }
        _ => return Err(unlike(array, data_type)),
    };
    let nanos = nanos.as_primitive::<Time64NanosecondType>();
    let digits = precision(data_type);
    for row in (0..nanos.len()).filter(|row| nanos.is_valid(*row)) {
        let nanos = nanos.value(row);
        if !(0..NANOS_A_DAY).contains(&nanos) {
            return Err(misfit(array, row, data_type));
        }
        if !has_digits((nanos % 1_000_000_000) as u32, digits) {
            return Err(too_many_digits(array, row, data_type));
        }
    }
    Ok(match wire {
        ArrowType::Time32(TimeUnit::Second) => {
            let seconds: Time32SecondArray = nanos.unary(|nanos| (nanos / 1_000_000_000) as i32);
            Arc::new(seconds)
        }
        ArrowType::Time32(_) => {
            let millis: Time32MillisecondArray = nanos.unary(|nanos| (nanos / 1_000_000) as i32);
            Arc::new(millis)
        }
        ArrowType::Time64(TimeUnit::Microsecond) => {
            let micros: Time64MicrosecondArray = nanos.unary(|nanos| nanos / 1_000);
            Arc::new(micros)
        }
        _ => {
            let same: Time64NanosecondArray = nanos.clone();
            Arc::new(same)
        }
    })
}

/// Dates with times, or instants.
pub(super) fn timestamps(
    array: &ArrayRef,
    data_type: &DataType,
    wire: &ArrowType,
    is_instant: bool,
) -> Fitted {
    let (given, digits) = (array.data_type(), precision(data_type));
    if given == wire && matches!(digits, 0 | 3 | 6 | 9) {
        return Ok(array.clone());
    }
    let zone = TimeZone::system();
    let numbers = match given {
        ArrowType::Timestamp(..) => Some(counts(array)?),
        _ => None,
    };
    let read = |row: usize| -> Fitted<Moment> {
        let (moment, has_zone) = match given {
            ArrowType::Utf8 => {
                let text = array.as_string::<i32>().value(row);
                parse(text).ok_or_else(|| misfit(array, row, data_type))?
            }
            ArrowType::Date32 => {
                let days = i64::from(array.as_primitive::<Date32Type>().value(row));
                ((days * SECONDS_A_DAY, 0), false)
            }
            ArrowType::Date64 => (split(array.as_primitive::<Date64Type>().value(row), 1_000), false),
            ArrowType::Timestamp(unit, has_zone) => {
                let count = numbers.as_ref().map_or(0, |numbers| numbers.value(row));
                (split(count, per_second(*unit)), has_zone.is_some())
            }
            _ => return Err(unlike(array, data_type)),
        };
        let moved = match (has_zone, is_instant) {
            (true, false) => to_local(moment, &zone),
            (false, true) => to_instant(moment, &zone),
            _ => Some(moment),
        };
        moved.ok_or_else(|| misfit(array, row, data_type))
    };
    let ArrowType::Timestamp(unit, _) = wire else {
        return Err(unlike(array, data_type));
    };
    let mut fitted: Vec<Option<i64>> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            fitted.push(None);
            continue;
        }
        let (seconds, nanos) = read(row)?;
        if !has_digits(nanos, digits) {
            return Err(too_many_digits(array, row, data_type));
        }
        let count = joined(seconds, nanos, *unit).ok_or_else(|| misfit(array, row, data_type))?;
        fitted.push(Some(count));
    }
    let utc = is_instant.then(|| "UTC".into());
    Ok(match unit {
        TimeUnit::Second => Arc::new(TimestampSecondArray::from(fitted).with_timezone_opt::<Arc<str>>(utc)),
        TimeUnit::Millisecond => {
            Arc::new(TimestampMillisecondArray::from(fitted).with_timezone_opt::<Arc<str>>(utc))
        }
        TimeUnit::Microsecond => {
            Arc::new(TimestampMicrosecondArray::from(fitted).with_timezone_opt::<Arc<str>>(utc))
        }
        TimeUnit::Nanosecond => {
            Arc::new(TimestampNanosecondArray::from(fitted).with_timezone_opt::<Arc<str>>(utc))
        }
    })
}

/// The numbers that timestamps are.
fn counts(array: &ArrayRef) -> Fitted<PrimitiveArray<Int64Type>> {
    let options = CastOptions::default();
    let counts = cast_with_options(array, &Int64Type::DATA_TYPE, &options);
    let counts = counts.map_err(|error| Misfit::at(0, error.to_string()))?;
    Ok(counts.as_primitive::<Int64Type>().clone())
}

const fn split(count: i64, per_second: i64) -> Moment {
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    (count.div_euclid(per_second), nanos as u32)
}

fn joined(seconds: i64, nanos: u32, unit: TimeUnit) -> Option<i64> {
    let per_second = per_second(unit);
    let part = i64::from(nanos) / (1_000_000_000 / per_second);
    seconds.checked_mul(per_second)?.checked_add(part)
}

/// A date with a time, or a date; and whether it has a zone.
fn parse(text: &str) -> Option<(Moment, bool)> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some((of_instant(instant), true));
    }
    if let Ok(naive) = text.parse::<DateTime>() {
        return Some((of_civil(naive), false));
    }
    // The last day of the year 9999 is no instant of the parser above.
    let naive: DateTime = text.strip_suffix(['Z', 'z'])?.parse().ok()?;
    Some((of_civil(naive), true))
}

/// A date with a time, as if it were UTC.
fn of_civil(naive: DateTime) -> Moment {
    let since = naive.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    if nanos < 0 {
        (seconds - 1, (nanos + 1_000_000_000) as u32)
    } else {
        (seconds, nanos as u32)
    }
}

fn of_instant(instant: Timestamp) -> Moment {
    let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
    if nanos < 0 {
        (seconds - 1, (nanos + 1_000_000_000) as u32)
    } else {
        (seconds, nanos as u32)
    }
}

fn timestamp((seconds, nanos): Moment) -> Option<Timestamp> {
    Timestamp::from_duration(SignedDuration::new(seconds, nanos as i32)).ok()
}

/// What clocks show at an instant, as if it were UTC.
fn to_local(moment: Moment, zone: &TimeZone) -> Option<Moment> {
    let shown = zone.to_datetime(timestamp(moment)?);
    Some(of_instant(shown.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

/// When clocks show this.
fn to_instant(moment: Moment, zone: &TimeZone) -> Option<Moment> {
    let shown = TimeZone::UTC.to_datetime(timestamp(moment)?);
    Some(of_instant(zone.to_timestamp(shown).ok()?))
}

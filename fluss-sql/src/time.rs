//! Dates with times and instants, and what clocks show here. What has no zone is local time.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Date64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// The zone of instants in columns.
pub(crate) const UTC: &str = "UTC";

const SECONDS_A_DAY: i64 = 86_400;

/// A date and time, or an instant: the seconds since 1970, and the nanoseconds of the second.
pub(crate) type Moment = (i64, u32);

/// Texts, dates or timestamps as moments.
pub(crate) enum Moments<'a> {
    Texts(&'a ArrayRef),
    Days(&'a PrimitiveArray<Date32Type>),
    DayMillis(&'a PrimitiveArray<Date64Type>),
    /// Numbers of a unit, with or without zone.
    Counts(PrimitiveArray<Int64Type>, TimeUnit, bool),
}

impl<'a> Moments<'a> {
    /// The moments of an array; nothing if its type names none.
    pub(crate) fn of(array: &'a ArrayRef) -> Result<Option<Self>, ArrowError> {
        Ok(Some(match array.data_type() {
            DataType::Utf8 => Self::Texts(array),
            DataType::Date32 => Self::Days(array.as_primitive()),
            DataType::Date64 => Self::DayMillis(array.as_primitive()),
            DataType::Timestamp(unit, zone) => {
                let counts = cast(array, &Int64Type::DATA_TYPE)?;
                Self::Counts(counts.as_primitive().clone(), *unit, zone.is_some())
            }
            _ => return Ok(None),
        }))
    }

    /// The moment of a row that is not null, as an instant or as what clocks show in a zone; nothing where there is none.
    pub(crate) fn get(&self, row: usize, is_instant: bool, zone: &TimeZone) -> Option<Moment> {
        let (moment, has_zone) = match self {
            Self::Texts(texts) => parse(texts.as_string::<i32>().value(row))?,
            Self::Days(days) => ((i64::from(days.value(row)) * SECONDS_A_DAY, 0), false),
            Self::DayMillis(millis) => (split(millis.value(row), 1_000), false),
            Self::Counts(counts, unit, has_zone) => (split(counts.value(row), per_second(*unit)), *has_zone),
        };
        match (has_zone, is_instant) {
            (true, false) => to_local(moment, zone),
            (false, true) => to_instant(moment, zone),
            _ => Some(moment),
        }
    }
}

/// Moments as numbers of a unit, in a column of instants or of times without zone.
pub(crate) fn column(counts: Vec<Option<i64>>, unit: TimeUnit, is_instant: bool) -> ArrayRef {
    let zone: Option<Arc<str>> = is_instant.then(|| UTC.into());
    match unit {
        TimeUnit::Second => Arc::new(TimestampSecondArray::from(counts).with_timezone_opt(zone)),
        TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::from(counts).with_timezone_opt(zone)),
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::from(counts).with_timezone_opt(zone)),
        TimeUnit::Nanosecond => Arc::new(TimestampNanosecondArray::from(counts).with_timezone_opt(zone)),
    }
}

/// A moment as a number of a unit, rounded down; nothing where that is too far from 1970.
pub(crate) fn joined((seconds, nanos): Moment, unit: TimeUnit) -> Option<i64> {
    let per_second = per_second(unit);
    let part = i64::from(nanos) / (1_000_000_000 / per_second);
    seconds.checked_mul(per_second)?.checked_add(part)
}

/// How many of a unit there are in a second.
const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

const fn split(count: i64, per_second: i64) -> Moment {
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    (count.div_euclid(per_second), nanos as u32)
}

/// The instant that a text names, in milliseconds since 1970.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let (moment, has_zone) = parse(text)?;
    let instant = if has_zone {
        Some(moment)
    } else {
        to_instant(moment, &TimeZone::system())
    };
    joined(instant?, TimeUnit::Millisecond)
}

/// A date with a time, or a date; and whether it has a zone.
fn parse(text: &str) -> Option<(Moment, bool)> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some((of_instant(instant), true));
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Some((of_instant(zoned.timestamp()), true));
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

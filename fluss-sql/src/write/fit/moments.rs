//! Times of day, dates with times, and instants.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray,
    Time64NanosecondArray,
};
use arrow::datatypes::{DataType as ArrowType, Time64NanosecondType, TimeUnit};
use fluss_client::types::{DataType, Kind};
use jiff::tz::TimeZone;

use super::cast::cast;
use super::misfit::{Fitted, Misfit, misfit, too_many_digits, unlike};
use crate::time::{self, Moments};

const NANOS_A_DAY: i64 = 86_400 * 1_000_000_000;

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
    let digits = precision(data_type);
    if array.data_type() == wire && matches!(digits, 0 | 3 | 6 | 9) {
        return Ok(array.clone());
    }
    let moments = Moments::of(array).map_err(|error| Misfit::at(0, error.to_string()))?;
    let (Some(moments), ArrowType::Timestamp(unit, _)) = (moments, wire) else {
        return Err(unlike(array, data_type));
    };
    let zone = TimeZone::system();
    let mut fitted: Vec<Option<i64>> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            fitted.push(None);
            continue;
        }
        let moment = moments.get(row, is_instant, &zone);
        let moment = moment.ok_or_else(|| misfit(array, row, data_type))?;
        if !has_digits(moment.1, digits) {
            return Err(too_many_digits(array, row, data_type));
        }
        let count = time::joined(moment, *unit).ok_or_else(|| misfit(array, row, data_type))?;
        fitted.push(Some(count));
    }
    Ok(time::column(fitted, *unit, is_instant))
}

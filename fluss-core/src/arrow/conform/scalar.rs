//! Values that are not nested: converted if nothing is lost, and checked.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayAccessor, ArrayRef, AsArray, FixedSizeBinaryBuilder, PrimitiveArray, StringBuilder,
    make_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowNumericType, ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type,
    Int32Type, Int64Type, TimeUnit,
};

use super::super::column::{last_of_day, outside};
use super::super::schema::retag;
use super::{Fitted, Misfit};
use crate::types::{DataType, Decimal, Kind};

/// The values of an array that is plain: in no dictionary, no runs.
pub(super) fn fit(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let given = array.data_type();
    match data_type.kind() {
        Kind::Char(_) | Kind::String if is_text(given) => {
            fit_text(&converted(array, wire, data_type)?, data_type)
        }
        Kind::Binary(length) if is_bytes(given) => fit_binary(array, *length, data_type, wire),
        Kind::Time(_) if matches!(given, ArrowType::Time32(_) | ArrowType::Time64(_)) => {
            check_day(array)?;
            exact(array, wire, data_type)
        }
        Kind::Timestamp(_) | Kind::TimestampLtz(_) if matches!(given, ArrowType::Timestamp(..)) => {
            fit_moment(array, data_type, wire)
        }
        // Integers that do not fit are found by the conversion itself.
        _ if given.is_integer() && wire.is_integer() => converted(array, wire, data_type),
        Kind::Float if given.is_floating() => fit_float(array, data_type, wire),
        _ if is_kin(given, wire) => exact(array, wire, data_type),
        _ => Err(Misfit::column(format!(
            "Arrow's {given} does not fit {data_type}"
        ))),
    }
}

pub(in crate::arrow) const fn is_text(given: &ArrowType) -> bool {
    matches!(
        given,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View
    )
}

const fn is_bytes(given: &ArrowType) -> bool {
    matches!(
        given,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_)
    )
}

/// Whether values of one type can be values of the other.
fn is_kin(given: &ArrowType, wire: &ArrowType) -> bool {
    let is_date = |t: &ArrowType| matches!(t, ArrowType::Date32 | ArrowType::Date64);
    let is_number = |t: &ArrowType| t.is_integer() || t.is_floating();
    match wire {
        ArrowType::Binary => is_bytes(given),
        ArrowType::Decimal128(..) => given.is_decimal() || given.is_integer(),
        ArrowType::Float32 | ArrowType::Float64 => is_number(given),
        ArrowType::Date32 => is_date(given),
        wire => given == wire,
    }
}

/// The values as another type. One that does not fit is an error that names its row.
pub(in crate::arrow) fn converted(array: &ArrayRef, wire: &ArrowType, data_type: &impl Display) -> Fitted {
    if array.data_type() == wire {
        return Ok(array.clone());
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let mismatch = |_| Misfit::column(format!("Arrow's {} does not fit {data_type}", array.data_type()));
    let converted = cast_with_options(array, wire, &options).map_err(mismatch)?;
    let lost = (0..array.len()).find(|row| converted.is_null(*row) && array.is_valid(*row));
    match lost.filter(|_| converted.null_count() > array.null_count()) {
        Some(row) => Err(Misfit::at(row, format!("does not fit {data_type}"))),
        None => Ok(converted),
    }
}

/// The values as another type, from which they can be had back.
fn exact(array: &ArrayRef, wire: &ArrowType, data_type: &DataType) -> Fitted {
    let fitted = converted(array, wire, data_type)?;
    if array.data_type() != wire {
        check_exact(array, &fitted, data_type)?;
    }
    check_digits(&fitted, data_type)?;
    Ok(fitted)
}

/// Compares what was converted with what it was converted from.
pub(in crate::arrow) fn check_exact(
    given: &ArrayRef,
    fitted: &ArrayRef,
    data_type: &impl Display,
) -> Result<(), Misfit> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let back = cast_with_options(fitted, given.data_type(), &options).map_err(Misfit::arrow)?;
    if back.to_data() == given.to_data() {
        return Ok(());
    }
    let differs = |row: &usize| back.slice(*row, 1).to_data() != given.slice(*row, 1).to_data();
    // A NaN differs from itself, and is none the less exact.
    let nan = |row: &usize| given.data_type().is_floating() && is_nan(given, *row);
    match (0..given.len()).find(|row| differs(row) && !nan(row)) {
        Some(row) => Err(Misfit::at(row, format!("has more digits than {data_type}"))),
        None => Ok(()),
    }
}

fn is_nan(array: &ArrayRef, row: usize) -> bool {
    array.is_valid(row)
        && arrow::compute::cast(&array.slice(row, 1), &ArrowType::Float64)
            .is_ok_and(|value| value.as_primitive::<Float64Type>().value(0).is_nan())
}

/// The FLOAT that is nearest to each number, unless that is infinite or 0 where the number is not: as of a row.
fn fit_float(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let Some(doubles) = array.as_primitive_opt::<Float64Type>() else {
        return converted(array, wire, data_type);
    };
    let narrow: PrimitiveArray<Float32Type> = doubles.unary(|number| number as f32);
    let is_lost = |row: &usize| {
        let (double, narrow) = (doubles.value(*row), narrow.value(*row));
        array.is_valid(*row)
            && (narrow.is_infinite() != double.is_infinite() || (narrow == 0.0) != (double == 0.0))
    };
    match (0..array.len()).find(is_lost) {
        Some(row) => Err(Misfit::at(row, format!("does not fit {data_type}"))),
        None => Ok(Arc::new(narrow)),
    }
}

/// Text that is UTF-8, which nobody has checked of what came through Arrow's C interface, and as long as its column takes.
fn fit_text(array: &ArrayRef, data_type: &DataType) -> Fitted {
    let texts = array.as_string::<i32>();
    let bytes = |row: usize| {
        let offsets = texts.value_offsets();
        let place = |index: usize| offsets.get(index).map_or(0, |offset| *offset as usize);
        texts
            .value_data()
            .get(place(row)..place(row + 1))
            .unwrap_or_default()
    };
    let fitted = if is_valid_text(texts.value_data(), texts.value_offsets()) {
        array.clone()
    } else {
        // What no row shows may be anything, but is not sent.
        let mut fitted = StringBuilder::new();
        for row in 0..texts.len() {
            let text = texts
                .is_valid(row)
                .then(|| std::str::from_utf8(bytes(row)))
                .transpose();
            fitted.append_option(text.map_err(|_| Misfit::at(row, "is not UTF-8"))?);
        }
        Arc::new(fitted.finish())
    };
    if let Kind::Char(length) = data_type.kind() {
        let texts = fitted.as_string::<i32>();
        let is_long = |row: &usize| texts.is_valid(*row) && is_longer(texts.value(*row), *length as usize);
        if let Some(row) = (0..texts.len()).find(is_long) {
            return Err(Misfit::at(row, format!("is longer than {data_type}")));
        }
    }
    Ok(fitted)
}

/// Whether all texts between these offsets are UTF-8.
fn is_valid_text(data: &[u8], offsets: &[i32]) -> bool {
    let (first, last) = (offsets.first().copied(), offsets.last().copied());
    let range = first.unwrap_or_default() as usize..last.unwrap_or_default() as usize;
    let Some(Ok(text)) = data.get(range.clone()).map(std::str::from_utf8) else {
        return false;
    };
    // Of characters of several bytes none may be cut in two.
    text.is_ascii()
        || offsets
            .iter()
            .all(|offset| text.is_char_boundary(*offset as usize - range.start))
}

fn is_longer(text: &str, length: usize) -> bool {
    text.len() > length && text.chars().count() > length
}

/// Bytes of the length of their column.
fn fit_binary(array: &ArrayRef, length: u32, data_type: &DataType, wire: &ArrowType) -> Fitted {
    match array.data_type() {
        given if given == wire => Ok(array.clone()),
        ArrowType::FixedSizeBinary(_) => of_length(&array.as_fixed_size_binary(), length, data_type),
        ArrowType::Binary => of_length(&array.as_binary::<i32>(), length, data_type),
        ArrowType::LargeBinary => of_length(&array.as_binary::<i64>(), length, data_type),
        _ => of_length(&array.as_binary_view(), length, data_type),
    }
}

fn of_length<'a>(array: &impl ArrayAccessor<Item = &'a [u8]>, length: u32, data_type: &DataType) -> Fitted {
    let width = i32::try_from(length).unwrap_or(i32::MAX);
    let mut fitted = FixedSizeBinaryBuilder::with_capacity(array.len(), width);
    for row in 0..array.len() {
        if array.is_null(row) {
            fitted.append_null();
            continue;
        }
        let bytes = array.value(row);
        let wrong = |_| {
            Misfit::at(
                row,
                format!("has {} bytes, {data_type} takes exactly {length}", bytes.len()),
            )
        };
        fitted.append_value(bytes).map_err(wrong)?;
    }
    Ok(Arc::new(fitted.finish()))
}

/// Moments of a column with a zone if it is an instant, and only then.
fn fit_moment(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let given = array.data_type();
    let (is_instant, ArrowType::Timestamp(unit, zone)) =
        (matches!(data_type.kind(), Kind::TimestampLtz(_)), given)
    else {
        return Err(Misfit::column(format!(
            "Arrow's {given} does not fit {data_type}"
        )));
    };
    if zone.is_some() != is_instant {
        return Err(Misfit::column(format!(
            "Arrow's {given} does not fit {data_type}; a time with a zone goes into TIMESTAMP_LTZ, one without into TIMESTAMP"
        )));
    }
    // A zone does not change the instant that is stored.
    let array = retag(array.to_data(), &ArrowType::Timestamp(*unit, None)).map(make_array);
    let fitted = exact(&array.map_err(Misfit::arrow)?, wire, data_type)?;
    if *fitted.data_type() == ArrowType::Timestamp(TimeUnit::Second, None) {
        // Rows count milliseconds.
        let limit = i64::MAX / 1_000;
        let reason = format!("is too far from 1970 for {data_type}");
        check_range::<arrow::datatypes::TimestampSecondType>(&fitted, -limit..=limit, &reason)?;
    }
    Ok(fitted)
}

/// Times are within a day.
fn check_day(array: &ArrayRef) -> Result<(), Misfit> {
    use arrow::datatypes::{
        Time32MillisecondType as Millis, Time32SecondType as Seconds, Time64MicrosecondType as Micros,
        Time64NanosecondType as Nanos,
    };
    let reason = "is not a time of day";
    match array.data_type() {
        ArrowType::Time32(TimeUnit::Second) => {
            check_range::<Seconds>(array, 0..=last_of_day(TimeUnit::Second) as i32, reason)
        }
        ArrowType::Time32(_) => {
            check_range::<Millis>(array, 0..=last_of_day(TimeUnit::Millisecond) as i32, reason)
        }
        ArrowType::Time64(TimeUnit::Microsecond) => {
            check_range::<Micros>(array, 0..=last_of_day(TimeUnit::Microsecond), reason)
        }
        _ => check_range::<Nanos>(array, 0..=last_of_day(TimeUnit::Nanosecond), reason),
    }
}

fn check_range<T>(
    array: &ArrayRef,
    range: std::ops::RangeInclusive<T::Native>,
    reason: &str,
) -> Result<(), Misfit>
where
    T: ArrowNumericType<Native: Ord>,
{
    let values = array.as_primitive::<T>();
    match outside(values, &range) {
        Some(row) => Err(Misfit::at(row, reason)),
        None => Ok(()),
    }
}

/// Digits of the second that the column does not have: its unit may have more than its precision.
fn check_digits(array: &ArrayRef, data_type: &DataType) -> Result<(), Misfit> {
    let (precision, held) = match (data_type.kind(), array.data_type()) {
        (Kind::Timestamp(precision) | Kind::TimestampLtz(precision), ArrowType::Timestamp(unit, _)) => {
            (*precision, digits(*unit))
        }
        (Kind::Time(precision), ArrowType::Time32(unit) | ArrowType::Time64(unit)) => {
            ((*precision).min(3), digits(*unit))
        }
        (Kind::Decimal { precision, .. }, ArrowType::Decimal128(..)) => {
            return check_decimal(array, *precision, data_type);
        }
        _ => return Ok(()),
    };
    if precision >= held {
        return Ok(());
    }
    let step = 10_i64.pow(u32::from(held - precision));
    let odd = match array.data_type() {
        ArrowType::Time32(_) => {
            let numbers = counts::<Int32Type>(array)?;
            first(&numbers, |number| i64::from(number) % step != 0)
        }
        _ => first(&counts::<Int64Type>(array)?, |number| number % step != 0),
    };
    match odd {
        Some(row) => Err(Misfit::at(row, format!("has more digits than {data_type}"))),
        None => Ok(()),
    }
}

/// The numbers that times are stored as.
fn counts<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<PrimitiveArray<T>, Misfit> {
    let numbers = retag(array.to_data(), &T::DATA_TYPE).map_err(Misfit::arrow)?;
    Ok(PrimitiveArray::from(numbers))
}

fn first<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    is_wrong: impl Fn(T::Native) -> bool,
) -> Option<usize> {
    values.iter().position(|value| value.is_some_and(&is_wrong))
}

const fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn check_decimal(array: &ArrayRef, precision: u8, data_type: &DataType) -> Result<(), Misfit> {
    let values = array.as_primitive::<Decimal128Type>();
    match first(values, |value| !Decimal::new(value, 0).fits(precision)) {
        Some(row) => Err(Misfit::at(row, format!("does not fit {data_type}"))),
        None => Ok(()),
    }
}

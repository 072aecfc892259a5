//! Values that are not nested.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeBinaryBuilder, Float64Array, StringBuilder,
};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use fluss_client::types::{DataType, Kind};

use super::cast::{cast, exact};
use super::misfit::{Fitted, Misfit, misfit, shown, too_many_digits, unlike};
use super::moments;

/// The values as a type that is not nested has them. They are in no dictionary, no runs and no views.
pub(super) fn fit(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let given = array.data_type();
    match data_type.kind() {
        Kind::Boolean => match given {
            ArrowType::Boolean => Ok(array.clone()),
            ArrowType::Utf8 => cast(array, data_type, wire),
            _ => Err(unlike(array, data_type)),
        },
        Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt => match given {
            ArrowType::Utf8 => cast(array, data_type, wire),
            _ if given.is_integer() => cast(array, data_type, wire),
            _ if given.is_numeric() => exact(array, data_type, wire),
            _ => Err(unlike(array, data_type)),
        },
        Kind::Float | Kind::Double => floats(array, data_type, wire),
        Kind::Decimal { scale, .. } => match given {
            ArrowType::Utf8 => {
                check_fraction(array, *scale, data_type)?;
                cast(array, data_type, wire)
            }
            _ if given == wire => Ok(array.clone()),
            _ if given.is_floating() => {
                let texts = written_out(array, data_type)?;
                check_fraction(&texts, *scale, data_type)?;
                cast(&texts, data_type, wire)
            }
            _ if given.is_numeric() => exact(array, data_type, wire),
            _ => Err(unlike(array, data_type)),
        },
        Kind::Char(_) | Kind::String => match given {
            ArrowType::Utf8 => check_length(array, data_type).map(|()| array.clone()),
            _ => Err(unlike(array, data_type)),
        },
        Kind::Binary(length) => binary(array, data_type, *length),
        Kind::Bytes => bytes(array, data_type),
        Kind::Date => match given {
            ArrowType::Date32 => Ok(array.clone()),
            ArrowType::Utf8 => cast(array, data_type, wire),
            ArrowType::Date64 | ArrowType::Timestamp(_, None) => exact(array, data_type, wire),
            _ => Err(unlike(array, data_type)),
        },
        Kind::Time(_) => moments::times(array, data_type, wire),
        Kind::Timestamp(_) => moments::timestamps(array, data_type, wire, false),
        Kind::TimestampLtz(_) => moments::timestamps(array, data_type, wire, true),
        _ => Err(unlike(array, data_type)),
    }
}

/// Integers that are exact, and the nearest numbers to others.
fn floats(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let given = array.data_type();
    if given.is_integer() {
        return exact(array, data_type, wire);
    }
    let numbers = match given {
        ArrowType::Utf8 | ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => array.clone(),
        // By way of their text: dividing by a power of ten would round twice.
        _ if given.is_decimal() => cast(array, data_type, &ArrowType::Utf8)?,
        _ => return Err(unlike(array, data_type)),
    };
    let doubles = cast(&numbers, data_type, &ArrowType::Float64)?;
    if *wire == ArrowType::Float64 {
        return Ok(doubles);
    }
    let narrow = cast(&doubles, data_type, wire)?;
    let again = cast(&narrow, data_type, &ArrowType::Float64)?;
    let (doubles, again): (&Float64Array, &Float64Array) = (
        doubles.as_primitive::<Float64Type>(),
        again.as_primitive::<Float64Type>(),
    );
    let is_lost = |row: &usize| {
        let (double, narrow) = (doubles.value(*row), again.value(*row));
        doubles.is_valid(*row)
            && (double.is_infinite() != narrow.is_infinite() || (double == 0.0) != (narrow == 0.0))
    };
    match (0..array.len()).find(is_lost) {
        Some(row) => Err(misfit(array, row, data_type)),
        None => Ok(narrow),
    }
}

/// The shortest texts that are these numbers and no others, without exponents.
fn written_out(array: &ArrayRef, data_type: &DataType) -> Fitted {
    let singles = array.as_primitive_opt::<Float32Type>();
    let doubles = cast(array, data_type, &ArrowType::Float64)?;
    let doubles = doubles.as_primitive::<Float64Type>();
    let mut texts = StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        if !doubles.value(row).is_finite() {
            return Err(misfit(array, row, data_type));
        }
        texts.append_value(match singles {
            Some(singles) => singles.value(row).to_string(),
            None => doubles.value(row).to_string(),
        });
    }
    Ok(Arc::new(texts.finish()))
}

/// Refuses text of numbers with more digits behind the point than the column has.
fn check_fraction(array: &ArrayRef, scale: u8, data_type: &DataType) -> Fitted<()> {
    let texts = array.as_string::<i32>();
    let is_longer = |row: &usize| {
        let text = if texts.is_valid(*row) {
            texts.value(*row)
        } else {
            ""
        };
        let fraction = text.trim().split_once('.').map_or("", |(_, fraction)| fraction);
        fraction.trim_end_matches('0').len() > usize::from(scale)
    };
    match (0..texts.len()).find(is_longer) {
        Some(row) => Err(too_many_digits(array, row, data_type)),
        None => Ok(()),
    }
}

fn check_length(array: &ArrayRef, data_type: &DataType) -> Fitted<()> {
    let Kind::Char(length) = data_type.kind() else {
        return Ok(());
    };
    let (texts, length) = (array.as_string::<i32>(), *length as usize);
    let is_longer = |row: &usize| {
        texts.is_valid(*row) && texts.value(*row).len() > length && texts.value(*row).chars().count() > length
    };
    match (0..texts.len()).find(is_longer) {
        Some(row) => Err(Misfit::at(
            row,
            format!("{} is longer than {}", shown(array, row), data_type.kind()),
        )),
        None => Ok(()),
    }
}

/// The bytes of a value; those of text are its UTF-8.
fn bytes_at(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        ArrowType::Utf8 => Some(array.as_string::<i32>().value(row).as_bytes()),
        ArrowType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => Some(array.as_binary::<i32>().value(row)),
    }
}

const fn has_bytes(given: &ArrowType) -> bool {
    matches!(
        given,
        ArrowType::Utf8 | ArrowType::Binary | ArrowType::FixedSizeBinary(_)
    )
}

fn bytes(array: &ArrayRef, data_type: &DataType) -> Fitted {
    if *array.data_type() == ArrowType::Binary {
        return Ok(array.clone());
    }
    if !has_bytes(array.data_type()) {
        return Err(unlike(array, data_type));
    }
    let mut fitted = BinaryBuilder::new();
    for row in 0..array.len() {
        fitted.append_option(bytes_at(array, row));
    }
    Ok(Arc::new(fitted.finish()))
}

fn binary(array: &ArrayRef, data_type: &DataType, length: u32) -> Fitted {
    if !has_bytes(array.data_type()) {
        return Err(unlike(array, data_type));
    }
    let width = i32::try_from(length).unwrap_or(i32::MAX);
    let mut fitted = FixedSizeBinaryBuilder::with_capacity(array.len(), width);
    for row in 0..array.len() {
        let Some(bytes) = bytes_at(array, row) else {
            fitted.append_null();
            continue;
        };
        let wrong = |_| {
            let (shown, given) = (shown(array, row), bytes.len());
            Misfit::at(
                row,
                format!(
                    "{shown} has {given} bytes, and {} takes {length}",
                    data_type.kind()
                ),
            )
        };
        fitted.append_value(bytes).map_err(wrong)?;
    }
    Ok(Arc::new(fitted.finish()))
}

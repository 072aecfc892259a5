//! Values as another type.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType as ArrowType;
use fluss_client::types::DataType;

use super::misfit::{Fitted, Misfit, misfit, too_many_digits, unlike};

/// Values that are in no dictionary, no runs and no views.
pub(super) fn plain(array: &ArrayRef) -> Fitted {
    let to = match array.data_type() {
        ArrowType::Dictionary(_, value) => value.as_ref().clone(),
        ArrowType::RunEndEncoded(_, values) => values.data_type().clone(),
        ArrowType::Utf8View | ArrowType::LargeUtf8 => ArrowType::Utf8,
        ArrowType::BinaryView | ArrowType::LargeBinary => ArrowType::Binary,
        _ => return Ok(array.clone()),
    };
    let plainer = cast_with_options(array, &to, &CastOptions::default());
    plain(&plainer.map_err(|error| Misfit::at(0, error.to_string()))?)
}

/// The values as another type. One that cannot be is refused.
pub(super) fn cast(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    if array.data_type() == wire {
        return Ok(array.clone());
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let cast = cast_with_options(array, wire, &options).map_err(|_| unlike(array, data_type))?;
    if cast.null_count() > array.null_count() {
        let is_lost = |row: &usize| cast.is_null(*row) && array.is_valid(*row);
        let row = (0..array.len()).find(is_lost).unwrap_or_default();
        return Err(misfit(array, row, data_type));
    }
    Ok(cast)
}

/// The values as another type, from which they can be had back.
pub(super) fn exact(array: &ArrayRef, data_type: &DataType, wire: &ArrowType) -> Fitted {
    let fitted = cast(array, data_type, wire)?;
    if array.data_type() == wire {
        return Ok(fitted);
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let back = cast_with_options(&fitted, array.data_type(), &options);
    let same = back.and_then(|back| not_distinct(&back, array));
    let same = same.map_err(|_| unlike(array, data_type))?;
    match first_false(&same) {
        Some(row) => Err(too_many_digits(array, row, data_type)),
        None => Ok(fitted),
    }
}

fn first_false(flags: &BooleanArray) -> Option<usize> {
    (0..flags.len()).find(|row| !flags.value(*row))
}

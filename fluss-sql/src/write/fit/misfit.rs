//! Values that do not fit, and how they are told.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType as ArrowType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use fluss_client::types::DataType;

use crate::error::ErrorKind;

/// How much of a value an error shows.
const SHOWN_CHARS: usize = 60;

/// A value that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) row: usize,
    pub(super) reason: String,
    pub(super) kind: ErrorKind,
}

impl Misfit {
    pub(super) fn at(row: usize, reason: impl Into<String>) -> Self {
        Self {
            row,
            reason: reason.into(),
            kind: ErrorKind::Type,
        }
    }
}

pub(super) type Fitted<T = ArrayRef> = std::result::Result<T, Misfit>;

/// A value as an error shows it.
pub(super) fn shown(array: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let text = ArrayFormatter::try_new(array, &options).map(|values| values.value(row).to_string());
    let text = text.unwrap_or_default();
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    match array.data_type() {
        ArrowType::Utf8 => format!("'{short}'"),
        _ => short,
    }
}

/// That a value does not fit.
pub(super) fn misfit(array: &ArrayRef, row: usize, data_type: &DataType) -> Misfit {
    Misfit::at(
        row,
        format!("{} does not fit {}", shown(array, row), data_type.kind()),
    )
}

/// That a value has digits that the column has not.
pub(super) fn too_many_digits(array: &ArrayRef, row: usize, data_type: &DataType) -> Misfit {
    let reason = format!("{} has more digits than {}", shown(array, row), data_type.kind());
    Misfit::at(row, reason)
}

/// That values of this type are none of the column's.
pub(super) fn unlike(array: &ArrayRef, data_type: &DataType) -> Misfit {
    let row = (0..array.len())
        .find(|row| array.is_valid(*row))
        .unwrap_or_default();
    let given = array.data_type();
    let reason = format!(
        "{} is of type {given}, and the column is {}",
        shown(array, row),
        data_type.kind()
    );
    Misfit::at(row, reason)
}

//! Values of columns as Rust types.

use super::column::{Values, millis, moment};
use crate::types::{Decimal, Timestamp};

/// A value that is not null.
pub struct Cell<'a> {
    pub(super) values: &'a Values,
    pub(super) index: usize,
}

/// What [`ArrowRow::get`](super::ArrowRow::get) gives: the Rust types of columns.
pub trait ColumnValue<'a>: Sized + sealed::Of<'a> {}

impl<'a, T: sealed::Of<'a>> ColumnValue<'a> for T {}

mod sealed {
    pub trait Of<'a>: Sized {
        /// The value; nothing if the column is of another type.
        fn of(cell: super::Cell<'a>) -> Option<Self>;
    }
}

macro_rules! column_values {
    ($index:ident; $($type:ty: $($pattern:pat => $value:expr),+;)+) => {$(
        impl<'a> sealed::Of<'a> for $type {
            #[inline]
            fn of(cell: Cell<'a>) -> Option<Self> {
                let $index = cell.index;
                match cell.values {
                    $($pattern => Some($value),)+
                    _ => None,
                }
            }
        }
    )+};
}

column_values! { index;
    bool: Values::Boolean(array) => array.value(index);
    i8: Values::TinyInt(array) => array.value(index);
    i16: Values::SmallInt(array) => array.value(index);
    i32:
        Values::Int(array) => array.value(index),
        Values::Date(array) => array.value(index),
        Values::Time32(array, unit) => millis(array.value(index).into(), *unit),
        Values::Time64(array, unit) => millis(array.value(index), *unit);
    i64: Values::BigInt(array) => array.value(index);
    f32: Values::Float(array) => array.value(index);
    f64: Values::Double(array) => array.value(index);
    &'a str: Values::String(array) => array.value(index);
    &'a [u8]:
        Values::Bytes(array) => array.value(index),
        Values::Binary(array) => array.value(index);
    Decimal: Values::Decimal(array, scale) => Decimal::new(array.value(index), *scale);
    Timestamp:
        Values::Timestamp(array, unit) | Values::TimestampLtz(array, unit) => moment(array.value(index), *unit);
}

use std::borrow::Cow;

use super::{Decimal, Timestamp};

/// One value of a row, borrowed from it where it can be.
///
/// The variants are the physical values: CHAR and STRING are both [`Datum::String`], BINARY and BYTES both
/// [`Datum::Bytes`]. The schema says which type is meant.
#[derive(Clone, PartialEq, Debug)]
pub enum Datum<'a> {
    /// No value.
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// TINYINT.
    TinyInt(i8),
    /// SMALLINT.
    SmallInt(i16),
    /// INT.
    Int(i32),
    /// BIGINT.
    BigInt(i64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// CHAR or STRING.
    String(Cow<'a, str>),
    /// BINARY or BYTES.
    Bytes(Cow<'a, [u8]>),
    /// DECIMAL.
    Decimal(Decimal),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIME: milliseconds of the day, whatever the precision.
    Time(i32),
    /// TIMESTAMP.
    Timestamp(Timestamp),
    /// `TIMESTAMP_LTZ`.
    TimestampLtz(Timestamp),
    /// ARRAY: its elements.
    Array(Vec<Datum<'a>>),
    /// MAP: its entries, in stored order.
    Map(Vec<(Datum<'a>, Datum<'a>)>),
    /// ROW: its fields.
    Row(Vec<Datum<'a>>),
}

/// A row that owns its values.
pub type OwnedRow = Vec<Datum<'static>>;

/// Values by position: what writers take and scanners give.
pub trait Row {
    /// The number of values.
    fn len(&self) -> usize;

    /// The value at a position; [`Datum::Null`] beyond the last.
    fn datum(&self, index: usize) -> Datum<'_>;

    /// Whether there are no values.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy that owns its values.
    fn to_owned_row(&self) -> OwnedRow {
        (0..self.len())
            .map(|index| self.datum(index).into_owned())
            .collect()
    }
}

impl Row for [Datum<'_>] {
    fn len(&self) -> usize {
        self.len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        self.get(index).map_or(Datum::Null, Datum::borrowed)
    }
}

impl Row for Vec<Datum<'_>> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        self.as_slice().datum(index)
    }
}

impl<const N: usize> Row for [Datum<'_>; N] {
    fn len(&self) -> usize {
        N
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        self.as_slice().datum(index)
    }
}

impl<R: Row + ?Sized> Row for &R {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        (**self).datum(index)
    }
}

impl Datum<'_> {
    /// Whether this is null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// The same value, borrowed from this one.
    pub fn borrowed(&self) -> Datum<'_> {
        match self {
            Datum::String(text) => Datum::String(Cow::Borrowed(text)),
            Datum::Bytes(bytes) => Datum::Bytes(Cow::Borrowed(bytes)),
            Datum::Array(elements) => Datum::Array(elements.iter().map(Datum::borrowed).collect()),
            Datum::Row(fields) => Datum::Row(fields.iter().map(Datum::borrowed).collect()),
            Datum::Map(entries) => Datum::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.borrowed(), value.borrowed()))
                    .collect(),
            ),
            scalar => scalar.clone(),
        }
    }

    /// The same value, owning its bytes.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Datum::String(text) => Datum::String(Cow::Owned(text.into_owned())),
            Datum::Bytes(bytes) => Datum::Bytes(Cow::Owned(bytes.into_owned())),
            Datum::Array(elements) => Datum::Array(elements.into_iter().map(Datum::into_owned).collect()),
            Datum::Row(fields) => Datum::Row(fields.into_iter().map(Datum::into_owned).collect()),
            Datum::Map(entries) => Datum::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into_owned(), value.into_owned()))
                    .collect(),
            ),
            Datum::Null => Datum::Null,
            Datum::Boolean(value) => Datum::Boolean(value),
            Datum::TinyInt(value) => Datum::TinyInt(value),
            Datum::SmallInt(value) => Datum::SmallInt(value),
            Datum::Int(value) => Datum::Int(value),
            Datum::BigInt(value) => Datum::BigInt(value),
            Datum::Float(value) => Datum::Float(value),
            Datum::Double(value) => Datum::Double(value),
            Datum::Decimal(value) => Datum::Decimal(value),
            Datum::Date(value) => Datum::Date(value),
            Datum::Time(value) => Datum::Time(value),
            Datum::Timestamp(value) => Datum::Timestamp(value),
            Datum::TimestampLtz(value) => Datum::TimestampLtz(value),
        }
    }

    /// What the value is, in the words of the types; for messages.
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Datum::Null => "NULL",
            Datum::Boolean(_) => "BOOLEAN",
            Datum::TinyInt(_) => "TINYINT",
            Datum::SmallInt(_) => "SMALLINT",
            Datum::Int(_) => "INT",
            Datum::BigInt(_) => "BIGINT",
            Datum::Float(_) => "FLOAT",
            Datum::Double(_) => "DOUBLE",
            Datum::String(_) => "STRING",
            Datum::Bytes(_) => "BYTES",
            Datum::Decimal(_) => "DECIMAL",
            Datum::Date(_) => "DATE",
            Datum::Time(_) => "TIME",
            Datum::Timestamp(_) => "TIMESTAMP",
            Datum::TimestampLtz(_) => "TIMESTAMP_LTZ",
            Datum::Array(_) => "ARRAY",
            Datum::Map(_) => "MAP",
            Datum::Row(_) => "ROW",
        }
    }
}

macro_rules! datum_from {
    ($($source:ty => $variant:ident;)+) => {$(
        impl From<$source> for Datum<'_> {
            fn from(value: $source) -> Self {
                Datum::$variant(value)
            }
        }
    )+};
}

datum_from! {
    bool => Boolean;
    i8 => TinyInt;
    i16 => SmallInt;
    i32 => Int;
    i64 => BigInt;
    f32 => Float;
    f64 => Double;
    Decimal => Decimal;
    Timestamp => Timestamp;
}

impl<'a> From<&'a str> for Datum<'a> {
    fn from(value: &'a str) -> Self {
        Datum::String(Cow::Borrowed(value))
    }
}

impl From<String> for Datum<'_> {
    fn from(value: String) -> Self {
        Datum::String(Cow::Owned(value))
    }
}

impl<'a> From<&'a [u8]> for Datum<'a> {
    fn from(value: &'a [u8]) -> Self {
        Datum::Bytes(Cow::Borrowed(value))
    }
}

impl From<Vec<u8>> for Datum<'_> {
    fn from(value: Vec<u8>) -> Self {
        Datum::Bytes(Cow::Owned(value))
    }
}

impl<'a, T: Into<Datum<'a>>> From<Option<T>> for Datum<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Datum::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_is_small() {
        assert!(size_of::<Datum<'_>>() <= 32, "{} bytes", size_of::<Datum<'_>>());
    }

    #[test]
    fn a_row_is_null_beyond_its_end() {
        let row = [Datum::from(1), Datum::from("a")];
        assert_eq!(Row::len(&row), 2);
        assert_eq!(row.datum(1), Datum::from("a"));
        assert_eq!(row.datum(2), Datum::Null);
        assert_eq!(row.to_owned_row(), row);
    }
}

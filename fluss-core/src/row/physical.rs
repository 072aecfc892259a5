//! What a value is to a format: which bytes it has, whatever it means.

use std::borrow::Cow;

use crate::types::{DataType, Datum, Decimal, Kind, Timestamp};
use crate::{DecodeError, ValueError};

const VALUE: &str = "value";

/// The physical class of a type: the rows of the formats' tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// BOOLEAN, TINYINT.
    Byte,
    /// SMALLINT.
    Short,
    /// INT, DATE, TIME.
    Word,
    /// FLOAT.
    Float,
    /// BIGINT, decimals of at most 18 digits, timestamps of at most 3.
    Long,
    /// DOUBLE.
    Double,
    /// CHAR, STRING, BINARY, BYTES.
    Bytes,
    /// Decimals of more than 18 digits.
    Decimal,
    /// Timestamps of more than 3 digits.
    Moment,
    /// ARRAY, MAP, ROW.
    Nested,
}

impl Layout {
    pub(super) const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Boolean | Kind::TinyInt => Self::Byte,
            Kind::SmallInt => Self::Short,
            Kind::Int | Kind::Date | Kind::Time(_) => Self::Word,
            Kind::Float => Self::Float,
            Kind::Double => Self::Double,
            Kind::Char(_) | Kind::String | Kind::Binary(_) | Kind::Bytes => Self::Bytes,
            Kind::BigInt
            | Kind::Decimal { precision: ..=18, .. }
            | Kind::Timestamp(..=3)
            | Kind::TimestampLtz(..=3) => Self::Long,
            Kind::Decimal { .. } => Self::Decimal,
            Kind::Timestamp(_) | Kind::TimestampLtz(_) => Self::Moment,
            Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => Self::Nested,
        }
    }
}

/// The physical form of a value that is not null: one variant for each [`Layout`].
pub(super) enum Physical<'v> {
    Byte(u8),
    Short(i16),
    Word(i32),
    Float(f32),
    Long(i64),
    Double(f64),
    Bytes(&'v [u8]),
    Decimal(DecimalBytes),
    Moment(Timestamp),
    Nested,
}

impl<'v> Physical<'v> {
    /// The form of `datum` in a column of `data_type`; digits that a compact timestamp does not hold are dropped.
    pub(super) fn of(data_type: &DataType, datum: &'v Datum<'_>) -> Result<Self, ValueError> {
        Ok(match (data_type.kind(), datum) {
            (Kind::Boolean, Datum::Boolean(value)) => Self::Byte(u8::from(*value)),
            (Kind::TinyInt, Datum::TinyInt(value)) => Self::Byte(*value as u8),
            (Kind::SmallInt, Datum::SmallInt(value)) => Self::Short(*value),
            (Kind::Int, Datum::Int(value))
            | (Kind::Date, Datum::Date(value))
            | (Kind::Time(_), Datum::Time(value)) => Self::Word(*value),
            (Kind::BigInt, Datum::BigInt(value)) => Self::Long(*value),
            (Kind::Float, Datum::Float(value)) => Self::Float(*value),
            (Kind::Double, Datum::Double(value)) => Self::Double(*value),
            (Kind::Char(_) | Kind::String, Datum::String(text)) => Self::Bytes(text.as_bytes()),
            (Kind::Binary(_) | Kind::Bytes, Datum::Bytes(bytes)) => Self::Bytes(bytes),
            (Kind::Decimal { precision, scale }, Datum::Decimal(value)) => {
                Self::decimal(fit(*value, *precision, *scale)?, *precision)
            }
            (Kind::Timestamp(precision), Datum::Timestamp(moment))
            | (Kind::TimestampLtz(precision), Datum::TimestampLtz(moment)) => {
                Self::moment(*moment, *precision)
            }
            (Kind::Array(_), Datum::Array(_))
            | (Kind::Map(..), Datum::Map(_))
            | (Kind::Row(_), Datum::Row(_)) => Self::Nested,
            (kind, datum) => return Err(mismatch(kind, datum)),
        })
    }

    fn decimal(value: Decimal, precision: u8) -> Self {
        if precision <= 18 {
            Self::Long(value.unscaled() as i64)
        } else {
            Self::Decimal(DecimalBytes::new(value.unscaled()))
        }
    }

    const fn moment(moment: Timestamp, precision: u8) -> Self {
        if precision <= 3 {
            Self::Long(moment.millis())
        } else {
            Self::Moment(moment)
        }
    }
}

/// The complaint of a value of another type than its column.
pub(super) fn mismatch(kind: &Kind, datum: &Datum<'_>) -> ValueError {
    ValueError::row(format!("{kind} expected, {} given", datum.kind_name()))
}

/// The same number with the column's digits.
///
/// # Errors
/// The number has more digits than the column.
pub(super) fn fit(value: Decimal, precision: u8, scale: u8) -> Result<Decimal, ValueError> {
    let rescaled = if value.scale() == scale {
        Some(value)
    } else {
        value.rescale(scale)
    };
    rescaled
        .filter(|value| value.fits(precision))
        .ok_or_else(|| ValueError::row(format!("{value} does not fit DECIMAL({precision},{scale})")))
}

/// An unscaled decimal in the fewest bytes of its big-endian two's complement, at least one (`rows.md` §1).
pub(super) struct DecimalBytes {
    bytes: [u8; 16],
    start: usize,
}

impl DecimalBytes {
    pub(super) const fn new(unscaled: i128) -> Self {
        let sign_bits = if unscaled < 0 {
            unscaled.leading_ones()
        } else {
            unscaled.leading_zeros()
        };
        Self {
            bytes: unscaled.to_be_bytes(),
            start: (sign_bits as usize - 1) / 8,
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The value of a type of [`Layout::Byte`].
pub(super) fn byte(kind: &Kind, byte: u8) -> Result<Datum<'static>, DecodeError> {
    match (kind, byte) {
        (Kind::Boolean, 0 | 1) => Ok(Datum::Boolean(byte == 1)),
        (Kind::Boolean, _) => Err(DecodeError::new(VALUE, format!("{byte} as a BOOLEAN"))),
        _ => Ok(Datum::TinyInt(byte as i8)),
    }
}

/// The value of a type of [`Layout::Word`].
pub(super) const fn word(kind: &Kind, word: i32) -> Datum<'static> {
    match kind {
        Kind::Date => Datum::Date(word),
        Kind::Time(_) => Datum::Time(word),
        _ => Datum::Int(word),
    }
}

/// The value of a type of [`Layout::Long`].
pub(super) fn long(kind: &Kind, long: i64) -> Datum<'static> {
    match kind {
        Kind::Decimal { scale, .. } => Datum::Decimal(Decimal::new(i128::from(long), *scale)),
        Kind::Timestamp(_) => Datum::Timestamp(Timestamp::from_millis(long)),
        Kind::TimestampLtz(_) => Datum::TimestampLtz(Timestamp::from_millis(long)),
        _ => Datum::BigInt(long),
    }
}

/// The value of a type of [`Layout::Bytes`].
pub(super) fn bytes<'a>(kind: &Kind, bytes: &'a [u8]) -> Result<Datum<'a>, DecodeError> {
    match kind {
        Kind::Char(_) | Kind::String => std::str::from_utf8(bytes)
            .map(|text| Datum::String(Cow::Borrowed(text)))
            .map_err(|error| DecodeError::new(VALUE, format!("text is not UTF-8: {error}"))),
        _ => Ok(Datum::Bytes(Cow::Borrowed(bytes))),
    }
}

/// The value of a type of [`Layout::Decimal`].
pub(super) fn decimal(kind: &Kind, bytes: &[u8]) -> Result<Datum<'static>, DecodeError> {
    let Kind::Decimal { precision, scale } = kind else {
        return Err(DecodeError::new(VALUE, format!("{kind} as a decimal")));
    };
    let fault = || DecodeError::new(VALUE, format!("{} bytes as a {kind}", bytes.len()));
    let negative = bytes.first().ok_or_else(fault)? & 0x80 != 0;
    let mut whole = [if negative { 0xff } else { 0 }; 16];
    let start = whole.len().checked_sub(bytes.len()).ok_or_else(fault)?;
    if let Some(place) = whole.get_mut(start..) {
        place.copy_from_slice(bytes);
    }
    let value = Decimal::new(i128::from_be_bytes(whole), *scale);
    if value.fits(*precision) {
        Ok(Datum::Decimal(value))
    } else {
        Err(DecodeError::new(VALUE, format!("{value} as a {kind}")))
    }
}

/// The value of a type of [`Layout::Moment`].
pub(super) fn moment(kind: &Kind, millis: i64, nanos: i32) -> Result<Datum<'static>, DecodeError> {
    let moment = u32::try_from(nanos)
        .ok()
        .and_then(|nanos| Timestamp::new(millis, nanos))
        .ok_or_else(|| DecodeError::new(VALUE, format!("{nanos} nanoseconds of a millisecond")))?;
    Ok(match kind {
        Kind::TimestampLtz(_) => Datum::TimestampLtz(moment),
        _ => Datum::Timestamp(moment),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_fewest_bytes() {
        let bytes = |unscaled| DecimalBytes::new(unscaled).as_slice().to_vec();
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(-1), [0xff]);
        assert_eq!(bytes(127), [0x7f]);
        assert_eq!(bytes(128), [0, 0x80]);
        assert_eq!(bytes(-129), [0xff, 0x7f]);
        assert_eq!(bytes(i128::MIN).len(), 16);
    }

    #[test]
    fn decimals_out_of_range_are_refused() {
        let kind = Kind::Decimal {
            precision: 20,
            scale: 2,
        };
        assert!(decimal(&kind, &[]).is_err());
        assert!(decimal(&kind, &[1; 17]).is_err());
        assert!(decimal(&kind, &[0x7f; 16]).is_err());
        assert_eq!(decimal(&kind, &[0xff]), Ok(Datum::Decimal(Decimal::new(-1, 2))));
    }

    #[test]
    fn other_types_are_refused() {
        let fault = Physical::of(&DataType::int(), &Datum::from("x"))
            .map(drop)
            .unwrap_err();
        assert_eq!(fault.to_string(), "INT expected, STRING given");
    }
}

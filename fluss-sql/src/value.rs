//! Values of parameters.

use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

use crate::error::{Error, ErrorKind, Result};

/// The value of a parameter.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// No value, of whatever type.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A decimal number: its digits as a whole number, its precision, and how many of them are behind the point.
    Decimal(i128, u8, i8),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, in days since 1970-01-01.
    Date(i32),
    /// A time of day, in nanoseconds.
    Time(i64),
    /// A date and time of no zone, in microseconds since 1970-01-01T00:00:00.
    Timestamp(i64),
    /// A moment, in microseconds since the epoch.
    Instant(i64),
    /// A column's value of any type: an array of one element.
    Arrow(ArrayRef),
}

macro_rules! value_from {
    ($($source:ty => |$value:ident| $make:expr;)+) => {$(
        impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $make
            }
        }
    )+};
}

value_from! {
    bool => |value| Self::Bool(value);
    i8 => |value| Self::Int(value.into());
    i16 => |value| Self::Int(value.into());
    i32 => |value| Self::Int(value.into());
    i64 => |value| Self::Int(value);
    f32 => |value| Self::Float(value.into());
    f64 => |value| Self::Float(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    Vec<u8> => |value| Self::Bytes(value);
    &[u8] => |value| Self::Bytes(value.to_vec());
    ArrayRef => |value| Self::Arrow(value);
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    /// The same value as plans have it.
    pub(crate) fn to_scalar(&self) -> Result<ScalarValue> {
        Ok(match self {
            Self::Null => ScalarValue::Null,
            Self::Bool(value) => ScalarValue::Boolean(Some(*value)),
            Self::Int(value) => ScalarValue::Int64(Some(*value)),
            Self::Float(value) => ScalarValue::Float64(Some(*value)),
            Self::Decimal(digits, precision, scale) => {
                ScalarValue::Decimal128(Some(*digits), *precision, *scale)
            }
            Self::Text(value) => ScalarValue::Utf8(Some(value.clone())),
            Self::Bytes(value) => ScalarValue::Binary(Some(value.clone())),
            Self::Date(days) => ScalarValue::Date32(Some(*days)),
            Self::Time(nanos) => ScalarValue::Time64Nanosecond(Some(*nanos)),
            Self::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
            Self::Instant(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into())),
            Self::Arrow(array) => ScalarValue::try_from_array(array, 0)?,
        })
    }
}

/// The values of the parameters of a statement: of `?` and `$1` by their positions, of `$name` by their names.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Parameters {
    /// By position.
    Positional(Vec<Value>),
    /// By name, without `$` or `:`.
    Named(Vec<(String, Value)>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

impl<V: Into<Value>, const N: usize> From<[V; N]> for Parameters {
    fn from(values: [V; N]) -> Self {
        Self::Positional(values.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Value>> From<Vec<V>> for Parameters {
    fn from(values: Vec<V>) -> Self {
        Self::Positional(values.into_iter().map(Into::into).collect())
    }
}

impl Parameters {
    /// Values by name.
    pub fn named<N: Into<String>, V: Into<Value>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let value = |(name, value): (N, V)| (name.into(), value.into());
        Self::Named(values.into_iter().map(value).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Positional(values) => values.len(),
            Self::Named(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value that a placeholder stands for: `$1`, `$name`.
    pub(crate) fn get(&self, placeholder: &str) -> Result<&Value> {
        let name = placeholder.trim_start_matches(['$', ':']);
        let found = match self {
            Self::Positional(values) => {
                let number: Option<usize> = name.parse().ok();
                number.and_then(|number| values.get(number.checked_sub(1)?))
            }
            Self::Named(values) => values.iter().find(|(own, _)| own == name).map(|(_, value)| value),
        };
        found.ok_or_else(|| {
            let text = format!("there is no value for the parameter {placeholder}");
            Error::new(ErrorKind::Type, text)
        })
    }
}

/// A column with one value.
impl From<ScalarValue> for Value {
    fn from(value: ScalarValue) -> Self {
        match value.to_array() {
            Ok(array) => Self::Arrow(array),
            Err(_) => Self::Null,
        }
    }
}

//! The functions of the aggregation merge engine (`behaviour.md` §3.4).

mod bitmap;
mod number;

use std::cmp::Ordering;

use fluss_core::types::{AggregateFunction, Datum};

use self::bitmap::Bits;
use self::number::Operation;
use crate::kv::error::Error;

/// How the values of a column are merged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Sum,
    Product,
    Max,
    Min,
    LastValue,
    LastNonNull,
    /// The first that is not null, under either name: while it is null, nothing has been kept yet.
    First,
    /// The texts with this between them.
    Join(String),
    And,
    Or,
    /// The union of bitmaps.
    Bitmap32,
    /// The union of bitmaps of 64-bit numbers.
    Bitmap64,
}

impl Function {
    /// The function that a column declares. One without, or with a name that is not known, keeps its last value.
    pub(super) fn of(declared: Option<&AggregateFunction>) -> Self {
        let Some(declared) = declared else {
            return Self::LastNonNull;
        };
        match declared.name.to_ascii_lowercase().replace('-', "_").as_str() {
            "sum" => Self::Sum,
            "product" => Self::Product,
            "max" => Self::Max,
            "min" => Self::Min,
            "last_value" => Self::LastValue,
            "first_value" | "first_value_ignore_nulls" => Self::First,
            "listagg" | "string_agg" => {
                let delimiter = declared.parameters.get("delimiter");
                Self::Join(delimiter.cloned().unwrap_or_else(|| ",".to_owned()))
            }
            "bool_and" => Self::And,
            "bool_or" => Self::Or,
            "rbm32" => Self::Bitmap32,
            "rbm64" => Self::Bitmap64,
            _ => Self::LastNonNull,
        }
    }

    /// What becomes of a value when another is written.
    ///
    /// # Errors
    ///
    /// A result that the column cannot hold; a bitmap that cannot be read.
    pub(super) fn merge<'v>(&self, old: Datum<'v>, new: Datum<'v>) -> Result<Datum<'v>, Error> {
        match (self, &old, &new) {
            (Self::LastValue, ..) | (_, Datum::Null, _) => return Ok(new),
            (_, _, Datum::Null) => return Ok(old),
            _ => {}
        }
        Ok(match self {
            Self::Sum => number::merge(Operation::Sum, &old, &new)?,
            Self::Product => number::merge(Operation::Product, &old, &new)?,
            Self::Max if order(&new, &old).is_gt() => new,
            Self::Min if order(&new, &old).is_lt() => new,
            Self::Max | Self::Min | Self::First => old,
            Self::LastValue | Self::LastNonNull => new,
            Self::Join(delimiter) => joined(&old, delimiter, &new),
            Self::And => Datum::Boolean(truth(&old) && truth(&new)),
            Self::Or => Datum::Boolean(truth(&old) || truth(&new)),
            Self::Bitmap32 => bitmap::union(Bits::B32, &old, &new)?,
            Self::Bitmap64 => bitmap::union(Bits::B64, &old, &new)?,
        })
    }
}

fn truth(value: &Datum<'_>) -> bool {
    *value == Datum::Boolean(true)
}

fn joined(old: &Datum<'_>, delimiter: &str, new: &Datum<'_>) -> Datum<'static> {
    let text = |value: &Datum<'_>| match value {
        Datum::String(text) => text.clone().into_owned(),
        _ => String::new(),
    };
    Datum::from(text(old) + delimiter + &text(new))
}

/// How values of one type are ordered; text by its bytes. Values of types without order are all the same.
pub(super) fn order(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::TinyInt(a), Datum::TinyInt(b)) => a.cmp(b),
        (Datum::SmallInt(a), Datum::SmallInt(b)) => a.cmp(b),
        (Datum::Int(a), Datum::Int(b))
        | (Datum::Date(a), Datum::Date(b))
        | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::BigInt(a), Datum::BigInt(b)) => a.cmp(b),
        (Datum::Float(a), Datum::Float(b)) => a.total_cmp(b),
        (Datum::Double(a), Datum::Double(b)) => a.total_cmp(b),
        (Datum::String(a), Datum::String(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.unscaled().cmp(&b.unscaled()),
        (Datum::Timestamp(a), Datum::Timestamp(b)) | (Datum::TimestampLtz(a), Datum::TimestampLtz(b)) => {
            a.cmp(b)
        }
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests;

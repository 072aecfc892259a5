//! Sums and products.

use arrow::datatypes::i256;
use fluss_core::types::{Datum, Decimal};

use crate::kv::error::Error;

/// What two numbers are put together by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Sum,
    Product,
}

/// Integers wrap around. Decimals keep their scale, and are rounded half away from zero.
///
/// # Errors
///
/// A decimal of more than 38 digits; values that are no numbers.
pub(super) fn merge(operation: Operation, old: &Datum<'_>, new: &Datum<'_>) -> Result<Datum<'static>, Error> {
    macro_rules! integer {
        ($a:expr, $b:expr) => {
            match operation {
                Operation::Sum => $a.wrapping_add(*$b),
                Operation::Product => $a.wrapping_mul(*$b),
            }
            .into()
        };
    }
    macro_rules! float {
        ($a:expr, $b:expr) => {
            match operation {
                Operation::Sum => $a + $b,
                Operation::Product => $a * $b,
            }
            .into()
        };
    }
    Ok(match (old, new) {
        (Datum::TinyInt(a), Datum::TinyInt(b)) => integer!(a, b),
        (Datum::SmallInt(a), Datum::SmallInt(b)) => integer!(a, b),
        (Datum::Int(a), Datum::Int(b)) => integer!(a, b),
        (Datum::BigInt(a), Datum::BigInt(b)) => integer!(a, b),
        (Datum::Float(a), Datum::Float(b)) => float!(a, b),
        (Datum::Double(a), Datum::Double(b)) => float!(a, b),
        (Datum::Decimal(a), Datum::Decimal(b)) => decimal(operation, *a, *b)?.into(),
        (old, new) => {
            let reason = format!(
                "{} and {} are no numbers to add",
                old.kind_name(),
                new.kind_name()
            );
            return Err(Error::BadRecord(reason));
        }
    })
}

/// Both have the scale of their column.
fn decimal(operation: Operation, old: Decimal, new: Decimal) -> Result<Decimal, Error> {
    let (a, b) = (i256::from_i128(old.unscaled()), i256::from_i128(new.unscaled()));
    let exact = match operation {
        Operation::Sum => a.checked_add(b),
        Operation::Product => a
            .checked_mul(b)
            .and_then(|product| shortened(product, old.scale())),
    };
    let unscaled = exact.and_then(i256::to_i128);
    let result = unscaled.map(|unscaled| Decimal::new(unscaled, old.scale()));
    result.filter(|decimal| decimal.fits(38)).ok_or_else(|| {
        let reason = format!("{old} and {new} make more than 38 digits");
        Error::BadRecord(reason)
    })
}

/// A number without its last digits, rounded half away from zero.
fn shortened(number: i256, digits: u8) -> Option<i256> {
    let unit = i256::from_i128(10_i128.checked_pow(digits.into())?);
    let half = unit.checked_div(i256::from_i128(2))?;
    let away = if number < i256::ZERO {
        number.checked_sub(half)
    } else {
        number.checked_add(half)
    };
    away?.checked_div(unit)
}

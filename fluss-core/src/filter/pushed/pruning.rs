//! What the statistics of a batch say of a test (`v1_0.md` §8.2).

use std::cmp::Ordering;

use super::Function;
use crate::record::log::ColumnStatistics;
use crate::types::Datum;

/// Whether one of so many rows may hold a test of a column.
pub(super) fn may_hold(
    function: Function,
    literals: &[Datum<'_>],
    rows: usize,
    column: &ColumnStatistics,
) -> bool {
    let Some(nulls) = column.nulls else {
        return true;
    };
    match function {
        Function::IsNull => return nulls > 0,
        Function::IsNotNull => return nulls < rows,
        _ if nulls >= rows => return false,
        _ => {}
    }
    let Some((least, greatest)) = &column.range else {
        return true;
    };
    let below = |left: &Datum<'_>, right: &Datum<'_>| order(left, right).is_none_or(Ordering::is_lt);
    let at_most = |left: &Datum<'_>, right: &Datum<'_>| order(left, right).is_none_or(Ordering::is_le);
    let is_all = |value: &Datum<'_>| {
        let same = |bound| order(bound, value) == Some(Ordering::Equal);
        same(least) && same(greatest)
    };
    let between = |value: &Datum<'_>| at_most(least, value) && at_most(value, greatest);
    let [value] = literals else {
        return match function {
            Function::In => literals.iter().any(|value| !value.is_null() && between(value)),
            Function::NotIn => !literals.iter().any(|value| value.is_null() || is_all(value)),
            _ => true,
        };
    };
    if value.is_null() {
        return false;
    }
    match function {
        Function::Equal | Function::In => between(value),
        Function::NotEqual | Function::NotIn => !is_all(value),
        Function::Less => below(least, value),
        Function::LessOrEqual => at_most(least, value),
        Function::Greater => below(value, greatest),
        Function::GreaterOrEqual => at_most(value, greatest),
        Function::StartsWith => {
            let begins = |bound: &Datum<'_>| matches!((bound, value), (Datum::String(text), Datum::String(start)) if text.starts_with(&**start));
            (begins(least) || at_most(least, value)) && (begins(greatest) || at_most(value, greatest))
        }
        Function::Contains | Function::EndsWith | Function::IsNull | Function::IsNotNull => true,
    }
}

/// How two values of one type compare: floating-point numbers as Java has them, all NaNs as one above everything; texts
/// byte by byte. Nothing if they are of different types.
fn order(left: &Datum<'_>, right: &Datum<'_>) -> Option<Ordering> {
    let one_nan = |number: f64| if number.is_nan() { f64::NAN } else { number };
    Some(match (left, right) {
        (Datum::Boolean(left), Datum::Boolean(right)) => left.cmp(right),
        (Datum::TinyInt(left), Datum::TinyInt(right)) => left.cmp(right),
        (Datum::SmallInt(left), Datum::SmallInt(right)) => left.cmp(right),
        (Datum::Int(left), Datum::Int(right))
        | (Datum::Date(left), Datum::Date(right))
        | (Datum::Time(left), Datum::Time(right)) => left.cmp(right),
        (Datum::BigInt(left), Datum::BigInt(right)) => left.cmp(right),
        (Datum::Float(left), Datum::Float(right)) => {
            one_nan(f64::from(*left)).total_cmp(&one_nan(f64::from(*right)))
        }
        (Datum::Double(left), Datum::Double(right)) => one_nan(*left).total_cmp(&one_nan(*right)),
        (Datum::String(left), Datum::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Datum::Decimal(left), Datum::Decimal(right)) if left.scale() == right.scale() => {
            left.unscaled().cmp(&right.unscaled())
        }
        (Datum::Timestamp(left), Datum::Timestamp(right))
        | (Datum::TimestampLtz(left), Datum::TimestampLtz(right)) => left.cmp(right),
        _ => return None,
    })
}

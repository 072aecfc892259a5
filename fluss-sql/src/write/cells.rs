//! Literals and parameters as columns, without a plan.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};
use fluss_client::types::Kind;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::defaults::{is_default, is_now};
use super::fit::fit;
use super::target::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Parameters;

/// The most digits of a decimal number.
const MAX_DIGITS: usize = 38;

/// The time that a statement began at. It is the same for all of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now(Timestamp);

impl Now {
    pub(super) fn new() -> Self {
        Self(Timestamp::now())
    }

    /// The time with as many digits of the second as a column has, in microseconds since the epoch.
    pub(super) fn micros(self, target: &Target, column: usize) -> Result<i64> {
        let digits = match target.field(column)?.data_type.kind() {
            Kind::Timestamp(digits) | Kind::TimestampLtz(digits) => u32::from(*digits).min(6),
            _ => 6,
        };
        let step = 10_i64.pow(6 - digits);
        Ok(self.0.as_microsecond().div_euclid(step) * step)
    }

    /// The time in microseconds since the epoch.
    pub(super) fn all_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The same as text, with as many digits of the second as a column has.
    pub(super) fn text(self, target: &Target, column: usize) -> Result<String> {
        let at = Timestamp::from_microsecond(self.micros(target, column)?);
        let told = |error: jiff::Error| Error::new(ErrorKind::Other, error.to_string());
        Ok(at.map_err(told)?.to_string())
    }
}

/// The zone that plans show the present time in.
pub(super) fn zone() -> Arc<str> {
    TimeZone::system().iana_name().unwrap_or("UTC").into()
}

/// The value of a literal, a parameter, the present time or a default; nothing for any other expression.
pub(super) fn cell(
    expr: &Expr,
    (target, column): (&Target, usize),
    parameters: &Parameters,
    now: Now,
) -> Result<Option<ScalarValue>> {
    Ok(match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(parameters.get(name)?.to_scalar()?),
            value => literal(value),
        },
        Expr::Nested(inner) => return cell(inner, (target, column), parameters, now),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match &**expr {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => number(&format!("-{text}")),
                _ => None,
            },
            _ => None,
        },
        expr if is_now(expr) => {
            let micros = now.micros(target, column)?;
            Some(ScalarValue::TimestampMicrosecond(
                Some(micros),
                Some("UTC".into()),
            ))
        }
        expr if is_default(expr) => match target.defaults.get(&column) {
            Some(default) => return cell(default, (target, column), parameters, now),
            None => Some(ScalarValue::Null),
        },
        _ => None,
    })
}

fn literal(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Boolean(value) => Some(ScalarValue::Boolean(Some(*value))),
        Value::Number(text, _) => number(text),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
            Some(ScalarValue::Utf8(Some(text.clone())))
        }
        Value::HexStringLiteral(text) => Some(ScalarValue::Binary(Some(bytes(text)?))),
        _ => None,
    }
}

/// The bytes of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

/// A number: a whole one if it is one of 64 bits, otherwise a decimal one as long as its digits are not too many.
fn number(text: &str) -> Option<ScalarValue> {
    if let Ok(whole) = text.parse() {
        return Some(ScalarValue::Int64(Some(whole)));
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return Some(ScalarValue::Float64(Some(text.parse().ok()?)));
    }
    let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
    if digits.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
        return Some(ScalarValue::Float64(Some(text.parse().ok()?)));
    }
    let value: i128 = digits.parse().unwrap_or_default();
    let value = if text.starts_with('-') { -value } else { value };
    let precision = digits.len().max(fraction.len()).max(1);
    Some(ScalarValue::Decimal128(
        Some(value),
        u8::try_from(precision).ok()?,
        i8::try_from(fraction.len()).ok()?,
    ))
}

/// The values of a column, each made to fit by its own type. `first` is the number of the first row in the statement.
pub(super) fn column(
    cells: &[ScalarValue],
    (target, column): (&Target, usize),
    first: usize,
) -> Result<ArrayRef> {
    let (field, wire) = (target.field(column)?, target.wire(column));
    if cells.is_empty() {
        return Ok(new_null_array(&wire, 0));
    }
    let mut parts: Vec<ArrayRef> = Vec::new();
    let mut row = first;
    for run in cells.chunk_by(|one, next| one.data_type() == next.data_type()) {
        let values = ScalarValue::iter_to_array(run.iter().cloned())?;
        parts.push(fit(&values, field, &wire, row)?);
        row += run.len();
    }
    if let [only] = parts.as_slice() {
        return Ok(Arc::clone(only));
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok(concat(&parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits() {
        let of = |text: &str| number(text).unwrap();
        assert_eq!(of("42"), ScalarValue::Int64(Some(42)));
        assert_eq!(of("-9223372036854775808"), ScalarValue::Int64(Some(i64::MIN)));
        assert_eq!(
            of("9223372036854775808"),
            ScalarValue::Decimal128(Some(1 << 63), 19, 0)
        );
        assert_eq!(of("1.50"), ScalarValue::Decimal128(Some(150), 3, 2));
        assert_eq!(of("-0.05"), ScalarValue::Decimal128(Some(-5), 2, 2));
        assert_eq!(of(".5"), ScalarValue::Decimal128(Some(5), 1, 1));
        assert_eq!(of("0.0"), ScalarValue::Decimal128(Some(0), 1, 1));
        assert_eq!(of("1e3"), ScalarValue::Float64(Some(1000.0)));
        assert_eq!(of(&"9".repeat(40)), ScalarValue::Float64(Some(1e40)));
        assert_eq!(number("x"), None);
    }
}

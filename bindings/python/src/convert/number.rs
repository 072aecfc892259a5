//! Integers, floating-point numbers and decimals.

use fluss_client::types::Decimal;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyType};

use super::fault::{Result, mismatch, object, shown};
use super::numpy;

/// An integer of any Python type that counts as one; a bool does not.
pub(super) fn integer<T: TryFrom<i64>>(value: &Bound<'_, PyAny>, name: &str) -> Result<T> {
    whole(value, name, "an int")
}

fn whole<T: TryFrom<i64>>(value: &Bound<'_, PyAny>, name: &str, expected: &str) -> Result<T> {
    if value.is_instance_of::<PyBool>() || (!value.is_exact_instance_of::<PyInt>() && numpy::is_time(value)) {
        return Err(mismatch(name, expected, value));
    }
    let wide = match value.extract::<i64>() {
        Ok(wide) => Some(wide),
        Err(_) if value.is_instance_of::<PyInt>() => None,
        Err(_) => return Err(mismatch(name, expected, value)),
    };
    wide.and_then(|wide| T::try_from(wide).ok())
        .ok_or_else(|| object(format!("{} does not fit {name}", shown(value))))
}

/// A DOUBLE; an integer only if no digit of it is lost.
pub(super) fn double(value: &Bound<'_, PyAny>) -> Result<f64> {
    if let Ok(float) = value.cast::<PyFloat>() {
        return Ok(float.value());
    }
    let number: i64 = whole(value, "DOUBLE", "a float")?;
    exact(number, number as f64, "DOUBLE")
}

/// A FLOAT: the nearest one to a Python float, unless that is infinite or 0 where the float is not. An integer only
/// if no digit of it is lost.
pub(super) fn float(value: &Bound<'_, PyAny>) -> Result<f32> {
    if let Ok(float) = value.cast::<PyFloat>() {
        let wide = float.value();
        let narrow = wide as f32;
        let lost = narrow.is_infinite() != wide.is_infinite() || (narrow == 0.0) != (wide == 0.0);
        return if lost {
            Err(object(format!("{} does not fit FLOAT", shown(value))))
        } else {
            Ok(narrow)
        };
    }
    let number: i64 = whole(value, "FLOAT", "a float")?;
    let narrow = number as f32;
    exact(number, f64::from(narrow), "FLOAT").map(|_| narrow)
}

fn exact(number: i64, float: f64, name: &str) -> Result<f64> {
    if float as i128 == i128::from(number) {
        Ok(float)
    } else {
        Err(object(format!("{number} would be rounded in {name}")))
    }
}

/// A DECIMAL of the column's scale out of a `decimal.Decimal` or an int.
pub(super) fn decimal(value: &Bound<'_, PyAny>, precision: u8, scale: u8) -> Result<Decimal> {
    let name = format!("DECIMAL({precision},{scale})");
    let is_int = value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>();
    if !is_int && !is_decimal(value) {
        return Err(mismatch(&name, "a decimal.Decimal or an int", value));
    }
    let misfit = || object(format!("{} does not fit {name}", shown(value)));
    let text = value.str().map_err(|_| misfit())?;
    let number = parse_decimal(&text.to_string_lossy()).ok_or_else(misfit)?;
    let number = number.rescale(scale).ok_or_else(misfit)?;
    if number.fits(precision) {
        Ok(number)
    } else {
        Err(misfit())
    }
}

pub(super) fn is_decimal(value: &Bound<'_, PyAny>) -> bool {
    decimal_type(value.py()).is_ok_and(|class| value.is_instance(class).unwrap_or(false))
}

pub(super) fn decimal_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "decimal", "Decimal")
}

/// Reads `-12.5`, `1E+3` and the like; nothing for what is no number, or has too many digits for any DECIMAL.
pub(super) fn parse_decimal(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['E', 'e']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let unscaled: i128 = digits.parse().ok()?;
    let fraction_digits = i64::try_from(fraction.trim_end_matches('0').len()).ok()?;
    let scale = fraction_digits.checked_sub(exponent)?;
    if unscaled == 0 {
        return Some(Decimal::new(0, 0));
    }
    match u8::try_from(scale) {
        Ok(scale) => Some(Decimal::new(unscaled, scale)),
        Err(_) if scale < 0 => {
            let factor = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
            Some(Decimal::new(unscaled.checked_mul(factor)?, 0))
        }
        Err(_) => None,
    }
}

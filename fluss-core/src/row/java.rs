//! The decimal text that Java gives floating-point numbers, which is part of partition names and Hudi keys
//! (`rows.md` §7).

use std::fmt::LowerExp;

/// The text of a FLOAT.
pub(super) fn float_text(value: f32) -> String {
    text(value, f64::from(value))
}

/// The text of a DOUBLE.
pub(super) fn double_text(value: f64) -> String {
    text(value, value)
}

/// `value` gives the digits, in its own precision; `wide` is the same number.
fn text(value: impl LowerExp, wide: f64) -> String {
    if wide.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if wide.is_sign_negative() { "-" } else { "" };
    if wide.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, exponent) = digits(&value);
    match exponent {
        -3..0 => format!(
            "{sign}0.{}{digits}",
            "0".repeat(exponent.unsigned_abs() as usize - 1)
        ),
        0..7 => format!("{sign}{}", plain(&digits, exponent as usize + 1)),
        _ => format!("{sign}{}E{exponent}", plain(&digits, 1)),
    }
}

/// The shortest digits that identify the number, and the power of ten of the first of them. One digit may not be
/// enough: of the numbers with two, the closest is taken.
fn digits(value: &impl LowerExp) -> (String, i32) {
    let shortest = format!("{value:e}");
    let scientific = if shortest.contains('.') {
        shortest
    } else {
        format!("{value:.1e}")
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent = exponent.parse().unwrap_or_default();
    let significant = digits.trim_end_matches('0');
    (
        if significant.is_empty() { "0" } else { significant }.to_owned(),
        exponent,
    )
}

/// The digits with a point after the first `whole`, and at least one digit on both sides of it.
fn plain(digits: &str, whole: usize) -> String {
    match digits.split_at_checked(whole) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{whole}.{fraction}"),
        _ => format!("{digits:0<whole$}.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_as_in_java() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.012, "0.012"),
            (9.99e-4, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (123.456, "123.456"),
            (-1e-5, "-1.0E-5"),
            (4.9e-324, "4.9E-324"),
            (2e-323, "2.0E-323"),
            (1e23, "1.0E23"),
            (2e23, "2.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn floats_have_fewer_digits() {
        assert_eq!(float_text(0.1), "0.1");
        assert_eq!(float_text(f32::MAX), "3.4028235E38");
        assert_eq!(float_text(1.4e-45), "1.4E-45");
        assert_eq!(float_text(16_777_216.0), "1.6777216E7");
    }
}

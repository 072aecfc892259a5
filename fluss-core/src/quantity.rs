//! Durations and sizes as configurations and properties write them: digits and a unit, with or without a space between.

use std::time::Duration;

/// A text that is no duration, or no size.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidQuantity(String);

/// The units of durations, in nanoseconds (`descriptors.md` §8).
const UNITS: &[(&[&str], u64)] = &[
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
    (
        &["us", "µs", "micro", "micros", "microsecond", "microseconds"],
        1_000,
    ),
    (
        &["ms", "milli", "millis", "millisecond", "milliseconds"],
        1_000_000,
    ),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
];

/// The units of sizes, as powers of two.
const SIZES: &[(&[&str], u32)] = &[
    (&["", "b", "bytes"], 0),
    (&["k", "kb", "kib", "kibibytes"], 10),
    (&["m", "mb", "mib", "mebibytes"], 20),
    (&["g", "gb", "gib", "gibibytes"], 30),
];

/// Reads a duration such as `10 s`, `500ms` or `1 min`. It has a unit.
///
/// # Errors
///
/// No unit, another one, or more than a [`Duration`] holds.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidQuantity> {
    let (digits, unit) = split(text);
    let Some(nanos) = find(UNITS, &unit) else {
        let what = if unit.is_empty() {
            "has no unit"
        } else {
            "is no duration"
        };
        return Err(InvalidQuantity(format!(
            "'{text}' {what}; say '10 s' or '500 ms'"
        )));
    };
    let nanos = u128::from(nanos) * u128::from(count(digits)?);
    let seconds = u64::try_from(nanos / 1_000_000_000);
    let seconds = seconds.map_err(|_| InvalidQuantity(format!("'{text}' is too long")))?;
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// Reads a number of bytes such as `64 mb`, where a megabyte is 2²⁰ bytes, or `1024`.
///
/// # Errors
///
/// Another unit, or more bytes than can be.
pub fn parse_size(text: &str) -> Result<u64, InvalidQuantity> {
    let (digits, unit) = split(text);
    let shift = find(SIZES, &unit)
        .ok_or_else(|| InvalidQuantity(format!("'{text}' is no size; say '64 mb' or a number of bytes")))?;
    count(digits)?
        .checked_mul(1 << shift)
        .ok_or_else(|| InvalidQuantity(format!("'{text}' is too large")))
}

fn split(text: &str) -> (&str, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim().to_ascii_lowercase())
}

fn find<T: Copy>(units: &[(&[&str], T)], unit: &str) -> Option<T> {
    units
        .iter()
        .find(|(names, _)| names.contains(&unit))
        .map(|(_, value)| *value)
}

fn count(digits: &str) -> Result<u64, InvalidQuantity> {
    digits
        .parse()
        .map_err(|_| InvalidQuantity(format!("'{digits}' is no number in range")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, duration) in [
            ("10 s", Duration::from_secs(10)),
            ("500ms", Duration::from_millis(500)),
            (" 1 min ", Duration::from_mins(1)),
            ("2 Hours", Duration::from_hours(2)),
            ("7d", Duration::from_hours(168)),
            ("3 µs", Duration::from_micros(3)),
            ("0ms", Duration::ZERO),
        ] {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
        let refusal = |text| parse_duration(text).unwrap_err().to_string();
        assert_eq!(refusal("10"), "'10' has no unit; say '10 s' or '500 ms'");
        assert_eq!(
            refusal("10 parsecs"),
            "'10 parsecs' is no duration; say '10 s' or '500 ms'"
        );
        assert_eq!(
            refusal("2 mins"),
            "'2 mins' is no duration; say '10 s' or '500 ms'"
        );
        assert_eq!(refusal("s"), "'' is no number in range");
        assert_eq!(refusal("-1 s"), "'-1 s' is no duration; say '10 s' or '500 ms'");
        let most = format!("{} d", u64::MAX);
        assert_eq!(refusal(&most), format!("'{most}' is too long"));
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes) in [
            ("1024", 1024),
            ("64 mb", 64 << 20),
            ("2KiB", 2048),
            ("1 g", 1 << 30),
            ("7 bytes", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        let refusal = |text| parse_size(text).unwrap_err().to_string();
        assert_eq!(
            refusal("1 tb"),
            "'1 tb' is no size; say '64 mb' or a number of bytes"
        );
        assert_eq!(
            refusal("18014398509481984 kb"),
            "'18014398509481984 kb' is too large"
        );
        assert_eq!(refusal(""), "'' is no number in range");
    }

    proptest! {
        #[test]
        fn every_text_is_read_or_refused(text in ".{0,30}", number in 0..=u64::MAX / 86_400) {
            let _ = (parse_duration(&text), parse_size(&text));
            let days = Duration::from_secs(number * 86_400);
            prop_assert_eq!(parse_duration(&format!("{number} d")), Ok(days));
            prop_assert_eq!(parse_duration(&format!("{number}ms")), Ok(Duration::from_millis(number)));
        }
    }
}

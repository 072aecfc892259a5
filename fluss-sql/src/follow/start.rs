//! Where following a table begins, as text.

use std::str::FromStr;

use fluss_client::Positions;

use crate::error::{Error, ErrorKind, Result};
use crate::options::StartFrom;
use crate::time;

/// Where following begins if there is no position.
const RESET: &str = "auto.offset.reset";
/// The time that it begins at.
const TIMESTAMP: &str = "timestamp";
/// The position that it goes on from.
const POSITION: &str = "position";

impl FromStr for StartFrom {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("earliest") {
            return Ok(Self::Earliest);
        }
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        if text.starts_with('{') {
            positions(text)?;
            return Ok(Self::Position(text.to_owned()));
        }
        millis(text).map(Self::Timestamp).ok_or_else(|| {
            let reason = format!("'{text}' is no start: it is 'earliest', 'latest', a time, or a position");
            Error::new(ErrorKind::Type, reason)
        })
    }
}

impl StartFrom {
    /// The start that properties of a query ask for; nothing if they ask for none.
    ///
    /// `position` is what [`Rows::position`](crate::Rows::position) has returned, and counts before the others. `timestamp` is
    /// a time. `auto.offset.reset` is `earliest`, `latest`, `timestamp`, where that one says which, or a time.
    ///
    /// # Errors
    ///
    /// A property that there is not, or with another value.
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Option<Self>> {
        let (mut reset, mut time, mut position) = (None, None, None);
        for (name, value) in properties {
            let (name, value) = (name.as_ref(), value.as_ref().trim());
            let faulty = |reason: &str| Error::new(ErrorKind::Type, format!("{name}: {reason}"));
            match name {
                RESET => reset = Some(value.to_owned()),
                TIMESTAMP => time = Some(millis(value).ok_or_else(|| faulty("it is no time"))?),
                POSITION => {
                    positions(value).map_err(|error| faulty(&error.message))?;
                    position = Some(value.to_owned());
                }
                _ => return Err(faulty("there is no such property")),
            }
        }
        if let Some(position) = position {
            return Ok(Some(Self::Position(position)));
        }
        let is_word = |reset: &String| reset.eq_ignore_ascii_case(TIMESTAMP);
        let reason = match (reset.filter(|reset| time.is_none() || !is_word(reset)), time) {
            (None, time) => return Ok(time.map(Self::Timestamp)),
            (Some(reset), None) if !is_word(&reset) => return reset.parse().map(Some),
            (Some(_), None) => "auto.offset.reset: the property timestamp says which, and is missing",
            (Some(_), Some(_)) => "timestamp: auto.offset.reset says another start",
        };
        Err(Error::new(ErrorKind::Type, reason))
    }
}

/// Reads a position.
pub(super) fn positions(text: &str) -> Result<Positions> {
    Positions::from_json(text).map_err(|error| Error::new(ErrorKind::Type, error.to_string()))
}

/// A time as a number of milliseconds since the epoch, or as a date and time: local time, unless it says another zone.
fn millis(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| time::millis(text))
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    use super::*;

    const SAVED: &str = r#"{"version":1,"table":"d.t","table_id":7,"buckets":[{"bucket":0,"offset":17}]}"#;

    fn start(text: &str) -> StartFrom {
        text.parse().unwrap()
    }

    fn asked(properties: &[(&str, &str)]) -> Result<Option<StartFrom>, String> {
        let start = StartFrom::from_properties(properties.iter().copied());
        start.map_err(|error| error.message)
    }

    #[test]
    fn a_start_is_a_word_a_time_or_a_position() {
        assert_eq!(start("earliest"), StartFrom::Earliest);
        assert_eq!(start(" LATEST "), StartFrom::Latest);
        assert_eq!(start("1700000000123"), StartFrom::Timestamp(1_700_000_000_123));
        assert_eq!(start("1970-01-01T00:00:01Z"), StartFrom::Timestamp(1000));
        assert_eq!(start("1970-01-01 02:00:01+02:00"), StartFrom::Timestamp(1000));
        assert_eq!(start(SAVED), StartFrom::Position(SAVED.to_owned()));
        assert_eq!(
            "soon".parse::<StartFrom>().unwrap_err().message,
            "'soon' is no start: it is 'earliest', 'latest', a time, or a position"
        );
        assert_eq!("{}".parse::<StartFrom>().unwrap_err().kind, ErrorKind::Type);
    }

    #[test]
    fn a_time_without_zone_is_local() {
        let local: DateTime = "2024-07-01T12:00:00".parse().unwrap();
        let moment = local.to_zoned(TimeZone::system()).unwrap().timestamp();
        for text in ["2024-07-01T12:00:00", "2024-07-01 12:00:00"] {
            assert_eq!(start(text), StartFrom::Timestamp(moment.as_millisecond()));
        }
        assert!(matches!(start("2024-07-01"), StartFrom::Timestamp(_)));
    }

    #[test]
    fn properties_say_where_to_begin() {
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&[(RESET, "latest")]), Ok(Some(StartFrom::Latest)));
        assert_eq!(asked(&[(RESET, "250")]), Ok(Some(StartFrom::Timestamp(250))));
        for properties in [
            &[(TIMESTAMP, "250")][..],
            &[(TIMESTAMP, "250"), (RESET, "timestamp")],
        ] {
            assert_eq!(asked(properties), Ok(Some(StartFrom::Timestamp(250))));
        }
        let saved = Ok(Some(StartFrom::Position(SAVED.to_owned())));
        assert_eq!(asked(&[(RESET, "latest"), (POSITION, SAVED)]), saved);
    }

    #[test]
    fn properties_that_make_no_start_are_refused() {
        for (properties, reason) in [
            (&[("limit", "1")][..], "limit: there is no such property"),
            (&[(TIMESTAMP, "soon")], "timestamp: it is no time"),
            (
                &[(RESET, "timestamp")],
                "auto.offset.reset: the property timestamp says which, and is missing",
            ),
            (
                &[(RESET, "latest"), (TIMESTAMP, "1")],
                "timestamp: auto.offset.reset says another start",
            ),
        ] {
            assert_eq!(asked(properties), Err(reason.to_owned()));
        }
        assert!(asked(&[(POSITION, "17")]).unwrap_err().starts_with("position: "));
    }
}

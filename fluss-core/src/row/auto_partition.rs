//! Names of partitions, from the clock (`descriptors.md` §6, `v1_0.md` §13).

use std::fmt::Write;
use std::str::FromStr;

use crate::types::{CivilDate, CivilTime, InvalidDefinition, Timestamp, Year};

/// How long a partition made by the clock lasts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AutoPartitionUnit {
    /// `yyyy`.
    Year,
    /// `yyyyQ`, with Q from 1 to 4.
    Quarter,
    /// `yyyyMM`.
    Month,
    /// `yyyyMMdd`.
    Day,
    /// `yyyyMMddHH`.
    Hour,
}

impl FromStr for AutoPartitionUnit {
    type Err = InvalidDefinition;

    /// Reads the value of `table.auto-partition.time-unit`; case does not matter.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().as_str() {
            "YEAR" => Ok(Self::Year),
            "QUARTER" => Ok(Self::Quarter),
            "MONTH" => Ok(Self::Month),
            "DAY" => Ok(Self::Day),
            "HOUR" => Ok(Self::Hour),
            _ => Err(InvalidDefinition::new(format!(
                "'{text}' is none of YEAR, QUARTER, MONTH, DAY, HOUR"
            ))),
        }
    }
}

impl AutoPartitionUnit {
    /// The parts of a time that name a partition, the longest first.
    const fn parts(self) -> &'static [Part] {
        match self {
            Self::Year => &[Part::Year],
            Self::Quarter => &[Part::Year, Part::Quarter],
            Self::Month => &[Part::Year, Part::Month],
            Self::Day => &[Part::Year, Part::Month, Part::Day],
            Self::Hour => &[Part::Year, Part::Month, Part::Day, Part::Hour],
        }
    }

    /// As [`TimeFormat::text`], in the format without anything between the parts.
    pub fn text(self, local: Timestamp, offset: i32) -> String {
        TimeFormat::of(self).text(local, offset)
    }
}

/// A part of a time in the name of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Year,
    Quarter,
    Month,
    Day,
    Hour,
}

impl Part {
    /// The letters that stand for it in a pattern.
    const fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Year => &["yyyy", "uuuu"],
            Self::Quarter => &["Q", "q"],
            Self::Month => &["MM"],
            Self::Day => &["dd"],
            Self::Hour => &["HH"],
        }
    }

    /// How many digits it has.
    const fn width(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Quarter => 1,
            Self::Month | Self::Day | Self::Hour => 2,
        }
    }
}

/// How a time becomes the name of a partition: the value of `table.auto-partition.time-format`, a pattern of Java.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeFormat {
    unit: AutoPartitionUnit,
    /// The texts before, between and behind the parts.
    between: Vec<String>,
}

impl TimeFormat {
    /// The format of a table that names none: the parts of a time and nothing between them.
    pub fn of(unit: AutoPartitionUnit) -> Self {
        Self {
            unit,
            between: vec![String::new(); unit.parts().len() + 1],
        }
    }

    /// Reads a pattern. It has the parts of its unit, each once and in their order; letters between them are in quotes.
    ///
    /// # Errors
    ///
    /// Another pattern, and one whose names could not be those of partitions.
    pub fn parse(unit: AutoPartitionUnit, pattern: &str) -> Result<Self, InvalidDefinition> {
        let fault = |reason: &str| {
            Err(InvalidDefinition::new(format!(
                "'{pattern}' is no format for the time of a partition: {reason}"
            )))
        };
        let mut between = vec![String::new()];
        let mut parts = unit.parts().iter();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let Some((literal, behind)) = quoted(rest) else {
                    return fault("a quote is not closed");
                };
                push(&mut between, &literal);
                rest = behind;
            } else if first.is_ascii_alphabetic() {
                let end = rest.find(|c| c != first).unwrap_or(rest.len());
                let (letters, behind) = rest.split_at(end);
                match parts.next() {
                    Some(part) if part.patterns().contains(&letters) => between.push(String::new()),
                    _ => {
                        return fault(
                            "it needs year, quarter, month, day and hour as far as the unit has them, in that order and with all digits",
                        );
                    }
                }
                rest = behind;
            } else if matches!(first, '[' | ']' | '{' | '}' | '#') {
                return fault("it has optional or reserved parts");
            } else {
                let (char, behind) = rest.split_at(first.len_utf8());
                push(&mut between, char);
                rest = behind;
            }
        }
        if parts.next().is_some() {
            return fault("it lacks a part of the unit");
        }
        let format = Self { unit, between };
        let example = format.text(Timestamp::from_millis(0), 0);
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if example.starts_with("__") || !example.chars().all(is_legal) {
            return fault("a partition cannot have such a name");
        }
        Ok(format)
    }

    /// The text of the partition `offset` units after the one of `local`, which counts from the epoch on the clock of
    /// the table's time zone.
    pub fn text(&self, local: Timestamp, offset: i32) -> String {
        let time = self.unit.later(local, i64::from(offset));
        let mut text = String::new();
        let mut between = self.between.iter();
        text.extend(between.next().map(String::as_str));
        for part in self.unit.parts() {
            // Writing to a string cannot fail.
            let _ = match part {
                Part::Year => write!(text, "{}", Year(time.date.year)),
                Part::Quarter => write!(text, "{}", (time.date.month - 1) / 3 + 1),
                Part::Month => write!(text, "{:02}", time.date.month),
                Part::Day => write!(text, "{:02}", time.date.day),
                Part::Hour => write!(text, "{:02}", time.hour),
            };
            text.extend(between.next().map(String::as_str));
        }
        text
    }

    /// Whether a text is one that a time has in this format. Of two such texts the one of the earlier time is less.
    pub fn is_time(&self, text: &str) -> bool {
        let mut rest = text;
        let mut date = CivilDate {
            year: 0,
            month: 1,
            day: 1,
        };
        let mut take = |wanted: &str| rest.strip_prefix(wanted).map(|behind| rest = behind);
        let mut between = self.between.iter();
        if between.next().and_then(|literal| take(literal)).is_none() {
            return false;
        }
        for (part, literal) in self.unit.parts().iter().zip(between) {
            let Some((digits, behind)) = rest.split_at_checked(part.width()) else {
                return false;
            };
            if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return false;
            }
            let number = digits.parse().unwrap_or_default();
            let is_one = match part {
                Part::Year => {
                    date.year = number;
                    true
                }
                Part::Quarter => (1..=4).contains(&number),
                Part::Month => {
                    date.month = number;
                    (1..=12).contains(&number)
                }
                Part::Day => {
                    date.day = number;
                    (1..=31).contains(&number) && CivilDate::from_days(date.days()) == date
                }
                Part::Hour => (0..24).contains(&number),
            };
            let Some(behind) = behind.strip_prefix(&**literal).filter(|_| is_one) else {
                return false;
            };
            rest = behind;
        }
        rest.is_empty()
    }
}

impl AutoPartitionUnit {
    /// A time in the period that is so many units later.
    fn later(self, local: Timestamp, offset: i64) -> CivilTime {
        let start = |(year, part): (i64, i64), months: i64| CivilTime {
            date: CivilDate {
                year,
                month: part * months + 1,
                day: 1,
            },
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
        };
        match self {
            Self::Year => start(step(date(local), 12, offset), 12),
            Self::Quarter => start(step(date(local), 3, offset), 3),
            Self::Month => start(step(date(local), 1, offset), 1),
            Self::Day => CivilTime::from(later(local, offset, 86_400_000)),
            Self::Hour => CivilTime::from(later(local, offset, 3_600_000)),
        }
    }
}

/// Adds to the text behind the last part.
fn push(between: &mut [String], text: &str) {
    if let Some(last) = between.last_mut() {
        last.push_str(text);
    }
}

/// What is in quotes at the front, where two stand for one, and what is behind them.
fn quoted(pattern: &str) -> Option<(String, &str)> {
    let mut rest = pattern.strip_prefix('\'')?;
    if let Some(behind) = rest.strip_prefix('\'') {
        return Some(("'".to_owned(), behind));
    }
    let mut literal = String::new();
    loop {
        let (text, behind) = rest.split_once('\'')?;
        literal.push_str(text);
        rest = behind.strip_prefix('\'').unwrap_or_default();
        if !behind.starts_with('\'') {
            return Some((literal, behind));
        }
        literal.push('\'');
    }
}

fn date(moment: Timestamp) -> CivilDate {
    CivilTime::from(moment).date
}

fn later(moment: Timestamp, offset: i64, unit_millis: i64) -> Timestamp {
    Timestamp::from_millis(moment.millis().saturating_add(offset * unit_millis))
}

/// The year, and the part of it counted from 0, `offset` parts of `months` months later.
const fn step(date: CivilDate, months: i64, offset: i64) -> (i64, i64) {
    let parts_per_year = 12 / months;
    let parts = date.year * parts_per_year + (date.month - 1) / months + offset;
    (parts.div_euclid(parts_per_year), parts.rem_euclid(parts_per_year))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_step_over_the_end_of_a_year() {
        let new_year = Timestamp::from_millis(1_704_067_200_000);
        assert_eq!(AutoPartitionUnit::Hour.text(new_year, -1), "2023123123");
        assert_eq!(AutoPartitionUnit::Quarter.text(new_year, -1), "20234");
        assert_eq!("month".parse(), Ok(AutoPartitionUnit::Month));
        assert!("WEEK".parse::<AutoPartitionUnit>().is_err());
    }

    #[test]
    fn a_text_is_a_time_or_is_not() {
        let day = TimeFormat::parse(AutoPartitionUnit::Day, "'dt-'yyyy-MM-dd").unwrap();
        for text in ["dt-2024-02-29", "dt-0001-01-01", "dt-9999-12-31"] {
            assert!(day.is_time(text), "{text}");
        }
        for text in [
            "",
            "dt-",
            "2024-02-29",
            "dt-2023-02-29",
            "dt-2024-13-01",
            "dt-2024-1-01",
            "dt-2024-01-011",
            "dt-2024-01-é",
        ] {
            assert!(!day.is_time(text), "{text}");
        }
        let quarter = TimeFormat::of(AutoPartitionUnit::Quarter);
        assert!(quarter.is_time("20244"));
        assert!(!quarter.is_time("20245"));
        let hour = TimeFormat::of(AutoPartitionUnit::Hour);
        assert!(hour.is_time("2024010123"));
        assert!(!hour.is_time("2024010124"));
    }

    #[test]
    fn quotes_in_a_pattern() {
        let text = |pattern| {
            let format = TimeFormat::parse(AutoPartitionUnit::Year, pattern);
            format
                .map(|format| format.text(Timestamp::from_millis(0), 0))
                .ok()
        };
        assert_eq!(text("'a''b'yyyy"), None, "a quote in a name");
        assert_eq!(text("'a-'yyyy'-z'").as_deref(), Some("a-1970-z"));
        assert_eq!(text("yyyy''"), None);
        assert_eq!(text("'yyyy"), None);
    }
}

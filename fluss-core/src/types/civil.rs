//! Days and moments as years, months, days, hours, minutes and seconds of the proleptic Gregorian calendar.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::types::{InvalidDefinition, Timestamp};

const MILLIS_PER_DAY: i64 = 86_400_000;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// From 0000-03-01 to 1970-01-01. Years are counted from March, so that a leap day is the last of its year.
const DAYS_FROM_MARCH_0000: i64 = 719_468;

/// Days further away than so many years are not read from text.
const YEARS: i64 = 10_000_000;

/// A day, printed as `yyyy-MM-dd`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CivilDate {
    /// Of the proleptic calendar: 0 is the year before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl CivilDate {
    /// The day so many days after 1970-01-01.
    pub const fn from_days(days: i64) -> Self {
        let days = days + DAYS_FROM_MARCH_0000;
        let day_of_era = days.rem_euclid(DAYS_PER_400_YEARS);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let (month, next_year) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        Self {
            year: 400 * days.div_euclid(DAYS_PER_400_YEARS) + year_of_era + next_year,
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        }
    }

    /// How many days after 1970-01-01 this is.
    pub const fn days(self) -> i64 {
        let (month_from_march, year) = if self.month > 2 {
            (self.month - 3, self.year)
        } else {
            (self.month + 9, self.year - 1)
        };
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        year.div_euclid(400) * DAYS_PER_400_YEARS + day_of_era - DAYS_FROM_MARCH_0000
    }
}

impl FromStr for CivilDate {
    type Err = InvalidDefinition;

    /// Reads `yyyy-MM-dd`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.rsplitn(3, '-');
        let mut number = |range: RangeInclusive<i64>| {
            let number: i64 = parts.next()?.parse().ok()?;
            range.contains(&number).then_some(number)
        };
        let (day, month) = (number(1..=31), number(1..=12));
        let mut date = || {
            let (day, month) = (day?, month?);
            let year = number(-YEARS..=YEARS)?;
            // A day that the month does not have is another one of the next.
            let date = Self { year, month, day };
            (Self::from_days(date.days()) == date).then_some(date)
        };
        date().ok_or_else(|| InvalidDefinition::new(format!("'{text}' is no day: 'yyyy-MM-dd' expected")))
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}-{:02}", Year(self.year), self.month, self.day)
    }
}

/// A year of at least four digits.
pub(crate) struct Year(pub(crate) i64);

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}", self.0.unsigned_abs())
    }
}

/// A day and the time on it, without a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CivilTime {
    /// The day.
    pub date: CivilDate,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// Nanoseconds of the second.
    pub nanos: u32,
}

impl From<Timestamp> for CivilTime {
    fn from(moment: Timestamp) -> Self {
        let millis = moment.millis().rem_euclid(MILLIS_PER_DAY);
        Self {
            date: CivilDate::from_days(moment.millis().div_euclid(MILLIS_PER_DAY)),
            hour: millis / 3_600_000,
            minute: millis / 60_000 % 60,
            second: millis / 1_000 % 60,
            nanos: (millis % 1_000) as u32 * 1_000_000 + moment.nanos_of_milli(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = CivilDate::from_days(-800_000);
        for days in -799_999..800_000 {
            let date = CivilDate::from_days(days);
            let follows = if date.day > 1 {
                (date.year, date.month, date.day - 1) == (last.year, last.month, last.day)
            } else {
                (date.year * 12 + date.month - 1) == (last.year * 12 + last.month) && last.day >= 28
            };
            assert!(follows, "{last} {date}");
            assert_eq!(date.days(), days);
            last = date;
        }
    }

    #[test]
    fn days_have_their_names() {
        let day = |days| CivilDate::from_days(days).to_string();
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(19_782), "2024-02-29");
        assert_eq!(day(-719_162), "0001-01-01");
        assert_eq!(day(-719_529), "-0001-12-31");
        assert_eq!(day(2_932_897), "10000-01-01");
        for bad in ["2023-02-29", "2024-13-01", "2024-1", "x-01-01", ""] {
            assert!(bad.parse::<CivilDate>().is_err(), "{bad}");
        }
        for days in [0, 19_782, -719_529, 2_932_897] {
            assert_eq!(day(days).parse::<CivilDate>().unwrap().days(), days);
        }
        assert!(CivilTime::from(Timestamp::from_millis(i64::MIN)).date.year < -292_000_000);
    }
}

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since 1970-01-01T00:00 and the nanoseconds within that millisecond.
///
/// TIMESTAMP values count from the epoch in no zone, `TIMESTAMP_LTZ` values in UTC. Before 1970 the milliseconds are
/// rounded down, so that the nanoseconds are never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    millis: i64,
    nanos_of_milli: u32,
}

const NANOS_PER_MILLI: u32 = 1_000_000;

impl Timestamp {
    /// `nanos_of_milli` beyond 999,999 gives nothing.
    pub const fn new(millis: i64, nanos_of_milli: u32) -> Option<Self> {
        if nanos_of_milli < NANOS_PER_MILLI {
            Some(Self {
                millis,
                nanos_of_milli,
            })
        } else {
            None
        }
    }

    /// A moment of whole milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self {
            millis,
            nanos_of_milli: 0,
        }
    }

    /// A moment of whole microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self {
            millis: micros.div_euclid(1_000),
            nanos_of_milli: micros.rem_euclid(1_000) as u32 * 1_000,
        }
    }

    /// A moment of nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self {
            millis: nanos.div_euclid(1_000_000),
            nanos_of_milli: nanos.rem_euclid(1_000_000) as u32,
        }
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.millis
    }

    /// Milliseconds since the epoch, rounded up: of times that are told in milliseconds, the first that is not before this.
    pub const fn millis_up(self) -> i64 {
        self.millis.saturating_add((self.nanos_of_milli > 0) as i64)
    }

    /// Nanoseconds within the millisecond: 0 to 999,999.
    pub const fn nanos_of_milli(self) -> u32 {
        self.nanos_of_milli
    }

    /// Microseconds since the epoch, rounded down; nothing if they do not fit.
    pub fn micros(self) -> Option<i64> {
        let micros = i128::from(self.millis) * 1_000 + i128::from(self.nanos_of_milli / 1_000);
        i64::try_from(micros).ok()
    }

    /// Nanoseconds since the epoch; nothing if they do not fit.
    pub fn nanos(self) -> Option<i64> {
        let nanos = i128::from(self.millis) * i128::from(NANOS_PER_MILLI) + i128::from(self.nanos_of_milli);
        i64::try_from(nanos).ok()
    }

    /// Whether the moment needs no more than `precision` digits of the second.
    pub const fn fits(self, precision: u8) -> bool {
        let nanos_of_second =
            self.millis.rem_euclid(1_000) * NANOS_PER_MILLI as i64 + self.nanos_of_milli as i64;
        match precision {
            0..9 => nanos_of_second % 10_i64.pow(9 - precision as u32) == 0,
            _ => true,
        }
    }
}

impl From<SystemTime> for Timestamp {
    /// The moment in UTC; the first or the last that there is, if it is beyond.
    fn from(time: SystemTime) -> Self {
        let (since, sign) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_nanos() as i128, 1),
            Err(before) => (before.duration().as_nanos() as i128, -1),
        };
        let nanos = since.saturating_mul(sign);
        let per_milli = i128::from(NANOS_PER_MILLI);
        let millis = nanos.div_euclid(per_milli);
        Self {
            millis: i64::try_from(millis).unwrap_or(if sign > 0 { i64::MAX } else { i64::MIN }),
            nanos_of_milli: nanos.rem_euclid(per_milli) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn before_1970_the_milliseconds_round_down() {
        let moment = Timestamp::from_micros(-1);
        assert_eq!((moment.millis(), moment.nanos_of_milli()), (-1, 999_000));
        assert_eq!(moment.micros(), Some(-1));
        assert_eq!(Timestamp::from_nanos(i64::MIN).nanos(), Some(i64::MIN));
        assert_eq!(Timestamp::from_micros(i64::MIN).micros(), Some(i64::MIN));
        assert_eq!(Timestamp::from_millis(i64::MAX).micros(), None);
    }

    #[test]
    fn a_time_of_the_system_is_the_same_moment() {
        let before = UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(Timestamp::from(before), Timestamp::from_nanos(-1));
        let after = UNIX_EPOCH + Duration::from_micros(1_500);
        assert_eq!(Timestamp::from(after), Timestamp::from_micros(1_500));
        assert_eq!(Timestamp::from(after).millis_up(), 2);
        assert_eq!(Timestamp::from_millis(2).millis_up(), 2);
    }

    #[test]
    fn precision_counts_the_digits_of_the_second() {
        let moment = Timestamp::from_micros(1_000_500);
        assert!(!moment.fits(3));
        assert!(moment.fits(4));
        assert!(Timestamp::from_millis(-1_000).fits(0));
        assert!(!Timestamp::from_nanos(1).fits(8));
    }
}

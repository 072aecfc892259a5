//! Limits how often an event that repeats is logged.

use std::time::Duration;

use tokio::time::Instant;

/// How long no further occurrence is logged.
const QUIET: Duration = Duration::from_secs(10);

/// When an event was logged last, and how often it has happened since.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    since: u64,
}

impl Throttle {
    /// A throttle that logs the first occurrence.
    pub(crate) const fn new() -> Self {
        Self { last: None, since: 0 }
    }

    /// Counts an occurrence. If it is to be logged, returns how many there were since the last that was, itself included.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < QUIET)
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_logged_at_once_and_then_every_ten_seconds() {
        let (mut throttle, began) = (Throttle::new(), Instant::now());
        let times =
            [0, 1, 2, 10, 11, 19, 20].map(|seconds| throttle.count(began + Duration::from_secs(seconds)));
        assert_eq!(times, [Some(1), None, None, Some(3), None, None, Some(3)]);
        assert_eq!(throttle.count(began + Duration::from_millis(29_999)), None);
        assert_eq!(throttle.count(began + Duration::from_secs(30)), Some(2));
    }
}

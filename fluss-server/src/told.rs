//! What happens again and again is told once in a while, with how often it has happened since.

use std::time::{Duration, Instant};

/// How long nothing more is told of it.
const QUIET: Duration = Duration::from_secs(10);

/// When something was told last, and how often it has happened since.
#[derive(Debug, Default)]
pub(crate) struct Told {
    at: Option<Instant>,
    since: u64,
}

impl Told {
    /// Takes note that it has happened, and returns how often it has since it was told, if it is to be told now.
    pub(crate) fn again(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self
            .at
            .is_some_and(|at| now.saturating_duration_since(at) < QUIET)
        {
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_once_in_a_while() {
        let (mut told, began) = (Told::default(), Instant::now());
        let times = [0, 1, 2, 10, 11, 19, 20].map(|seconds| told.again(began + Duration::from_secs(seconds)));
        assert_eq!(times, [Some(1), None, None, Some(3), None, None, Some(3)]);
    }
}

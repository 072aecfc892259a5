//! How long to wait before trying again.

use std::time::Duration;

/// Pauses that grow by a factor up to a maximum, each blurred so that many clients do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause, before it is blurred.
    pub max: Duration,
    /// By how much each pause is longer than the one before.
    pub factor: f64,
    /// By which part of itself a pause may be longer or shorter, 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 100 ms, doubled up to 5 s, give or take 20 % (`rpc.md` §5.3).
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: 0.2,
        }
    }
}

impl Backoff {
    /// The pauses, without end.
    pub fn delays(self, rng: fastrand::Rng) -> Delays {
        Delays {
            backoff: self,
            seconds: self.initial.as_secs_f64(),
            rng,
        }
    }
}

/// The pauses of a [`Backoff`].
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    seconds: f64,
    rng: fastrand::Rng,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let longest = self.backoff.max.as_secs_f64();
        let seconds = self.seconds.min(longest);
        self.seconds = (seconds * self.backoff.factor).min(longest);
        let blur = 1.0 + self.backoff.jitter * (2.0 * self.rng.f64() - 1.0);
        Some(Duration::try_from_secs_f64(seconds * blur).unwrap_or(self.backoff.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let backoff = Backoff {
            jitter: 0.0,
            ..Backoff::default()
        };
        let pauses: Vec<u128> = backoff
            .delays(fastrand::Rng::with_seed(1))
            .take(8)
            .map(|d| d.as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn pauses_are_blurred_within_bounds() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..100 {
            let first = Backoff::default()
                .delays(fastrand::Rng::with_seed(seed))
                .next()
                .unwrap();
            assert!((80..=120).contains(&first.as_millis()), "{first:?}");
            seen.insert(first);
        }
        assert!(seen.len() > 50);
    }

    #[test]
    fn senseless_settings_do_not_panic() {
        for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let backoff = Backoff {
                factor,
                jitter: factor,
                max: Duration::MAX,
                ..Backoff::default()
            };
            assert_eq!(backoff.delays(fastrand::Rng::with_seed(1)).take(5).count(), 5);
        }
    }
}

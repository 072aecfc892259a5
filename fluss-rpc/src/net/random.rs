//! Chance, passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

/// Where generators of random numbers come from, for jitter and for choices among equals. With a seed they are the same in
/// each run. A clone is another handle on the same source.
///
/// The numbers can be guessed: salts, nonces and ids that are secret come from the system instead.
#[derive(Clone, Debug)]
pub struct Random {
    /// The seed of the next generator.
    next: Arc<AtomicU64>,
}

impl Random {
    /// A source that gives the same generators, in the same order, as every other with this seed.
    pub fn with_seed(seed: u64) -> Self {
        // Mixed, so that the sources of 1 and 2 have no generators in common.
        let first = Rng::with_seed(seed).u64(..);
        Self {
            next: Arc::new(AtomicU64::new(first)),
        }
    }

    /// The source of an optional seed; without one it is another each time.
    pub fn new(seed: Option<u64>) -> Self {
        Self::with_seed(seed.unwrap_or_else(|| Rng::new().u64(..)))
    }

    /// The next generator.
    pub fn fork(&self) -> Rng {
        // Mixed again, for the same reason.
        Rng::with_seed(self.next.fetch_add(1, Ordering::Relaxed)).fork()
    }
}

impl Default for Random {
    /// Another source each time.
    fn default() -> Self {
        Self::new(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(random: &Random) -> Vec<u64> {
        (0..100).map(|_| random.fork().u64(..)).collect()
    }

    #[test]
    fn a_seed_gives_the_same_generators_again_and_each_is_another() {
        let [one, same, next] = [1, 1, 2].map(|seed| numbers(&Random::with_seed(seed)));
        assert_eq!(one, same);
        let all: std::collections::BTreeSet<_> = one.iter().chain(&next).collect();
        assert_eq!(all.len(), 200);
        assert_ne!(numbers(&Random::default()), numbers(&Random::default()));
    }
}

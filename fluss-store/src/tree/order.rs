//! The order of keys.

use std::cmp::Ordering;

use heed::Comparator;

/// The order of their bytes, which is LMDB's own: found sooner where the first eight tell, as they mostly do.
#[derive(Debug)]
pub(crate) enum ByBytes {}

impl Comparator for ByBytes {
    fn compare(one: &[u8], other: &[u8]) -> Ordering {
        let head = |key: &[u8]| key.first_chunk().copied().map(u64::from_be_bytes);
        match (head(one), head(other)) {
            (Some(of_one), Some(of_other)) if of_one != of_other => of_one.cmp(&of_other),
            _ => one.cmp(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn it_is_that_of_their_bytes() {
        let mut rng = Rng::with_seed(3);
        let mut key = || -> Vec<u8> { (0..rng.usize(0..12)).map(|_| rng.u8(0..2) * 255).collect() };
        for _ in 0..20_000 {
            let (one, other) = (key(), key());
            assert_eq!(
                ByBytes::compare(&one, &other),
                one.cmp(&other),
                "{one:?} {other:?}"
            );
        }
    }
}

//! How values are distributed, in the memory of some hundred numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of each power of two. What is told of quantiles is off by an eighth of the value at most.
const PARTS_BITS: u32 = 2;
/// The smallest value that is told from smaller ones: about a microsecond, if it is of seconds.
const LEAST: f64 = 1.0 / (1 << 20) as f64;
/// The powers of two from [`LEAST`] on, up to 64 Gi.
const POWERS: usize = 56;
const BUCKETS: usize = POWERS << PARTS_BITS;

/// How the values of a histogram are distributed, as of a moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Distribution {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest of them; nothing if there was none.
    pub min: Option<f64>,
    /// The largest of them; nothing if there was none.
    pub max: Option<f64>,
    buckets: Vec<u64>,
}

impl Distribution {
    /// The value that this part of all, 0 to 1, does not exceed; nothing if there was none. It may be off by an eighth.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let (min, max) = (self.min?, self.max?);
        let rank = (part.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut counted = 0;
        let bucket = self.buckets.iter().position(|count| {
            counted += count;
            counted >= rank
        });
        Some(bucket.map_or(max, middle).clamp(min, max))
    }
}

/// The bits of a value that tell its power of two and its part of it.
const fn head(value: f64) -> u64 {
    value.to_bits() >> (f64::MANTISSA_DIGITS - 1 - PARTS_BITS)
}

/// The bucket of a value.
fn bucket(value: f64) -> usize {
    let value = value.max(LEAST);
    ((head(value) - head(LEAST)) as usize).min(BUCKETS - 1)
}

/// The value in the middle of a bucket.
fn middle(bucket: usize) -> f64 {
    let begin = |bucket: usize| {
        f64::from_bits((head(LEAST) + bucket as u64) << (f64::MANTISSA_DIGITS - 1 - PARTS_BITS))
    };
    begin(bucket).midpoint(begin(bucket + 1))
}

/// A distribution that grows.
#[derive(Debug)]
pub(super) struct Growing {
    buckets: Box<[AtomicU64]>,
    /// As bits of numbers.
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Growing {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
            min: AtomicU64::new(f64::INFINITY.to_bits()),
            max: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
        }
    }
}

impl Growing {
    pub(super) fn snapshot(&self) -> Distribution {
        let buckets: Vec<u64> = self
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let number = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        let finite = |bits| Some(number(bits)).filter(|value| value.is_finite());
        Distribution {
            count: buckets.iter().sum(),
            sum: number(&self.sum),
            min: finite(&self.min),
            max: finite(&self.max),
            buckets,
        }
    }
}

impl metrics::HistogramFn for Growing {
    /// What is no number is passed over, and what is less than nothing is nothing.
    fn record(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let value = value.max(0.0);
        update(&self.sum, |sum| sum + value);
        update(&self.min, |min| min.min(value));
        update(&self.max, |max| max.max(value));
        if let Some(count) = self.buckets.get(bucket(value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Changes a number, whoever else does.
fn update(bits: &AtomicU64, change: impl Fn(f64) -> f64) {
    let changed = |bits: u64| {
        let next = change(f64::from_bits(bits)).to_bits();
        (next != bits).then_some(next)
    };
    // Nothing is changed that stays as it is.
    let _ = bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
}

#[cfg(test)]
mod tests {
    use metrics::HistogramFn;

    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Distribution {
        let growing = Growing::default();
        values.into_iter().for_each(|value| growing.record(value));
        growing.snapshot()
    }

    #[test]
    fn quantiles_are_off_by_an_eighth_at_most() {
        for unit in [2e-6, 1e-3, 1.0, 1e6] {
            let distribution = of((1..=1_000).map(|value| f64::from(value) * unit));
            for part in [0.01, 0.5, 0.9, 0.99, 1.0] {
                let (exact, told) = (part * 1_000.0 * unit, distribution.quantile(part).unwrap());
                assert!(
                    (told / exact - 1.0).abs() <= 0.125,
                    "{part} of {unit}: {told}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn sums_counts_and_extremes_are_exact() {
        let distribution = of([3.0, 0.0, 5e12, 1e-9]);
        assert_eq!(distribution.count, 4);
        assert_eq!((distribution.min, distribution.max), (Some(0.0), Some(5e12)));
        assert!((distribution.sum - (5e12 + 3.0)).abs() < 1e-3);
        assert_eq!(distribution.quantile(0.0), Some(middle(0)));
        assert!(distribution.quantile(1.0).is_some_and(|most| most <= 5e12));
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        let distribution = of([f64::NAN, f64::INFINITY]);
        assert_eq!((distribution.count, distribution.sum), (0, 0.0));
        assert_eq!((distribution.min, distribution.quantile(0.5)), (None, None));
    }

    #[test]
    fn one_value_is_told_as_it_is() {
        for value in [0.0, 1e-7, 0.001, 42.0, 1e15] {
            assert_eq!(of([value]).quantile(0.5), Some(value));
        }
    }
}

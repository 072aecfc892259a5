//! A place for the values of metrics.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fluss_rpc::sync::{Mutex, MutexGuard};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString};

use fluss_rpc::net::meter::OWNER;

use super::distribution::{Distribution, Growing};
use super::{Kind, Metric, all};

/// Keeps the values of the client's metrics, and passes over those of others. Clones share them.
///
/// A counter takes 8 bytes, a histogram about 2 KiB, for each combination of labels.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    kept: Arc<Mutex<HashMap<Key, Kept>>>,
    /// What is kept beside the client's.
    more: &'static [Metric],
}

#[derive(Clone, Debug)]
enum Kept {
    Counter(Arc<AtomicU64>),
    Histogram(Arc<Growing>),
}

/// The value of a metric under some labels, as of a moment.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The metric.
    pub metric: &'static Metric,
    /// The values of its labels, in the order in which it names them.
    pub labels: Vec<String>,
    /// The name of the connection that it is of, if that has one.
    pub connection: Option<String>,
    /// Its value.
    pub value: Value,
}

/// What a metric has come to.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// The sum of a counter.
    Counter(u64),
    /// The distribution of a histogram.
    Histogram(Distribution),
}

/// The process has a recorder, which stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("another recorder is installed")]
pub struct Installed;

impl Recorder {
    /// Installs a recorder for this process. What is connected from then on is counted there.
    ///
    /// # Errors
    ///
    /// There is one already, which stays.
    pub fn install() -> Result<Self, Installed> {
        Self::install_with(&[])
    }

    /// As [`install`](Self::install), for the client's metrics and those of a library on it.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install).
    pub fn install_with(more: &'static [Metric]) -> Result<Self, Installed> {
        let recorder = Self {
            more,
            ..Self::default()
        };
        metrics::set_global_recorder(recorder.clone()).map_err(|_| Installed)?;
        Ok(recorder)
    }

    /// All values as of now, in the order of [`all`], then of those beside, and of their labels. Values of one moment need not be of the same: they
    /// are read one after the other, while others count.
    pub fn snapshot(&self) -> Vec<Sample> {
        let kept = self.lock().clone();
        let samples = |metric: &'static Metric| {
            let its = kept.iter().filter(|(key, _)| key.name() == metric.name);
            let mut samples: Vec<_> = its.map(|(key, kept)| kept.sample(metric, key)).collect();
            samples.sort_by(|one, other| {
                (&one.labels, &one.connection).cmp(&(&other.labels, &other.connection))
            });
            samples
        };
        self.all().flat_map(samples).collect()
    }

    fn all(&self) -> impl Iterator<Item = &'static Metric> + use<> {
        all().chain(self.more)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.kept.lock()
    }

    /// What is kept under a key, if it is a metric of this kind.
    fn keep(&self, key: &Key, kind: Kind) -> Option<Kept> {
        self.all()
            .find(|metric| metric.name == key.name() && metric.kind == kind)?;
        let mut kept = self.lock();
        if let Some(known) = kept.get(key) {
            return Some(known.clone());
        }
        let new = match kind {
            Kind::Counter => Kept::Counter(Arc::default()),
            Kind::Histogram => Kept::Histogram(Arc::default()),
        };
        Some(kept.entry(key.to_retained()).or_insert(new).clone())
    }
}

impl Kept {
    fn sample(&self, metric: &'static Metric, key: &Key) -> Sample {
        let value = |name: &str| {
            let label = key.labels().find(|label| label.key() == name);
            label.map(|label| label.value().to_owned())
        };
        Sample {
            metric,
            labels: metric.labels.iter().filter_map(|name| value(name)).collect(),
            connection: value(OWNER),
            value: match self {
                Self::Counter(sum) => Value::Counter(sum.load(Ordering::Relaxed)),
                Self::Histogram(values) => Value::Histogram(values.snapshot()),
            },
        }
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.keep(key, Kind::Counter) {
            Some(Kept::Counter(sum)) => Counter::from_arc(sum),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.keep(key, Kind::Histogram) {
            Some(Kept::Histogram(values)) => Histogram::from_arc(values),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use fluss_rpc::net::meter::Owner;

    use super::super::Unit;
    use super::*;

    #[test]
    fn what_is_counted_under_the_same_labels_is_summed() {
        let recorder = Recorder::default();
        metrics::with_local_recorder(&recorder, || {
            for (server, count) in [("b", 1), ("a", 2), ("b", 3)] {
                metrics::counter!("fluss_client_sent_bytes_total", "server" => server).increment(count);
            }
            metrics::histogram!("fluss_client_connect_seconds", "server" => "a").record(0.5);
        });
        let samples = recorder.snapshot();
        let told = |sample: &Sample| match &sample.value {
            Value::Counter(sum) => format!("{} {:?} {sum}", sample.metric.name, sample.labels),
            Value::Histogram(values) => format!("{} {:?} {}", sample.metric.name, sample.labels, values.sum),
        };
        assert_eq!(
            samples.iter().map(told).collect::<Vec<_>>(),
            [
                r#"fluss_client_connect_seconds ["a"] 0.5"#,
                r#"fluss_client_sent_bytes_total ["a"] 2"#,
                r#"fluss_client_sent_bytes_total ["b"] 4"#,
            ]
        );
    }

    #[test]
    fn what_a_connection_with_a_name_counts_is_told_apart() {
        let recorder = Recorder::default();
        let sent = all()
            .find(|metric| metric.name == "fluss_client_sent_bytes_total")
            .unwrap();
        metrics::with_local_recorder(&recorder, || {
            for (owner, count) in [
                (Owner::named("loader"), 1),
                (Owner::default(), 2),
                (Owner::named("loader"), 4),
            ] {
                sent.count(&owner, [&"a".into()]).increment(count);
            }
        });
        let told = recorder.snapshot().into_iter();
        let told: Vec<_> = told
            .map(|sample| (sample.labels, sample.connection, sample.value))
            .collect();
        let labels = || vec!["a".to_owned()];
        assert_eq!(
            told,
            [
                (labels(), None, Value::Counter(2)),
                (labels(), Some("loader".to_owned()), Value::Counter(5)),
            ]
        );
    }

    #[test]
    fn metrics_of_others_are_passed_over_unless_they_are_named() {
        const OURS: Metric = Metric::counter("ours_total", Unit::Rows, &[], "rows");
        let more: &'static [Metric] = &[OURS];
        let recorder = Recorder {
            more,
            ..Recorder::default()
        };
        metrics::with_local_recorder(&recorder, || metrics::counter!("ours_total").increment(3));
        assert_eq!(recorder.snapshot().len(), 1);
        let recorder = Recorder::default();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("theirs").increment(1);
            metrics::gauge!("fluss_client_sent_bytes_total").set(1);
        });
        assert_eq!(recorder.snapshot(), []);
    }
}

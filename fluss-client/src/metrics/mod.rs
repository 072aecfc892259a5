//! What the client counts and measures, and a place to keep it.
//!
//! Counters and histograms go to the recorder that the program has installed with the crate `metrics`, whichever it is. They
//! are listed in [`all`], and explained in `docs/observability.md`. A program that has none may install the [`Recorder`]
//! that is here, and look at its [`snapshot`](Recorder::snapshot):
//!
//! ```
//! use fluss_client::metrics::{Recorder, Value};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorder = Recorder::install()?; // before connecting
//! let connection = fluss_client::connect("embedded::memory:").await?;
//! connection.admin().list_databases().await?;
//!
//! for sample in recorder.snapshot() {
//!     let (name, unit) = (sample.metric.name, sample.metric.unit.name());
//!     match sample.value {
//!         Value::Counter(sum) => println!("{name} {:?}: {sum} {unit}", sample.labels),
//!         Value::Histogram(values) => println!("{name} {:?}: p99 {:?} {unit}", sample.labels, values.quantile(0.99)),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod distribution;
mod recorder;

pub use fluss_rpc::net::meter::{Kind, Metric, Unit};

pub use self::distribution::Distribution;
pub use self::recorder::{Installed, Recorder, Sample, Value};

/// Everything that is counted and measured: of connections, writers, scanners, look-ups and metadata.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    fluss_rpc::net::meter::CONNECTIONS.iter().chain(crate::METRICS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The page that tells users of the metrics.
    const PAGE: &str = include_str!("../../../docs/observability.md");

    fn row(metric: &Metric) -> String {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!(
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind,
            metric.unit.name(),
            labels.join(", "),
            metric.text
        )
    }

    #[test]
    fn the_page_lists_what_there_is_and_nothing_else() {
        let listed: Vec<_> = PAGE
            .lines()
            .filter(|line| line.starts_with("| `fluss_client_"))
            .collect();
        assert_eq!(listed, all().map(row).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_told_apart_and_end_in_their_units() {
        let names: BTreeSet<_> = all().map(|metric| metric.name).collect();
        assert_eq!(names.len(), all().count());
        for metric in all() {
            let ending = match (metric.kind, metric.unit) {
                (Kind::Counter, _) => "_total",
                (Kind::Histogram, unit) => unit.name(),
            };
            assert!(metric.name.ends_with(ending), "{}", metric.name);
        }
    }
}

//! The values of the client's metrics.

use std::sync::OnceLock;

use fluss_client::metrics::{Recorder, Sample, Value};
use pyo3::prelude::*;

/// The recorder of this process: an extension module has one of its own.
static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

/// Has everything counted from now on.
pub(crate) fn start() {
    RECORDER.get_or_init(|| Recorder::install_with(fluss_replica::METRICS).ok());
}

/// Counted, or count, sum, least, greatest, and quantiles.
#[derive(IntoPyObject)]
pub(crate) enum Values {
    Counter(u64),
    Histogram(Histogram),
}

type Histogram = (
    u64,
    f64,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
);

/// Name, unit, description, names and values of the labels, and the value.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Vec<(&'static str, String)>,
    Values,
);

/// The values of all metrics as of now.
#[pyfunction]
pub(crate) fn metric_values() -> Vec<Row> {
    let recorder = RECORDER.get().and_then(Option::as_ref);
    let samples = recorder.map(Recorder::snapshot).unwrap_or_default();
    samples.into_iter().map(row).collect()
}

fn row(sample: Sample) -> Row {
    let metric = sample.metric;
    let labels = metric.labels.iter().copied().zip(sample.labels);
    let connection = sample.connection.map(|name| ("connection", name));
    let labels = labels.chain(connection).collect();
    let values = match sample.value {
        Value::Counter(sum) => Values::Counter(sum),
        Value::Histogram(values) => Values::Histogram((
            values.count,
            values.sum,
            values.min,
            values.max,
            values.quantile(0.5),
            values.quantile(0.9),
            values.quantile(0.99),
        )),
    };
    (metric.name, metric.unit.name(), metric.text, labels, values)
}

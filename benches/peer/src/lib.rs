//! What the Rust programs of the benchmark have in common: jobs in, results out (`benches/README.md`), clocks and rows.

use std::error::Error;
use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::{Map, Value, json};

mod measure;
pub mod rows;

pub use measure::{Clock, peak_rss_kib};

use measure::Times;

/// What a job may fail with.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// One line of input.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of benches/README.md")]
pub struct Job {
    pub op: String,
    pub bootstrap: String,
    pub database: String,
    pub table: String,
    pub rows: i64,
    #[serde(default = "default_batch_rows")]
    pub batch_rows: usize,
    #[serde(default)]
    pub stored: i64,
    #[serde(default = "default_seconds")]
    pub seconds: f64,
}

const fn default_seconds() -> f64 {
    f64::INFINITY
}

fn default_batch_rows() -> usize {
    10_000
}

/// What a job found out.
#[derive(Debug)]
pub struct Measured {
    rows: i64,
    times: Times,
    more: Map<String, Value>,
}

impl Measured {
    /// So many rows in the time since the clock was started.
    pub fn new(rows: i64, clock: &Clock) -> Self {
        Self {
            rows,
            times: clock.stop(),
            more: Map::new(),
        }
    }

    /// With the sum of the ids that were read.
    #[must_use]
    pub fn sum_id(mut self, sum: i64) -> Self {
        self.more.insert("sum_id".to_owned(), sum.into());
        self
    }

    /// With how long it took until the first rows were there, and how much memory the process had before.
    #[must_use]
    pub fn first(mut self, after: std::time::Duration, resting_kib: u64) -> Self {
        self.more
            .insert("first_seconds".to_owned(), after.as_secs_f64().into());
        self.more.insert("resting_rss_kib".to_owned(), resting_kib.into());
        self
    }

    /// With the median and the 99th percentile of how long the calls took.
    #[must_use]
    pub fn calls(mut self, mut taken: Vec<std::time::Duration>) -> Self {
        taken.sort_unstable();
        for percent in [50, 99] {
            let micros = measure::percentile_micros(&taken, percent);
            self.more.insert(format!("p{percent}_micros"), micros.into());
        }
        self
    }

    fn describe(self, client: &str, op: &str) -> Value {
        let mut result = json!({
            "ok": true,
            "client": client,
            "op": op,
            "rows": self.rows,
            "seconds": self.times.wall,
            "cpu_seconds": self.times.cpu,
            "peak_rss_kib": peak_rss_kib(),
        });
        if let Some(result) = result.as_object_mut() {
            result.extend(self.more);
        }
        result
    }
}

/// Refuses an operation.
///
/// # Errors
///
/// Always.
pub fn not_offered(job: &Job) -> Outcome<Measured> {
    Err(format!("not offered by this client: {}", job.op).into())
}

/// Does the job of every line of the input, until the input ends.
///
/// # Errors
///
/// Input or output that is broken. What fails in a job is told in its result.
pub fn serve(client: &str, run: &impl AsyncFn(&Job) -> Outcome<Measured>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for line in io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let answer = match runtime.block_on(run(&job)) {
            Ok(measured) => measured.describe(client, &job.op),
            Err(error) => json!({"ok": false, "error": error.to_string()}),
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

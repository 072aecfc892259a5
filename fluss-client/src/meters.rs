//! What is counted and measured of writers, scanners, look-ups and metadata, as [`meter`] says.

use std::time::Duration;

use fluss_rpc::net::meter::{self, Metric, Owner, Since, Unit};
use metrics::{Counter, Histogram, SharedString};
use tokio::time::Instant;

use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

const TABLE: &[&str] = &["table"];

const WRITER_ROWS: Metric = Metric::counter(
    "fluss_client_writer_rows_total",
    Unit::Rows,
    TABLE,
    "rows that are acknowledged",
);
const WRITER_FAILED_ROWS: Metric = Metric::counter(
    "fluss_client_writer_failed_rows_total",
    Unit::Rows,
    TABLE,
    "rows that were given up",
);
const WRITER_BATCHES: Metric = Metric::counter(
    "fluss_client_writer_batches_total",
    Unit::Batches,
    TABLE,
    "batches that were sent, each counted once",
);
const WRITER_RETRIES: Metric = Metric::counter(
    "fluss_client_writer_retries_total",
    Unit::Times,
    TABLE,
    "batches that were sent again",
);
const WRITER_BATCH_ROWS: Metric = Metric::histogram(
    "fluss_client_writer_batch_rows",
    Unit::Rows,
    TABLE,
    "rows of a batch that was sent",
);
const WRITER_BATCH_BYTES: Metric = Metric::histogram(
    "fluss_client_writer_batch_bytes",
    Unit::Bytes,
    TABLE,
    "bytes of a batch that was sent, compressed",
);
const WRITER_BATCH_SECONDS: Metric = Metric::histogram(
    "fluss_client_writer_batch_seconds",
    Unit::Seconds,
    TABLE,
    "from the first row of a batch to its acknowledgement",
);
const WRITER_MEMORY_WAIT_SECONDS: Metric = Metric::histogram(
    "fluss_client_writer_memory_wait_seconds",
    Unit::Seconds,
    TABLE,
    "how long writes waited for memory that other rows held",
);
const WRITER_THROTTLE_SECONDS: Metric = Metric::histogram(
    "fluss_client_writer_throttle_seconds",
    Unit::Seconds,
    TABLE,
    "how long writes to a bucket were held up because its server fell behind",
);
const SCANNER_ROWS: Metric = Metric::counter(
    "fluss_client_scanner_rows_total",
    Unit::Rows,
    TABLE,
    "rows that were handed to the program",
);
const SCANNER_BYTES: Metric = Metric::counter(
    "fluss_client_scanner_bytes_total",
    Unit::Bytes,
    TABLE,
    "bytes of batches that were fetched, compressed",
);
const SCANNER_FETCHES: Metric = Metric::counter(
    "fluss_client_scanner_fetches_total",
    Unit::Requests,
    TABLE,
    "fetches that were answered",
);
const SCANNER_FETCH_FAILURES: Metric = Metric::counter(
    "fluss_client_scanner_fetch_failures_total",
    Unit::Requests,
    TABLE,
    "fetches that were not answered",
);
const SCANNER_FETCH_SECONDS: Metric = Metric::histogram(
    "fluss_client_scanner_fetch_seconds",
    Unit::Seconds,
    TABLE,
    "from a fetch to its answer, of those that do not wait at the server for news",
);
const LOOKUP_KEYS: Metric = Metric::counter(
    "fluss_client_lookup_keys_total",
    Unit::Keys,
    TABLE,
    "keys that were asked for, again ones included",
);
const LOOKUP_REQUEST_KEYS: Metric = Metric::histogram(
    "fluss_client_lookup_request_keys",
    Unit::Keys,
    TABLE,
    "keys of one request",
);
const LOOKUP_RETRIES: Metric = Metric::counter(
    "fluss_client_lookup_retries_total",
    Unit::Times,
    TABLE,
    "look-ups that were tried again",
);
const LOOKUP_FAILURES: Metric = Metric::counter(
    "fluss_client_lookup_failures_total",
    Unit::Times,
    TABLE,
    "look-ups that failed",
);
const METADATA_REFRESHES: Metric = Metric::counter(
    "fluss_client_metadata_refreshes_total",
    Unit::Times,
    &[],
    "times that servers were asked where things are",
);
const METADATA_FAILURES: Metric = Metric::counter(
    "fluss_client_metadata_failures_total",
    Unit::Times,
    &[],
    "times that no server could tell",
);

/// What is counted and measured of writers, scanners, look-ups and metadata.
pub const METRICS: &[Metric] = &[
    WRITER_ROWS,
    WRITER_FAILED_ROWS,
    WRITER_BATCHES,
    WRITER_RETRIES,
    WRITER_BATCH_ROWS,
    WRITER_BATCH_BYTES,
    WRITER_BATCH_SECONDS,
    WRITER_MEMORY_WAIT_SECONDS,
    WRITER_THROTTLE_SECONDS,
    SCANNER_ROWS,
    SCANNER_BYTES,
    SCANNER_FETCHES,
    SCANNER_FETCH_FAILURES,
    SCANNER_FETCH_SECONDS,
    LOOKUP_KEYS,
    LOOKUP_REQUEST_KEYS,
    LOOKUP_RETRIES,
    LOOKUP_FAILURES,
    METADATA_REFRESHES,
    METADATA_FAILURES,
];

/// Tells the recorder of this process what everything is that a client counts and measures.
pub(crate) fn describe() {
    for metric in meter::CONNECTIONS.iter().chain(METRICS) {
        metric.describe();
    }
}

/// The number of a bucket, if it is the only one of a request: spans name it.
pub(crate) fn only<'b>(mut buckets: impl Iterator<Item = &'b TableBucket>) -> Option<i32> {
    let first = buckets.next()?;
    buckets.next().is_none().then(|| first.bucket.get())
}

fn label(table: &TablePath) -> SharedString {
    SharedString::from(table.to_string())
}

/// Those of a writer.
#[derive(Debug)]
pub(crate) struct WriterMeters {
    rows: Counter,
    failed_rows: Counter,
    batches: Counter,
    retries: Counter,
    batch_rows: Histogram,
    batch_bytes: Histogram,
    batch_seconds: Histogram,
    memory_wait_seconds: Histogram,
    throttle_seconds: Histogram,
}

impl WriterMeters {
    pub(crate) fn of(owner: &Owner, table: &TablePath) -> Self {
        let table = &label(table);
        Self {
            rows: WRITER_ROWS.count(owner, [table]),
            failed_rows: WRITER_FAILED_ROWS.count(owner, [table]),
            batches: WRITER_BATCHES.count(owner, [table]),
            retries: WRITER_RETRIES.count(owner, [table]),
            batch_rows: WRITER_BATCH_ROWS.measure(owner, [table]),
            batch_bytes: WRITER_BATCH_BYTES.measure(owner, [table]),
            batch_seconds: WRITER_BATCH_SECONDS.measure(owner, [table]),
            memory_wait_seconds: WRITER_MEMORY_WAIT_SECONDS.measure(owner, [table]),
            throttle_seconds: WRITER_THROTTLE_SECONDS.measure(owner, [table]),
        }
    }

    /// Takes note of a batch that is sent for the first time, or again.
    pub(crate) fn sent(&self, rows: u32, bytes: usize, again: bool) {
        if again {
            self.retries.increment(1);
        } else {
            self.batches.increment(1);
            self.batch_rows.record(rows);
            self.batch_bytes.record(bytes as f64);
        }
    }

    /// Takes note of the fate of a batch.
    pub(crate) fn settled(&self, rows: u32, created: Instant, stored: bool) {
        if stored {
            self.rows.increment(rows.into());
            self.batch_seconds.record(Since(created));
        } else {
            self.failed_rows.increment(rows.into());
        }
    }

    /// Takes note of a pause that a server asked for.
    pub(crate) fn held_up(&self, pause: Duration) {
        self.throttle_seconds.record(pause);
    }

    /// Takes note of a wait for memory.
    pub(crate) fn waited(&self, since: Instant) {
        self.memory_wait_seconds.record(Since(since));
    }
}

/// Those of a scanner.
#[derive(Debug)]
pub(crate) struct ScannerMeters {
    rows: Counter,
    bytes: Counter,
    fetches: Counter,
    fetch_failures: Counter,
    fetch_seconds: Histogram,
}

impl ScannerMeters {
    pub(crate) fn of(owner: &Owner, table: &TablePath) -> Self {
        let table = &label(table);
        Self {
            rows: SCANNER_ROWS.count(owner, [table]),
            bytes: SCANNER_BYTES.count(owner, [table]),
            fetches: SCANNER_FETCHES.count(owner, [table]),
            fetch_failures: SCANNER_FETCH_FAILURES.count(owner, [table]),
            fetch_seconds: SCANNER_FETCH_SECONDS.measure(owner, [table]),
        }
    }

    /// Takes note of rows that the program got.
    pub(crate) fn handed_over(&self, rows: usize) {
        self.rows.increment(rows as u64);
    }

    /// Takes note of records of a bucket.
    pub(crate) fn fetched(&self, bytes: usize) {
        self.bytes.increment(bytes as u64);
    }

    /// Takes note of what became of a fetch.
    pub(crate) fn answered(&self, begun: Instant, waits: bool, succeeded: bool) {
        if !succeeded {
            return self.fetch_failures.increment(1);
        }
        self.fetches.increment(1);
        if !waits {
            self.fetch_seconds.record(Since(begun));
        }
    }
}

/// Those of a lookuper.
#[derive(Debug)]
pub(crate) struct LookupMeters {
    keys: Counter,
    request_keys: Histogram,
    retries: Counter,
    failures: Counter,
}

impl LookupMeters {
    pub(crate) fn of(owner: &Owner, table: &TablePath) -> Self {
        let table = &label(table);
        Self {
            keys: LOOKUP_KEYS.count(owner, [table]),
            request_keys: LOOKUP_REQUEST_KEYS.measure(owner, [table]),
            retries: LOOKUP_RETRIES.count(owner, [table]),
            failures: LOOKUP_FAILURES.count(owner, [table]),
        }
    }

    /// Takes note of a request for so many keys.
    pub(crate) fn asked(&self, keys: usize) {
        self.keys.increment(keys as u64);
        self.request_keys.record(keys as f64);
    }

    /// Takes note of an attempt that failed.
    pub(crate) fn failed(&self, is_tried_again: bool) {
        let count = if is_tried_again {
            &self.retries
        } else {
            &self.failures
        };
        count.increment(1);
    }
}

/// Those of the metadata.
#[derive(Debug)]
pub(crate) struct MetadataMeters {
    refreshes: Counter,
    failures: Counter,
}

impl MetadataMeters {
    pub(crate) fn of(owner: &Owner) -> Self {
        Self {
            refreshes: METADATA_REFRESHES.count(owner, []),
            failures: METADATA_FAILURES.count(owner, []),
        }
    }

    /// Takes note of a question to servers.
    pub(crate) fn asked(&self, succeeded: bool) {
        self.refreshes.increment(1);
        self.failures.increment(u64::from(!succeeded));
    }
}

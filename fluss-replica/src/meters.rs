//! What is counted and measured of replicas.

use fluss_client::metrics::{Metric, Unit};
use fluss_client::types::TablePath;
use fluss_rpc::net::meter::Owner;
use metrics::{Counter, Histogram, SharedString};

const TABLE: &[&str] = &["table"];

const READS: Metric = Metric::counter(
    "fluss_replica_reads_total",
    Unit::Keys,
    TABLE,
    "keys that were read of the copy",
);
const APPLIED_ROWS: Metric = Metric::counter(
    "fluss_replica_applied_rows_total",
    Unit::Rows,
    TABLE,
    "changes of rows that were applied to the copy",
);
const COPIES: Metric = Metric::counter(
    "fluss_replica_copies_total",
    Unit::Times,
    TABLE,
    "copies that were made from the beginning",
);
const COMMIT_SECONDS: Metric = Metric::histogram(
    "fluss_replica_commit_seconds",
    Unit::Seconds,
    TABLE,
    "from changes that were fetched until reads see them",
);
const LAG_ROWS: Metric = Metric::histogram(
    "fluss_replica_lag_rows",
    Unit::Rows,
    TABLE,
    "changes that the copy was behind, each time that the cluster was asked",
);

/// What is counted and measured of replicas.
pub const METRICS: &[Metric] = &[READS, APPLIED_ROWS, COPIES, COMMIT_SECONDS, LAG_ROWS];

/// The meters of one replica.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(crate) reads: Counter,
    pub(crate) applied_rows: Counter,
    pub(crate) copies: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) lag_rows: Histogram,
}

impl Meters {
    pub(crate) fn of(table: &TablePath) -> Self {
        for metric in METRICS {
            metric.describe();
        }
        let (owner, table) = (&Owner::default(), &SharedString::from(table.to_string()));
        Self {
            reads: READS.count(owner, [table]),
            applied_rows: APPLIED_ROWS.count(owner, [table]),
            copies: COPIES.count(owner, [table]),
            commit_seconds: COMMIT_SECONDS.measure(owner, [table]),
            lag_rows: LAG_ROWS.measure(owner, [table]),
        }
    }
}

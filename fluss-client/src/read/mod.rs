//! Reads that end: parts of logs, and tables as they are or were.
//!
//! ```text
//! bounds ─▶ range of each bucket ─▶ scanner ─▶ batches, cut where the ranges end
//!                                                 └─▶ collapse: the rows that a changelog leads to
//! ```
//!
//! `collapse` is pure: changes in, rows out.

mod bounds;
mod changelog;
mod collapse;
mod columns;
mod end;
mod kv_snapshot;
mod log;
mod plan;
mod reader;
mod scan_kv;
mod snapshot;
mod source;
mod stored;
mod stream;

pub use bounds::{AsOf, Bounds, StopOffset};
pub use log::{LogPart, LogRead};
pub use plan::{BucketRead, TableRead};
pub use reader::BoundedReader;
pub use snapshot::Snapshot;
pub use stream::RowStream;

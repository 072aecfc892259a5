//! Scanners: subscribed buckets in, records or Arrow batches out.
//!
//! ```text
//! subscribe ─▶ session ◀─ answers ─ fetcher ─▶ FETCH_LOG to each leader
//!                 │
//!                 └─ fetched batches ─▶ poll: decode ─▶ records, Arrow batches
//! ```
//!
//! `session` decides what to fetch and what an answer means, and knows neither sockets nor tasks. `fetcher` is the task
//! that carries that out, ahead of the consumer. Batches are decoded by whoever polls.

mod changelog;
mod decode;
mod fetcher;
mod records;
mod scanner;
mod session;
mod subscribe;

pub use changelog::changelog_schema;
pub use records::{BucketRecords, ScanBatch, ScanRecord, ScanRecords};
pub use scanner::{LogScanner, ScanBuilder};
pub use subscribe::StartOffset;

//! Scanners: subscribed buckets in, records or Arrow batches out.
//!
//! ```text
//! subscribe ─▶ session ◀─ answers ─ fetcher ─▶ FETCH_LOG to each leader
//!                 │
//!                 └─ arrivals, until their schemas are known ─▶ poll: decode ─▶ records, Arrow batches
//! ```
//!
//! `session` decides what to fetch and what an answer means, and knows neither sockets nor tasks. `fetcher` is the task
//! that carries that out, ahead of the consumer, and asks for the schemas that batches were written under. Batches are
//! decoded by whoever polls (`poll` waits for them, `take` takes them), to the columns that the table had when the scan
//! began: what was written before one of them was added is null there, and what was added later is left out. What the
//! cluster has moved to remote storage is read there: `tiered` says how.

mod ahead;
mod arrivals;
mod builder;
mod changelog;
mod decode;
mod decoded;
mod fetcher;
mod form;
mod inner;
mod lease;
mod limit;
mod moments;
mod poll;
mod positions;
mod records;
mod scanner;
mod session;
mod start;
mod subscribe;
mod take;
mod tiered;

pub use ahead::Ahead;
pub use builder::ScanBuilder;
pub use changelog::changelog_schema;
pub use lease::Lease;
pub use positions::Positions;
pub use records::{BucketRecords, ScanBatch, ScanRecord, ScanRecords};
pub use scanner::LogScanner;
pub use start::StartOffset;

#[cfg(test)]
mod tests;

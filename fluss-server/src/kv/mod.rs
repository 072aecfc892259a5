//! The state of a bucket of a primary-key table: an index over its changelog.
//!
//! ```text
//! KvBatch ─▶ Draft (work: rules, merge, slots) ─▶ changelog batch ─▶ the log
//!                    │        ▲                  │
//!                    ▼        │ old rows         ▼ after a crash
//!                 changes ─▶ State ◀────────── Replay
//!                             │ ▲
//!                             ▼ │
//!                         Checkpoints
//! ```
//!
//! A [`Tablet`] puts them together for one bucket; a [`Table`] is what the buckets of a table share.

mod aggregate;
mod changelog;
mod draft;
mod fit;
mod insertion;
mod merge;
mod mode;
mod open;
mod partition;
mod replay;
mod rules;
mod slots;
mod state;
mod table;
mod tablet;
mod work;

pub(crate) use mode::WriteMode;
pub(crate) use table::Table;
pub(crate) use tablet::Tablet;

#[cfg(test)]
mod tests;

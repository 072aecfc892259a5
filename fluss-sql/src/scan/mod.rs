//! Tables as plans read them.
//!
//! ```text
//! FlussTable: schema, which filters are exact ─▶ what is read ─▶ FlussScan: one partition for each bucket
//!                log to pinned ends · rows now or as of · changes · look-ups by key or prefix
//! ```

mod exec;
mod filters;
mod keys;
mod part;
mod seek;
mod stream;
mod table;

pub(crate) use filters::predicate;
pub(crate) use part::Read;
pub(crate) use table::FlussTable;

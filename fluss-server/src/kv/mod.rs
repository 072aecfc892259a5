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
mod error;
mod fit;
mod insertion;
mod merge;
mod mode;
mod partition;
mod replay;
mod rules;
mod slots;
mod table;
mod tablet;
mod work;

use std::ops::ControlFlow;

pub(crate) use error::{Error, NoRoom};
pub(crate) use mode::WriteMode;
pub(crate) use table::Table;
pub(crate) use tablet::Tablet;

/// Is asked for so many bytes of memory before a part of an answer is put there, and may refuse.
pub(crate) type Take<'t> = &'t mut dyn FnMut(usize) -> Result<(), NoRoom>;

/// Is called with a stored value, and says whether to go on.
pub(crate) type VisitValue<'v, E> = &'v mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>, E>;

/// Memory for what is small, and is not counted.
#[cfg(test)]
#[expect(clippy::unnecessary_wraps, reason = "it stands for what may refuse")]
pub(crate) const fn free(_: usize) -> Result<(), NoRoom> {
    Ok(())
}

#[cfg(test)]
mod tests;

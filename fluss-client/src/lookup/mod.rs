//! Look-ups: keys in, rows out.
//!
//! ```text
//! lookuper ─▶ engine ─▶ sender ─▶ LOOKUP or PREFIX_LOOKUP to each leader ─▶ values ─▶ rows or columns
//!               │          └ batcher: alone, or with which others
//!               │ └ places: which partitions
//!               └ attempts: again, or not
//! ```
//!
//! A look-up that finds nothing on its way to its server is sent at once, and its own task waits for the answer. What
//! comes meanwhile is sent by a task of its own: at once too, and then together whatever has come until an answer is
//! there. No clock decides. Many keys in one call are sent together as they are.

mod attempts;
mod batcher;
mod engine;
mod keys;
mod lookuper;
mod places;
mod query;
mod sender;
mod values;

pub(crate) use values::Values;

pub use lookuper::{LookupBuilder, Lookuper, PrefixLookuper};

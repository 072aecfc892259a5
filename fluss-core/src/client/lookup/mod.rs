//! Look-ups: keys in, rows out.
//!
//! ```text
//! lookuper ─▶ engine ─▶ batcher ─▶ LOOKUP or PREFIX_LOOKUP to each leader ─▶ values ─▶ rows or columns
//! ```
//!
//! A look-up is sent at once if nothing is on its way to its server. What comes meanwhile is collected, and sent
//! together when the answer is there: no clock decides. Many keys in one call are sent together as they are.

mod batcher;
mod engine;
mod keys;
mod lookuper;
mod query;
mod values;

pub use lookuper::{LookupBuilder, Lookuper, PrefixLookuper};

//! A local, read-only copy of a primary-key table that follows its changelog, for reads at memory speed.
//!
//! ```text
//! Replica ─▶ following ─▶ copying     a copy is made from the beginning, aside; then the changelog is applied to it
//!    │           └──────▶ freshness   how new it is: where the changelog ended when the cluster was asked, and what is applied
//!    └────▶ reading                   keys, prefixes and all rows, each read at one moment
//!
//! mount      the directory: which copy is current, who follows, how new it is
//! documents  the writers' side: rows that are changed field by field
//! held       a copy that is open, over `fluss_store::copy`; changes, contents, shape: what is in it, as bytes
//! ```

mod changes;
mod clock;
mod contents;
mod copying;
mod documents;
mod error;
mod following;
mod freshness;
mod held;
mod lag;
mod loading;
mod meters;
mod mount;
mod options;
mod reading;
mod replica;
mod selection;
mod shape;
mod shared;

pub use documents::Documents;
pub use error::{Error, Result};
pub use lag::{BucketLag, Lag};
pub use meters::METRICS;
pub use options::ReplicaOptions;
pub use reading::{FoundRows, HeldRow, Layout, Rows, Scan};
pub use replica::Replica;

//! A local, read-only copy of a primary-key table that follows its changelog, for reads at memory speed.

mod error;

pub use error::{Error, Result};

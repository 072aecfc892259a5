//! The state of a bucket: stored values by key, in the order of the keys' bytes, and the offset of the changelog up to
//! which it holds them. Nothing here knows what a row is.

mod checkpoint;
mod engine;
mod lmdb;
mod memory;
mod open;

pub use checkpoint::Checkpoints;
pub use engine::{About, Change, Snapshot, State, Visit};
pub use open::open;

#[cfg(test)]
mod tests;

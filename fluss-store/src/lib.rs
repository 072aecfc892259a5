//! What keeps tables on one machine, for a node that serves them or a copy that follows them.
//!
//! | Module | Holds |
//! |---|---|
//! | [`copy`] | a file of rows that one process writes and many read |
//! | [`disk`] | all access to files, and the mark that says whether they can be trusted |
//! | [`log`] | the log of a bucket: segments, indexes, recovery, idempotent writers |
//! | [`state`] | the state of a bucket of a primary-key table: values by key, and their checkpoints |
//!
//! It knows no sockets, no tasks and no messages.

/// The target of the events, which logs are filtered by: that of the node that the files belong to.
const TARGET: &str = "fluss::server";

pub mod copy;
pub mod disk;
pub mod log;
pub mod state;

mod error;
mod tree;

pub use error::OpenError;

//! The embedded node: one process that serves Apache Fluss tables out of a directory, or out of memory.
//!
//! | Module | Holds |
//! |---|---|
//! | `kv` | the rows of a bucket of a primary-key table: an index over its changelog |
//! | [`catalog`] | databases, tables, schemas, partitions, rights; and what may be created |
//! | [`clock`] | the time |
//!
//! Files, logs and states are those of `fluss-store`. Everything but the part that serves connections is free of tasks and
//! sockets.

/// The target of the node's events, which logs are filtered by.
const TARGET: &str = "fluss::server";

pub mod catalog;
pub mod clock;
pub mod options;
pub mod security;
pub mod serve;

mod bucket;
mod error;
mod kv;
mod node;
mod throttle;

pub use error::Failure;
pub use fluss_rpc::net::tls::TlsServerOptions;
pub use fluss_store::{OpenError, disk};
pub use node::{Node, WeakNode};
pub use options::{BatchCheck, Limits, NodeOptions, Storage, Sync};
pub use security::Users;

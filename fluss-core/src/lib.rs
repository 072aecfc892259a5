//! The data model of Apache Fluss (types, rows, record batches, Arrow) and the client built on it.
//!
//! Everything but the client works on bytes in memory, in both directions, without sockets, clocks or tasks: the
//! embedded node uses the same code. The `client` feature adds the part that talks to servers.

pub mod arrow;
#[cfg(feature = "client")]
pub mod client;
pub mod filter;
pub mod id;
pub mod record;
pub mod rights;
pub mod row;
pub mod sst;
pub mod types;

mod error;
mod numbered;
pub use error::{DecodeError, ValueError};

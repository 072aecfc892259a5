//! The data model of Apache Fluss: types, rows, record batches, Arrow.
//!
//! Everything works on bytes in memory, in both directions, without sockets, clocks or tasks: the client and the embedded
//! node use the same code.

pub mod arrow;
pub mod filter;
pub mod id;
pub mod record;
pub mod rights;
pub mod row;
pub mod sst;
pub mod types;

mod error;
mod numbered;
mod quantity;
pub use error::{DecodeError, ValueError};
pub use quantity::{InvalidQuantity, parse_duration, parse_size};

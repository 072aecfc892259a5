//! Writers: rows and Arrow batches in, acknowledged batches out.
//!
//! ```text
//! append ─┐
//! upsert ─┴▶ writer ─▶ router ─▶ accumulator ─▶ sender ─▶ PRODUCE_LOG or PUT_KV to each leader
//!               ▲                    ▲             │
//!             memory ◀── released ───┴─ outcomes ◀─┘
//! ```
//!
//! `accumulator`, `batch`, `brake`, `partitions`, `router` and `sequences` decide and know neither sockets nor tasks: time is
//! passed in. `sender` is the task that carries out what they decide, and `find_partitions` how it finds and creates partitions.
//! What the kinds of tables differ in is in `layout` (bytes), `request` (messages) and `shape` (which columns rows are
//! given with).

mod accumulator;
mod append;
mod batch;
mod batch_write;
mod brake;
mod bucket;
mod find_partitions;
mod handle;
mod layout;
mod memory;
mod one_batch;
mod outcome;
mod partitions;
mod request;
mod reroute;
mod router;
mod sender;
mod sequences;
mod shared;
mod shipment;
mod upsert;
mod writer;

pub use append::AppendWriter;
pub use batch_write::BatchWrite;
pub use handle::WriteHandle;
pub use one_batch::OneBatch;
pub use upsert::{UpsertBuilder, UpsertWriter};

#[cfg(test)]
mod tests;

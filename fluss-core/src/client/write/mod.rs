//! Writers: rows and Arrow batches in, acknowledged batches out.
//!
//! ```text
//! append ─▶ router ─▶ accumulator ─▶ sender ─▶ PRODUCE_LOG to each leader
//!    ▲                    ▲             │
//!  memory ◀── released ───┴─ outcomes ◀─┘
//! ```
//!
//! `accumulator`, `batch`, `router` and `sequences` decide and know neither sockets nor tasks: time is passed in.
//! `sender` is the task that carries out what they decide.

mod accumulator;
mod append;
mod batch;
mod bucket;
mod handle;
mod memory;
mod router;
mod sender;
mod sequences;

pub use append::AppendWriter;
pub use handle::WriteHandle;

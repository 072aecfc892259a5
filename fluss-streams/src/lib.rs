//! Event streams with expected versions, on a primary-key table of Apache Fluss.
//!
//! A stream is a name and a list of events, whose versions count from 0. Whoever appends says in which state the stream is to
//! be; two that expect the same version cannot both succeed, on any cluster: no server knows of streams. One append is one row,
//! whose key is the stream and the number of the append, in a table that keeps the first row of a key. So an append looks
//! where the stream ends, puts the row behind the last one, and looks whose row is there.

mod append;
mod clock;
mod columns;
mod commit;
mod commits;
mod consumers;
mod error;
mod event;
mod read;
mod streams;
mod subscription;
mod version;

pub use append::Appended;
pub use columns::{arrow_schema, to_arrow};
pub use error::{Error, Result};
pub use event::{DEFAULT_CONTENT_TYPE, NewEvent, RecordedEvent};
pub use read::ReadStream;
pub use streams::{Streams, StreamsOptions};
pub use subscription::{Notice, StartFrom, Subscription, Wanted};
pub use uuid::Uuid;
pub use version::{CurrentVersion, StreamState};

//! Log record batches (`records.md` §1): a header, then columns as one Arrow message, or rows one behind the other.

mod append;
mod batch;
mod compression;
mod decode;
mod encode;
mod header;
mod message;
mod project;
mod rows;

pub use append::{Append, Appended, LogError, Received, WholeBatches};
pub use batch::{LogBatch, LogBatches};
pub use decode::decode_arrow;
pub use encode::{empty_batch, encode_arrow};
pub use header::{ChangeType, Generation, LogBatchHeader};
pub use project::Projection;
pub use rows::{RowsBuilder, decode_rows};

//! Log record batches (`records.md` §1): a header, then columns as one Arrow message, or rows one behind the other.

mod append;
mod batch;
pub(crate) mod compression;
mod decode;
mod encode;
mod header;
mod message;
mod project;
mod rows;
mod shape;
mod statistics;

pub use append::{Append, Appended, LogError, Received, WholeBatches};
pub use batch::{BATCH_SIZE_TOLD_BY, LogBatch, LogBatches, batch_size};
pub use decode::{decode_arrow, decode_arrow_columns, decode_arrow_within};
pub use encode::{empty_batch, encode_arrow, encode_arrow_with_statistics};
pub use header::{ChangeType, LogBatchHeader};
pub use project::Projection;
pub use rows::{RowsBuilder, decode_rows};
pub use shape::BatchShape;
pub use statistics::{ColumnStatistics, Statistics, StatisticsColumns};

//! Tables as Arrow: schemas, rows to columns, columns to rows, and batches made to fit a table.
//!
//! The *wire* schema is what batches hold (`records.md` §1.7): times in it have no zone. The *user* schema is what
//! scanners show: there `TIMESTAMP_LTZ` columns are in UTC. Both share their buffers.

mod column;
mod columns;
mod conform;
mod recast;
mod rows;
mod schema;
mod split;
mod trim;
mod value;
mod zones;

pub use columns::ColumnsBuilder;
pub use conform::conform;
pub use recast::{check_recast, recast};
pub use rows::{ArrowRow, ArrowRows};
pub(crate) use schema::retag;
pub use schema::{arrow_schema, row_type, user_schema, with_schema};
pub use split::{data_bytes, split};
pub use trim::trim_chars;
pub use value::ColumnValue;
pub use zones::assume_utc;

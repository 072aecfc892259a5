//! Values of rows between Rust and Python, driven by the schema. Bulk data never takes this way.

mod columns;
mod fault;
mod from_python;
mod missing;
mod moment;
mod number;
mod numpy;
#[cfg(feature = "sql")]
mod parameters;
mod predicate;
mod to_python;

pub(crate) use columns::{extend_rows, values};
pub(crate) use from_python::{Key, document_from_python, key_from_python, row_from_python};
pub(crate) use moment::Timestamp;
#[cfg(feature = "sql")]
pub(crate) use parameters::{parameters_from_python, rows_from_python};
pub(crate) use predicate::predicate_from_python;
pub(crate) use to_python::{Maps, RowShape};

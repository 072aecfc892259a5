//! Values of rows between Rust and Python, driven by the schema. Bulk data never takes this way.

mod fault;
mod from_python;
mod missing;
mod moment;
mod number;
mod numpy;
mod predicate;
mod to_python;

pub(crate) use from_python::{key_from_python, row_from_python};
pub(crate) use moment::Timestamp;
pub(crate) use predicate::predicate_from_python;
pub(crate) use to_python::{Maps, RowShape};

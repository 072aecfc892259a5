//! What may be created, and what it becomes (`behaviour.md` §7 and §8.2).

mod alter;
mod definition;
mod draft;
mod engine;
mod names;
mod partitioning;
mod properties;
mod retention;
mod statistics;
#[cfg(test)]
mod tests;

pub use alter::{NewColumn, PropertyChange};
pub(super) use alter::{added_columns, changed_properties, with_bucket_count};
pub use definition::Limits;
pub(super) use definition::{check_size, define};
pub use names::check_table;
pub(super) use names::{check_database, check_producer};
pub(super) use partitioning::{check_time, check_values, in_key_order, partition_name};
pub(super) use properties::is_true;

use fluss_core::types::InvalidDefinition;
use fluss_rpc::code::ErrorCode;

use crate::Failure;

fn invalid_table(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_TABLE, reason)
}

/// What `fluss-core` finds wrong with a definition.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn invalid_definition(error: InvalidDefinition) -> Failure {
    invalid_table(error.to_string())
}

fn invalid_config(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_CONFIG, reason)
}

fn unknown(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason)
}

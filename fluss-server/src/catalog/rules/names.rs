//! Names (`behaviour.md` §1.5). They are never paths of files: tables and partitions lie under their numbers.

use fluss_core::types::{TablePath, check_name};
use fluss_rpc::code::ErrorCode;

use crate::Failure;

pub(in crate::catalog) fn check_database(name: &str) -> Result<(), Failure> {
    check("database", name, ErrorCode::INVALID_DATABASE)
}

/// Checks the path of a table that is to be created.
///
/// # Errors
/// `INVALID_DATABASE`, `INVALID_TABLE`.
pub fn check_table(path: &TablePath) -> Result<(), Failure> {
    check_database(path.database())?;
    check("table", path.table(), ErrorCode::INVALID_TABLE)
}

pub(in crate::catalog) fn check_producer(id: &str) -> Result<(), Failure> {
    check("producer", id, ErrorCode::INVALID_PRODUCER_ID)
}

pub(super) fn check_partition_value(value: &str) -> Result<(), Failure> {
    check("partition value", value, ErrorCode::PARTITION_SPEC_INVALID)
}

fn check(what: &str, name: &str, code: ErrorCode) -> Result<(), Failure> {
    check_name(what, name).map_err(|error| Failure::new(code, error.to_string()))
}

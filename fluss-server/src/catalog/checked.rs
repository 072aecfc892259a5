use fluss_rpc::code::ErrorCode;

use super::entry::{TableEntry, TableParts};
use super::rules::check_size;
use crate::Failure;

/// The entry of checked parts.
pub(super) fn entry(parts: TableParts) -> Result<TableEntry, Failure> {
    let entry =
        TableEntry::new(parts).map_err(|error| Failure::new(ErrorCode::INVALID_TABLE, error.to_string()))?;
    check_size(entry.json())?;
    Ok(entry)
}

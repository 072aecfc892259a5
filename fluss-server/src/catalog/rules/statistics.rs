//! The columns of which batches tell: `table.statistics.columns` (`v1_0.md` §7.1).

use fluss_core::record::log::StatisticsColumns;

use super::draft::Draft;
use super::invalid_config;
use crate::Failure;

const COLUMNS: &str = "table.statistics.columns";

pub(super) fn check(draft: &Draft) -> Result<(), Failure> {
    let Some(columns) = draft.property(COLUMNS) else {
        return Ok(());
    };
    if draft.is_keyed() {
        return Err(invalid_config(format!(
            "'{COLUMNS}' needs a table without a primary key"
        )));
    }
    StatisticsColumns::parse(columns, draft.schema().row_type())
        .map(drop)
        .map_err(|error| invalid_config(format!("'{COLUMNS}': {error}")))
}

//! How long records and rows are kept (`v1_0.md` §9 and §11.4).

use fluss_core::parse_duration;

use super::draft::Draft;
use super::invalid_config;
use crate::Failure;
use crate::catalog::settings::LOG_TTL;

const LOG: &str = "table.log.ttl";
const LOCAL_LOG: &str = "table.log.local-ttl";
/// The properties of rows that expire. Rows stay as long as nobody deletes them here.
const ROWS: [&str; 3] = [
    "table.kv.ttl",
    "table.kv.ttl.time-column",
    "table.kv.value-layout-version",
];

pub(super) fn check(draft: &Draft) -> Result<(), Failure> {
    if let Some(key) = ROWS.iter().find(|key| draft.property(key).is_some()) {
        return Err(invalid_config(format!(
            "'{key}': the rows of this node do not expire"
        )));
    }
    let duration = |key| draft.property(key).and_then(|text| parse_duration(text).ok());
    let log = duration(LOG).unwrap_or(LOG_TTL);
    match duration(LOCAL_LOG) {
        // A log of which nothing expires has no limit.
        Some(local) if local > log && !log.is_zero() => {
            Err(invalid_config(format!("'{LOCAL_LOG}' is longer than '{LOG}'")))
        }
        _ => Ok(()),
    }
}

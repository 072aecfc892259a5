//! Partition keys, and the names of partitions (`behaviour.md` §7).

use fluss_core::row::{AutoPartitionUnit, TimeFormat, check_partition};
use fluss_core::types::{Kind, PartitionName, PartitionSpec, Schema, TableDescriptor};
use fluss_rpc::code::ErrorCode;

use super::draft::Draft;
use super::names::check_partition_value;
use super::{invalid_config, invalid_table, properties};
use crate::Failure;
use crate::catalog::AutoPartition;

const ENABLED: &str = "table.auto-partition.enabled";
const KEY: &str = "table.auto-partition.key";
const PRECREATE: &str = "table.auto-partition.num-precreate";
const UNIT: &str = "table.auto-partition.time-unit";
const FORMAT: &str = "table.auto-partition.time-format";
const DATE_FORMAT: &str = "yyyy-MM-dd";

/// How partition, bucket and primary key fit together.
pub(super) fn check_keys(descriptor: &TableDescriptor) -> Result<(), Failure> {
    let (primary, partition) = (descriptor.schema().primary_key(), descriptor.partition_keys());
    for key in descriptor.bucket_keys() {
        if partition.contains(key) {
            return Err(invalid_table(format!(
                "bucket key column '{key}' is a partition key"
            )));
        }
        if !primary.is_empty() && !primary.contains(key) {
            return Err(invalid_table(format!(
                "bucket key column '{key}' is not part of the primary key"
            )));
        }
    }
    if primary.is_empty() {
        return Ok(());
    }
    if let Some(key) = partition.iter().find(|key| !primary.contains(key)) {
        return Err(invalid_table(format!(
            "partition key column '{key}' is not part of the primary key"
        )));
    }
    if primary.iter().all(|key| partition.contains(key)) {
        return Err(invalid_table(
            "the primary key has no column that is not a partition key",
        ));
    }
    Ok(())
}

/// The clock cannot make partitions of several keys ahead: it only drops them.
pub(super) fn fill(draft: &mut Draft) {
    if draft.descriptor.partition_keys().len() > 1 && properties::is_true(&draft.properties, ENABLED) {
        draft
            .properties
            .entry(PRECREATE.to_owned())
            .or_insert_with(|| "0".to_owned());
    }
}

pub(super) fn check(draft: &Draft) -> Result<(), Failure> {
    let keys = draft.descriptor.partition_keys();
    for key in keys {
        let kind = draft.schema().column(key).map(|column| column.data_type.kind());
        if let Some(Kind::Decimal { .. } | Kind::Array(_) | Kind::Map(..) | Kind::Row(_)) = kind {
            return Err(invalid_table(format!(
                "partition key column '{key}' cannot be a DECIMAL, ARRAY, MAP or ROW"
            )));
        }
    }
    let unit = draft.property(UNIT).and_then(|unit| unit.parse().ok());
    let unit = unit.unwrap_or(AutoPartitionUnit::Day);
    if let Some(format) = draft.property(FORMAT) {
        TimeFormat::parse(unit, format).map_err(|error| invalid_table(format!("'{FORMAT}': {error}")))?;
    }
    if !properties::is_true(&draft.properties, ENABLED) {
        return Ok(());
    }
    if keys.is_empty() {
        return Err(invalid_config(format!("'{ENABLED}' needs a partitioned table")));
    }
    check_time_key(draft, keys)?;
    check_day_key(draft, keys, unit)
}

/// A DATE is in the name of its partition as `yyyy-MM-dd`.
fn check_day_key(draft: &Draft, keys: &[String], unit: AutoPartitionUnit) -> Result<(), Failure> {
    let key = draft.property(KEY).or(keys.first().map(String::as_str));
    let column = key.and_then(|key| draft.schema().column(key));
    let is_date = column.is_some_and(|column| *column.data_type.kind() == Kind::Date);
    if !is_date || (unit == AutoPartitionUnit::Day && draft.property(FORMAT) == Some(DATE_FORMAT)) {
        return Ok(());
    }
    Err(invalid_table(format!(
        "partitions of a DATE by time need '{UNIT}' DAY and '{FORMAT}' {DATE_FORMAT}"
    )))
}

fn check_time_key(draft: &Draft, keys: &[String]) -> Result<(), Failure> {
    match draft.property(KEY) {
        Some(key) if !keys.iter().any(|other| other == key) => {
            return Err(invalid_table(format!("'{KEY}': '{key}' is no partition key")));
        }
        None if keys.len() > 1 => {
            return Err(invalid_table(format!(
                "a table with several partition keys needs '{KEY}'"
            )));
        }
        _ => {}
    }
    if keys.len() > 1 && draft.number(PRECREATE, 0) != 0 {
        return Err(invalid_table(format!(
            "'{PRECREATE}' must be 0 with several partition keys"
        )));
    }
    Ok(())
}

/// The name that a full specification gives a partition.
///
/// # Errors
/// `PARTITION_SPEC_INVALID` for keys that are missing, given twice or none of the table's. With `new`, also for values
/// that no partition may have.
pub(in crate::catalog) fn partition_name(
    keys: &[String],
    spec: &PartitionSpec,
    new: bool,
) -> Result<PartitionName, Failure> {
    let invalid = |reason: String| Err(Failure::new(ErrorCode::PARTITION_SPEC_INVALID, reason));
    if spec.values.len() != keys.len() {
        return invalid(format!(
            "{} values for the partition keys {}",
            spec.values.len(),
            keys.join(", ")
        ));
    }
    let values = in_key_order(keys, spec);
    if let Some((key, _)) = keys.iter().zip(&values).find(|(_, value)| value.is_none()) {
        return invalid(format!("there is no value for partition key '{key}'"));
    }
    let values: Vec<&str> = values.into_iter().flatten().collect();
    if new {
        values.iter().try_for_each(|value| check_partition_value(value))?;
    }
    Ok(PartitionName::from_values(&values))
}

/// Refuses a partition that no row can belong to, because no value of a key has its text.
///
/// # Errors
/// `PARTITION_SPEC_INVALID`.
pub(in crate::catalog) fn check_values(schema: &Schema, spec: &PartitionSpec) -> Result<(), Failure> {
    check_partition(schema.row_type(), spec)
        .map_err(|error| Failure::new(ErrorCode::PARTITION_SPEC_INVALID, error.to_string()))
}

/// Refuses a new partition whose time is none, or is past already.
///
/// # Errors
/// `PARTITION_SPEC_INVALID`.
pub(in crate::catalog) fn check_time(
    rule: &AutoPartition,
    name: &PartitionName,
    now_ms: i64,
) -> Result<(), Failure> {
    let time = name.values().nth(rule.key).unwrap_or_default();
    let invalid = |reason: String| Err(Failure::new(ErrorCode::PARTITION_SPEC_INVALID, reason));
    if !rule.format.is_time(time) {
        let example = rule.format.text(rule.local(now_ms), 0);
        return invalid(format!(
            "'{time}' does not match the expected format of the table's partitions, as '{example}' does"
        ));
    }
    match rule.oldest(now_ms) {
        Some(oldest) if *time < *oldest => invalid(format!(
            "'{time}' is out-of-date: the oldest partition that the table keeps is '{oldest}'"
        )),
        _ => Ok(()),
    }
}

/// The values of a specification in the order of the keys; nothing for a key that it leaves out.
pub(in crate::catalog) fn in_key_order<'a>(keys: &[String], spec: &'a PartitionSpec) -> Vec<Option<&'a str>> {
    let value = |key: &String| spec.values.iter().find(|(name, _)| name == key);
    keys.iter()
        .map(|key| value(key).map(|(_, value)| value.as_str()))
        .collect()
}

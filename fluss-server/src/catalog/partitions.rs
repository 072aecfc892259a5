//! Partitions come and go, by request and with the clock (`behaviour.md` §7).

use std::sync::Arc;

use fluss_core::id::{PartitionId, TableId};
use fluss_core::types::{PartitionName, PartitionSpec, TablePath};
use fluss_rpc::code::ErrorCode;
use tracing::warn;

use super::checked::entry;
use super::entry::{Partition, TableEntry};
use super::rules::{Limits, check_time, check_values, in_key_order, partition_name};
use super::{Catalog, Gone, Outcome, Plan, View, plan};
use crate::Failure;

impl Catalog {
    /// Creates a partition; with `or_keep`, one that exists stays as it is.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`, `TABLE_NOT_PARTITIONED`, `PARTITION_SPEC_INVALID`, `PARTITION_ALREADY_EXISTS`,
    /// `PARTITION_MAX_NUM`; the disk's.
    pub fn create_partition(
        &self,
        path: &TablePath,
        spec: &PartitionSpec,
        or_keep: bool,
        now_ms: i64,
    ) -> Result<(), Failure> {
        self.change(|view| {
            let table = Arc::clone(partitioned(view, path)?);
            let name = partition_name(table.info().descriptor.partition_keys(), spec, true)?;
            check_values(table.info().schema(), spec)?;
            if let Some(rule) = &table.settings().auto_partition {
                check_time(rule, &name, now_ms)?;
            }
            match (table.partition(&name), or_keep) {
                (Some(_), true) => return Ok(Outcome::Same(())),
                (Some(_), false) => {
                    let reason = format!("partition '{name}' of table '{path}' exists");
                    return Err(Failure::new(ErrorCode::PARTITION_ALREADY_EXISTS, reason));
                }
                (None, _) => {}
            }
            check_room(&table, &self.limits, 1)?;
            apply(
                view,
                &table,
                &Plan {
                    create: vec![name],
                    drop: Vec::new(),
                },
                now_ms,
            )?;
            Ok(Outcome::New(()))
        })
    }

    /// Drops a partition; with `if_exists`, one that is missing is fine.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`, `TABLE_NOT_PARTITIONED`, `PARTITION_SPEC_INVALID`, `PARTITION_NOT_EXISTS`; the disk's.
    pub fn drop_partition(
        &self,
        path: &TablePath,
        spec: &PartitionSpec,
        if_exists: bool,
    ) -> Result<Vec<Gone>, Failure> {
        self.change(|view| {
            let table = Arc::clone(partitioned(view, path)?);
            let name = partition_name(table.info().descriptor.partition_keys(), spec, false)?;
            if table.partition(&name).is_none() {
                return if if_exists {
                    Ok(Outcome::Same(Vec::new()))
                } else {
                    Err(missing(path, &name))
                };
            }
            let plan = Plan {
                create: Vec::new(),
                drop: vec![name],
            };
            apply(view, &table, &plan, 0).map(Outcome::New)
        })
    }

    /// The partitions of a table by name; with a filter, those that have its values.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`, `TABLE_NOT_PARTITIONED`; `UNKNOWN_SERVER_ERROR` for a filter with another key than the table's.
    pub fn list_partitions(
        &self,
        path: &TablePath,
        filter: Option<&PartitionSpec>,
    ) -> Result<Vec<(PartitionSpec, Partition)>, Failure> {
        let view = self.view();
        let table = partitioned(&view, path)?;
        let keys = table.info().descriptor.partition_keys();
        let empty = PartitionSpec::default();
        let filter = filter.unwrap_or(&empty);
        if let Some((key, _)) = filter.values.iter().find(|(key, _)| !keys.contains(key)) {
            let reason = format!("'{key}' is no partition key of table '{path}'");
            return Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason));
        }
        let wanted = in_key_order(keys, filter);
        let fits = |name: &PartitionName| {
            let mut pairs = name.values().zip(&wanted);
            pairs.all(|(value, wanted)| wanted.is_none_or(|wanted| wanted == value))
        };
        let found = table.partitions().iter().filter(|(name, _)| fits(name));
        Ok(found
            .map(|(name, partition)| (table.partition_spec(name), *partition))
            .collect())
    }

    /// Makes and drops the partitions that the clock asks for, of all tables. To be called now and then.
    ///
    /// # Errors
    /// The disk's.
    pub fn auto_partition(&self, now_ms: i64) -> Result<Vec<Gone>, Failure> {
        self.change(|view| {
            let tables: Vec<TableId> = view
                .tables()
                .filter(|table| table.settings().auto_partition.is_some())
                .map(|table| table.id())
                .collect();
            let mut gone = Vec::new();
            let mut changed = false;
            for table in tables {
                let (table_changed, table_gone) = follow_clock(view, table, &self.limits, now_ms)?;
                changed |= table_changed;
                gone.extend(table_gone);
            }
            Ok(if changed {
                Outcome::New(gone)
            } else {
                Outcome::Same(gone)
            })
        })
    }
}

/// Brings the partitions of a table up to date with the clock; says whether that changed any, and what is gone.
pub(super) fn follow_clock(
    view: &mut View,
    id: TableId,
    limits: &Limits,
    now_ms: i64,
) -> Result<(bool, Vec<Gone>), Failure> {
    let Some(table) = view.table(id).cloned() else {
        return Ok((false, Vec::new()));
    };
    let Some(rule) = &table.settings().auto_partition else {
        return Ok((false, Vec::new()));
    };
    let keys = table.info().descriptor.partition_keys().len();
    let mut plan = plan(rule, keys, now_ms, table.partitions());
    while !plan.create.is_empty() && check_room(&table, limits, plan.create.len()).is_err() {
        let left_out = plan.create.pop();
        let partition = left_out.as_ref().map(tracing::field::display);
        warn!(target: crate::TARGET, table = %table.info().path, partition, "the table has too many partitions for those ahead");
    }
    let changed = plan != Plan::default();
    Ok((
        changed,
        if changed {
            apply(view, &table, &plan, now_ms)?
        } else {
            Vec::new()
        },
    ))
}

fn partitioned<'a>(view: &'a View, path: &TablePath) -> Result<&'a Arc<TableEntry>, Failure> {
    let table = view.table_by_path(path)?;
    if table.info().is_partitioned() {
        return Ok(table);
    }
    let reason = format!("table '{path}' is not partitioned");
    Err(Failure::new(ErrorCode::TABLE_NOT_PARTITIONED, reason))
}

fn missing(path: &TablePath, name: &PartitionName) -> Failure {
    Failure::new(
        ErrorCode::PARTITION_NOT_EXISTS,
        format!("partition '{name}' of table '{path}' does not exist"),
    )
}

/// Whether the table may have so many partitions more.
fn check_room(table: &TableEntry, limits: &Limits, more: usize) -> Result<(), Failure> {
    let partitions = table.partitions().len() + more;
    if partitions > limits.max_partitions {
        return Err(Failure::new(
            ErrorCode::PARTITION_MAX_NUM,
            format!("{partitions} partitions; {} are allowed", limits.max_partitions),
        ));
    }
    Ok(())
}

fn apply(view: &mut View, table: &TableEntry, plan: &Plan, now_ms: i64) -> Result<Vec<Gone>, Failure> {
    let mut parts = table.to_parts();
    for name in &plan.create {
        let id = PartitionId(view.counters.partition);
        view.counters.partition += 1;
        parts.partitions.insert(
            name.clone(),
            Partition {
                id,
                created_ms: now_ms,
                buckets: table.info().bucket_count,
            },
        );
    }
    let gone = plan.drop.iter().filter_map(|name| parts.partitions.remove(name));
    let gone = gone
        .map(|partition| Gone::Partition(table.id(), partition.id))
        .collect();
    view.put_table(entry(parts)?);
    Ok(gone)
}

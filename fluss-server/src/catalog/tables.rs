//! Tables come, change and go (`behaviour.md` §8.2 to §8.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_core::id::{SchemaId, TableId};
use fluss_core::types::{TableDescriptor, TablePath};
use fluss_rpc::code::ErrorCode;

use super::checked::entry;
use super::entry::TableParts;
use super::rules::{
    NewColumn, PropertyChange, added_columns, changed_properties, check_table, define, with_bucket_count,
};
use super::{Catalog, Gone, Outcome, View, partitions};
use crate::Failure;

/// The identity of a table's first schema.
const FIRST_SCHEMA: SchemaId = SchemaId(1);

/// What `ALTER_TABLE` is to do: one or the other (`behaviour.md` §8.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Alteration {
    /// Changes properties.
    Properties(Vec<PropertyChange>),
    /// Adds columns at the end.
    Columns(Vec<NewColumn>),
    /// Gives partitions that are created from now on another number of buckets.
    BucketCount(i32),
}

impl Catalog {
    /// Creates a table from its descriptor as JSON (`descriptors.md` §2), with the partitions that the clock asks for;
    /// with `or_keep`, one that exists stays as it is.
    ///
    /// # Errors
    /// Those of `behaviour.md` §8.2, in that order; the disk's.
    pub fn create_table(
        &self,
        path: &TablePath,
        json: &[u8],
        or_keep: bool,
        now_ms: i64,
    ) -> Result<(), Failure> {
        check_table(path)?;
        let descriptor = define(json, &self.limits)?;
        self.change(|view| {
            view.database(path.database())?;
            match (view.table_by_path(path).is_ok(), or_keep) {
                (true, true) => return Ok(Outcome::Same(())),
                (true, false) => {
                    let reason = format!("table '{path}' exists");
                    return Err(Failure::new(ErrorCode::TABLE_ALREADY_EXIST, reason));
                }
                (false, _) => {}
            }
            let id = create(view, path, descriptor, now_ms)?;
            partitions::follow_clock(view, id, &self.limits, now_ms)?;
            Ok(Outcome::New(()))
        })
    }

    /// Drops a table; with `if_exists`, one that is missing is fine.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`; the disk's.
    pub fn drop_table(&self, path: &TablePath, if_exists: bool) -> Result<Vec<Gone>, Failure> {
        self.change(|view| match view.table_by_path(path).map(|table| table.id()) {
            Ok(id) => {
                view.remove_table(id);
                Ok(Outcome::New(vec![Gone::Table(id)]))
            }
            Err(_) if if_exists => Ok(Outcome::Same(Vec::new())),
            Err(missing) => Err(missing),
        })
    }

    /// Alters a table; with `if_exists`, one that is missing is fine. A table that keeps fewer partitions from now on loses
    /// the others at once.
    ///
    /// # Errors
    /// Those of `behaviour.md` §8.4 and `v1_0.md` §5.4; the disk's.
    pub fn alter_table(
        &self,
        path: &TablePath,
        alteration: &Alteration,
        if_exists: bool,
        now_ms: i64,
    ) -> Result<Vec<Gone>, Failure> {
        self.change(|view| {
            let table = match view.table_by_path(path) {
                Ok(table) => Arc::clone(table),
                Err(_) if if_exists => return Ok(Outcome::Same(Vec::new())),
                Err(missing) => return Err(missing),
            };
            let mut parts = table.to_parts();
            parts.modified_ms = now_ms;
            match alteration {
                Alteration::Properties(changes) => {
                    parts.descriptor = changed_properties(&parts.descriptor, changes)?;
                }
                Alteration::Columns(columns) => add_columns(&mut parts, columns)?,
                Alteration::BucketCount(count) => {
                    parts.descriptor = with_bucket_count(&parts.descriptor, *count, &self.limits)?;
                    parts.bucket_count_epoch += 1;
                }
            }
            view.put_table(entry(parts)?);
            let (_, gone) = partitions::follow_clock(view, table.id(), &self.limits, now_ms)?;
            Ok(Outcome::New(gone))
        })
    }
}

fn create(
    view: &mut View,
    path: &TablePath,
    descriptor: TableDescriptor,
    now_ms: i64,
) -> Result<TableId, Failure> {
    let id = TableId(view.counters.table);
    view.counters.table += 1;
    view.put_table(entry(TableParts {
        id,
        path: path.clone(),
        descriptor,
        older: BTreeMap::new(),
        schema_id: FIRST_SCHEMA,
        bucket_count_epoch: 0,
        created_ms: now_ms,
        modified_ms: now_ms,
        partitions: BTreeMap::new(),
    })?);
    Ok(id)
}

fn add_columns(parts: &mut TableParts, columns: &[NewColumn]) -> Result<(), Failure> {
    let schema = parts.descriptor.schema().clone();
    let next = added_columns(&parts.descriptor, columns)?;
    let next_id = parts.schema_id.get().checked_add(1);
    let next_id = next_id.ok_or_else(|| {
        Failure::new(
            ErrorCode::INVALID_ALTER_TABLE,
            "the table has as many schemas as it can have",
        )
    })?;
    parts.older.insert(parts.schema_id, Arc::new(schema));
    parts.schema_id = SchemaId(next_id);
    parts.descriptor = parts.descriptor.clone().with_schema(next);
    Ok(())
}

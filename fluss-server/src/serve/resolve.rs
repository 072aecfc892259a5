//! Finds the table and the bucket that a request names by their ids, if the caller may use them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_rpc::code::ErrorCode;

use super::session::Session;
use crate::bucket::Bucket;
use crate::catalog::TableEntry;
use crate::error::Failure;
use crate::security::Operation;

/// Returns a table that the caller may apply this operation to.
pub(super) fn table(session: &Session, id: i64, operation: Operation) -> Result<Arc<TableEntry>, Failure> {
    let table = find_table(session, id)?;
    session.context()?.check_table_by_id(operation, &table)?;
    Ok(table)
}

/// Returns a table, whatever the rights of the caller.
pub(super) fn find_table(session: &Session, id: i64) -> Result<Arc<TableEntry>, Failure> {
    let table = session.node.admin.catalog.table(TableId(id));
    table.ok_or_else(|| {
        let message = format!("there is no table {id}");
        Failure::new(ErrorCode::UNKNOWN_TABLE_OR_BUCKET, message)
    })
}

/// Returns a bucket of a table, opened if need be.
pub(super) fn bucket(
    session: &Session,
    table: &TableEntry,
    partition: Option<i64>,
    bucket: i32,
) -> Result<Arc<Bucket>, Failure> {
    let id = TableBucket {
        table: table.id(),
        partition: partition.map(PartitionId),
        bucket: BucketId(bucket),
    };
    if table.has_bucket(id.partition, bucket) {
        return Ok(session.node.buckets.get(id, table)?);
    }
    let message = format!("there is no {id}");
    Err(Failure::new(ErrorCode::UNKNOWN_TABLE_OR_BUCKET, message))
}

/// Refuses a request that needs a primary key.
pub(super) fn no_keys(table: &TableEntry) -> Failure {
    let message = format!("table {} has no primary key", table.info().path);
    Failure::new(ErrorCode::NON_PRIMARY_KEY_TABLE, message)
}

/// Keeps the last entry of each key, in the order of the first: a bucket that is named twice is answered once.
pub(super) fn last_of_each<T, K: Hash + Eq>(all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut positions = HashMap::with_capacity(all.len());
    let mut kept: Vec<T> = Vec::with_capacity(all.len());
    for one in all {
        match positions.entry(key(&one)) {
            Entry::Occupied(position) => {
                if let Some(before) = kept.get_mut(*position.get()) {
                    *before = one;
                }
            }
            Entry::Vacant(position) => {
                position.insert(kept.len());
                kept.push(one);
            }
        }
    }
    kept
}

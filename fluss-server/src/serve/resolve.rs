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

/// A bucket as a request names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Named {
    pub(super) partition: Option<i64>,
    pub(super) bucket: i32,
    /// By which number of buckets the client chose it, if it says.
    pub(super) count: Option<i32>,
}

/// The bucket that a part of a request names.
macro_rules! named {
    ($part:expr) => {
        $crate::serve::resolve::Named {
            partition: $part.partition_id,
            bucket: $part.bucket_id,
            count: $part.routing_bucket_count,
        }
    };
}
pub(super) use named;

/// Returns a bucket of a table, opened if need be.
///
/// # Errors
///
/// `INVALID_BUCKET_ROUTING` for one that was chosen by another number of buckets than there are (`v1_0.md` §5.3);
/// `UNKNOWN_TABLE_OR_BUCKET`.
pub(super) fn bucket(session: &Session, table: &TableEntry, named: Named) -> Result<Arc<Bucket>, Failure> {
    let id = TableBucket {
        table: table.id(),
        partition: named.partition.map(PartitionId),
        bucket: BucketId(named.bucket),
    };
    if let Some(count) = table.bucket_count(id.partition) {
        check_routing(table, count, named.count)?;
        if (0..count).contains(&named.bucket) {
            return Ok(session.node.buckets.get(id, table)?);
        }
    }
    let message = format!("there is no {id}");
    Err(Failure::new(ErrorCode::UNKNOWN_TABLE_OR_BUCKET, message))
}

/// Who names no count knows of none that was changed.
fn check_routing(table: &TableEntry, count: i32, named: Option<i32>) -> Result<(), Failure> {
    let named = named.filter(|named| *named > 0);
    let was_changed = table.info().bucket_count_epoch > 0;
    let message = match named {
        Some(named) if named == count => return Ok(()),
        None if !was_changed => return Ok(()),
        Some(named) => format!("the bucket was chosen among {named}, but there are {count}"),
        None => format!(
            "the request does not say among how many buckets the bucket was chosen; there are {count}"
        ),
    };
    Err(Failure::new(ErrorCode::INVALID_BUCKET_ROUTING, message))
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

use std::sync::Arc;

use super::Connection;
use super::error::{ErrorKind, Result};
use super::lookup::LookupBuilder;
use super::scan::ScanBuilder;
use super::write::{AppendWriter, UpsertBuilder, UpsertWriter};
use fluss_core::id::{BucketId, PartitionId, TableBucket};
use fluss_core::types::TableInfo;

/// A table, as it stood when it was asked for. Clones share it.
#[derive(Clone, Debug)]
pub struct Table {
    connection: Connection,
    info: Arc<TableInfo>,
}

impl Table {
    pub(crate) const fn new(connection: Connection, info: Arc<TableInfo>) -> Self {
        Self { connection, info }
    }

    /// Path, identity, schema and properties.
    pub fn info(&self) -> &TableInfo {
        &self.info
    }

    pub(crate) fn shared_info(&self) -> Arc<TableInfo> {
        self.info.clone()
    }

    /// A writer that appends to the table.
    ///
    /// # Errors
    ///
    /// A table with a primary key takes no appends.
    pub fn append_writer(&self) -> Result<AppendWriter> {
        AppendWriter::new(&self.connection, &self.info)
    }

    /// Begins to upsert and delete rows by key.
    pub fn upsert(&self) -> UpsertBuilder {
        UpsertBuilder::new(self.clone())
    }

    /// A writer that upserts and deletes whole rows: short for `upsert().writer()`.
    ///
    /// # Errors
    ///
    /// As [`UpsertBuilder::writer`].
    pub fn upsert_writer(&self) -> Result<UpsertWriter> {
        self.upsert().writer()
    }

    /// Begins to look rows up by key.
    pub fn lookup(&self) -> LookupBuilder {
        LookupBuilder::new(self.clone())
    }

    /// Begins a scan.
    pub fn scan(&self) -> ScanBuilder {
        ScanBuilder::new(self.clone())
    }

    /// The connection that the table was had from.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The buckets of a partition, or of a table without partitions.
pub(crate) fn buckets_of(
    info: &TableInfo,
    partition: Option<PartitionId>,
) -> impl Iterator<Item = TableBucket> + use<> {
    let table = info.id;
    (0..info.bucket_count).map(move |bucket| TableBucket {
        table,
        partition,
        bucket: BucketId(bucket),
    })
}

/// The most buckets that a table or a partition may be said to have; servers allow fewer, unless configured otherwise.
pub(crate) const MAX_BUCKETS: i32 = 1 << 17;

/// The most buckets that something is done with at a time.
const MAX_BUCKETS_AT_A_TIME: usize = 1 << 20;

/// The buckets of partitions.
///
/// # Errors
///
/// More than a client can have memory for, which is of the order of a kilobyte each.
pub(crate) fn buckets_of_all(
    info: &TableInfo,
    partitions: impl IntoIterator<Item = PartitionId>,
) -> Result<Vec<TableBucket>, ErrorKind> {
    let mut buckets = Vec::new();
    for partition in partitions {
        if buckets.len() > MAX_BUCKETS_AT_A_TIME {
            let reason = format!(
                "the partitions have more than {MAX_BUCKETS_AT_A_TIME} buckets: read them one after the other"
            );
            return Err(ErrorKind::InvalidArgument(reason));
        }
        buckets.extend(buckets_of(info, Some(partition)));
    }
    Ok(buckets)
}

/// Says why a bucket cannot be one of a table, nor of its partitions.
pub(crate) fn check_bucket(info: &TableInfo, bucket: TableBucket) -> Result<(), String> {
    if bucket.table != info.id {
        Err(format!("the table is number {}, not {}", info.id, bucket.table))
    } else if bucket.partition.is_some() != info.is_partitioned() {
        let is = if info.is_partitioned() { "is" } else { "is not" };
        Err(format!("the table {is} partitioned"))
    } else if !(0..info.bucket_count).contains(&bucket.bucket.get()) {
        Err(format!("the table has buckets 0 to {}", info.bucket_count - 1))
    } else {
        Ok(())
    }
}

//! The snapshots that a cluster keeps of primary-key tables: where reading their changelogs can begin (`behaviour.md` §5.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::columns::Columns;
use super::stored::StoredRows;
use crate::admin::{Admin, KvSnapshot, OffsetSpec, SnapshotFile};
use crate::cluster::Cluster;
use crate::cluster::each_bucket;
use crate::error::StorageError;
use crate::error::{Context, Error, ErrorKind, Result, tell};
use crate::log_target;
use crate::remote::RemoteFiles;
use fluss_core::DecodeError;
use fluss_core::id::{Offset, PartitionId, SnapshotId, TableBucket};
use fluss_core::record::value::split_tag;
use fluss_core::sst::Rows;
use fluss_core::types::TableInfo;

/// How many rows are made into columns at a time.
const BATCH_ROWS: usize = 16 << 10;
/// How many snapshots are read at a time.
const AT_ONCE: usize = 2;
/// How often a snapshot may be replaced by the next while it is read.
const ATTEMPTS: usize = 3;

/// Reads snapshots of the buckets of a table.
pub(super) struct KvSnapshots {
    cluster: Cluster,
    info: Arc<TableInfo>,
    rows: StoredRows,
    files: RemoteFiles,
    /// The latest of each bucket, or why they are not known.
    latest: BTreeMap<Option<PartitionId>, Result<BTreeMap<TableBucket, KvSnapshot>>>,
    /// How many may be read at a time: the files of each are held meanwhile.
    turns: Semaphore,
}

/// The rows that a bucket had when its log ended at an offset.
pub(super) struct Beginning {
    pub(super) offset: Offset,
    pub(super) rows: Vec<RecordBatch>,
}

impl KvSnapshots {
    /// Finds out which snapshots there are now. Where servers do not tell, there are none; what else keeps them from being
    /// known matters to the buckets that cannot be read without.
    pub(super) async fn find(cluster: &Cluster, columns: &Arc<Columns>) -> Result<Self> {
        let info = &columns.info;
        let mut found = Self {
            cluster: cluster.clone(),
            info: info.clone(),
            rows: StoredRows::new(cluster, columns),
            files: RemoteFiles::new(cluster.clone()),
            latest: BTreeMap::new(),
            turns: Semaphore::new(AT_ONCE),
        };
        let buckets = Admin::new(cluster.clone()).table_buckets(info).await?;
        let first_of_each: BTreeMap<_, _> =
            buckets.iter().map(|bucket| (bucket.partition, *bucket)).collect();
        let latest = each_bucket(first_of_each.into_values(), async |bucket| {
            Ok(found.latest_beside(bucket).await)
        });
        let latest = latest.await?.into_iter();
        found.latest = latest
            .map(|(bucket, latest)| (bucket.partition, latest))
            .collect();
        Ok(found)
    }

    /// The latest snapshots of the buckets of a bucket's partition.
    async fn latest_beside(&self, bucket: TableBucket) -> Result<BTreeMap<TableBucket, KvSnapshot>> {
        let admin = Admin::new(self.cluster.clone());
        let physical = admin.physical(&self.info.path, &bucket);
        let asked = admin.latest_kv_snapshots(&self.info.path, physical.partition.as_ref());
        match asked.await {
            Ok(found) => {
                let of_bucket = |(number, snapshot): (_, Option<KvSnapshot>)| {
                    let bucket = TableBucket {
                        bucket: number,
                        ..bucket
                    };
                    snapshot.map(|snapshot| (bucket, snapshot))
                };
                Ok(found.buckets.into_iter().filter_map(of_bucket).collect())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Where to begin to read a bucket: behind its latest snapshot, if what is wanted does not end before it, or at the
    /// beginning of its changelog. If its snapshot cannot be read, but all of its changelog can, that is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the changelog is cut and there is no snapshot; what is wrong with the snapshot, if there is
    /// one.
    pub(super) async fn begin(&self, bucket: TableBucket, end: Offset) -> Result<Option<Beginning>> {
        let admin = Admin::new(self.cluster.clone());
        let begun = self.begin_at_snapshot(&admin, bucket, end).await;
        if let Ok(Some(beginning)) = begun {
            return Ok(Some(beginning));
        }
        let start = admin.offset(&self.info, bucket, OffsetSpec::Earliest).await?;
        match begun {
            Ok(_) if start > 0 => Err(self.context(bucket).error(ErrorKind::Expired { start })),
            Err(error) if start > 0 => Err(error),
            Err(error) => {
                tell!(
                    log_target::CLIENT,
                    warn,
                    &error,
                    "the whole changelog is read instead of a snapshot"
                );
                Ok(None)
            }
            Ok(_) => Ok(None),
        }
    }

    async fn begin_at_snapshot(
        &self,
        admin: &Admin,
        bucket: TableBucket,
        end: Offset,
    ) -> Result<Option<Beginning>> {
        let of_bucket = |latest: &BTreeMap<_, _>| latest.get(&bucket).copied();
        let known = self.latest.get(&bucket.partition);
        let mut latest = match known.map(Result::as_ref).transpose() {
            Ok(known) => known.and_then(of_bucket),
            Err(error) => return Err(error.clone()),
        };
        let mut attempts = 0;
        while let Some(snapshot) = latest.filter(|snapshot| snapshot.log_offset <= end) {
            attempts += 1;
            match self.read(admin, bucket, snapshot.id).await {
                Err(error) if attempts < ATTEMPTS && is_replaced(&error) => {
                    latest = of_bucket(&self.latest_beside(bucket).await?);
                }
                outcome => return outcome.map(Some),
            }
        }
        Ok(None)
    }

    /// The rows of a snapshot. Its files are held until all of them are read.
    async fn read(&self, admin: &Admin, bucket: TableBucket, snapshot: SnapshotId) -> Result<Beginning> {
        let _turn = self.turns.acquire().await;
        let context = self.context(bucket);
        let metadata = admin.kv_snapshot_metadata(bucket, snapshot).await;
        let metadata = metadata.map_err(|error| error.within(context.clone()))?;
        let tables = metadata.files.into_iter().filter(SnapshotFile::is_table);
        let reads: Vec<_> = tables.map(|file| self.table(file.remote_path)).collect();
        let tables: Vec<(String, Bytes)> = stream::iter(reads)
            .buffered(self.cluster.options().remote.read_concurrency.max(1))
            .try_collect()
            .await
            .map_err(|error| context.clone().error(error))?;
        let fault = |error: DecodeError| context.clone().error(error);
        let mut values = Rows::read(tables).map_err(fault)?;
        let mut rows = Vec::new();
        loop {
            let some: Result<Vec<Bytes>, _> = values.by_ref().take(BATCH_ROWS).collect();
            let some = some.map_err(fault)?;
            if some.is_empty() {
                let offset = metadata.log_offset;
                return Ok(Beginning { offset, rows });
            }
            let some = plain(some, self.info.properties.kv_value_layout_version).map_err(fault)?;
            rows.push(self.rows.columns(&some, &context).await?);
        }
    }

    async fn table(&self, path: String) -> Result<(String, Bytes), StorageError> {
        let bytes = self.files.read_all(&path).await?;
        Ok((path, bytes))
    }

    fn context(&self, bucket: TableBucket) -> Context {
        self.cluster
            .topology()
            .bucket_context("read", &self.info.path, &bucket)
    }
}

/// Values as every other answer has them: without the times that the files hold of a table whose rows expire
/// (`v1_0.md` §11.3).
fn plain(values: Vec<Bytes>, layout_version: i32) -> Result<Vec<Bytes>, DecodeError> {
    if layout_version < 2 {
        return Ok(values);
    }
    let untagged = |value: Bytes| {
        let (_, plain) = split_tag(&value)?;
        Ok(value.slice_ref(plain))
    };
    values.into_iter().map(untagged).collect()
}

/// Whether the cluster has removed a snapshot since it was told of, because there is a newer one.
fn is_replaced(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Storage(error) => matches!(**error, StorageError::NotFound { .. }),
        _ => error.code() == Some(ErrorCode::KV_SNAPSHOT_NOT_EXIST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_rows_that_expire_are_taken_off() {
        let value = Bytes::from_static(b"\x01\x00row");
        let tagged = Bytes::from([&1_700_000_000_000_i64.to_be_bytes()[..], &value].concat());
        let found = plain(vec![tagged], 2).unwrap();
        assert_eq!(found, std::slice::from_ref(&value));
        assert_eq!(plain(found, 1).unwrap(), std::slice::from_ref(&value));
        assert!(plain(vec![value], 2).is_err(), "too short to have one");
    }
}

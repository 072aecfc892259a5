//! Snapshots of primary-key tables, leases that keep them, and snapshots of lakes (`behaviour.md` §5.5).

use std::collections::BTreeMap;
use std::path::Path;

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, Result};
use crate::wire;
use fluss_core::id::{BucketId, Offset, PartitionId, SnapshotId, TableBucket, TableId};
use fluss_core::types::{PartitionName, PhysicalTablePath, TablePath};

/// A snapshot of the rows of one bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KvSnapshot {
    /// Its number.
    pub id: SnapshotId,
    /// Where the changelog goes on behind it.
    pub log_offset: Offset,
}

/// The latest snapshots of a table, or of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KvSnapshots {
    /// The table.
    pub table: TableId,
    /// The partition: present exactly if the table is partitioned.
    pub partition: Option<PartitionId>,
    /// The latest of every bucket; nothing where there is none yet: the changelog says it all there.
    pub buckets: BTreeMap<BucketId, Option<KvSnapshot>>,
}

/// What a snapshot consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KvSnapshotMetadata {
    /// Where the changelog goes on behind it.
    pub log_offset: Offset,
    /// Its files, which are a `RocksDB` checkpoint.
    pub files: Vec<SnapshotFile>,
}

/// A file of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SnapshotFile {
    /// Where it is in the cluster's remote storage.
    pub remote_path: String,
    /// What it has to be called beside the others.
    pub local_name: String,
}

impl SnapshotFile {
    /// Whether it holds rows. The others tell how the server had arranged them.
    pub fn is_table(&self) -> bool {
        let extension = Path::new(&self.local_name).extension();
        extension.is_some_and(|extension| extension == "sst")
    }
}

/// Which snapshot of a lake is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LakeSnapshotSpec {
    /// The latest.
    Latest,
    /// The latest that can be read.
    Readable,
    /// The one of this number.
    Id(SnapshotId),
}

/// A snapshot of a table in a lake.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LakeSnapshot {
    /// The table.
    pub table: TableId,
    /// Its number.
    pub id: SnapshotId,
    /// Up to where (exclusive) the lake has each bucket's log.
    pub log_offsets: BTreeMap<TableBucket, Offset>,
}

/// What is in remote storage of the log of one bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RemoteLogManifest {
    /// The bucket.
    pub bucket: TableBucket,
    /// The file that lists the segments.
    pub path: String,
    /// Up to where (exclusive) the log is there.
    pub end_offset: Offset,
}

impl Admin {
    /// The latest snapshot of every bucket of a primary-key table, or of one of its partitions.
    ///
    /// # Errors
    ///
    /// [`NON_PRIMARY_KEY_TABLE`](crate::ErrorCode::NON_PRIMARY_KEY_TABLE) for a log table,
    /// [`PARTITION_NOT_EXISTS`](crate::ErrorCode::PARTITION_NOT_EXISTS) for a partition that is missing or not named,
    /// [`TABLE_NOT_PARTITIONED`](crate::ErrorCode::TABLE_NOT_PARTITIONED) for one of a table that has none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn latest_kv_snapshots(
        &self,
        path: &TablePath,
        partition: Option<&PartitionName>,
    ) -> Result<KvSnapshots> {
        let physical = PhysicalTablePath {
            table: path.clone(),
            partition: partition.cloned(),
        };
        let context = Context::new("get KV snapshots of").physical(&physical);
        let request = proto::GetLatestKvSnapshotsRequest {
            table_path: wire::table_path(path),
            partition_name: partition.map(|name| name.as_str().to_owned()),
        };
        let response = self.cluster.ask(&context, &request).await?;
        let snapshots = response.latest_snapshots.iter();
        Ok(KvSnapshots {
            table: TableId(response.table_id),
            partition: response.partition_id.map(PartitionId),
            buckets: snapshots
                .map(|found| (BucketId(found.bucket_id), snapshot(found)))
                .collect(),
        })
    }

    /// What a snapshot consists of. [`KV_SNAPSHOT_NOT_EXIST`](crate::ErrorCode::KV_SNAPSHOT_NOT_EXIST) if there is
    /// none of this number.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn kv_snapshot_metadata(
        &self,
        bucket: TableBucket,
        snapshot: SnapshotId,
    ) -> Result<KvSnapshotMetadata> {
        let context = Context::new("get KV snapshot metadata of").bucket(bucket.bucket);
        let request = proto::GetKvSnapshotMetadataRequest {
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            snapshot_id: snapshot.get(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        let file = |file: proto::PbRemotePathAndLocalFile| SnapshotFile {
            remote_path: file.remote_path,
            local_name: file.local_file_name,
        };
        Ok(KvSnapshotMetadata {
            log_offset: response.log_offset,
            files: response.snapshot_files.into_iter().map(file).collect(),
        })
    }

    /// Every snapshot of a table, or of one partition, that is retained or leased, by its bucket: for those who look for
    /// files that nobody needs. Where the changelog goes on behind one is told by
    /// [`kv_snapshot_metadata`](Self::kv_snapshot_metadata). A server of Fluss 0.9 cannot tell; an embedded node keeps none.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the server cannot tell.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_kv_snapshots(
        &self,
        table: TableId,
        partition: Option<PartitionId>,
    ) -> Result<Vec<(BucketId, SnapshotId)>> {
        let context = Context::new("list KV snapshots");
        let request = proto::ListKvSnapshotsRequest {
            table_id: table.get(),
            partition_id: partition.map(PartitionId::get),
        };
        let response = self.cluster.ask_again(&context, &request).await?;
        let found = response.active_snapshots.iter();
        Ok(found
            .filter_map(|found| Some((BucketId(found.bucket_id), SnapshotId(found.snapshot_id?))))
            .collect())
    }

    /// What is in remote storage of the logs of a table, or of one partition: for those who look for files that nobody
    /// needs. A server of Fluss 0.9 cannot tell; an embedded node has nothing there.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the server cannot tell.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_remote_log_manifests(
        &self,
        table: TableId,
        partition: Option<PartitionId>,
    ) -> Result<Vec<RemoteLogManifest>> {
        let context = Context::new("list remote log manifests");
        let request = proto::ListRemoteLogManifestsRequest {
            table_id: table.get(),
            partition_id: partition.map(PartitionId::get),
        };
        let response = self.cluster.ask_again(&context, &request).await?;
        let manifest = |entry: proto::PbRemoteLogManifestEntry| RemoteLogManifest {
            bucket: wire::table_bucket(&entry.table_bucket),
            path: entry.remote_log_manifest_path,
            end_offset: entry.remote_log_end_offset,
        };
        Ok(response.manifests.into_iter().map(manifest).collect())
    }

    /// A snapshot of a table in the lake that it is tiered to.
    /// [`LAKE_SNAPSHOT_NOT_EXIST`](crate::ErrorCode::LAKE_SNAPSHOT_NOT_EXIST) if there is none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn lake_snapshot(&self, path: &TablePath, which: LakeSnapshotSpec) -> Result<LakeSnapshot> {
        let context = Context::new("get lake snapshot of").table(path);
        let (snapshot_id, readable) = match which {
            LakeSnapshotSpec::Latest => (None, None),
            LakeSnapshotSpec::Readable => (None, Some(true)),
            LakeSnapshotSpec::Id(id) => (Some(id.get()), None),
        };
        let request = proto::GetLakeSnapshotRequest {
            table_path: wire::table_path(path),
            snapshot_id,
            readable,
        };
        let response = self.cluster.ask(&context, &request).await?;
        let table = TableId(response.table_id);
        let offset = |found: &proto::PbLakeSnapshotForBucket| {
            let bucket = TableBucket {
                table,
                partition: found.partition_id.map(PartitionId),
                bucket: BucketId(found.bucket_id),
            };
            Some((bucket, found.log_offset?))
        };
        Ok(LakeSnapshot {
            table,
            id: SnapshotId(response.snapshot_id),
            log_offsets: response.bucket_snapshots.iter().filter_map(offset).collect(),
        })
    }
}

fn snapshot(found: &proto::PbKvSnapshot) -> Option<KvSnapshot> {
    Some(KvSnapshot {
        id: SnapshotId(found.snapshot_id?),
        log_offset: found.log_offset?,
    })
}

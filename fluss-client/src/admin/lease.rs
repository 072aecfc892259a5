//! Leases, which keep snapshots from being deleted (`behaviour.md` §5.5).

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_rpc::proto;

use super::Admin;
use super::producers::millis;
use crate::cluster::Cluster;
use crate::error::{Context, Result};
use crate::wire;
use fluss_core::id::{BucketId, PartitionId, SnapshotId, TableBucket, TableId};

/// A lease on snapshots of primary-key tables: as long as it runs, the cluster deletes none of those that it holds.
///
/// It is a name and a duration; the snapshots are kept by the cluster. To let go of the value changes nothing: the lease
/// ends by [`drop_lease`](Self::drop_lease), or when it was not renewed for its duration. Values of the same name stand
/// for the same lease.
#[derive(Clone, Debug)]
pub struct KvSnapshotLease {
    cluster: Cluster,
    id: String,
    duration: Duration,
}

/// Snapshots, by their buckets.
pub type BucketSnapshots = BTreeMap<TableBucket, SnapshotId>;

impl Admin {
    /// A lease of this name. Nothing is asked of the cluster until it holds something.
    pub fn kv_snapshot_lease(&self, id: impl Into<String>, duration: Duration) -> KvSnapshotLease {
        KvSnapshotLease {
            cluster: self.cluster.clone(),
            id: id.into(),
            duration,
        }
    }
}

impl KvSnapshotLease {
    /// The name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How long it runs from when something was last acquired or it was renewed.
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Holds snapshots, too, one of each bucket, and renews the lease. Gives those that could not be had. A 0.9.1 server
    /// does not look whether they exist.
    ///
    /// # Errors
    ///
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) if the caller may not read one of the
    /// tables; [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node, which keeps no snapshots.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn acquire(&self, snapshots: &BucketSnapshots) -> Result<BucketSnapshots> {
        let context = Context::new("acquire KV snapshot lease");
        let duration = millis(self.duration).map_err(|kind| context.clone().error(kind))?;
        let request = proto::AcquireKvSnapshotLeaseRequest {
            lease_id: self.id.clone(),
            lease_duration_ms: duration,
            snapshots_to_lease: by_table(snapshots),
        };
        let response = self.cluster.ask_again(&context, &request).await?;
        Ok(response.unavailable_snapshots.iter().flat_map(of_table).collect())
    }

    /// Has the lease run for its duration from now.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn renew(&self) -> Result<()> {
        self.acquire(&BucketSnapshots::new()).await.map(drop)
    }

    /// Holds nothing of these buckets any more.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn release(&self, buckets: &[TableBucket]) -> Result<()> {
        let context = Context::new("release KV snapshot lease");
        let request = proto::ReleaseKvSnapshotLeaseRequest {
            lease_id: self.id.clone(),
            buckets_to_release: buckets.iter().map(wire::pb_table_bucket).collect(),
        };
        self.cluster.ask_again(&context, &request).await.map(drop)
    }

    /// Ends the lease with all that it holds. One that is not there is fine.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_lease(&self) -> Result<()> {
        let context = Context::new("drop KV snapshot lease");
        let request = proto::DropKvSnapshotLeaseRequest {
            lease_id: self.id.clone(),
        };
        self.cluster.ask_again(&context, &request).await.map(drop)
    }
}

fn by_table(snapshots: &BucketSnapshots) -> Vec<proto::PbKvSnapshotLeaseForTable> {
    let mut tables: BTreeMap<TableId, Vec<proto::PbKvSnapshotLeaseForBucket>> = BTreeMap::new();
    for (bucket, snapshot) in snapshots {
        let leased = proto::PbKvSnapshotLeaseForBucket {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            snapshot_id: snapshot.get(),
        };
        tables.entry(bucket.table).or_default().push(leased);
    }
    let table = |(table, bucket_snapshots): (TableId, _)| proto::PbKvSnapshotLeaseForTable {
        table_id: table.get(),
        bucket_snapshots,
    };
    tables.into_iter().map(table).collect()
}

fn of_table(table: &proto::PbKvSnapshotLeaseForTable) -> impl Iterator<Item = (TableBucket, SnapshotId)> {
    let id = TableId(table.table_id);
    table.bucket_snapshots.iter().map(move |snapshot| {
        let bucket = TableBucket {
            table: id,
            partition: snapshot.partition_id.map(PartitionId),
            bucket: BucketId(snapshot.bucket_id),
        };
        (bucket, SnapshotId(snapshot.snapshot_id))
    })
}

//! What administers a cluster, one file for each theme.

mod alter;
mod cluster;
mod configs;
mod databases;
mod lease;
mod offsets;
mod partitions;
mod producers;
mod rebalance;
mod rights;
mod snapshots;
mod tables;
mod users;

use std::collections::HashMap;

pub use alter::TableChange;
pub use cluster::{ClusterHealth, HealthStatus, ServerNode, ServerTag};
pub use configs::{ClusterConfig, ConfigChange, ConfigSource};
pub use databases::{DatabaseInfo, DatabaseSummary};
pub use lease::{BucketSnapshots, KvSnapshotLease};
pub use offsets::OffsetSpec;
pub use partitions::PartitionInfo;
pub use producers::{ProducerOffsets, Registration};
pub use rebalance::{BucketMove, Goal, RebalanceId, RebalanceProgress, RebalanceStatus};
pub use snapshots::{
    KvSnapshot, KvSnapshotMetadata, KvSnapshots, LakeSnapshot, LakeSnapshotSpec, RemoteLogManifest,
    SnapshotFile,
};
pub use users::{UserInfo, UserSource};

use fluss_core::types::{InvalidDefinition, TablePath};

use crate::cluster::Cluster;
use crate::table::Table;

/// Administers a cluster. Had from [`Connection::admin`](crate::Connection::admin); clones share the connection.
///
/// Names that are new are checked before anything is sent. What only reads is tried again while that may help. What
/// changes something is sent once: a [timeout](super::ErrorKind::Timeout) leaves open whether it took effect. What the
/// server does not offer is [`Unsupported`](super::ErrorKind::Unsupported), and not sent.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
///
/// let admin = connection.admin();
/// admin.create_database("shop", &Default::default(), false).await?;
/// let schema = Schema::builder().column("id", DataType::int()).primary_key(["id"]);
/// let descriptor = TableDescriptor::builder(schema.build()?).build()?;
/// let path = TablePath::new("shop", "orders");
/// admin.create_table(&path, &descriptor, false).await?;
/// assert_eq!(admin.list_tables("shop").await?, ["orders"]);
/// assert!(admin.table_info(&path).await?.has_primary_key());
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: Cluster,
}

impl Table {
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.cluster().clone())
    }
}

/// Something known of each bucket, by its number.
pub type ByBucket<T> = HashMap<fluss_core::id::BucketId, T>;

impl Admin {
    pub(crate) const fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// The path of a table: `database.table`, or the name of a table of the [database](crate::ClientOptions::database) that the
    /// connection was opened with.
    ///
    /// # Errors
    ///
    /// A text that is neither.
    pub fn path(&self, name: &str) -> Result<TablePath, InvalidDefinition> {
        match &self.cluster.options().database {
            Some(database) if !name.contains('.') => Ok(TablePath::new(database, name)),
            _ => name.parse(),
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

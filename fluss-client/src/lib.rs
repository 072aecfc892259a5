//! The client for Apache Fluss: log tables with an Arrow data path.
//!
//! ```no_run
//! use fluss_client::{StartOffset, types::TablePath};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = fluss_client::connect("fluss://localhost:9123").await?;
//! let table = connection.table(&TablePath::new("fluss", "events")).await?;
//!
//! let writer = table.append_writer()?;
//! writer.append(&[1_i64.into(), "login".into()]).await?;
//! writer.flush().await?;
//!
//! let scanner = table.scan().log_scanner()?;
//! scanner.subscribe_all(StartOffset::Earliest).await?;
//! for (bucket, record) in scanner.poll(Duration::from_secs(1)).await?.iter() {
//!     println!("{bucket} offset {}: {:?}", record.offset, record.row);
//! }
//! # Ok(())
//! # }
//! ```

mod admin;
mod cluster;
mod connection;
mod error;
mod log_target;
mod lookup;
mod meters;
mod read;
mod remote;
mod retry;
mod scan;
mod shape;
mod table;
mod warnings;
mod wire;
mod write;

pub mod config;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod metrics;

pub use admin::{
    Admin, BucketMove, BucketSnapshots, ByBucket, ClusterConfig, ClusterHealth, ConfigChange, ConfigSource,
    DatabaseInfo, DatabaseSummary, Goal, HealthStatus, KvSnapshot, KvSnapshotLease, KvSnapshotMetadata,
    KvSnapshots, LakeSnapshot, LakeSnapshotSpec, OffsetSpec, PartitionInfo, ProducerOffsets, RebalanceId,
    RebalanceProgress, RebalanceStatus, Registration, RemoteLogManifest, ServerNode, ServerTag, SnapshotFile,
    TableChange,
};
pub use connection::{Connection, WeakConnection};
pub use error::{BatchPlace, Context, Error, ErrorKind, Result, StorageError};
pub use fluss_core::{DecodeError, InvalidQuantity, ValueError, parse_duration, parse_size};
pub use fluss_core::{arrow, filter, id, record, rights, row, types};
pub use fluss_rpc::api::{ApiKey, ServerKind, ServerRole, Unsupported};
pub use fluss_rpc::code::{ErrorCode, Outcome};
pub use fluss_rpc::net::{ConnectError, Credentials, InvalidAddress, MalformedMessage, RequestError, ServerAddress};
pub use fluss_rpc::sasl::Mechanism;

pub use config::{
    Acks, BucketAssigner, ClientOptions, InvalidTarget, RemoteOptions, S3AccessKey, S3Options,
    ScannerOptions, Target, WriterOptions,
};
pub use lookup::{LookupBuilder, Lookuper, PrefixLookuper};
pub use meters::METRICS;
pub use read::{AsOf, BoundedReader, Bounds, BucketRead, RowStream, Snapshot, StopOffset, TableRead};
pub use scan::{
    Ahead, BucketRecords, Lease, LogScanner, Positions, ScanBatch, ScanBuilder, ScanRecord, ScanRecords,
    StartOffset, changelog_schema,
};
pub use table::Table;
pub use write::{AppendWriter, BatchWrite, UpsertBuilder, UpsertWriter, WriteHandle};

/// Connects to a target, see [`Target`]: `fluss://host:port` for a cluster, `embedded:./data` or `embedded::memory:` for a
/// node in this process.
///
/// # Errors
///
/// A text that is no target, a cluster that cannot be reached (see [`Connection::open`]), or a node that cannot be
/// opened ([`ErrorKind::Node`]).
///
/// # Cancellation
///
/// Dropping the future leaves nothing behind. A node that is being opened closes again.
pub async fn connect(target: &str) -> Result<Connection> {
    Connection::open(options(target).await?).await
}

/// The default options for a target, to be changed before [`Connection::open`]. See [`Target::lead`].
///
/// # Cancellation
///
/// Dropping the future leaves nothing behind. A node that is being opened closes again.
pub async fn options(target: &str) -> Result<ClientOptions> {
    let target: Target = target.parse().map_err(refuse)?;
    let mut options = ClientOptions::new([]);
    target.lead(&mut options).await?;
    Ok(options)
}

fn refuse(error: impl std::fmt::Display) -> Error {
    Context::new("connect").error(ErrorKind::InvalidArgument(error.to_string()))
}

impl Target {
    /// Has options lead to the target. An embedded node is opened if it is not yet; it closes when nobody has options or a
    /// connection that lead to it any more.
    ///
    /// # Errors
    ///
    /// A node that cannot be opened ([`ErrorKind::Node`]); any embedded target, if this was built without them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the options as they are. A node that is being opened closes again.
    pub async fn lead(&self, options: &mut ClientOptions) -> Result<()> {
        match self {
            Self::Servers(servers) => options.bootstrap_servers.clone_from(servers),
            #[cfg(feature = "embedded")]
            Self::Directory(_) | Self::Memory(_) => {
                embedded::lead(options, embedded::node(self).await?);
            }
            #[cfg(not(feature = "embedded"))]
            Self::Directory(_) | Self::Memory(_) => {
                let reason = format!("target '{self}': this was built without the embedded node");
                return Err(refuse(reason));
            }
        }
        Ok(())
    }
}

/// The examples in the pages for users.
#[cfg(doctest)]
#[doc = include_str!("../../docs/observability.md")]
mod pages {}

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
mod connect;
mod connection;
mod deadline;
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

/// The Arrow library whose batches and schemas this client takes and gives.
pub use arrow;

/// Conditions on rows.
pub mod filter {
    pub use fluss_core::filter::{Col, Comparison, Filter, Predicate, Test, TextPart, col};
}

pub use admin::{
    Admin, BucketMove, BucketSnapshots, ByBucket, ClusterConfig, ClusterHealth, ConfigChange, ConfigSource,
    DatabaseInfo, DatabaseSummary, Goal, HealthStatus, KvSnapshot, KvSnapshotLease, KvSnapshotMetadata,
    KvSnapshots, LakeSnapshot, LakeSnapshotSpec, OffsetSpec, PartitionInfo, ProducerOffsets, RebalanceId,
    RebalanceProgress, RebalanceStatus, Registration, RemoteLogManifest, ServerNode, ServerTag, SnapshotFile,
    TableChange, UserInfo, UserSource,
};
pub use connect::{ConnectionBuilder, connect, options};
pub use connection::{Connection, WeakConnection};
pub use deadline::within;
pub use error::{BatchPlace, Context, Error, ErrorKind, Result, StorageError};
pub use fluss_core::arrow::{ArrowRow, ArrowRows, row_type};
pub use fluss_core::record::log::ChangeType;
pub use fluss_core::{DecodeError, InvalidQuantity, ValueError, parse_duration, parse_size};
pub use fluss_core::{id, rights, types};
pub use fluss_rpc::api::{ApiKey, ServerKind, ServerRole, Unsupported};
pub use fluss_rpc::code::{ErrorCode, Outcome};
pub use fluss_rpc::net::tls::{TlsFault, TlsOptions};
pub use fluss_rpc::net::{
    ConnectError, Credentials, InvalidAddress, KeepAlive, MalformedMessage, RequestError, ServerAddress,
};
pub use fluss_rpc::sasl::Mechanism;

pub use config::{
    Acks, BucketAssigner, ClientOptions, DiscoveryOptions, InvalidTarget, NodePreference, ReadPreference,
    RemoteOptions, S3AccessKey, S3Options, ScannerOptions, Target, WriterOptions,
};
pub use lookup::{LookupBuilder, Lookuper, PrefixLookuper};
pub use meters::METRICS;
pub use read::{
    AsOf, BoundedReader, Bounds, BucketRead, LogPart, LogRead, RowStream, Snapshot, StopOffset, TableRead,
};
pub use scan::{
    Ahead, BucketRecords, Lease, LogScanner, Positions, ScanBatch, ScanBuilder, ScanRecord, ScanRecords,
    StartOffset, changelog_schema,
};
pub use table::Table;
pub use write::{AppendWriter, BatchWrite, OneBatch, UpsertBuilder, UpsertWriter, WriteHandle};

/// The examples in the pages for users.
#[cfg(doctest)]
#[doc = include_str!("../../docs/observability.md")]
mod pages {}

#[cfg(test)]
mod tests;

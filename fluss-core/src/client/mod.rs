//! The client: connections to a cluster, its administration, writers and scanners.

mod admin;
mod connection;
mod error;
mod lookup;
mod metadata;
mod meters;
mod options;
mod read;
mod remote;
mod retry;
mod scan;
mod schemas;
mod servers;
mod shape;
mod table;
mod log_target;
mod warnings;
mod wire;
mod write;

pub use admin::*;
pub use connection::{Connection, WeakConnection};
pub use error::{BatchPlace, Context, Error, ErrorKind, Result};
pub use lookup::{LookupBuilder, Lookuper, PrefixLookuper};
pub use meters::METRICS;
pub use options::{
    Acks, BucketAssigner, ClientOptions, RemoteOptions, S3AccessKey, S3Options, ScannerOptions, WriterOptions,
};
pub use read::{AsOf, BoundedReader, Bounds, Snapshot, StopOffset};
pub use remote::StorageError;
pub use scan::{
    Ahead, BucketRecords, Lease, LogScanner, Positions, ScanBatch, ScanBuilder, ScanRecord, ScanRecords,
    StartOffset, changelog_schema,
};
pub use table::Table;
pub use write::{AppendWriter, BatchWrite, UpsertBuilder, UpsertWriter, WriteHandle};

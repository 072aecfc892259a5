//! The client: connections to a cluster, its administration, writers and scanners.

mod admin;
mod connection;
mod error;
mod lookup;
mod metadata;
mod options;
mod read;
mod retry;
mod scan;
mod schemas;
mod servers;
mod shape;
mod table;
mod wire;
mod write;

pub use admin::*;
pub use connection::Connection;
pub use error::{Context, Error, ErrorKind, Result};
pub use lookup::{LookupBuilder, Lookuper, PrefixLookuper};
pub use options::{Acks, BucketAssigner, ClientOptions, ScannerOptions, WriterOptions};
pub use read::{AsOf, BoundedReader, Bounds, Snapshot, StopOffset};
pub use scan::{
    BucketRecords, LogScanner, Positions, ScanBatch, ScanBuilder, ScanRecord, ScanRecords, StartOffset,
    changelog_schema,
};
pub use table::Table;
pub use write::{AppendWriter, UpsertBuilder, UpsertWriter, WriteHandle};

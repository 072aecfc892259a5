//! What everything that serves connections shares.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};

use fluss_rpc::net::ServerAddress;
use fluss_store::disk::{Disk, OpenFiles};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::admin;
use super::connections::Connections;
use super::memory::Memory;
use super::open_scans::Scans;
use super::tls::Tls;
use crate::bucket::Buckets;
use crate::catalog::{Catalog, Remove};
use crate::options::{BatchCheck, Limits, NodeOptions, Sync};
use crate::security::Logins;

/// What sessions, listeners and housekeeping share. Dropped with the last of them: the buckets are then closed.
pub(crate) struct Shared {
    pub(crate) admin: admin::Node,
    pub(super) buckets: Arc<Buckets>,
    pub(super) scans: Scans,
    pub(super) logins: Logins,
    pub(super) limits: Limits,
    pub(super) advertised: Option<ServerAddress>,
    pub(crate) tls: Tls,
    /// Cancelled when the node closes: then no more requests are taken.
    pub(crate) closing: CancellationToken,
    pub(super) connections: Arc<Connections>,
    /// The number of connections so far, of any kind.
    pub(super) sessions: AtomicU64,
    pub(super) memory: Memory,
    /// Whether a write waits for the disk.
    pub(super) writes_wait: bool,
    /// Whether a read waits for the disk.
    pub(super) reads_wait: bool,
    /// How far batches are checked before they are stored.
    pub(super) check: BatchCheck,
    /// The files that are kept open.
    pub(super) open_files: Option<Arc<OpenFiles>>,
    /// Dropped last, when the directory is free.
    _ending: Ending,
}

/// Channels that close when the node has ended: one to its housekeeping, one to those who wait for the end.
pub(crate) type Ending = (mpsc::Sender<()>, watch::Sender<()>);

impl Shared {
    pub(crate) fn new(
        options: NodeOptions,
        disk: &Arc<dyn Disk>,
        (catalog, buckets): (Arc<Catalog>, Arc<Buckets>),
        ending: Ending,
    ) -> Self {
        let limits = options.limits;
        Self {
            admin: admin::Node {
                catalog,
                clock: options.clock,
                access: options.access,
                remove: buckets.clone(),
                configs: options.configs,
                login: options.login || options.users.is_some(),
                users: Arc::new(options.users.unwrap_or_default()),
                users_changed: watch::Sender::new(()),
            },
            buckets,
            scans: Scans::new(disk.clone(), limits.scan),
            logins: Logins::default(),
            limits,
            advertised: options.advertised,
            tls: Tls::new(options.tls),
            closing: CancellationToken::new(),
            connections: Connections::new(limits.connections, limits.connections_of_host),
            sessions: AtomicU64::new(0),
            memory: Memory::new(&limits),
            writes_wait: options.sync == Sync::Always,
            reads_wait: !disk.is_memory(),
            check: options.check,
            open_files: disk.open_files(),
            _ending: ending,
        }
    }

    /// Makes durable what was written to any bucket.
    pub(crate) fn sync(&self) {
        self.buckets.sync();
    }

    /// Creates and drops partitions by the calendar, and drops old data and scans that nobody uses.
    pub(crate) fn tidy(&self) {
        match self.admin.catalog.auto_partition(self.admin.clock.now_ms()) {
            Ok(gone) => self.buckets.remove(&gone),
            Err(failure) => warn!(target: crate::TARGET, %failure, "partitions were not created or dropped"),
        }
        self.buckets.expire();
        self.scans.expire(self.admin.clock.now_ms());
        self.buckets.sync_where_due();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.buckets.close();
    }
}

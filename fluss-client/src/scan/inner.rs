//! What the handles of a scanner share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fluss_rpc::guarded::{Guard, Guarded};
use fluss_rpc::sync::Mutex;
use tokio::task::AbortHandle;

use super::decoded::Decoded;
use super::fetcher::Shared;
use crate::cluster::Cluster;
use crate::error::Result;

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) cluster: Cluster,
    /// Whose turn it is to take rows.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// Locked before the session by who needs both.
    pub(super) decoded: Guarded<Decoded>,
    pub(super) closed: AtomicBool,
    pub(super) fetcher: AbortHandle,
    /// Looks for new partitions, once the whole of a partitioned table is read.
    pub(super) discovery: Mutex<Option<AbortHandle>>,
}

impl Inner {
    pub(super) fn decoded(&self) -> Result<Guard<'_, Decoded>> {
        let decoded = self.decoded.lock();
        decoded.map_err(|poisoned| self.shared.breakdown(poisoned))
    }

    /// Lets a task look for new partitions, in the place of the former one.
    pub(super) fn discover(&self, task: Option<AbortHandle>) {
        let mut discovery = self.discovery.lock();
        if let Some(former) = std::mem::replace(&mut *discovery, task) {
            former.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.fetcher.abort();
        self.discover(None);
    }
}

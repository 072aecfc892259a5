//! Where things are, as far as it is known now: shared by those who find it out and those who lose connections.

use std::sync::Arc;

use fluss_rpc::net::ServerAddress;
use fluss_rpc::sync::RwLock;

use super::topology::Topology;

/// The latest [`Topology`].
#[derive(Debug, Default)]
pub(crate) struct Known(RwLock<Arc<Topology>>);

impl Known {
    pub(super) fn topology(&self) -> Arc<Topology> {
        self.0.read().clone()
    }

    /// Replaces it, and returns the new one.
    pub(super) fn update(&self, next: impl FnOnce(&Topology) -> Topology) -> Arc<Topology> {
        let mut topology = self.0.write();
        let next = Arc::new(next(&topology));
        let known = std::mem::replace(&mut *topology, next.clone());
        drop(topology);
        next.tell(&known);
        next
    }

    /// Takes note that the connection to a server is lost: another may be there when there is a connection again.
    pub(super) fn doubt(&self, server: &ServerAddress) {
        let mut topology = self.0.write();
        if topology.names(server) {
            *topology = Arc::new(topology.doubting(server));
        }
    }
}

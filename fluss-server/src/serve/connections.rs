//! The limits on connections: of all clients, and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use fluss_rpc::sync::{Mutex, MutexGuard};

/// Limits the number of connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_of_host: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_host: HashMap<IpAddr, usize>,
}

/// Allows one connection; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    connections: Arc<Connections>,
    host: IpAddr,
}

/// The limit that is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Full {
    #[error("too many connections: {0} are open, which is the most (max.connections)")]
    All(usize),
    #[error(
        "too many connections from this address: {0} are open, which is the most (max.connections-per-host)"
    )]
    Host(usize),
}

impl Connections {
    pub(super) fn new(most: usize, most_of_host: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_host,
            open: Mutex::default(),
        })
    }

    /// Admits a connection from an address.
    pub(super) fn admit(self: &Arc<Self>, host: IpAddr) -> Result<Permit, Full> {
        let mut open = self.lock();
        if open.all >= self.most {
            return Err(Full::All(self.most));
        }
        if open.of_host.get(&host).copied().unwrap_or_default() >= self.most_of_host {
            return Err(Full::Host(self.most_of_host));
        }
        open.all += 1;
        *open.of_host.entry(host).or_default() += 1;
        Ok(Permit {
            connections: self.clone(),
            host,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.of_host.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.of_host.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let connections = Connections::new(3, 2);
        let host = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let first = connections.admit(host(1)).unwrap();
        let _second = connections.admit(host(1)).unwrap();
        assert_eq!(connections.admit(host(1)).unwrap_err(), Full::Host(2));
        let third = connections.admit(host(2)).unwrap();
        assert_eq!(connections.admit(host(3)).unwrap_err(), Full::All(3));
        drop(third);
        drop(first);
        let _again = connections.admit(host(1)).unwrap();
        assert_eq!(connections.lock().of_host.len(), 1);
    }
}

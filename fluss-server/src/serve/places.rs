//! How many connections there may be, of all clients and of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places that there are for connections.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_host: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_host: HashMap<IpAddr, usize>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Taking {
    places: Arc<Places>,
    host: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Full {
    #[error("too many connections: {0} are open, which is the most (max.connections)")]
    All(usize),
    #[error(
        "too many connections from this address: {0} are open, which is the most (max.connections-per-host)"
    )]
    Host(usize),
}

impl Places {
    pub(super) fn new(most: usize, most_of_host: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_host,
            taken: Mutex::default(),
        })
    }

    /// Takes a place for a client at an address.
    pub(super) fn take(self: &Arc<Self>, host: IpAddr) -> Result<Taking, Full> {
        let mut taken = self.lock();
        if taken.all >= self.most {
            return Err(Full::All(self.most));
        }
        if taken.of_host.get(&host).copied().unwrap_or_default() >= self.most_of_host {
            return Err(Full::Host(self.most_of_host));
        }
        taken.all += 1;
        *taken.of_host.entry(host).or_default() += 1;
        Ok(Taking {
            places: self.clone(),
            host,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.of_host.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.of_host.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn places_are_limited_in_all_and_by_address_and_come_back() {
        let places = Places::new(3, 2);
        let host = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let first = places.take(host(1)).unwrap();
        let _second = places.take(host(1)).unwrap();
        assert_eq!(places.take(host(1)).unwrap_err(), Full::Host(2));
        let third = places.take(host(2)).unwrap();
        assert_eq!(places.take(host(3)).unwrap_err(), Full::All(3));
        drop(third);
        drop(first);
        let _again = places.take(host(1)).unwrap();
        assert_eq!(places.lock().of_host.len(), 1);
    }
}

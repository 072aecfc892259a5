//! Where hosts are.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::lookup_host;

use super::{ConnectError, ServerAddress};

/// Finds the addresses of hosts.
pub trait Names: fmt::Debug + Send + Sync {
    /// Finds the addresses that a host has now, with this port.
    fn find<'a>(&'a self, host: &'a str, port: u16) -> Finding<'a>;
}

/// What becomes the addresses of a host.
pub type Finding<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The name service of the system.
#[derive(Debug)]
pub(super) struct System;

impl Names for System {
    fn find<'a>(&'a self, host: &'a str, port: u16) -> Finding<'a> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }
}

/// A server at each address that its host has now.
pub(super) async fn each_address(
    server: &ServerAddress,
    names: &dyn Names,
) -> Result<Vec<ServerAddress>, ConnectError> {
    let addresses = addresses(server, names).await?.into_iter();
    Ok(addresses.map(|address| server.clone().at(address.ip())).collect())
}

/// The addresses of a server in the order in which they are tried.
pub(super) async fn addresses(
    server: &ServerAddress,
    names: &dyn Names,
) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(address) = server.address() {
        return Ok(vec![SocketAddr::new(address, server.port)]);
    }
    let found = names.find(&server.host, server.port).await;
    let found = found.map_err(|error| ConnectError::UnknownHost {
        server: server.clone(),
        source: Arc::new(error),
    })?;
    Ok(by_turns(found))
}

/// The addresses in their order, those of both families by turns (RFC 8305, §4): a family that leads nowhere costs as much as
/// one address of it.
pub(super) fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == begins_with_ipv4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let turns = first.len().max(second.len());
    (0..turns)
        .flat_map(|_| [first.next(), second.next()])
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>(hosts: [&str; N]) -> Vec<SocketAddr> {
        let addresses = hosts.map(|host| SocketAddr::new(host.parse().unwrap(), 9123));
        addresses.to_vec()
    }

    #[test]
    fn the_families_come_by_turns_and_each_in_its_order() {
        let found = addresses(["::1", "::2", "::3", "127.0.0.1", "127.0.0.2"]);
        let turns = addresses(["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]);
        assert_eq!(by_turns(found), turns);
        let found = addresses(["127.0.0.1", "::2", "::1"]);
        assert_eq!(by_turns(found), addresses(["127.0.0.1", "::2", "::1"]));
        let of_one = addresses(["127.0.0.2", "127.0.0.1"]);
        assert_eq!(by_turns(of_one.clone()), of_one);
        assert_eq!(by_turns(Vec::new()), Vec::new());
    }
}

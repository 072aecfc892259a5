//! Connections of other processes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::admin::Address;
use super::session::{Peer, Session};
use crate::node::Shared;
use crate::security::{Caller, Principal};

/// Accepts connections until the node closes, and serves each.
pub(crate) async fn listen(node: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut sessions = JoinSet::new();
    let closing = node.closing.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        while sessions.try_join_next().is_some() {}
        match accepted {
            Ok((stream, client)) => {
                debug!(%client, "connection opened");
                accept(&node, stream, (address, client), &mut sessions);
            }
            Err(error) => {
                // Too many open files, for instance: room comes back when a connection ends.
                warn!(%error, "a connection was not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}

fn accept(
    node: &Arc<Shared>,
    stream: TcpStream,
    (address, client): (SocketAddr, SocketAddr),
    sessions: &mut JoinSet<()>,
) {
    let Ok(place) = node.connections.clone().try_acquire_owned() else {
        warn!(
            limit = node.limits.connections,
            "a connection too many was closed"
        );
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "connection closed");
        return;
    }
    let address = match &node.advertised {
        Some(advertised) => Address {
            host: advertised.host.clone(),
            port: advertised.port,
        },
        None => Address {
            host: address.ip().to_string(),
            port: address.port(),
        },
    };
    let host = client.ip().to_string();
    let peer = Peer {
        address,
        caller: match node.users {
            Some(_) => None,
            None => Some(Caller::new(Principal::anonymous(), host.clone())),
        },
        host,
    };
    let node = node.clone();
    sessions.spawn(async move {
        Session::serve(node, stream, peer).await;
        drop(place);
    });
}

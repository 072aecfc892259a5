//! Streams by TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connector::{ByteStream, Connecting, Connector};
use super::{ConnectError, ServerAddress};

/// How long an address may take before the next is tried as well (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Connects by TCP, to the first address of the host that accepts: the next is tried when one fails, or takes long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Connector for Tcp {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let (reader, writer) = connect(server).await?.into_split();
            Ok(ByteStream::new(reader, writer))
        })
    }
}

async fn connect(server: &ServerAddress) -> Result<TcpStream, ConnectError> {
    let found = lookup_host((server.host.as_str(), server.port)).await;
    let addresses: Vec<_> = found
        .map_err(|error| ConnectError::UnknownHost {
            server: server.clone(),
            source: Arc::new(error),
        })?
        .collect();
    let connected = match addresses[..] {
        // Nothing to choose from, and no other task for it.
        [address] => dial(address).await,
        _ => first_of(addresses, dial).await,
    };
    connected.map_err(|error| ConnectError::Unreachable {
        server: server.clone(),
        source: Arc::new(error),
    })
}

/// What comes of the first address that works.
pub(super) async fn first_of<T, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut addresses = addresses.into_iter();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut attempts = JoinSet::new();
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(dial(address));
        }
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = error,
                Some(Err(error)) => failure = io::Error::other(error),
                None => return Err(failure),
            },
            () = sleep(NEXT_ADDRESS), if !is_last => {}
        }
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

//! Streams by TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connector::{Addresses, ByteStream, Connecting, Connector};
use super::names::{Names, System, addresses, each_address};
use super::{ConnectError, KeepAlive, ServerAddress};

/// How long an address may take before the next is tried as well (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Connects by TCP, to the first address of the host that accepts: the next is tried when one fails, or takes long. The host is
/// looked up each time.
#[derive(Clone, Debug)]
pub struct Tcp {
    keep_alive: KeepAlive,
    names: Arc<dyn Names>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self::with_names(System)
    }
}

impl Tcp {
    /// Looks hosts up in another way than the system does.
    pub fn with_names(names: impl Names + 'static) -> Self {
        Self {
            keep_alive: KeepAlive::default(),
            names: Arc::new(names),
        }
    }
}

impl Connector for Tcp {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let stream = connect(server, &*self.names, self.keep_alive).await?;
            let (reader, writer) = stream.into_split();
            Ok(ByteStream::new(reader, writer))
        })
    }

    fn kept_alive(&self, keep_alive: KeepAlive) -> Option<Arc<dyn Connector>> {
        let names = self.names.clone();
        Some(Arc::new(Self { keep_alive, names }))
    }

    fn each_address<'a>(&'a self, server: &'a ServerAddress) -> Addresses<'a> {
        Box::pin(each_address(server, &*self.names))
    }

    fn is_readable_on_the_way(&self) -> bool {
        true
    }
}

/// The stream to the first address of the server that accepts.
pub(super) async fn connect(
    server: &ServerAddress,
    names: &dyn Names,
    keep_alive: KeepAlive,
) -> Result<TcpStream, ConnectError> {
    let addresses = addresses(server, names).await?;
    let connected = match addresses[..] {
        // Nothing to choose from, and no other task for it.
        [address] => dial(address, keep_alive).await,
        _ => first_of(addresses, move |address| dial(address, keep_alive)).await,
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

async fn dial(address: SocketAddr, keep_alive: KeepAlive) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    let stream = socket.connect(address).await?;
    keep_alive.set(&stream)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

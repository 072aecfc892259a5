//! Streams by TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connector::{ByteStream, Connecting, Connector};
use super::{ConnectError, KeepAlive, ServerAddress};

/// How long an address may take before the next is tried as well (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Connects by TCP, to the first address of the host that accepts: the next is tried when one fails, or takes long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp {
    keep_alive: KeepAlive,
}

impl Tcp {
    /// Streams that are probed so.
    pub const fn new(keep_alive: KeepAlive) -> Self {
        Self { keep_alive }
    }
}

impl Connector for Tcp {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(async {
            let (reader, writer) = connect(server, self.keep_alive).await?.into_split();
            Ok(ByteStream::new(reader, writer))
        })
    }

    fn kept_alive(&self, keep_alive: KeepAlive) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(Self { keep_alive }))
    }

    fn is_readable_on_the_way(&self) -> bool {
        true
    }
}

impl ServerAddress {
    /// The same server at each address that its host has now.
    ///
    /// # Errors
    ///
    /// A host that nobody knows.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but a question to the system.
    pub async fn at_each_address(&self) -> Result<Vec<Self>, ConnectError> {
        let addresses = addresses(self).await?.into_iter();
        Ok(addresses.map(|address| self.clone().at(address.ip())).collect())
    }
}

async fn addresses(server: &ServerAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(address) = server.address() {
        return Ok(vec![SocketAddr::new(address, server.port)]);
    }
    let found = lookup_host((server.host.as_str(), server.port)).await;
    let found = found.map_err(|error| ConnectError::UnknownHost {
        server: server.clone(),
        source: Arc::new(error),
    })?;
    Ok(found.collect())
}

/// The stream to the first address of the server that accepts.
pub(super) async fn connect(
    server: &ServerAddress,
    keep_alive: KeepAlive,
) -> Result<TcpStream, ConnectError> {
    let addresses = addresses(server).await?;
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

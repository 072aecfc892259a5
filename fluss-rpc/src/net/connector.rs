//! How a client reaches a server by a stream of bytes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::names::{System, each_address};
use super::{ConnectError, KeepAlive, ServerAddress};

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Opens streams of bytes to servers: by [TCP](super::Tcp), by [TLS](super::tls), or by a test's network that trickles, holds and cuts them.
pub trait Connector: fmt::Debug + Send + Sync {
    /// Opens a stream to a server. Called on a tokio runtime. It needs no deadline of its own: when `connect_timeout` has
    /// passed, the future is dropped.
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a>;

    /// The same, with silent streams probed; nothing where there is nothing to probe.
    fn kept_alive(&self, _keep_alive: KeepAlive) -> Option<Arc<dyn Connector>> {
        None
    }

    /// The same server at each address that its host has now, as the connector looks hosts up. As the system does, unless a connector
    /// says otherwise.
    fn each_address<'a>(&'a self, server: &'a ServerAddress) -> Addresses<'a> {
        Box::pin(each_address(server, &System))
    }

    /// Whether others on the network can read what is sent. Passwords are then kept back, unless the server is on this machine or
    /// [`allow_insecure_password`](super::ConnectOptions::allow_insecure_password) says otherwise. No, unless a connector says so.
    fn is_readable_on_the_way(&self) -> bool {
        false
    }
}

/// What becomes the stream to a server. Dropping it closes what was opened.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<ByteStream, ConnectError>> + Send + 'a>>;

/// What becomes a server at each of its addresses.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = Result<Vec<ServerAddress>, ConnectError>> + Send + 'a>>;

/// A stream of bytes to a server, in its two directions. It ends when both are dropped.
pub struct ByteStream {
    /// What comes from the server.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What goes to the server.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl ByteStream {
    /// A stream of two halves.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
        }
    }

    /// Splits a stream that does both.
    pub fn split(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::new(reader, writer)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").finish_non_exhaustive()
    }
}

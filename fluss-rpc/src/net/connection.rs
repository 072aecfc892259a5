//! A connection to one server.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, debug, debug_span};

use super::handshake::shake_hands;
use super::link::Link;
use super::meter;
use super::{ConnectError, ConnectOptions, Disconnect, RequestError, ServerAddress};
use crate::api::{Request, Versions};

/// Stands for "never" where an instant is needed.
const FAR_FUTURE: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// A connection to one server, ready for requests. A clone is another handle on the same connection; with the last
/// handle (requests under way count) it closes.
///
/// Any number of requests may be under way at once, and their answers come in any order. The queue of what is to be
/// written has no limit of its own: callers bound what they have under way.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    versions: Versions,
    request_timeout: Duration,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.link.close(&Disconnect::Closed);
    }
}

impl Connection {
    /// Connects by the options' transport or by TCP, asks for the versions, checks the role of the server, and authenticates if there are
    /// credentials, all of it within `connect_timeout`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(server: &ServerAddress, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let connecting = async {
            let unreachable = |error| ConnectError::Unreachable {
                server: server.clone(),
                source: Arc::new(error),
            };
            let link = if let Some(transport) = &options.transport {
                Link::dial(&**transport, server.clone(), options)
            } else {
                let (reader, writer) = tcp(server).await.map_err(unreachable)?.into_split();
                Link::start(Box::new(reader), Box::new(writer), server.clone(), options)
            };
            Self::open(link, options).await
        };
        within(options.connect_timeout, server, connecting).await
    }

    /// As [`connect`](Self::connect), on a stream that is already there. `server` is what errors call it.
    pub async fn handshake<S>(
        stream: S,
        server: &ServerAddress,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let link = Link::start(Box::new(reader), Box::new(writer), server.clone(), options);
        within(options.connect_timeout, server, Self::open(link, options)).await
    }

    async fn open(link: Arc<Link>, options: &ConnectOptions) -> Result<Self, ConnectError> {
        // From here on every way out closes the link.
        let mut inner = Inner {
            link,
            versions: Versions::default(),
            request_timeout: options.request_timeout,
        };
        inner.versions = shake_hands(&inner.link, options).await?;
        inner.link.set_ready();
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends a request and waits for the answer, for as long as `request_timeout` allows.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the answer up. A request that was sent stays so: the server may act on it.
    pub async fn request<R: Request>(&self, request: &R) -> Result<R::Response, RequestError> {
        self.send(request).await
    }

    /// As [`request`](Self::request), with a time of its own.
    pub async fn request_within<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, RequestError> {
        self.send_within(request, timeout).await
    }

    /// Queues a request at once, before it returns, and gives the future of its answer. Requests reach the server
    /// in the order of the calls; it begins them in that order too (`rpc.md` §1.5). The time runs from the call.
    ///
    /// # Cancellation
    ///
    /// As [`request`](Self::request).
    pub fn send<R: Request>(
        &self,
        request: &R,
    ) -> impl Future<Output = Result<R::Response, RequestError>> + Send + use<R> {
        self.send_within(request, self.inner.request_timeout)
    }

    /// As [`send`](Self::send), with a time of its own.
    pub fn send_within<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> impl Future<Output = Result<R::Response, RequestError>> + Send + use<R> {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + FAR_FUTURE);
        let connection = self.clone();
        let span = debug_span!("request", server = %self.address(), api = %R::API);
        let sent = span.in_scope(|| self.enqueue(request));
        let answered = async move {
            let result = match sent {
                Ok(sent) => timeout_at(deadline, sent.answer::<R>())
                    .await
                    .unwrap_or(Err(RequestError::Timeout { after: timeout })),
                Err(error) => Err(error),
            };
            connection.inner.link.traffic.answered(R::API, now, &result);
            if let Err(error) = &result {
                debug!(server = %connection.address(), api = %R::API, %error, "request failed");
            }
            result
        };
        answered.instrument(span)
    }

    fn enqueue<R: Request>(&self, request: &R) -> Result<super::link::Waiting, RequestError> {
        debug!("request");
        self.inner.link.traffic.asked(R::API);
        let version = self.inner.versions.usable(R::API)?;
        self.inner.link.send(version, request)
    }

    /// What the server said about itself, and which version is used for each API.
    pub fn negotiated(&self) -> &Versions {
        &self.inner.versions
    }

    /// Where the server listens.
    pub fn address(&self) -> &ServerAddress {
        &self.inner.link.server
    }

    /// Whether the connection has come to its end. It never comes back.
    pub fn is_closed(&self) -> bool {
        self.inner.link.pending.is_closed()
    }

    /// Waits until the connection comes to its end.
    pub async fn closed(&self) {
        self.inner.link.closed().await;
    }

    /// Closes the connection for all its handles: requests under way fail, and what is still queued is not sent.
    pub fn close(&self) {
        self.inner.link.close(&Disconnect::Closed);
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.inner.link.pending.len()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.address().to_string())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Connects in time, and takes note of what came of it.
async fn within<T>(
    after: Duration,
    server: &ServerAddress,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let begun = Instant::now();
    let late = || {
        Err(ConnectError::Timeout {
            server: server.clone(),
            after,
        })
    };
    let connecting = timeout(after, connecting).instrument(debug_span!("connect", %server));
    let connected = connecting.await.unwrap_or_else(|_| late());
    meter::attempted(server, begun, connected.is_ok());
    connected
}

/// Connects to the first address of the host that accepts.
async fn tcp(server: &ServerAddress) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((server.host.as_str(), server.port)).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_keepalive(true)?;
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

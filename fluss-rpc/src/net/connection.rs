//! A connection to one server.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, debug, debug_span};

use super::handshake::shake_hands;
use super::link::{Link, Waiting};
use super::meter;
use super::{ByteStream, ConnectError, ConnectOptions, Disconnect, RequestError, ServerAddress, Transport};
use crate::api::{Request, ServerRole, Versions};

/// Stands for "never" where an instant is needed.
const FAR_FUTURE: Duration = Duration::from_hours(24 * 365 * 30);

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
    /// Connects by the options' transport, asks for the versions, checks the role of the server, and authenticates if there
    /// are credentials, all of it within `connect_timeout`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(server: &ServerAddress, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let connecting = async { Self::open(dial_link(server, options).await?, options, || ()).await };
        within(options, server, connecting).await
    }

    /// As [`connect`](Self::connect), and asks a question together with the one for the versions, which saves the time of one
    /// answer; gives the future of its answer. Only the first version of an API is asked so, and only by who has not to
    /// authenticate: otherwise, or if the server has no such version, nothing is given.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect_asking<R: Request>(
        server: &ServerAddress,
        options: &ConnectOptions,
        request: &R,
    ) -> Result<
        (
            Self,
            Option<impl Future<Output = Result<R::Response, RequestError>> + Send + use<R>>,
        ),
        ConnectError,
    > {
        let mut asked = None;
        let connecting = async {
            let link = dial_link(server, options).await?;
            let ask = || {
                if options.credentials.is_none() {
                    let wait = Wait::begin(&link, options.request_timeout, options.request_timeout);
                    link.traffic.asked(R::API);
                    asked = Some((wait, link.send(0, request)));
                }
            };
            Self::open(link.clone(), options, ask).await
        };
        let connection = within(options, server, connecting).await?;
        let version = connection.inner.versions.usable(R::API);
        let asked = asked.filter(|_| version.is_ok_and(|version| version == 0));
        let answer = asked.map(|(wait, sent)| connection.clone().answer::<R>(wait, sent));
        Ok((connection, answer))
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
        let link = Link::start(ByteStream::split(stream), server.clone(), options, false);
        within(options, server, Self::open(link, options, || ())).await
    }

    async fn open(
        link: Arc<Link>,
        options: &ConnectOptions,
        meanwhile: impl FnOnce(),
    ) -> Result<Self, ConnectError> {
        // From here on every way out closes the link.
        let mut inner = Inner {
            link,
            versions: Versions::default(),
            request_timeout: options.request_timeout,
        };
        inner.versions = shake_hands(&inner.link, options, meanwhile).await?;
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
        self.send_unless_silent(request, timeout, self.inner.request_timeout)
    }

    /// As [`send_within`](Self::send_within), and closes the connection when the server has sent nothing at all for
    /// `silence` (`request_timeout` for other requests) since the request: the next one is then asked on another. The
    /// request fails with a timeout; others that were under way learn that the connection is lost.
    ///
    /// # Cancellation
    ///
    /// As [`request`](Self::request).
    pub fn send_unless_silent<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
        silence: Duration,
    ) -> impl Future<Output = Result<R::Response, RequestError>> + Send + use<R> {
        let wait = Wait::begin(&self.inner.link, timeout, silence);
        let span = debug_span!(target: crate::TARGET, "request", server = %self.address(), api = %R::API);
        let sent = span.in_scope(|| self.enqueue(request));
        self.clone().answer::<R>(wait, sent).instrument(span)
    }

    /// Waits for the answer to a request.
    async fn answer<R: Request>(
        self,
        wait: Wait,
        sent: Result<Waiting, RequestError>,
    ) -> Result<R::Response, RequestError> {
        let (link, begun) = (&self.inner.link, wait.begun);
        let result = match sent {
            Ok(sent) => wait.until(link, sent.answer::<R>()).await,
            Err(error) => Err(error),
        };
        link.traffic.answered(R::API, begun, &result);
        if let Err(error) = &result {
            debug!(target: crate::TARGET, server = %self.address(), api = %R::API, %error, "request failed");
        }
        result
    }

    fn enqueue<R: Request>(&self, request: &R) -> Result<Waiting, RequestError> {
        debug!(target: crate::TARGET, "request");
        self.inner.link.traffic.asked(R::API);
        let versions = &self.inner.versions;
        // What only nodes offer, no server of a cluster does, whatever its role.
        let is_wrong = |role: &ServerRole| !R::API.is_of_node() && !R::API.is_served_by(*role);
        if let Some(role) = versions.server_role().filter(is_wrong) {
            return Err(RequestError::WrongRole { api: R::API, role });
        }
        let version = versions.usable_from(R::API, request.least_version())?;
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

    /// For how long nothing has come from the server while nobody waited for anything: the way to it may be lost, and nobody was
    /// told. Of a server in this process it is zero.
    pub fn idle(&self) -> Duration {
        self.inner.link.idle()
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

/// How long an answer is waited for.
struct Wait {
    begun: Instant,
    timeout: Duration,
    /// After such a time in which nothing at all has come the link is closed.
    silence: Duration,
    /// What had come when the wait began.
    heard: u64,
}

impl Wait {
    fn begin(link: &Link, timeout: Duration, silence: Duration) -> Self {
        Self {
            begun: Instant::now(),
            timeout,
            silence,
            heard: link.heard(),
        }
    }

    async fn until<T>(
        self,
        link: &Link,
        answer: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let until = |time| self.begun.checked_add(time).unwrap_or(self.begun + FAR_FUTURE);
        let late = |after| Err(RequestError::Timeout { after });
        let mut answer = pin!(answer);
        if self.silence <= self.timeout {
            if let Ok(answer) = timeout_at(until(self.silence), answer.as_mut()).await {
                return answer;
            }
            if link.heard() == self.heard {
                let after = self.silence;
                link.close(&Disconnect::Silent { after });
                return late(after);
            }
        }
        timeout_at(until(self.timeout), answer)
            .await
            .unwrap_or_else(|_| late(self.timeout))
    }
}

/// The way to a server, on which nothing was said yet.
async fn dial_link(server: &ServerAddress, options: &ConnectOptions) -> Result<Arc<Link>, ConnectError> {
    Ok(match &options.transport {
        Transport::Stream(connector) => {
            let keeps_passwords = !options.allow_insecure_password
                && connector.is_readable_on_the_way()
                && !server.is_loopback();
            if keeps_passwords && options.credentials.is_some() {
                return Err(ConnectError::PasswordInClear {
                    server: server.clone(),
                });
            }
            let stream = connector.connect(server).await?;
            Link::start(stream, server.clone(), options, keeps_passwords)
        }
        Transport::InProcess(process) => Link::dial(&**process, server.clone(), options),
    })
}

/// Connects in time, and takes note of what came of it.
async fn within<T>(
    options: &ConnectOptions,
    server: &ServerAddress,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let (begun, after) = (Instant::now(), options.connect_timeout);
    let late = || {
        Err(ConnectError::Timeout {
            server: server.clone(),
            after,
        })
    };
    let connecting =
        timeout(after, connecting).instrument(debug_span!(target: crate::TARGET, "connect", %server));
    let connected = connecting.await.unwrap_or_else(|_| late());
    meter::attempted(&options.owner, server, begun, connected.is_ok());
    connected
}

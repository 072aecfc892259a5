//! TLS on the listeners of a node.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::net::tls::TlsServerOptions;
#[cfg(feature = "tls")]
use fluss_rpc::net::tls::{Accepted, Acceptor};
use fluss_rpc::sync::Mutex;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

#[cfg(not(feature = "tls"))]
use self::without::{Accepted, Acceptor};
use crate::throttle::Throttle;

/// The certificates of a node, which are read when it begins to listen.
pub(crate) struct Tls {
    options: Option<TlsServerOptions>,
    acceptor: OnceCell<Acceptor>,
}

impl Tls {
    pub(super) fn new(options: Option<TlsServerOptions>) -> Self {
        Self {
            options,
            acceptor: OnceCell::new(),
        }
    }

    /// What takes connections by TLS; nothing where clients come without.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not what it should be.
    pub(crate) async fn door(&self) -> io::Result<Option<Door>> {
        let Some(options) = &self.options else {
            return Ok(None);
        };
        let open = || async {
            let options = options.clone();
            let opened = spawn_blocking(move || Acceptor::open(options)).await;
            opened.map_err(io::Error::other)?.map_err(io::Error::other)
        };
        Ok(Some(Door::new(self.acceptor.get_or_try_init(open).await?)))
    }

    /// Reads the certificates again, which blocks.
    pub(crate) fn reload(&self) {
        if let Some(acceptor) = self.acceptor.get() {
            acceptor.reload();
        }
    }
}

/// Where clients of a listener come in by TLS. Clones count failures together.
#[derive(Clone)]
pub(crate) struct Door {
    acceptor: Acceptor,
    failures: Arc<Mutex<Throttle>>,
}

impl Door {
    fn new(acceptor: &Acceptor) -> Self {
        Self {
            acceptor: acceptor.clone(),
            failures: Arc::default(),
        }
    }

    /// Shakes hands with a client. Nothing if that fails, or takes longer than `limit`.
    pub(super) async fn let_in(
        &self,
        stream: TcpStream,
        client: IpAddr,
        limit: Duration,
    ) -> Option<Accepted<TcpStream>> {
        match timeout(limit, self.acceptor.accept(stream)).await {
            Ok(Ok(accepted)) => return Some(accepted),
            Ok(Err(error)) if is_gone(&error) => {
                debug!(target: crate::TARGET, %client, %error, "a client went away in the TLS handshake");
            }
            Ok(Err(error)) => self.warn(client, &error.to_string()),
            Err(_) => self.warn(client, "it did not come to its end in time"),
        }
        None
    }

    /// As [`let_in`](Self::let_in), for a client that is only told why it is refused.
    pub(super) async fn answer(&self, stream: TcpStream) -> io::Result<Accepted<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    fn warn(&self, client: IpAddr, reason: &str) {
        let counted = self.failures.lock().count(Instant::now());
        if let Some(times) = counted {
            warn!(target: crate::TARGET, %client, reason, times, "a TLS handshake failed");
        }
    }
}

/// Whether a client has just closed the connection, as one does that only looks whether somebody listens.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// What takes the place of TLS in a node that was built without it.
#[cfg(not(feature = "tls"))]
mod without {
    use std::io;

    use fluss_rpc::net::tls::{TlsFault, TlsServerOptions};

    #[derive(Clone)]
    pub(super) enum Acceptor {}

    pub(in crate::serve) struct Accepted<S> {
        pub(in crate::serve) stream: S,
        pub(in crate::serve) name: Option<String>,
    }

    impl Acceptor {
        pub(super) fn open(_: TlsServerOptions) -> Result<Self, TlsFault> {
            let reason = "this node was built without TLS, the feature 'tls' of fluss-server";
            Err(TlsFault::Files(reason.to_owned()))
        }

        #[expect(clippy::unused_async, reason = "its counterpart waits")]
        pub(super) async fn accept<S>(&self, _: S) -> io::Result<Accepted<S>> {
            match *self {}
        }

        pub(super) fn reload(&self) {
            match *self {}
        }
    }
}

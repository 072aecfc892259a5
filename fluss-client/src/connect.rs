//! How connections are opened: where to, and with which options.

use std::fmt;

use fluss_rpc::net::Credentials;

use crate::config::{self, ClientOptions, Target};
use crate::connection::Connection;
#[cfg(feature = "embedded")]
use crate::embedded;
use crate::error::{Context, Error, ErrorKind, Result};

/// Connects to a target, see [`Target`]: `fluss://host:port` for a cluster, `embedded:./data` or `embedded::memory:` for a
/// node in this process. [`Connection::builder`] takes options, too.
///
/// # Errors
///
/// As [`ConnectionBuilder::connect`].
///
/// # Cancellation
///
/// Dropping the future leaves nothing behind. A node that is being opened closes again.
pub async fn connect(target: &str) -> Result<Connection> {
    Connection::builder(target).connect().await
}

/// The default options for a target, to be changed before [`Connection::open`]. See [`Target::lead`].
///
/// # Cancellation
///
/// Dropping the future leaves nothing behind. A node that is being opened closes again.
pub async fn options(target: &str) -> Result<ClientOptions> {
    Connection::builder(target).into_options().await
}

impl Connection {
    /// Begins to open a connection to a target, see [`Target`].
    ///
    /// ```
    /// use fluss_client::Connection;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), fluss_client::Error> {
    /// let connection = Connection::builder("embedded::memory:")
    ///     .option("writer.batch-timeout", "20 ms")
    ///     .configure(|options| options.request_timeout = Duration::from_secs(10))
    ///     .connect()
    ///     .await?;
    /// # connection.shut_down().await
    /// # }
    /// ```
    pub fn builder(target: impl Into<String>) -> ConnectionBuilder {
        ConnectionBuilder {
            target: target.into(),
            pairs: Vec::new(),
            credentials: None,
            changes: Vec::new(),
        }
    }
}

/// Opens a connection: where to, and with which options. Had from [`Connection::builder`].
#[must_use = "nothing is opened before it is told to connect"]
pub struct ConnectionBuilder {
    target: String,
    pairs: Vec<(String, String)>,
    credentials: Option<Credentials>,
    changes: Vec<Change>,
}

/// What is changed of the options.
type Change = Box<dyn FnOnce(&mut ClientOptions) + Send>;

impl ConnectionBuilder {
    /// Sets an option by its key, see [`config::KEYS`]. Whether there is such a key, and what it takes, is told by
    /// [`connect`](Self::connect).
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.push((key.into(), value.into()));
        self
    }

    /// Logs in with these.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Changes the options, after those that have keys are set.
    pub fn configure(mut self, change: impl FnOnce(&mut ClientOptions) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Opens the connection.
    ///
    /// # Errors
    ///
    /// A text that is no target; a key that there is not, or a value that it does not take; a cluster that cannot be
    /// reached (see [`Connection::open`]); a node that cannot be opened ([`ErrorKind::Node`]).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind. A node that is being opened closes again.
    pub async fn connect(self) -> Result<Connection> {
        Connection::open(self.into_options().await?).await
    }

    /// The options, which lead to the target.
    async fn into_options(self) -> Result<ClientOptions> {
        let keyed = self
            .pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let to_target = std::iter::once(("bootstrap.servers", self.target.as_str()));
        let (target, mut options) = config::read(to_target.chain(keyed)).map_err(refuse)?;
        options.credentials = self.credentials.or(options.credentials);
        for change in self.changes {
            change(&mut options);
        }
        target.lead(&mut options).await?;
        Ok(options)
    }
}

impl fmt::Debug for ConnectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be passwords.
        let keys: Vec<_> = self.pairs.iter().map(|(key, _)| key).collect();
        f.debug_struct("ConnectionBuilder")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

fn refuse(error: impl std::fmt::Display) -> Error {
    Context::new("connect").error(ErrorKind::InvalidArgument(error.to_string()))
}

impl Target {
    /// Has options lead to the target. An embedded node is opened if it is not yet; it closes when nobody has options or a
    /// connection that lead to it any more.
    ///
    /// # Errors
    ///
    /// A node that cannot be opened ([`ErrorKind::Node`]); any embedded target, if this was built without them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the options as they are. A node that is being opened closes again.
    pub async fn lead(&self, options: &mut ClientOptions) -> Result<()> {
        match self {
            Self::Servers(servers) => options.bootstrap_servers.clone_from(servers),
            Self::Discover(name) => {
                options.bootstrap_servers = vec![name.clone()];
                options.discover = true;
            }
            #[cfg(feature = "embedded")]
            Self::Directory(_) | Self::Memory(_) => {
                embedded::lead(options, embedded::node(self).await?);
            }
            #[cfg(not(feature = "embedded"))]
            Self::Directory(_) | Self::Memory(_) => {
                let reason = format!("target '{self}': this was built without the embedded node");
                return Err(refuse(reason));
            }
        }
        Ok(())
    }
}

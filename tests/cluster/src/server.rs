//! One server of a cluster.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use fluss_rpc::sync::Mutex;

use crate::config::Listeners;
use crate::error::{Attempt, Error};
use crate::process::Process;

/// Which server of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that answers for databases and tables.
    Coordinator,
    /// The tablet server with this id.
    TabletServer(u32),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::TabletServer(id) => write!(f, "tablet-server-{id}"),
        }
    }
}

/// A coordinator or tablet server. It keeps its addresses for as long as its cluster lives, unless it
/// [swaps](Self::swap_addresses) them with another.
#[derive(Debug)]
pub struct Server {
    role: Role,
    listeners: Mutex<Listeners>,
    /// Its `server.yaml`.
    config: PathBuf,
    process: Process,
    front: Option<Process>,
}

impl Server {
    pub(crate) fn new(
        role: Role,
        listeners: Listeners,
        config: PathBuf,
        process: Process,
        front: Option<Process>,
    ) -> Self {
        Self {
            role,
            listeners: Mutex::new(listeners),
            config,
            process,
            front,
        }
    }

    /// Which server it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where clients connect to; with SASL, where they have to authenticate; with TLS, its front.
    pub fn address(&self) -> SocketAddr {
        let listeners = self.listeners.lock();
        let front = listeners.front.as_ref();
        front.unwrap_or(&listeners.client).address()
    }

    /// Where it listens for clients itself, be there a front or not.
    pub fn own_address(&self) -> SocketAddr {
        self.listeners.lock().client.address()
    }

    /// Where the servers talk to each other, without authentication.
    pub fn internal_address(&self) -> SocketAddr {
        let listeners = self.listeners.lock();
        let internal = listeners.internal.as_ref();
        internal.unwrap_or(&listeners.client).address()
    }

    /// The number of its process; another one after [`restart`](Self::restart).
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it is neither killed nor stopped.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Ends it at once (SIGKILL) and returns when it is gone.
    pub fn kill(&self) -> Result<(), Error> {
        self.process.kill()
    }

    /// Freezes it (SIGSTOP): its connections stay open and nobody answers. Returns when that is so.
    pub fn stop(&self) -> Result<(), Error> {
        self.process.stop()
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.process.resume()
    }

    /// Starts it again on its old data, after killing it if it still runs. Does not wait until it is ready.
    pub fn restart(&self) -> Result<(), Error> {
        self.process.restart()
    }

    /// Ends both servers, which run, and starts each where the other was, on its own data. They end gently: one that is killed and
    /// has no replicas may lose what it has acknowledged. Does not wait until they are ready.
    ///
    /// # Errors
    /// When one does not run, or cannot be told its new addresses, or started.
    pub fn swap_addresses(&self, other: &Self) -> Result<(), Error> {
        self.process.end_gently()?;
        other.process.end_gently()?;
        let (mine, theirs) = (self.addresses(), other.addresses());
        self.move_to(&mine, &theirs)?;
        other.move_to(&theirs, &mine)?;
        std::mem::swap(&mut *self.listeners.lock(), &mut *other.listeners.lock());
        self.restart()?;
        other.restart()
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.own_address(), self.internal_address()]
    }

    /// Writes other addresses into the configuration.
    fn move_to(&self, from: &[SocketAddr], to: &[SocketAddr]) -> Result<(), Error> {
        let path = self.config.display();
        let mut text = fs::read_to_string(&self.config).attempt(|| format!("read {path}"))?;
        for (from, to) in from.iter().zip(to) {
            text = text.replace(&format!("://{from}"), &format!("://{to}"));
        }
        fs::write(&self.config, text).attempt(|| format!("write {path}"))
    }

    /// Its own process, and that of its front.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.process).chain(&self.front)
    }
}

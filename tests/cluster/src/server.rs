//! One server of a cluster.

use std::fmt;
use std::net::SocketAddr;

use crate::config::Listeners;
use crate::error::Error;
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

/// A coordinator or tablet server. It keeps its addresses for as long as its cluster lives.
#[derive(Debug)]
pub struct Server {
    role: Role,
    listeners: Listeners,
    process: Process,
}

impl Server {
    pub(crate) fn new(role: Role, listeners: Listeners, process: Process) -> Self {
        Self {
            role,
            listeners,
            process,
        }
    }

    /// Which server it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where clients connect to; with SASL, where they have to authenticate.
    pub fn address(&self) -> SocketAddr {
        self.listeners.client.address()
    }

    /// Where the servers talk to each other, without authentication.
    pub fn internal_address(&self) -> SocketAddr {
        self.listeners
            .internal
            .as_ref()
            .unwrap_or(&self.listeners.client)
            .address()
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

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

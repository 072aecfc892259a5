//! What can go wrong with a cluster.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::Role;

/// Why a cluster could not be started or obey.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the fixture runs is not installed.
    #[error("`{program}` is not installed; scripts/setup installs what the tests need")]
    MissingProgram {
        /// The name looked for.
        program: String,
    },
    /// A program ran and failed.
    #[error("{what} ended with {status}:\n{output}")]
    Failed {
        /// What was attempted.
        what: String,
        /// How the program ended.
        status: ExitStatus,
        /// The tail of what it printed.
        output: String,
    },
    /// The operating system refused something.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// The reason.
        source: io::Error,
    },
    /// The jars were copied, but one of them is not there.
    #[error("no {prefix}*.jar in {}", directory.display())]
    MissingJar {
        /// How the file's name begins.
        prefix: &'static str,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Every port of the fixture's range is taken.
    #[error("no free port")]
    NoFreePort,
    /// The cluster did not become what it should be in time.
    #[error("the cluster is not ready after {waited:?}: {state}\n{logs}")]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// What was still missing.
        state: String,
        /// The tails of the logs of its processes.
        logs: String,
    },
    /// A process ended by itself.
    #[error("{name} ended with {status}; its log ends with:\n{log}")]
    Ended {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The tail of its log.
        log: String,
    },
    /// A front has nothing to show to clients.
    #[error("a front needs --tls-certificate and --tls-key")]
    NoCertificate,
    /// There is no such server in this cluster.
    #[error("this cluster has no {role}")]
    NoSuchServer {
        /// The server asked for.
        role: Role,
    },
    /// The server is not running, so it cannot be stopped or resumed.
    #[error("{name} is not running")]
    NotRunning {
        /// The process.
        name: String,
    },
    /// A peer could not do what it was asked.
    #[error("peer: {message}")]
    Peer {
        /// Its own words.
        message: String,
    },
}

/// Names what was attempted when the operating system refuses it.
pub(crate) trait Attempt<T> {
    /// Turns an [`io::Error`] into [`Error::Io`].
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

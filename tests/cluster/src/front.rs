//! Proxies that end TLS before servers which have none: `stunnel`, one process for each server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Attempt, Error};
use crate::ports::{Port, Ports};
use crate::process::{Group, Process};

const PROGRAM: &str = "stunnel";

/// The host by which servers behind fronts are known to clients: a name, so that its certificate is looked at.
pub(crate) const HOST: &str = "localhost";

/// How long a front of its own may take to listen.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// What a front shows to clients, and asks of them. Certificates and keys are PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl Tls {
    /// Shows a certificate. Clients need none.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            client_ca: None,
        }
    }

    /// Takes only clients that show a certificate of this authority.
    #[must_use]
    pub fn for_clients_of(mut self, authority: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(authority.into());
        self
    }
}

/// A front before any server, which ends when this is dropped.
#[derive(Debug)]
pub struct Front {
    // Dropped in this order, like a cluster.
    _process: Process,
    _group: Group,
    port: Port,
    _data: TempDir,
}

impl Front {
    /// Starts a front before the server at `to`, which need not be there yet, and waits until it listens.
    ///
    /// # Errors
    /// When `stunnel` is not installed, or does not take the files; the end of its log is part of the error.
    pub fn start(tls: &Tls, to: SocketAddr) -> Result<Self, Error> {
        let data = tempfile::Builder::new()
            .prefix("fluss-front-")
            .tempdir()
            .attempt(|| "create a temporary directory".to_owned())?;
        let group = Group::new(Some(data.path()))?;
        let port = Ports::new().take()?;
        let process = start(&group, "front", data.path(), data.path(), tls, &port, to)?;
        process.wait_for_port(port.address(), READY_WITHIN)?;
        Ok(Self {
            _process: process,
            _group: group,
            port,
            _data: data,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// Starts a front at a port, with its configuration in `home` and its log in `logs`.
pub(crate) fn start(
    group: &Group,
    name: &str,
    home: &Path,
    logs: &Path,
    tls: &Tls,
    port: &Port,
    to: SocketAddr,
) -> Result<Process, Error> {
    let file = home.join(format!("{name}.conf"));
    fs::write(&file, configuration(tls, port, to)).attempt(|| format!("write {}", file.display()))?;
    let arguments = vec![file.display().to_string()];
    let log = logs.join(format!("{name}.log"));
    Process::start(group, name.to_owned(), PROGRAM.to_owned(), arguments, log)
}

/// A connection ends on both sides as soon as it ends on one; a server that is gone costs no time.
fn configuration(tls: &Tls, port: &Port, to: SocketAddr) -> String {
    let asks = tls.client_ca.as_ref().map_or_else(String::new, |authority| {
        format!("CAfile = {}\nverifyChain = yes\n", authority.display())
    });
    format!(
        "foreground = yes\nsyslog = no\npid =\ndebug = warning\n\
         socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n\
         [front]\naccept = {}\nconnect = {to}\ncert = {}\nkey = {}\n{asks}TIMEOUTclose = 0\nTIMEOUTconnect = 2\n",
        port.address(),
        tls.certificate.display(),
        tls.key.display(),
    )
}

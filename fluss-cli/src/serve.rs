//! `fluss serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use fluss_server::{Node, NodeOptions, Storage, Users};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::signals::received;
use crate::{Refused, config, described};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The directory of the tables; it is created if need be
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Where to listen. Beyond this machine only if this says so
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9123")]
    listen: SocketAddr,
    /// Asks clients to log in, as one of the users in this file or one that was created
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Asks clients to log in, although there may be no users yet
    #[arg(long)]
    login: bool,
    /// Speaks TLS, with the certificate in this file (PEM), followed by those up to its authority
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Asks clients for certificates that an authority in this file has signed (PEM)
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Options, one `key: value` a line
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Refused> {
        log_to_stderr();
        allow_open_files();
        share_memory();
        let options = self.options()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Refused(error.to_string()))?;
        let served = runtime.block_on(serve(options, self.listen));
        runtime.shutdown_background();
        served
    }

    fn options(&self) -> Result<NodeOptions, Refused> {
        let mut options = NodeOptions::new(Storage::Directory(self.data_dir.clone()));
        if let Some(path) = &self.config {
            config::apply(&mut options, path)?;
        }
        if let Some(path) = &self.users {
            let users = Users::load(path).map_err(|error| Refused(error.to_string()))?;
            options.users = Some(users);
        }
        options.login |= self.login;
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let tls = options.tls.get_or_insert_default();
            tls.cert_file.clone_from(certificate);
            tls.key_file.clone_from(key);
        }
        if let Some(client_ca) = &self.tls_client_ca {
            let tls = options.tls.get_or_insert_default();
            tls.client_ca_file = Some(client_ca.clone());
        }
        Ok(options)
    }
}

/// Each bucket that is written to holds files open: as many are allowed as the system lets a process have.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // With fewer it works too, for fewer buckets.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Lets threads share what was set aside for memory. Otherwise glibc sets some aside for each thread, up to eight times as
/// many as there are cores, and keeps there what the largest write needed that the thread has ever done.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "It sets a number in glibc, under glibc's own lock.")]
fn share_memory() {
    const ARENAS: libc::c_int = 2;
    // What it was told before stands if it does not take this.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn share_memory() {}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::INFO.into())
        .from_env_lossy();
    // Another part of the process may have set up where events go.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Serves until told to stop.
async fn serve(options: NodeOptions, listen: SocketAddr) -> Result<(), Refused> {
    let failed = |error: std::io::Error| Refused(error.to_string());
    let mut stop = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // Without certificates the signal means what it always does.
    let mut hang_up = match options.tls {
        Some(_) => Some(signal(SignalKind::hangup()).map_err(failed)?),
        None => None,
    };
    let node = Node::open(options).map_err(|error| Refused(described(&error)))?;
    let address = node
        .listen(listen)
        .await
        .map_err(|error| Refused(format!("cannot listen at {listen}: {error}")))?;
    // Whoever started this waits for the line to know that it can connect, and where.
    let mut out = std::io::stdout();
    writeln!(out, "serving at fluss://{address}")
        .and_then(|()| out.flush())
        .map_err(failed)?;
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupt.recv() => break,
            () = received(&mut hang_up) => {
                let node = node.clone();
                // It reads files.
                let _ = tokio::task::spawn_blocking(move || node.reload_certificates()).await;
            }
        }
    }
    node.shut_down().await;
    Ok(())
}

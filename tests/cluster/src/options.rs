//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use fluss_cluster::{Spec, Tls};

/// A real Apache Fluss cluster on this machine. Every answer is one line of JSON.
#[derive(Debug, Parser)]
pub(crate) enum Options {
    /// Start a cluster, describe it in one line, then obey commands from the input until its end.
    Run(Run),
    /// Start a proxy that ends TLS before a server, describe it in one line, and end it at the end of the input.
    Front {
        /// Where the server listens, `address:port`.
        to: SocketAddr,
        #[command(flatten)]
        tls: TlsFiles,
    },
    /// Only fetch the jars.
    Fetch,
    /// Compile a Java program against the Java client; the answer is the class path to run it with.
    CompilePeer {
        /// The Java source file.
        source: PathBuf,
        /// Against the client of 1.0.0, in place of that of the cluster's version.
        #[arg(long)]
        next: bool,
    },
}

/// What a proxy that ends TLS shows to clients, and asks of them, in PEM files.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsFiles {
    /// The certificate that it shows.
    #[arg(long = "tls-certificate", id = "tls_certificate", requires = "tls_key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate.
    #[arg(long = "tls-key", id = "tls_key", requires = "tls_certificate")]
    key: Option<PathBuf>,
    /// The authority of which clients have to show a certificate.
    #[arg(long = "tls-client-ca", id = "tls_client_ca", requires = "tls_certificate")]
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Nothing without a certificate.
    pub(crate) fn tls(self) -> Option<Tls> {
        let tls = Tls::new(self.certificate?, self.key?);
        Some(match self.client_ca {
            Some(authority) => tls.for_clients_of(authority),
            None => tls,
        })
    }
}

/// What the cluster should be.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// How many tablet servers.
    #[arg(long, default_value_t = 1)]
    tablet_servers: u32,
    /// Clients have to authenticate with SASL/PLAIN; the authorizer is on.
    #[arg(long)]
    sasl: bool,
    /// One more `key=value` for every server.yaml; may be repeated.
    #[arg(long = "property", value_parser = key_and_value)]
    properties: Vec<(String, String)>,
    /// A plugin for every server, by its name in Maven (`fluss-fs-s3`); may be repeated.
    #[arg(long = "plugin")]
    plugins: Vec<String>,
    /// One more option for the Java machine of every process; may be repeated.
    #[arg(long = "jvm-option", allow_hyphen_values = true)]
    jvm_options: Vec<String>,
    /// The heap of each Fluss process, in MiB.
    #[arg(long, default_value_t = 512)]
    heap_mib: u32,
    /// Let the servers compile hot code well, for benchmarks.
    #[arg(long)]
    optimized: bool,
    /// Leave data and logs behind.
    #[arg(long)]
    keep_data: bool,
    /// How many seconds the cluster may take to be ready.
    #[arg(long, default_value_t = 120)]
    ready_within: u64,
    /// With these, a proxy that ends TLS stands before every server.
    #[command(flatten)]
    tls: TlsFiles,
}

impl From<Run> for Spec {
    fn from(run: Run) -> Self {
        let spec = Spec::new()
            .tablet_servers(run.tablet_servers)
            .heap_mib(run.heap_mib)
            .ready_within(Duration::from_secs(run.ready_within));
        let spec = if run.sasl { spec.sasl() } else { spec };
        let spec = match run.tls.tls() {
            Some(tls) => spec.behind_tls(tls),
            None => spec,
        };
        let spec = if run.optimized { spec.optimized() } else { spec };
        let spec = if run.keep_data { spec.keep_data() } else { spec };
        let spec = run.plugins.into_iter().fold(spec, Spec::plugin);
        let spec = run.jvm_options.into_iter().fold(spec, Spec::jvm_option);
        run.properties
            .into_iter()
            .fold(spec, |spec, (key, value)| spec.property(key, value))
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

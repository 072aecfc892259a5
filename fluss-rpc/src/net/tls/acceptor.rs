//! The server's side.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::common_name::common_name;
use super::fault::TlsFault;
use super::options::TlsServerOptions;
use super::pem;
use super::renewed::Renewed;
use super::secured::Secured;

/// How long a client may take to read why it is refused.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes connections by TLS. Clones share the certificates.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<Renewed<ServerConfig>>,
}

/// A client with which TLS has come about.
#[derive(Debug)]
pub struct Accepted<S> {
    /// What it says.
    pub stream: Secured<S>,
    /// The common name of the certificate that it has shown: nothing if none was asked for, or it has not exactly one.
    pub name: Option<String>,
}

impl Acceptor {
    /// Reads the files, which blocks.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not what it should be, or a key that does not go with the certificate.
    pub fn open(options: TlsServerOptions) -> Result<Self, TlsFault> {
        options.validate()?;
        let mut files = vec![options.cert_file.clone(), options.key_file.clone()];
        files.extend(options.client_ca_file.clone());
        let config = Renewed::new(files, move || config(&options));
        config.look(false)?;
        Ok(Self { config })
    }

    /// Reads the files again, which blocks, even if they do not seem to have changed. If they do not do, a warning says why, and
    /// those from before stay.
    pub fn reload(&self) {
        // There is a value, so that there is no error.
        let _ = self.config.look(true);
    }

    /// Shakes hands with a client, with the certificate as its file is now. It has no deadline.
    ///
    /// # Errors
    ///
    /// What is wrong. The client was told, as far as it speaks TLS.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the stream.
    pub async fn accept<S>(&self, stream: S) -> io::Result<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config.current().await.map_err(io::Error::other)?;
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let name = shown.and_then(|shown| common_name(shown.first()?));
                let stream = Secured::server(stream);
                Ok(Accepted { stream, name })
            }
            Err((error, stream)) => {
                // A stream that is closed with unread bytes loses what was said last: the reason.
                let _ = timeout(LAST_WORDS, drain(stream)).await;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

async fn drain(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut passed_over = [0; 1_024];
    while stream.read(&mut passed_over).await? > 0 {}
    Ok(())
}

fn config(options: &TlsServerOptions) -> Result<ServerConfig, TlsFault> {
    let failed = |error: rustls::Error| TlsFault::Failed(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match &options.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let authorities = Arc::new(pem::authorities(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| pem::wrong(file, error))?)
        }
    };
    let (cert_file, key_file) = (&options.cert_file, &options.key_file);
    builder
        .with_single_cert(pem::certificates(cert_file)?, pem::key(key_file)?)
        .map_err(|error| {
            pem::wrong(
                key_file,
                format_args!("does not go with {}: {error}", cert_file.display()),
            )
        })
}

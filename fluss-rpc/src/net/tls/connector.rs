//! The client's side.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsConnector;

use super::fault::TlsFault;
use super::options::TlsOptions;
use super::renewed::Renewed;
use super::secured::Secured;
use super::{meaning, pem};
use crate::net::connector::{ByteStream, Connecting, Connector};
use crate::net::names::System;
use crate::net::{ConnectError, KeepAlive, ServerAddress, tcp};

/// Connects by TLS over [TCP](super::super::Tcp). The server has to prove that it is the host of the [`ServerAddress`], be that a
/// name or an IP address. Nothing is ever sent without TLS.
pub struct Tls {
    config: Arc<Renewed<ClientConfig>>,
    has_certificate: bool,
    keep_alive: KeepAlive,
}

impl Tls {
    /// Connects as these options say. Files are read when the first connection is opened, and looked at with each.
    pub fn new(options: TlsOptions) -> Self {
        let files = [&options.ca_file, &options.cert_file, &options.key_file];
        let files: Vec<PathBuf> = files.into_iter().flatten().cloned().collect();
        Self {
            has_certificate: options.cert_file.is_some(),
            config: Renewed::new(files, move || config(&options)),
            keep_alive: KeepAlive::default(),
        }
    }

    async fn open(&self, server: &ServerAddress) -> Result<ByteStream, ConnectError> {
        let failed = |fault| ConnectError::Tls {
            server: server.clone(),
            fault,
        };
        let config = self.config.current().await.map_err(failed)?;
        let name = ServerName::try_from(server.host.clone()).map_err(|_| {
            let message = format!("'{}' is neither a host name nor an IP address", server.host);
            failed(TlsFault::Failed(message))
        })?;
        let stream = tcp::connect(server, &System, self.keep_alive).await?;
        let secured = TlsConnector::from(config).connect(name, stream).await;
        let secured = secured.map_err(|error| failed(meaning::of_handshake(&error, self.has_certificate)))?;
        Ok(ByteStream::split(Secured::client(secured, self.has_certificate)))
    }
}

impl Connector for Tls {
    fn connect<'a>(&'a self, server: &'a ServerAddress) -> Connecting<'a> {
        Box::pin(self.open(server))
    }

    fn kept_alive(&self, keep_alive: KeepAlive) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(Self {
            config: self.config.clone(),
            has_certificate: self.has_certificate,
            keep_alive,
        }))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn config(options: &TlsOptions) -> Result<ClientConfig, TlsFault> {
    options.validate()?;
    let failed = |error: rustls::Error| TlsFault::Failed(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match &options.ca_file {
        Some(file) => builder.with_root_certificates(pem::authorities(file)?),
        None => builder.with_platform_verifier().map_err(|error| {
            TlsFault::Files(format!(
                "the system's certificate authorities cannot be had ({error}): name one with tls-ca-file"
            ))
        })?,
    };
    let (Some(cert_file), Some(key_file)) = (&options.cert_file, &options.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    builder
        .with_client_auth_cert(pem::certificates(cert_file)?, pem::key(key_file)?)
        .map_err(|error| {
            pem::wrong(
                key_file,
                format_args!("does not go with {}: {error}", cert_file.display()),
            )
        })
}

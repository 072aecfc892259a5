use std::path::PathBuf;

use super::fault::TlsFault;

/// How a client connects by TLS. Certificates and keys are files in PEM form. They are read again when they have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificates of the authorities that are trusted, and no others. Those that the system trusts if there is no file.
    pub ca_file: Option<PathBuf>,
    /// The certificate that the client shows, then those up to its authority, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// The key of the client's certificate.
    pub key_file: Option<PathBuf>,
}

impl TlsOptions {
    /// Checks the options against one another. No file is read.
    ///
    /// # Errors
    ///
    /// A certificate without a key, or a key without a certificate.
    pub fn validate(&self) -> Result<(), TlsFault> {
        let missing = match (&self.cert_file, &self.key_file) {
            (Some(_), None) => "user-cert-file needs user-key-file, the key of the certificate",
            (None, Some(_)) => "user-key-file needs user-cert-file, the certificate of the key",
            _ => return Ok(()),
        };
        Err(TlsFault::Files(missing.to_owned()))
    }
}

/// How a server takes connections by TLS. Certificates and keys are files in PEM form. They are read again when they have
/// changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsServerOptions {
    /// The certificate of the server, then those up to its authority.
    pub cert_file: PathBuf,
    /// The key of the certificate.
    pub key_file: PathBuf,
    /// The certificates of the authorities that sign those of clients. With these every client has to show one.
    pub client_ca_file: Option<PathBuf>,
}

impl TlsServerOptions {
    /// A certificate and its key. Clients need none.
    pub fn new(cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            cert_file: cert_file.into(),
            key_file: key_file.into(),
            client_ca_file: None,
        }
    }

    /// Checks the options against one another. No file is read.
    ///
    /// # Errors
    ///
    /// No certificate, or no key.
    pub fn validate(&self) -> Result<(), TlsFault> {
        let missing = match (
            self.cert_file.as_os_str().is_empty(),
            self.key_file.as_os_str().is_empty(),
        ) {
            (false, false) => return Ok(()),
            (true, false) => "the key of TLS has no certificate that goes with it",
            (false, true) => "the certificate of TLS has no key that goes with it",
            (true, true) => "the authority of clients needs a certificate and a key of TLS",
        };
        Err(TlsFault::Files(missing.to_owned()))
    }
}

//! Certificates and keys in files.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::TlsFault;

/// The certificates of a file, in its order. At least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let text = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong(file, "holds no certificate in PEM form")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(file, format_args!("is not PEM: {error}"))),
    }
}

/// The authorities whose certificates are in a file.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| {
            wrong(
                file,
                format_args!("holds a certificate that is malformed: {error}"),
            )
        })?;
    }
    Ok(roots)
}

/// The first key of a file.
pub(super) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        Error::NoItemsFound if is_encrypted(&text) => wrong(
            file,
            "holds a key with a password: store it without one, readable by its owner alone",
        ),
        Error::NoItemsFound => wrong(file, "holds no key in PEM form"),
        error => wrong(file, format_args!("is not PEM: {error}")),
    })
}

/// A file that does not do.
pub(super) fn wrong(file: &Path, what: impl std::fmt::Display) -> TlsFault {
    TlsFault::Files(format!("{} {what}", file.display()))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFault> {
    fs::read(file).map_err(|error| wrong(file, format_args!("cannot be read: {error}")))
}

fn is_encrypted(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("BEGIN ENCRYPTED PRIVATE KEY")
}

//! Authorities, what they sign, and the files that it is in: made when a test runs, by `rcgen`.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair};
pub use rcgen::{CertificateParams, DnType, date_time_ymd};
use tempfile::TempDir;

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, as PEM.
    pub certificate: String,
}

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::named("authority")
    }
}

impl Authority {
    /// An authority with a key of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, by another name.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Signs a certificate for `localhost` and 127.0.0.1 of `node`, changed as told.
    pub fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        self.sign_for(&["localhost", "127.0.0.1"], change)
    }

    /// The same for other hosts.
    pub fn sign_for(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, "node");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signs a certificate of somebody, and puts it and its key into the files `name.pem` and `name.key`.
    pub fn sign_into(&self, files: &Files, name: &str) -> (PathBuf, PathBuf) {
        let signed = self.sign(|params| params.distinguished_name.push(DnType::CommonName, name));
        signed.put(files, name)
    }
}

impl Signed {
    /// Puts the certificate and its key into the files `name.pem` and `name.key`.
    pub fn put(&self, files: &Files, name: &str) -> (PathBuf, PathBuf) {
        (
            files.put(&format!("{name}.pem"), &self.certificate),
            files.put(&format!("{name}.key"), &self.key),
        )
    }
}

/// A directory of files that are replaced as a whole. It is removed with this.
#[derive(Debug)]
pub struct Files(TempDir);

impl Default for Files {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Files {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    /// Where a file is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and returns where it is.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }
}

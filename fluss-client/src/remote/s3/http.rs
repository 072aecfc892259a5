use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;

/// HTTP, and HTTPS by ring, with certificates as the operating system trusts them. Programs that choose another provider
/// of cryptography for their process are left alone. Clones share their connections.
#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new(connect_timeout: Duration) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(connect_timeout);
        Ok(Self(client.build()?))
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

//! What a connection is opened with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::meter::Owner;
use super::{Random, ServerAddress, Transport};
use crate::api::ServerRole;
use crate::frame::DEFAULT_MAX_REQUEST_BYTES;
use crate::sasl::Credentials;

/// What a connection is opened with; the defaults are those of [`ConnectOptions::default`].
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// How long the TCP connect, the exchange of versions and the authentication may take together; 10 s.
    pub connect_timeout: Duration,
    /// How long a request may take that names no time of its own; 30 s.
    pub request_timeout: Duration,
    /// The largest frame that is sent, length field included; 100 MiB, which is what servers accept unless
    /// configured otherwise.
    pub max_request_bytes: usize,
    /// The largest frame that is received, length field included; 128 MiB.
    pub max_response_bytes: usize,
    /// The role that the metadata gives the server; a server that claims another is refused. `None` for a bootstrap
    /// address, which may be of either role.
    pub expected_role: Option<ServerRole>,
    /// With these the client authenticates; without, it does not.
    pub credentials: Option<Credentials>,
    /// Whether the password may go to another machine in clear, where everybody on the way can read it. No: such a connection is
    /// refused before anything is sent.
    pub allow_insecure_password: bool,
    /// How the server is reached; TCP.
    pub transport: Transport,
    /// Who hears of it when a connection is lost that was ready.
    pub on_loss: OnLoss,
    /// Where the jitter of pauses comes from.
    pub random: Random,
    /// The name of the client software, told to the server.
    pub software_name: String,
    /// The version of the client software, told to the server.
    pub software_version: String,
    /// Whose metrics those of the connection are; nobody's in particular.
    pub owner: Owner,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_response_bytes: 128 << 20,
            expected_role: None,
            credentials: None,
            allow_insecure_password: false,
            transport: Transport::default(),
            on_loss: OnLoss::default(),
            random: Random::default(),
            software_name: "fluss-client".to_owned(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            owner: Owner::default(),
        }
    }
}

/// Hears of lost connections, before those who wait for answers on them. Nobody does, by default.
#[derive(Clone, Default)]
pub struct OnLoss(Option<Arc<Hears>>);

type Hears = dyn Fn(&ServerAddress) + Send + Sync;

impl OnLoss {
    /// Has this called with the server to which the connection was. It must not wait for anything.
    pub fn call(call: impl Fn(&ServerAddress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    pub(super) fn tell(&self, server: &ServerAddress) {
        if let Some(call) = &self.0 {
            call(server);
        }
    }
}

impl fmt::Debug for OnLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLoss").finish_non_exhaustive()
    }
}

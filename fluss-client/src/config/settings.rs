//! Options under construction, and what is wrong with those that do not go together.

use std::time::Duration;

use fluss_rpc::net::tls::TlsOptions;
use fluss_rpc::sasl::{Credentials, Mechanism};

use super::options::{ClientOptions, S3AccessKey};
use super::target::Target;

/// A configuration that cannot be: a key that there is not, a value that it does not take, or options that do not go
/// together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

pub(super) fn fault(message: impl Into<String>) -> InvalidConfig {
    InvalidConfig(message.into())
}

/// Options under construction: what needs more than one key waits here.
pub(super) struct Settings {
    pub(super) target: Option<Target>,
    pub(super) default_deadline: Option<Duration>,
    pub(super) options: ClientOptions,
    pub(super) sasl: bool,
    pub(super) mechanism: Mechanism,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) has_tls: bool,
    pub(super) tls: TlsOptions,
    pub(super) s3_access_key: Option<String>,
    pub(super) s3_secret_key: Option<String>,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            target: None,
            default_deadline: None,
            options: ClientOptions::new([]),
            sasl: false,
            mechanism: Mechanism::Plain,
            username: None,
            password: None,
            has_tls: false,
            tls: TlsOptions::default(),
            s3_access_key: None,
            s3_secret_key: None,
        }
    }

    /// Refuses what is for servers elsewhere if the node is in this process: whoever asks for it may rely on it.
    pub(super) fn check_place(&self, target: &Target) -> Result<(), String> {
        if matches!(target, Target::Servers(_) | Target::Discover(_)) {
            return Ok(());
        }
        if self.has_tls || self.tls != TlsOptions::default() {
            return Err(
                "an embedded node is in this process, where nothing goes by TLS: 'tls' and its files are for 'fluss://'"
                    .to_owned(),
            );
        }
        if self.sasl || self.username.is_some() || self.password.is_some() {
            return Err(
                "an embedded node asks nobody who they are: a user and a password are for 'fluss://'"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(Target, ClientOptions), InvalidConfig> {
        let target = self
            .target
            .take()
            .ok_or_else(|| fault("option 'bootstrap.servers' is missing"))?;
        self.check_place(&target).map_err(fault)?;
        if !self.sasl && (self.username.is_some() || self.password.is_some()) {
            return Err(fault(
                "a user name or a password has no effect without 'client.security.protocol': 'SASL'",
            ));
        }
        if self.sasl {
            let (Some(username), Some(password)) = (self.username, self.password) else {
                return Err(fault(
                    "security protocol SASL needs 'client.security.sasl.username' and '...password'",
                ));
            };
            self.options.credentials = Some(Credentials {
                mechanism: self.mechanism,
                username,
                password,
            });
        }
        self.options.tls = match self.has_tls {
            true => Some(self.tls),
            false if self.tls == TlsOptions::default() => None,
            false => {
                let files = "'client.tls-ca-file', 'client.user-cert-file' or 'client.user-key-file'";
                return Err(fault(format!(
                    "{files} has no effect without 'client.tls': 'true'"
                )));
            }
        };
        self.options.remote.s3.access_key = match (self.s3_access_key, self.s3_secret_key) {
            (None, None) => None,
            (Some(id), Some(secret)) => Some(S3AccessKey { id, secret }),
            _ => {
                let reason = "'client.remote.s3.access-key' and '...secret-key' go together";
                return Err(fault(reason));
            }
        };
        if let Some(most) = self.default_deadline {
            let ClientOptions {
                connect_timeout,
                request_timeout,
                writer,
                ..
            } = &mut self.options;
            for wait in [connect_timeout, request_timeout, &mut writer.delivery_timeout] {
                *wait = (*wait).min(most);
            }
        }
        self.options
            .validate()
            .map_err(|error| fault(error.to_string()))?;
        Ok((target, self.options))
    }
}

//! What happens on a connection before it is used: `rpc.md` §2, §4 and §5.

use std::sync::Arc;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::link::Link;
use super::{Backoff, ConnectError, ConnectOptions, Disconnect, RequestError, ServerAddress};
use crate::api::{ApiKey, Request, Versions};
use crate::code::{ErrorCode, Retry};
use crate::proto::{ApiVersionsRequest, AuthenticateRequest, AuthenticateResponse};
use crate::sasl::{Credentials, Exchange, SaslError, Step};

/// Asks for the versions, checks the role, and authenticates if there are credentials. It has no deadline. `meanwhile` is
/// done once the first question is on its way.
pub(super) async fn shake_hands(
    link: &Arc<Link>,
    options: &ConnectOptions,
    meanwhile: impl FnOnce(),
) -> Result<Versions, ConnectError> {
    let versions = negotiate(link, options, meanwhile).await?;
    check_role(&link.server, options, &versions)?;
    if let Some(credentials) = &options.credentials {
        authenticate(link, &versions, credentials, options).await?;
    }
    let role = versions.server_role().map(tracing::field::display);
    debug!(target: crate::TARGET, server = %link.server, role, "connected");
    Ok(versions)
}

async fn negotiate(
    link: &Arc<Link>,
    options: &ConnectOptions,
    meanwhile: impl FnOnce(),
) -> Result<Versions, ConnectError> {
    let request = ApiVersionsRequest {
        client_software_name: options.software_name.clone(),
        client_software_version: options.software_version.clone(),
    };
    let sent = link.send(0, &request);
    meanwhile();
    let answer = match sent {
        Ok(sent) => sent.answer::<ApiVersionsRequest>().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(response) => Ok(Versions::from_response(&response)),
        Err(RequestError::Server { code, message }) => Err(ConnectError::Refused {
            server: link.server.clone(),
            code,
            message,
        }),
        Err(source) => Err(unready(link.server.clone(), source)),
    }
}

/// What it means that the connection was lost before the server has said what it is.
fn unready(server: ServerAddress, source: RequestError) -> ConnectError {
    if let RequestError::Disconnected { reason } = &source
        && let Some(fault) = reason.tls_fault().cloned()
    {
        return ConnectError::Tls { server, fault };
    }
    match source {
        RequestError::Disconnected {
            reason: Disconnect::SpeaksTls,
        } => ConnectError::SpeaksTls { server },
        RequestError::Disconnected {
            reason: Disconnect::ServerFailure { code, message },
        } => ConnectError::Refused {
            server,
            code,
            message,
        },
        RequestError::Disconnected {
            reason: Disconnect::ClosedByServer | Disconnect::Cut | Disconnect::Io(_),
        } => ConnectError::Closed { server, source },
        source => ConnectError::NotFluss { server, source },
    }
}

fn check_role(
    server: &ServerAddress,
    options: &ConnectOptions,
    versions: &Versions,
) -> Result<(), ConnectError> {
    match (options.expected_role, versions.server_role()) {
        (Some(expected), Some(actual)) if expected != actual => Err(ConnectError::WrongRole {
            server: server.clone(),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

/// Authenticates, again and again for as long as the server says that it cannot for the moment, and there is time.
async fn authenticate(
    link: &Arc<Link>,
    versions: &Versions,
    credentials: &Credentials,
    options: &ConnectOptions,
) -> Result<(), ConnectError> {
    let server = || link.server.clone();
    let version =
        versions
            .usable(ApiKey::Authenticate)
            .map_err(|source| ConnectError::UnsupportedVersion {
                server: server(),
                source,
            })?;
    let mut attempts = 0_u32;
    let mut delays = Backoff::default().delays(options.random.fork());
    let deadline = Instant::now().checked_add(options.connect_timeout);
    loop {
        let failure = match exchange(link, version, credentials).await {
            Ok(()) => {
                debug!(target: crate::TARGET, server = %link.server, "authenticated");
                return Ok(());
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Request(RequestError::Server { code, .. }) if code.retry() == Retry::Authenticate => {
                let pause = delays.next().unwrap_or_default();
                if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
                    return Err(failure.at(server()));
                }
                attempts += 1;
                let pause_ms = pause.as_millis() as u64;
                if attempts == 1 {
                    warn!(target: crate::TARGET, server = %link.server, %code, pause_ms, "authentication is tried again");
                } else {
                    debug!(target: crate::TARGET, server = %link.server, %code, attempts, pause_ms, "authentication is tried again");
                }
                sleep(pause).await;
            }
            failure => return Err(failure.at(server())),
        }
    }
}

async fn exchange(link: &Arc<Link>, version: i16, credentials: &Credentials) -> Result<(), Failure> {
    let mut exchange = Exchange::new(credentials)?;
    let mut token = exchange.initial();
    loop {
        let request = AuthenticateRequest {
            protocol: exchange.mechanism().to_owned(),
            token,
        };
        let AuthenticateResponse { challenge } = call(link, version, &request).await?;
        match exchange.step(challenge.as_deref())? {
            Step::Done => return Ok(()),
            Step::Send(next) => token = next,
        }
    }
}

async fn call<R: Request>(link: &Arc<Link>, version: i16, request: &R) -> Result<R::Response, RequestError> {
    link.send(version, request)?.answer::<R>().await
}

/// Why an exchange failed.
enum Failure {
    Sasl(SaslError),
    Request(RequestError),
}

impl Failure {
    fn at(self, server: ServerAddress) -> ConnectError {
        match self {
            Self::Sasl(error) => ConnectError::Authentication {
                server,
                code: None,
                message: error.to_string(),
            },
            Self::Request(RequestError::Server {
                code: code @ ErrorCode::AUTHENTICATE_EXCEPTION,
                message,
            }) => ConnectError::Authentication {
                server,
                code: Some(code),
                message,
            },
            Self::Request(RequestError::Server { code, message }) => ConnectError::Refused {
                server,
                code,
                message,
            },
            Self::Request(source) => match unready(server, source) {
                ConnectError::NotFluss { server, source } => ConnectError::Closed { server, source },
                error => error,
            },
        }
    }
}

impl From<SaslError> for Failure {
    fn from(error: SaslError) -> Self {
        Self::Sasl(error)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

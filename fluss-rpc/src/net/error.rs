//! How connecting, requesting and the connection itself can fail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::ServerAddress;
use super::tls::TlsFault;
use crate::api::{ApiKey, ServerRole, Unsupported};
use crate::code::{ErrorCode, Retry};
use crate::frame::FrameError;
use crate::header::HeaderError;
use crate::proto::ErrorResponse;

/// Why there is no connection. It can be cloned, for everyone who waited for the same attempt.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host has no address that is known.
    #[error("the host '{}' of {server} is unknown: check the name, or the name service", server.host)]
    UnknownHost {
        /// The server.
        server: ServerAddress,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Nobody listens there, or no way leads there.
    #[error("{server} cannot be reached: {}", unreachable(source))]
    Unreachable {
        /// The server.
        server: ServerAddress,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The connection was not ready in time.
    #[error("{server} did not complete the connection within {after:?}")]
    Timeout {
        /// The server.
        server: ServerAddress,
        /// The time that it had.
        after: Duration,
    },
    /// What listens there does not answer as a Fluss server does.
    #[error("the server at {server} does not speak the Fluss protocol")]
    NotFluss {
        /// The server.
        server: ServerAddress,
        /// What became of the request for its versions.
        source: RequestError,
    },
    /// The server is not what the metadata says: the metadata is stale.
    #[error("{server} is a {actual}, where a {expected} was expected")]
    WrongRole {
        /// The server.
        server: ServerAddress,
        /// The role that it should have.
        expected: ServerRole,
        /// The role that it claims.
        actual: ServerRole,
    },
    /// The credentials were refused, by the server or (empty, or with a NUL) before they were sent.
    #[error("authentication at {server} failed: {message}")]
    Authentication {
        /// The server.
        server: ServerAddress,
        /// The code with which the server refused them, if it was the server.
        code: Option<ErrorCode>,
        /// Why.
        message: String,
    },
    /// TLS with the server does not come about.
    #[error("TLS with {server} failed: {fault}")]
    Tls {
        /// The server.
        server: ServerAddress,
        /// Why.
        fault: TlsFault,
    },
    /// The server speaks TLS, and the client does not.
    #[error("{server} speaks TLS: connect with tls=true")]
    SpeaksTls {
        /// The server.
        server: ServerAddress,
    },
    /// The password would go to another machine in clear. Nothing was sent.
    #[error(
        "the password for {server} would be sent in clear: connect with tls=true, or allow that with allow-insecure-password=true"
    )]
    PasswordInClear {
        /// The server.
        server: ServerAddress,
    },
    /// The server does not offer what a connection needs.
    #[error("{server} is of a generation that this client does not support")]
    UnsupportedVersion {
        /// The server.
        server: ServerAddress,
        /// The API that is missing.
        source: Unsupported,
    },
    /// The server answered, but with an error.
    #[error("{server} refused the connection: {code}: {message}")]
    Refused {
        /// The server.
        server: ServerAddress,
        /// The error.
        code: ErrorCode,
        /// The text of the server, or the meaning of the code.
        message: String,
    },
    /// The connection was lost before it was ready.
    #[error("{server} closed the connection before it was ready{}", hint_of_close(source))]
    Closed {
        /// The server.
        server: ServerAddress,
        /// What became of the request that was under way.
        source: RequestError,
    },
}

/// What may be behind a connection that was closed: a proxy that ends TLS takes what is none for nonsense, and says nothing.
const fn hint_of_close(source: &RequestError) -> &'static str {
    match source {
        RequestError::Disconnected {
            reason: Disconnect::ClosedByServer | Disconnect::Cut | Disconnect::Io(_),
        } => ": if it, or a proxy before it, speaks TLS, connect with tls=true",
        _ => "",
    }
}

impl ConnectError {
    /// The code with which the server refused, if it did.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Authentication { code, .. } => *code,
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether trying again can help, here or (after a refresh of the metadata) elsewhere.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::WrongRole { .. } => true,
            Self::NotFluss { source, .. } | Self::Closed { source, .. } => source.is_retriable(),
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Tls { fault, .. } => fault.is_retriable(),
            Self::Authentication { .. }
            | Self::UnsupportedVersion { .. }
            | Self::SpeaksTls { .. }
            | Self::PasswordInClear { .. } => false,
        }
    }
}

/// Why a request has no response. It can be cloned, for everyone who waited on the same connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused the request.
    #[error("{code}: {message}")]
    Server {
        /// The error.
        code: ErrorCode,
        /// The text of the server, or the meaning of the code.
        message: String,
    },
    /// No answer came in time. The server may still have done what was asked.
    #[error("no answer came within {after:?}")]
    Timeout {
        /// The time that the server had.
        after: Duration,
    },
    /// The connection is gone. If the request was sent, the server may still have done what was asked.
    #[error("the connection is lost")]
    Disconnected {
        /// What happened to it.
        #[source]
        reason: Disconnect,
    },
    /// No version of the API is common to both sides; nothing was sent.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Servers of this role do not answer the API, so another server is there than the metadata says; nothing was sent.
    #[error("a {role} is there by now, which does not answer {api}")]
    WrongRole {
        /// The API.
        api: ApiKey,
        /// What the server is.
        role: ServerRole,
    },
    /// The request is larger than may be sent (it was not), or its response larger than is received.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The size of the frame.
        bytes: u64,
        /// The most that is allowed.
        limit: usize,
    },
    /// The request has a password in it, which would go to another machine in clear. Nothing was sent.
    #[error(
        "the password in {api} would be sent in clear: connect with tls=true, or allow that with allow-insecure-password=true"
    )]
    PasswordInClear {
        /// The API.
        api: ApiKey,
    },
    /// The response is not the message that it should be.
    #[error("the response to {api} is malformed")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// What is wrong with it.
        source: MalformedMessage,
    },
}

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedMessage(String);

impl From<prost::DecodeError> for MalformedMessage {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

impl RequestError {
    /// Whether trying again can help, perhaps on another connection or at another server. It does not say whether
    /// trying again is safe: see [`Timeout`](Self::Timeout) and [`Disconnected`](Self::Disconnected).
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Server { code, .. } => code.is_retriable(),
            Self::Timeout { .. } | Self::WrongRole { .. } => true,
            Self::Disconnected { reason } => reason.is_retriable(),
            Self::Unsupported(_)
            | Self::TooLarge { .. }
            | Self::PasswordInClear { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// What can be done about it, in the terms of the error codes: a lost connection counts as `NETWORK_EXCEPTION`.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Server { code, .. } => code.retry(),
            Self::Disconnected { .. } if self.is_retriable() => ErrorCode::NETWORK_EXCEPTION.retry(),
            Self::WrongRole { .. } => Retry::RefreshMetadata,
            _ if self.is_retriable() => Retry::Yes,
            _ => Retry::No,
        }
    }

    /// The error that a server sent, with the meaning of the code where it sent no text.
    pub(super) fn from_response(response: ErrorResponse) -> Self {
        let code = ErrorCode::from_number(response.error_code);
        Self::Server {
            code,
            message: text(code, response.error_message),
        }
    }
}

impl From<FrameError> for RequestError {
    fn from(error: FrameError) -> Self {
        let FrameError::TooLarge { bytes, limit } = error;
        Self::TooLarge { bytes, limit }
    }
}

/// Why a connection came to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// This side closed it.
    #[error("the client closed the connection")]
    Closed,
    /// The server closed it, as it does when it stops or the connection was idle for long.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// The server closed it in the middle of a frame.
    #[error("the server closed the connection in the middle of a response")]
    Cut,
    /// The network failed.
    #[error("the network failed")]
    Io(#[source] Arc<io::Error>),
    /// The server sent a frame that cannot be received.
    #[error("the server sent a frame that cannot be received")]
    Frame(#[source] FrameError),
    /// The server answered with TLS, which the client does not speak.
    #[error("the server speaks TLS: connect with tls=true")]
    SpeaksTls,
    /// The server sent a frame that is not a response.
    #[error("the server sent a frame that is not a response")]
    Header(#[source] HeaderError),
    /// The server gave the connection up with a response of type 2.
    #[error("the server gave the connection up: {code}: {message}")]
    ServerFailure {
        /// The error.
        code: ErrorCode,
        /// The text of the server, or the meaning of the code.
        message: String,
    },
    /// The server sent nothing at all while somebody waited for an answer: the network may have lost the other end without
    /// telling this one.
    #[error("the server sent nothing for {after:?}")]
    Silent {
        /// How long.
        after: Duration,
    },
    /// A task of the connection was ended from outside: the runtime stops, or it panicked.
    #[error("the connection's task ended")]
    Stopped,
}

impl Disconnect {
    /// Whether a new connection can help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Io(_) => self.tls_fault().is_none_or(TlsFault::is_retriable),
            Self::Closed | Self::ClosedByServer | Self::Cut | Self::Silent { .. } => true,
            Self::ServerFailure { code, .. } => code.is_retriable(),
            Self::Frame(_) | Self::Header(_) | Self::SpeaksTls | Self::Stopped => false,
        }
    }

    /// Whether it tells more than that there is no connection any more.
    pub(super) fn says_why(&self) -> bool {
        match self {
            Self::ClosedByServer | Self::Cut => false,
            Self::Io(_) => self.tls_fault().is_some(),
            _ => true,
        }
    }

    /// What is wrong with TLS, if it is that.
    pub(super) fn tls_fault(&self) -> Option<&TlsFault> {
        match self {
            Self::Io(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// The failure that a response of type 2 reports.
    pub(super) fn from_response(response: ErrorResponse) -> Self {
        let code = ErrorCode::from_number(response.error_code);
        Self::ServerFailure {
            code,
            message: text(code, response.error_message),
        }
    }

    /// What the requests learn that were under way.
    pub(super) fn in_flight(&self) -> RequestError {
        match self.clone() {
            Self::ServerFailure { code, message } => RequestError::Server { code, message },
            reason => RequestError::Disconnected { reason },
        }
    }
}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<FrameError> for Disconnect {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<HeaderError> for Disconnect {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// What the system's error means to somebody who wants to connect.
fn unreachable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "no server listens on the port",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads to the host",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::TimedOut => "the host does not answer",
        io::ErrorKind::PermissionDenied => "the system does not allow it",
        _ => "the connection failed",
    }
}

fn text(code: ErrorCode, message: Option<String>) -> String {
    message.unwrap_or_else(|| code.meaning().to_owned())
}

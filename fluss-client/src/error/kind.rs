//! Why something failed, and what that means.

use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::api::Unsupported;
use fluss_rpc::code::{ErrorCode, Outcome};
use fluss_rpc::net::tls::TlsFault;
use fluss_rpc::net::{ConnectError, Disconnect, RequestError};

#[cfg(doc)]
use super::Error;
use super::storage::StorageError;
use fluss_core::id::Offset;
use fluss_core::types::InvalidDefinition;
use fluss_core::{DecodeError, ValueError};

/// The cause of an [`Error`], named by what can be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server refused. [`ErrorCode::is_retriable`] tells whether trying again can help.
    ///
    /// A message of several lines, such as a stack trace, is shown up to the end of its first.
    #[error("{} [{code}]", message.lines().next().unwrap_or_default())]
    Server {
        /// Why.
        code: ErrorCode,
        /// The server's own words, or the code's meaning where it sent none.
        message: String,
    },
    /// A deadline passed. Trying again may help.
    #[error("no answer within {after:?}{}", if *.outcome_unknown { "; whether it took effect is unknown" } else { "" })]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// A write was sent, and may or may not have been stored.
        outcome_unknown: bool,
    },
    /// A writer's memory was held by rows that wait for their acknowledgement. Nothing was sent; trying again may help.
    #[error("the writer's memory was in use for {after:?}")]
    NoMemory {
        /// How long was waited.
        after: Duration,
    },
    /// No connection to the server came about: unreachable, not a Fluss server, or a refused login.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The connection was lost, or could not carry the request.
    #[error(transparent)]
    Request(RequestError),
    /// The server does not offer what was asked for, and it was not asked. It says what the server is.
    #[error(transparent)]
    Unsupported(Unsupported),
    /// No server of the cluster could be asked.
    #[error("no server is available")]
    NoServer,
    /// The bucket has no leader that could be found in time. Trying again may help.
    #[error("no leader was found within {0:?}")]
    NoLeader(Duration),
    /// The server's answer makes no sense.
    #[error(transparent)]
    Malformed(DecodeError),
    /// A file in the cluster's remote storage cannot be read. [`StorageError::is_retriable`] tells whether trying again
    /// can help.
    #[error(transparent)]
    Storage(Arc<StorageError>),
    /// A value that its column cannot take. Nothing was sent.
    #[error(transparent)]
    Value(ValueError),
    /// A name, type, schema or descriptor that the protocol does not allow. Nothing was sent.
    #[error(transparent)]
    Definition(InvalidDefinition),
    /// An argument that makes no sense here. Nothing was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The embedded node cannot be had: its directory is another process's, of another format, or damaged.
    #[error("{0}")]
    Node(String),
    /// The log of a bucket does not reach back to where it is needed: what was before was deleted, as the table says.
    #[error("the log begins at offset {start}; what was before it is gone")]
    Expired {
        /// The first offset that is still there.
        start: Offset,
    },
    /// What was called is closed.
    #[error("already closed")]
    Closed,
    /// A task of the client died: a defect of the client, which cannot be used any more.
    #[error("the client failed: {0}")]
    Defect(String),
}

impl ErrorKind {
    /// What it means, where no server told a code.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Server { code, .. } => code.outcome(),
            Self::Timeout { .. }
            | Self::NoMemory { .. }
            | Self::NoLeader(_)
            | Self::Request(RequestError::Timeout { .. }) => Outcome::Timeout,
            Self::Connect(error) => match **error {
                ConnectError::Timeout { .. } => Outcome::Timeout,
                ConnectError::Authentication { .. }
                | ConnectError::Tls {
                    fault: TlsFault::CertificateWanted | TlsFault::CertificateRefused(_),
                    ..
                } => Outcome::Unauthenticated,
                ConnectError::PasswordInClear { .. }
                | ConnectError::Tls {
                    fault: TlsFault::Files(_),
                    ..
                } => Outcome::InvalidArgument,
                ConnectError::UnsupportedVersion { .. } => Outcome::Unsupported,
                _ => Outcome::Unavailable,
            },
            Self::Request(RequestError::Malformed { .. } | RequestError::TooLarge { .. })
            | Self::Malformed(_)
            | Self::Value(_) => Outcome::InvalidData,
            Self::Request(RequestError::PasswordInClear { .. })
            | Self::Definition(_)
            | Self::InvalidArgument(_) => Outcome::InvalidArgument,
            Self::Request(_) | Self::NoServer => Outcome::Unavailable,
            Self::Unsupported(_) => Outcome::Unsupported,
            Self::Storage(error) => error.outcome(),
            Self::Expired { .. } => Outcome::Expired,
            Self::Closed => Outcome::Closed,
            Self::Node(_) | Self::Defect(_) => Outcome::Internal,
        }
    }

    /// A refusal with the server's message, or the code's meaning where it sent none.
    pub(crate) fn server(code: ErrorCode, message: Option<String>) -> Self {
        let message = message
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| code.meaning().to_owned());
        Self::Server { code, message }
    }

    /// A reader that was read to its end, and is to be read again.
    pub fn already_read() -> Self {
        Self::InvalidArgument("the reader was read to its end, which it is once: make another".to_owned())
    }

    /// The refusal that an answer tells; nothing if it tells of success.
    pub(crate) fn refusal(error_code: Option<i32>, message: Option<String>) -> Option<Self> {
        ErrorCode::of(error_code).map(|code| Self::server(code, message))
    }

    pub(crate) fn is_retriable(&self) -> bool {
        match self {
            Self::Server { code, .. } => code.is_retriable(),
            Self::Timeout { .. } | Self::NoMemory { .. } | Self::NoServer | Self::NoLeader(_) => true,
            Self::Connect(error) => error.is_retriable(),
            Self::Request(error) => error.is_retriable(),
            Self::Storage(error) => error.is_retriable(),
            _ => false,
        }
    }
}

impl From<RequestError> for ErrorKind {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Server { code, message } => Self::Server { code, message },
            RequestError::Timeout { after } => Self::Timeout {
                after,
                outcome_unknown: false,
            },
            RequestError::Unsupported(error) => Self::Unsupported(error),
            // Only whoever has the client closes its connections.
            RequestError::Disconnected {
                reason: Disconnect::Closed,
            } => Self::Closed,
            other => Self::Request(other),
        }
    }
}

impl From<ConnectError> for ErrorKind {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closed {
                source:
                    RequestError::Disconnected {
                        reason: Disconnect::Closed,
                    },
                ..
            } => Self::Closed,
            other => Self::Connect(Arc::new(other)),
        }
    }
}

impl From<DecodeError> for ErrorKind {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<StorageError> for ErrorKind {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

impl From<ValueError> for ErrorKind {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

impl From<InvalidDefinition> for ErrorKind {
    fn from(error: InvalidDefinition) -> Self {
        Self::Definition(error)
    }
}

use std::io;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

/// Why a request, or the part of it that concerns one bucket, was refused: a code for programs, a message for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What the protocol calls it.
    pub code: ErrorCode,
    /// What is wrong, in terms of the request.
    pub message: String,
}

impl Failure {
    /// A refusal.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The log of a bucket could not be read or written.
    pub fn log_storage(error: &io::Error) -> Self {
        Self::new(ErrorCode::LOG_STORAGE_EXCEPTION, format!("the log: {error}"))
    }

    /// The state of a bucket could not be read or written.
    pub fn kv_storage(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::KV_STORAGE_EXCEPTION, format!("the state: {error}"))
    }
}

impl From<Failure> for proto::ErrorResponse {
    fn from(failure: Failure) -> Self {
        Self {
            error_code: failure.code.number(),
            error_message: Some(failure.message),
        }
    }
}

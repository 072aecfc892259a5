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
}

impl From<Failure> for proto::ErrorResponse {
    fn from(failure: Failure) -> Self {
        Self {
            error_code: failure.code.number(),
            error_message: Some(failure.message),
        }
    }
}

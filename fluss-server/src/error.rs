use std::io;
use std::path::{Path, PathBuf};

use fluss_core::DecodeError;
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

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another node of this one, has the directory.
    #[error("{} is in use by another process", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory without a catalog has files in it that no node has written.
    #[error("{} is no node's directory: there is '{found}' in it", directory.display())]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// One of the files.
        found: String,
    },
    /// The catalog was written in a format that this version does not know.
    #[error("{} has format {found}, not {known}", path.display())]
    Format {
        /// The catalog.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What this version writes.
        known: u32,
    },
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is damaged in a place that no crash explains. Nothing behind that place is served.
    #[error("{} is damaged at byte {at}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        at: u64,
        /// What is wrong there.
        source: DecodeError,
    },
}

impl OpenError {
    /// The same, with the names of files as they are found from outside of a disk with this root.
    pub(crate) fn under(mut self, root: &Path) -> Self {
        let (Self::InUse { directory: path }
        | Self::Foreign { directory: path, .. }
        | Self::Format { path, .. }
        | Self::Io { path, .. }
        | Self::Damaged { path, .. }) = &mut self;
        *path = root.join(&*path);
        self
    }
}

use std::time::Duration;

use fluss_core::DecodeError;
use fluss_rpc::code::Outcome;

/// Why a file in the cluster's remote storage cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It is not there: the cluster has removed it, or it is a path of a machine that this one shares no files with.
    #[error("remote file {file} is not there")]
    NotFound {
        /// The file.
        file: String,
    },
    /// The client may not read it.
    #[error("remote file {file} may not be read: {reason}")]
    Denied {
        /// The file.
        file: String,
        /// The words of the store.
        reason: String,
    },
    /// A read was not answered in time.
    #[error("remote file {file}: no answer within {after:?}")]
    Timeout {
        /// The file.
        file: String,
        /// How long was waited.
        after: Duration,
    },
    /// The store could not be reached, or failed.
    #[error("remote file {file} cannot be read: {reason}")]
    Failed {
        /// The file.
        file: String,
        /// The words of the store.
        reason: String,
    },
    /// It ends before what the cluster says is in it.
    #[error("remote file {file}: {found} bytes where there should be {wanted}")]
    Short {
        /// The file.
        file: String,
        /// How many bytes were asked for.
        wanted: u64,
        /// How many there are.
        found: u64,
    },
    /// What is in it is not what the cluster says.
    #[error("remote file {file}: {fault}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        fault: DecodeError,
    },
    /// It is in a store that this client does not know, or was built without.
    #[error("remote file {file}: {reason}")]
    Unsupported {
        /// The file.
        file: String,
        /// What is not known.
        reason: String,
    },
}

impl StorageError {
    /// What it means for whoever gets it.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound { .. } => Outcome::NotFound,
            Self::Denied { .. } => Outcome::Denied,
            Self::Timeout { .. } => Outcome::Timeout,
            Self::Failed { .. } => Outcome::Unavailable,
            Self::Short { .. } | Self::Damaged { .. } => Outcome::InvalidData,
            Self::Unsupported { .. } => Outcome::Unsupported,
        }
    }

    /// Whether the same can succeed later. What is not there now may be named otherwise when the cluster is asked again.
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Timeout { .. } | Self::Failed { .. } => true,
            Self::Denied { .. } | Self::Short { .. } | Self::Damaged { .. } | Self::Unsupported { .. } => {
                false
            }
        }
    }

    /// The file.
    pub fn file(&self) -> &str {
        match self {
            Self::NotFound { file }
            | Self::Denied { file, .. }
            | Self::Timeout { file, .. }
            | Self::Failed { file, .. }
            | Self::Short { file, .. }
            | Self::Damaged { file, .. }
            | Self::Unsupported { file, .. } => file,
        }
    }
}

//! What goes wrong with streams.

use fluss_client::types::{InvalidDefinition, TablePath};

use crate::version::{CurrentVersion, StreamState};

/// The result of whatever is done with streams.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream is not in the state that the append asks for. Nothing was appended.
    #[error("stream {stream:?} is at {actual}, and the append asks for {expected}")]
    WrongCurrentVersion {
        /// The stream.
        stream: String,
        /// What was asked for.
        expected: StreamState,
        /// What is.
        actual: CurrentVersion,
    },
    /// There is no such stream, or it was deleted and nothing was appended since.
    #[error("there is no stream {stream:?}")]
    NotFound {
        /// The stream.
        stream: String,
    },
    /// The stream was ended with a tombstone: nothing can be appended to it, or read of it.
    #[error("stream {stream:?} is deleted for good")]
    Deleted {
        /// The stream.
        stream: String,
    },
    /// What was asked for makes no sense; nothing was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The table is no table of streams, or holds what no client of this kind writes.
    #[error("table {table} holds no streams: {reason}")]
    WrongTable {
        /// The table.
        table: TablePath,
        /// Why not.
        reason: String,
    },
    /// Whether the append is stored is not known. It is safe to try it again with the same events: it is stored once.
    #[error(
        "whether the append to stream {stream:?} is stored is not known; it can be tried again with the same events: {source}"
    )]
    OutcomeUnknown {
        /// The stream.
        stream: String,
        /// What has failed last.
        source: fluss_client::Error,
    },
    /// The client has failed.
    #[error(transparent)]
    Client(#[from] fluss_client::Error),
}

impl From<InvalidDefinition> for Error {
    fn from(error: InvalidDefinition) -> Self {
        Self::InvalidArgument(error.to_string())
    }
}

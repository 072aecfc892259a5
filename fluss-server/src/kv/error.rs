use std::io;

use fluss_core::DecodeError;
use fluss_core::id::{Offset, SchemaId};
use fluss_core::types::InvalidDefinition;

use crate::Failure;

/// There is no memory for a part of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no memory for the answer")]
pub(crate) struct NoRoom;

/// Why the rows of a bucket refuse a request, or fail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The properties of a table, which it cannot have been created with.
    #[error("{0}")]
    InvalidProperty(String),
    /// The keys of a table, which it cannot have been created with.
    #[error("{0}")]
    InvalidTable(InvalidDefinition),
    /// A batch does not match its checksum.
    #[error("{0}")]
    Corrupt(DecodeError),
    #[error("the table has no schema {0}")]
    UnknownSchema(SchemaId),
    /// Columns that the table does not let be written on their own.
    #[error("{0}")]
    TargetColumns(String),
    #[error("the table does not allow deletes")]
    DeletesDisabled,
    #[error("a key of {bytes} bytes; at most {most} are stored")]
    KeyTooLong { bytes: usize, most: usize },
    /// Records that cannot be read, merged or stored. Trying again does not help.
    #[error("{0}")]
    BadRecord(String),
    /// Whoever keeps the numbers of auto-increment columns gives none out.
    #[error(transparent)]
    Numbers(Failure),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The state cannot be read or written.
    #[error("the state: {0}")]
    State(io::Error),
    /// A stored value cannot be read.
    #[error("the state: {0}")]
    BadValue(DecodeError),
    /// The changelog cannot be applied to the state.
    #[error("the state: {0}")]
    Replay(ReplayError),
    /// The state has moved on since a draft was begun.
    #[error("the state stands at offset {applied}, the draft at {base}")]
    Moved { applied: Offset, base: Offset },
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::State(error)
    }
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

/// Why a changelog cannot be applied to a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplayError {
    /// Batches are missing between the state and the batch.
    #[error("the state stands at offset {applied}, the next batch begins at {found}")]
    Gap {
        /// Where the state stands.
        applied: Offset,
        /// Where the batch begins.
        found: Offset,
    },
    /// A batch that is none of the table's.
    #[error("the batch at offset {at}")]
    Malformed {
        /// The offset of the batch.
        at: Offset,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The state cannot be read or written.
    #[error("the state cannot be read or written")]
    Io(#[from] io::Error),
}

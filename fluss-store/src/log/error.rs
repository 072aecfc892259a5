use std::io;
use std::path::PathBuf;

use fluss_core::DecodeError;
use fluss_core::id::{BatchSequence, Offset, WriterId};
use fluss_core::record::log::LogError;

/// Why a log refuses a request, or fails. The log is as it was before, and goes on, unless a sync has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A batch to append has a magic number that is not known.
    #[error("a batch with magic {0}")]
    UnknownMagic(u8),
    /// A batch to append does not match its checksum, is malformed or cut short.
    #[error("{}", described(.0))]
    BadBatch(LogError),
    /// A batch to append is not its writer's next.
    #[error("batch {} of writer {writer}, expected {expected}", found.map_or(-1, BatchSequence::get))]
    OutOfOrder {
        /// The writer.
        writer: WriterId,
        /// The number of the batch, if it has one.
        found: Option<BatchSequence>,
        /// The number that comes next.
        expected: BatchSequence,
    },
    /// An offset to read from is before the start of the log, or behind its end.
    #[error("offset {offset}, the log has {start} to {end}")]
    OutOfRange {
        /// The offset.
        offset: Offset,
        /// Where the log starts.
        start: Offset,
        /// Where it ends.
        end: Offset,
    },
    /// A file or directory cannot be read or written.
    #[error("{}: {error}", path.display())]
    Storage {
        /// The file or directory, from the root of the disk.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file is not as it was written.
    #[error("{} is damaged at byte {at}: {reason}", path.display())]
    Damaged {
        /// The file, from the root of the disk.
        path: PathBuf,
        /// Where the damage begins.
        at: u64,
        /// What is wrong there.
        reason: DecodeError,
    },
}

fn described(error: &LogError) -> String {
    match error {
        LogError::Malformed { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

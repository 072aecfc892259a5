use std::io;
use std::sync::Arc;

use bytes::Bytes;

use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::log::{Generation, LogBatch, LogBatches};

use super::index::Entry;
use crate::disk::File;

/// How much is read at once, in bytes.
const WINDOW: usize = 1024 * 1024;

/// The size of what precedes the length of a batch, and of the length.
const PREFIX: usize = 12;

/// The batches in a stretch of a segment, one after the other, each of them checked: its checksum, and that it goes on
/// where the one before it ends.
#[derive(Debug)]
pub(super) struct Walk {
    file: Arc<dyn File>,
    /// Whether checksums are compared.
    verify: bool,
    /// Where the next batch begins.
    at: u64,
    /// Where the stretch ends.
    end: u64,
    /// The offset of the next record.
    next_offset: Offset,
    /// The next batch is no older than this.
    timestamp: i64,
    /// What has been read from `at` on.
    window: LogBatches,
}

/// Why a walk does not go on.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// The file cannot be read.
    Io(io::Error),
    /// The next batch is not whole, or not right, or not the next.
    Bad(DecodeError),
}

impl Walk {
    /// From an entry of the index to `end`.
    pub(super) fn new(file: Arc<dyn File>, from: Entry, end: u64, verify: bool) -> Self {
        Self::over(Bytes::new(), file, from, end, verify)
    }

    /// The same, with what has been read from there on.
    pub(super) fn over(bytes: Bytes, file: Arc<dyn File>, from: Entry, end: u64, verify: bool) -> Self {
        Self {
            file,
            verify,
            at: from.position,
            end,
            next_offset: from.offset,
            timestamp: from.timestamp,
            window: LogBatches::new(bytes, Generation::V0_9),
        }
    }

    /// Where the next batch begins.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The offset of the next record.
    pub(super) const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The next batch; none at the end of the stretch.
    pub(super) fn next(&mut self) -> Result<Option<LogBatch>, Obstacle> {
        if self.at >= self.end {
            return Ok(None);
        }
        let batch = self.take()?;
        self.check(&batch).map_err(Obstacle::Bad)?;
        self.at += batch.len() as u64;
        self.next_offset = batch.next_offset();
        self.timestamp = batch.commit_timestamp();
        Ok(Some(batch))
    }

    fn take(&mut self) -> Result<LogBatch, Obstacle> {
        loop {
            let there = self.window.rest().len();
            if let Some(batch) = self.window.next() {
                return batch.map_err(Obstacle::Bad);
            }
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let needed = needed(self.window.rest());
            if needed <= left {
                let len = left.min(needed.max(WINDOW));
                let bytes = self.file.read_at(self.at, len).map_err(Obstacle::Io)?;
                self.window = LogBatches::new(bytes, Generation::V0_9);
            }
            if needed > left || self.window.rest().len() <= there {
                return Err(Obstacle::Bad(DecodeError::truncated("log batch", needed, there)));
            }
        }
    }

    fn check(&self, batch: &LogBatch) -> Result<(), DecodeError> {
        if batch.base_offset() != self.next_offset {
            let reason = format!(
                "offset {} where {} comes next",
                batch.base_offset(),
                self.next_offset
            );
            return Err(DecodeError::new("log batch", reason));
        }
        if batch.commit_timestamp() < self.timestamp {
            return Err(DecodeError::new("log batch", "older than the one before it"));
        }
        if self.verify {
            batch.verify_checksum()?;
        }
        Ok(())
    }
}

/// The size of the batch that begins with these bytes, as far as they tell.
fn needed(bytes: &Bytes) -> usize {
    let length = bytes.get(PREFIX - 4..).and_then(|rest| rest.first_chunk());
    let length = length.map_or(0, |length| i32::from_le_bytes(*length));
    PREFIX + usize::try_from(length).unwrap_or(0)
}

use std::io;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::log::{LogBatch, LogBatches};

use super::index::{Entry, Mark, Times};
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
    /// The checksum of the commit timestamps so far,
    times: Times,
    /// what it should be at places to come,
    marks: Peekable<vec::IntoIter<Mark>>,
    /// and the last place where it was.
    confirmed: u64,
    /// What has been read from `at` on.
    window: LogBatches,
}

/// Why a walk does not go on.
#[derive(Debug)]
pub(super) enum WalkError {
    /// The file cannot be read.
    Io(io::Error),
    /// The next batch is not whole, or not right, or not the next.
    Bad(DecodeError),
    /// The commit timestamp of a batch has changed, somewhere behind this place.
    Times {
        /// Up to here all is well.
        since: u64,
    },
}

impl Walk {
    /// From an entry of the index to `end`.
    pub(super) fn new(file: Arc<dyn File>, from: Entry, end: u64, verify: bool) -> Self {
        Self {
            file,
            verify,
            at: from.position,
            end,
            next_offset: from.offset,
            times: from.times,
            marks: Vec::new().into_iter().peekable(),
            confirmed: from.position,
            window: LogBatches::new(Bytes::new()),
        }
    }

    /// From an entry to the last of some marks, out of bytes that were read; commit timestamps are compared with the
    /// marks, but batches not with their checksums.
    pub(super) fn over(bytes: Bytes, file: Arc<dyn File>, from: Entry, marks: Vec<Mark>) -> Self {
        let end = marks.last().map_or(from.position, |last| last.position);
        Self {
            marks: marks.into_iter().peekable(),
            window: LogBatches::new(bytes),
            ..Self::new(file, from, end, false)
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
    pub(super) fn next(&mut self) -> Result<Option<LogBatch>, WalkError> {
        self.pass_mark()?;
        if self.at >= self.end {
            return Ok(None);
        }
        let batch = self.take()?;
        self.check(&batch).map_err(WalkError::Bad)?;
        self.at += batch.len() as u64;
        self.next_offset = batch.next_offset();
        self.times = self.times.and(batch.commit_timestamp());
        Ok(Some(batch))
    }

    fn pass_mark(&mut self) -> Result<(), WalkError> {
        if let Some(mark) = self.marks.next_if(|mark| mark.position <= self.at) {
            if mark.times != self.times {
                let since = self.confirmed;
                return Err(WalkError::Times { since });
            }
            self.confirmed = mark.position;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<LogBatch, WalkError> {
        loop {
            let there = self.window.rest().len();
            if let Some(batch) = self.window.next() {
                return batch.map_err(WalkError::Bad);
            }
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let needed = needed(self.window.rest());
            if needed <= left {
                let len = left.min(needed.max(WINDOW));
                let bytes = self.file.read_at(self.at, len).map_err(WalkError::Io)?;
                self.window = LogBatches::new(bytes);
            }
            if needed > left || self.window.rest().len() <= there {
                return Err(WalkError::Bad(DecodeError::truncated("log batch", needed, there)));
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
        if self.verify {
            batch.verify()?;
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

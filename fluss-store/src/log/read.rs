use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use fluss_core::id::Offset;
use fluss_core::record::log::LogBatch;

use super::index::{Entry, Mark};
use super::walk::{Walk, WalkError};
use super::{Error, missing, storage};
use crate::disk::File;

/// A place in a log from which batches can be loaded, without a look at the log itself. It stays good when the log
/// goes on, and when the segment expires.
#[derive(Clone, Debug)]
pub struct Slice(Option<Place>);

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    /// Whether checksums are compared.
    pub(super) verify: bool,
    /// A batch at or before the one to begin with.
    pub(super) entry: Entry,
    /// Where the batch to begin with has ended, and as much behind it as is to be read.
    pub(super) marks: Vec<Mark>,
    pub(super) from: Offset,
    pub(super) limits: ReadLimits,
}

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimits {
    /// No batch that has records at this offset or behind it: the high watermark.
    pub up_to: Offset,
    /// No more bytes than these,
    pub max_bytes: usize,
    /// but the first batch in any case.
    pub at_least_one: bool,
}

impl Slice {
    /// At the end of the log.
    pub(super) const EMPTY: Self = Self(None);

    pub(super) const fn new(place: Place) -> Self {
        Self(Some(place))
    }

    /// Whether there is nothing to load, because nothing is behind the offset.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many bytes [`load`](Self::load) reads, at most: those that are asked for, and some before them.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Place::bytes)
    }

    /// Loads whole batches, as they are stored, of one segment at most. Those that come from a disk are checked against
    /// their checksums.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the file cannot be read, [`Error::Damaged`] if the first batch is damaged; the message
    /// has the file and the byte. Batches before one that is damaged are returned: it is found when it comes first.
    pub fn load(&self) -> Result<Bytes, Error> {
        self.0.as_ref().map_or(Ok(Bytes::new()), Place::load)
    }
}

impl Place {
    fn bytes(&self) -> usize {
        let start = self.entry.position;
        let end = self.marks.last().map_or(start, |last| last.position);
        usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX)
    }

    fn load(&self) -> Result<Bytes, Error> {
        let bytes = self
            .file
            .read_at(self.entry.position, self.bytes())
            .map_err(|error| storage(&self.path, error))?;
        let found = self.find(&bytes)?;
        Ok(bytes.slice(found))
    }

    /// Where in what was read the batches are that are asked for.
    fn find(&self, bytes: &Bytes) -> Result<Range<usize>, Error> {
        let mut found = Found::default();
        let marks = if self.verify {
            self.marks.clone()
        } else {
            Vec::from_iter(self.marks.last().copied())
        };
        let mut walk = Walk::over(bytes.clone(), Arc::clone(&self.file), self.entry, marks);
        let error = loop {
            let next = walk
                .next()
                .and_then(|batch| batch.map(|batch| self.take(&mut found, &batch)).transpose());
            match next {
                Ok(Some(())) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if let Some(WalkError::Times { since }) = error {
            found.end_at((since - self.entry.position) as usize);
        }
        match error {
            _ if found.taken > 0 || found.is_full => Ok(found.range(bytes)),
            Some(error) => Err(error.in_file(&self.path, walk.at())),
            None => Err(missing(&self.path, walk.at(), self.from)),
        }
    }

    /// Takes the next batch, or passes it over.
    fn take(&self, found: &mut Found, batch: &LogBatch) -> Result<(), WalkError> {
        if batch.next_offset() <= self.from {
            found.skipped += batch.len();
            return Ok(());
        }
        let admitted = !found.is_full && self.admits(found, batch);
        // One that has changed may look as if it were not asked for.
        if self.verify && (admitted || found.taken == 0) {
            batch.verify().map_err(WalkError::Bad)?;
        }
        if admitted {
            found.taken += batch.len();
        } else {
            found.is_full = true;
        }
        Ok(())
    }

    fn admits(&self, found: &Found, batch: &LogBatch) -> bool {
        let fits = found.taken + batch.len() <= self.limits.max_bytes;
        batch.next_offset() <= self.limits.up_to && (fits || found.taken == 0 && self.limits.at_least_one)
    }
}

/// How many bytes were passed over, how many behind them are taken, and whether no more are.
#[derive(Default)]
struct Found {
    skipped: usize,
    taken: usize,
    is_full: bool,
}

impl Found {
    fn range(&self, bytes: &Bytes) -> Range<usize> {
        let start = self.skipped.min(bytes.len());
        start..(start + self.taken).min(bytes.len())
    }

    /// Leaves out what is behind a place.
    fn end_at(&mut self, place: usize) {
        self.taken = self.taken.min(place.saturating_sub(self.skipped));
        self.is_full = false;
    }
}

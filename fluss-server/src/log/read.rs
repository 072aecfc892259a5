use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use fluss_core::id::Offset;
use fluss_core::record::log::LogBatch;

use super::index::Entry;
use super::walk::Walk;
use super::{missing, storage};
use crate::disk::File;
use crate::error::Failure;

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
    /// The batch to begin with ends here at the latest.
    pub(super) first_end: u64,
    /// Where the segment ended.
    pub(super) segment_end: u64,
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

    /// Loads whole batches, as they are stored, of one segment at most. Those that come from a disk are checked against
    /// their checksums.
    ///
    /// # Errors
    ///
    /// `LOG_STORAGE_EXCEPTION` if the file cannot be read, `CORRUPT_RECORD` if the first batch is damaged; the message
    /// has the file and the byte. Batches before one that is damaged are returned: it is found when it comes first.
    pub fn load(&self) -> Result<Bytes, Failure> {
        self.0.as_ref().map_or(Ok(Bytes::new()), Place::load)
    }
}

impl Place {
    fn load(&self) -> Result<Bytes, Failure> {
        let start = self.entry.position;
        let end = self
            .first_end
            .saturating_add(self.limits.max_bytes as u64)
            .min(self.segment_end);
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        let bytes = self
            .file
            .read_at(start, len)
            .map_err(|error| storage(&self.path, &error))?;
        let found = self.whole_batches(&bytes)?;
        Ok(bytes.slice(found))
    }

    /// Where in what was read the batches are that are asked for.
    fn whole_batches(&self, bytes: &Bytes) -> Result<std::ops::Range<usize>, Failure> {
        let mut found = Found::default();
        let end = self.entry.position + bytes.len() as u64;
        let mut walk = Walk::over(
            bytes.clone(),
            Arc::clone(&self.file),
            self.entry,
            end,
            self.verify,
        );
        loop {
            match walk.next() {
                Ok(Some(batch)) if batch.next_offset() <= self.from => found.skip(&batch),
                Ok(Some(batch)) if self.admits(&found, &batch) => found.take(&batch),
                Err(obstacle) if found.taken == 0 => return Err(obstacle.in_file(&self.path, walk.at())),
                Ok(None) if found.taken == 0 => return Err(missing(&self.path, walk.at(), self.from)),
                Ok(_) | Err(_) => return Ok(found.skipped..found.skipped + found.taken),
            }
        }
    }

    fn admits(&self, found: &Found, batch: &LogBatch) -> bool {
        let fits = found.taken + batch.len() <= self.limits.max_bytes;
        batch.next_offset() <= self.limits.up_to && (fits || found.taken == 0 && self.limits.at_least_one)
    }
}

/// How many bytes were passed over, and how many behind them are good.
#[derive(Default)]
struct Found {
    skipped: usize,
    taken: usize,
}

impl Found {
    fn skip(&mut self, batch: &LogBatch) {
        self.skipped += batch.len();
    }

    fn take(&mut self, batch: &LogBatch) {
        self.taken += batch.len();
    }
}

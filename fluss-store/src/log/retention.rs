//! What a log makes durable, and what it lets go.

use std::io;
use std::sync::Arc;

use fluss_core::id::Offset;

use super::checkpoint::Checkpoint;
use super::manifest::Manifest;
use super::segment::index_path;
use super::sync::Sync;
use super::{BucketLog, Error, storage};
use crate::disk::remove_if_there;

/// So many bytes are read at the next start without a checkpoint, at most.
const CHECKPOINT_EVERY: u64 = 16 * 1024 * 1024;

impl BucketLog {
    /// Begins to make durable what has been appended so far; nothing if all of it is. Syncs may overlap.
    pub fn begin_sync(&mut self) -> Option<Sync> {
        let checkpoint = self.is_checkpoint_due();
        (self.synced_offset() < self.end_offset() || checkpoint).then(|| self.sync(checkpoint))
    }

    /// Whether so much was appended since the last checkpoint that a [`Self::begin_sync`] is worth while even if nothing
    /// has to be durable: for a quick start after a crash.
    pub fn is_checkpoint_due(&self) -> bool {
        !self.disk.is_memory() && self.since_checkpoint >= CHECKPOINT_EVERY
    }

    /// Makes everything durable, and writes a checkpoint, so that the next start reads next to nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub fn close(&mut self) -> Result<(), Error> {
        if self.disk.is_memory() || self.durable.checkpoint() == self.end_offset() {
            return Ok(());
        }
        self.sync(true).run()
    }

    /// The offset behind the oldest segments whose newest batch is from before a time, in milliseconds since the epoch:
    /// what [`Self::expire`] would remove.
    pub fn expired_up_to(&self, older_than_ms: i64) -> Offset {
        match self.count_expired(older_than_ms, Offset::MAX).checked_sub(1) {
            Some(last) => self.segments().nth(last).map_or(0, |segment| segment.end),
            None => self.start_offset(),
        }
    }

    /// The number of the oldest segments that have expired and end at `keep_from` or before. One of which nothing is left
    /// goes with the next: how old it was is not known.
    fn count_expired(&self, older_than_ms: i64, keep_from: Offset) -> usize {
        let mut count = 0;
        for (index, segment) in self.segments().enumerate() {
            let expired = segment.is_older_than(older_than_ms);
            if segment.end > keep_from || !expired && !segment.is_lost() {
                break;
            }
            if expired {
                count = index + 1;
            }
        }
        count
    }

    /// Removes the oldest segments, those whose newest batch is from before a time, in milliseconds since the epoch, and
    /// that end at `keep_from` or before. Readers that have a [`Slice`](super::Slice) of one can still load it. Returns
    /// the number of segments.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]. Some may have been removed then.
    pub fn expire(&mut self, older_than_ms: i64, keep_from: Offset) -> Result<usize, Error> {
        let count = self.count_expired(older_than_ms, keep_from);
        if count == 0 {
            return Ok(0);
        }
        let end = self.segments().nth(count - 1).map_or(0, |segment| segment.end);
        if count > self.sealed.len() {
            // The end of the log is known by the name of an empty segment.
            let rolled = self.roll().and_then(|()| self.open_active());
            let named = rolled.and_then(|_| self.disk.sync_dir(&self.directory));
            named.map_err(|error| storage(&self.directory, error))?;
        }
        self.ensure_checkpoint(end)?;
        self.drop_oldest(count)
            .map_err(|error| storage(&self.directory, error))?;
        Ok(count)
    }

    /// Sees to it that the next start needs nothing before `end`: neither batches nor, out of them, writers.
    fn ensure_checkpoint(&mut self, end: Offset) -> Result<(), Error> {
        if self.disk.is_memory() || self.durable.checkpoint() >= end {
            return Ok(());
        }
        self.sync(true).run()?;
        if self.durable.checkpoint() < end {
            let error = io::Error::other("a checkpoint could not be written");
            return Err(storage(&self.directory, error));
        }
        Ok(())
    }

    fn drop_oldest(&mut self, count: usize) -> io::Result<()> {
        self.strike_off(count)?;
        for _ in 0..count {
            let Some(oldest) = self.sealed.first() else { break };
            remove_if_there(&*self.disk, &oldest.path(&self.directory))?;
            remove_if_there(&*self.disk, &index_path(&self.directory, oldest.base))?;
            self.sealed.remove(0);
        }
        self.disk.sync_dir(&self.directory)
    }

    /// Notes that the log begins behind so many segments. They are removed afterwards, at the next start if not before.
    fn strike_off(&mut self, count: usize) -> io::Result<()> {
        if self.disk.is_memory() {
            return Ok(());
        }
        let first = self
            .segments()
            .nth(count)
            .map_or(self.active.base, |segment| segment.base);
        if self.manifest.is_none_or(|manifest| manifest.last < first) {
            self.open_active()?;
        }
        let last = self.manifest.map_or(self.active.base, |manifest| manifest.last);
        let manifest = Manifest { first, last };
        manifest.write(&*self.disk, &self.directory, true)?;
        self.manifest = Some(manifest);
        Ok(())
    }

    pub(super) fn sync(&mut self, checkpoint: bool) -> Sync {
        let synced = self.durable.synced();
        let unsynced = || self.segments().filter(|segment| segment.end > synced);
        let active = self.file.get();
        let is_open = |base: Offset| active.is_some() && base == self.active.base;
        let closed = unsynced().filter(|segment| !is_open(segment.base));
        // Of a segment that is still empty, neither its name nor what is written to it meanwhile is covered.
        let written = if self.active.is_empty() {
            Arc::new(self.end_offset().into())
        } else {
            Arc::clone(&self.written)
        };
        let segments = closed.map(|segment| segment.path(&self.directory)).collect();
        let sync = Sync {
            disk: Arc::clone(&self.disk),
            directory: Arc::clone(&self.directory),
            segments,
            active,
            written,
            names: unsynced().any(|segment| segment.base >= synced),
            end_offset: self.end_offset(),
            checkpoint: checkpoint.then(|| Checkpoint::encode(&self.active, &self.writers)),
            durable: Arc::clone(&self.durable),
        };
        if checkpoint {
            self.since_checkpoint = 0;
        }
        sync
    }
}

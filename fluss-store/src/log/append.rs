use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use fluss_core::record::log::{Append, LogBatchHeader, LogError, Received};

use super::manifest::Manifest;
use super::segment::Segment;
use super::sync::has_failed;
use super::{BucketLog, Error, Span, storage};
use crate::disk::File;

/// Where the magic number of a batch is.
const MAGIC_AT: usize = 12;

/// How often writers are forgotten: every 10 minutes (`behaviour.md` §2.2).
const WRITERS_EXPIRE_EVERY_MS: i64 = 10 * 60 * 1000;

/// What became of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It is stored.
    Stored(Span),
    /// One of its batches was stored already, here, so that nothing was appended.
    Duplicate(Span),
    /// There was no whole batch in it.
    Nothing,
}

impl BucketLog {
    /// Appends batches as a writer has sent them, all or none: they get the next offsets and their commit timestamp,
    /// the time or that of the batch before if it is later (`behaviour.md` §2.1). Nothing of it is durable before a
    /// [`Sync`](super::Sync).
    ///
    /// The bytes are changed in place and kept if nothing else refers to them, or else copied.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownMagic`], [`Error::BadBatch`], [`Error::OutOfOrder`]; [`Error::Storage`] if they cannot be written.
    ///
    /// The log is as it was then, and goes on, unless a sync has failed ([`Sync::run`](super::Sync::run)).
    pub fn append(&mut self, batches: Bytes, now_ms: i64) -> Result<Appended, Error> {
        self.check_usable()?;
        let Some(received) = receive(batches)? else {
            return Ok(Appended::Nothing);
        };
        if let Some(stored) = self.writers.check_all(received.headers(), now_ms)? {
            return Ok(Appended::Duplicate(stored));
        }
        let base_offset = self.end_offset();
        let placed = received.place(&Append {
            next_offset: base_offset,
            commit_timestamp: self.max_timestamp().map_or(now_ms, |newest| newest.max(now_ms)),
            leader_epoch: None,
        });
        self.write(placed.bytes)?;
        for header in &placed.headers {
            self.active.note(header);
            self.writers.note(header);
        }
        self.written.store(placed.next_offset, Ordering::Release);
        self.expire_writers(now_ms);
        Ok(Appended::Stored(Span {
            base_offset,
            next_offset: placed.next_offset,
        }))
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.durable.has_failed() {
            return Err(storage(&self.directory, has_failed()));
        }
        Ok(())
    }

    /// Writes behind the last batch.
    fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let len = bytes.len() as u64;
        let full = self.active.size.saturating_add(len) > self.options.segment_bytes;
        if full && !self.active.is_empty() {
            self.roll().map_err(|error| storage(&self.directory, error))?;
        }
        let written = self.open_active().and_then(|file| {
            self.has_remains = true;
            file.write_at(self.active.size, bytes)
        });
        if let Err(error) = written {
            let path = self.active.path(&self.directory);
            // If even this fails it is tried again before the next write.
            if let Err(error) = self.remove_remains() {
                tracing::warn!(target: crate::TARGET, path = %path.display(), %error, "a failed write was not cut off");
            }
            return Err(storage(&path, error));
        }
        self.has_remains = false;
        self.since_checkpoint += len;
        Ok(())
    }

    /// Cuts off what a failed write has left: parts of it could look like batches.
    fn remove_remains(&mut self) -> io::Result<()> {
        if self.has_remains {
            self.open_file()?.set_len(self.active.size)?;
            self.has_remains = false;
        }
        Ok(())
    }

    /// The file of the active segment, created if need be, with nothing behind the last batch.
    pub(super) fn open_active(&mut self) -> io::Result<Arc<dyn File>> {
        let was_open = self.file.get();
        let file = if let Some(file) = was_open {
            file
        } else {
            let file = self.open_file()?;
            // Otherwise it is looked at the next time.
            self.prepare(&*file).inspect_err(|_| self.file.close())?;
            file
        };
        self.remove_remains()?;
        Ok(file)
    }

    /// Sees to it that a file that was opened is the active segment's.
    fn prepare(&mut self, file: &dyn File) -> io::Result<()> {
        // Before anything is written to it: once there is, it is missed if it goes.
        self.note_segments()?;
        let (len, size) = (file.len()?, self.active.size);
        if len < size {
            let reason = format!("it ends at byte {len}, and had {size}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.has_remains = len > size;
        Ok(())
    }

    /// The file of the active segment, as it is. One that has batches is there, or gone.
    fn open_file(&self) -> io::Result<Arc<dyn File>> {
        let path = self.active.path(&self.directory);
        self.file.get_or_open(|| {
            if !self.active.is_empty() {
                return self.disk.open_existing(&path);
            }
            self.disk.create_dir(&self.directory)?;
            self.disk.open(&path)
        })
    }

    /// Notes that the active segment is the last.
    fn note_segments(&mut self) -> io::Result<()> {
        let manifest = Manifest {
            first: self.start_offset(),
            last: self.active.base,
        };
        if !self.disk.is_memory() && self.manifest != Some(manifest) {
            manifest.write(&*self.disk, &self.directory, false)?;
            self.manifest = Some(manifest);
        }
        Ok(())
    }

    /// Begins a new segment.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        self.remove_remains()?;
        if !self.disk.is_memory() {
            self.active.write_index(&*self.disk, &self.directory);
        }
        let next = Segment::new(self.active.end, self.active.max_timestamp);
        self.sealed.push(std::mem::replace(&mut self.active, next));
        self.file.close();
        self.written = Arc::new(self.active.end.into());
        Ok(())
    }

    fn expire_writers(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.writers_expired_ms) >= WRITERS_EXPIRE_EVERY_MS {
            self.writers.expire(now_ms);
            self.writers_expired_ms = now_ms;
        }
    }
}

/// Checks what a writer has sent; nothing if there is no whole batch in it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "only bytes that nobody else has are changed in place"
)]
fn receive(batches: Bytes) -> Result<Option<Received>, Error> {
    match Received::check(batches.clone()) {
        Ok(received) if received.headers().is_empty() => Ok(None),
        Ok(received) => Ok(Some(received)),
        Err(LogError::Torn { at: 0, .. }) => Ok(None),
        Err(error) => Err(refusal(&batches, error)),
    }
}

fn refusal(batches: &Bytes, error: LogError) -> Error {
    let magic = batches.get(error.good_bytes() + MAGIC_AT).copied();
    match (&error, magic) {
        (LogError::Malformed { .. }, Some(magic)) if !LogBatchHeader::knows(magic) => {
            Error::UnknownMagic(magic)
        }
        _ => Error::BadBatch(error),
    }
}

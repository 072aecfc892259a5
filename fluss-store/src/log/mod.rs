//! The log of a bucket: batches as the wire has them, end to end, in files called segments.
//!
//! ```text
//! 00000000000000000000.log  00000000000000000000.index    a segment that takes no more batches, and what is in it
//! 00000000000000051200.log                                the active segment: appends go to its end
//! 00000000000000060000.checkpoint                         up to here all is durable; and the writers as they were then
//! segments.list                                           the first and the last segment
//! ```
//!
//! [`BucketLog`] says where things are, out of memory; its caller keeps it behind a lock. Batches are loaded
//! ([`Slice::load`]) and synced ([`Sync::run`]) without it.
//!
//! A batch that does not match its checksum, or does not go on where the one before it ends, is never served. What a
//! crash leaves of the last append is cut off when the log is opened. Other damage stays where it is: the log is
//! served up to it and behind it, and takes appends; a read that reaches it fails with the file and the byte.
//! A segment whose file is gone is damage too: the first and the last are known by name, and those between begin where the
//! one before ends. What was in the last is not known then, so the log goes on far behind it.
//! The checksum of a batch does not cover its commit timestamp; the index has one that does, up to each entry.

mod append;
mod checkpoint;
mod envelope;
mod error;
mod index;
mod manifest;
mod read;
mod recovery;
mod replay;
mod retention;
mod segment;
mod sync;
mod walk;
mod writers;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use fluss_core::DecodeError;
use fluss_core::id::{BatchSequence, Offset, WriterId};

use self::index::Entry;
use self::manifest::Manifest;
use self::read::Place;
use self::replay::Stretch;
use self::segment::Segment;
use self::sync::Durable;
use self::walk::Walk;
use self::writers::{Stamp, Writers};
use crate::OpenError;
use crate::disk::{Disk, File, Kept};

pub use append::Appended;
pub use error::Error;
pub use read::{ReadLimits, Slice};
pub use replay::Batches;
pub use sync::Sync;

/// How a log is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// The size in bytes at which a segment is full. 64 MiB are read in a tenth of a second after a crash, are big
    /// enough that files are few, and small enough that retention, which drops whole segments, follows closely.
    pub segment_bytes: u64,
    /// How long a writer is remembered after its last write. 7 days (`behaviour.md` §2.2).
    pub writer_expiration: Duration,
    /// Whether the machine may have gone down since the log was open last, so that what was not synced may be missing
    /// anywhere. Then the log ends where the first batch behind the checkpoint is missing or wrong, whatever is behind
    /// it. Otherwise that is damage, as a crash of the process alone leaves no holes.
    pub after_power_cut: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            writer_expiration: Duration::from_hours(168),
            after_power_cut: false,
        }
    }
}

/// The offsets that an append has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Of the first record.
    pub base_offset: Offset,
    /// Behind the last record.
    pub next_offset: Offset,
}

/// A place where a log is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is damaged at byte {at}", path.display())]
pub struct Damage {
    /// The file, from the root of the disk.
    pub path: PathBuf,
    /// Where in it.
    pub at: u64,
    /// What is wrong there.
    pub source: DecodeError,
}

/// The log of one bucket.
///
/// Dropping it leaves everything as it is; [`Self::close`] lets the next start read less.
#[derive(Debug)]
pub struct BucketLog {
    disk: Arc<dyn Disk>,
    directory: Arc<Path>,
    options: LogOptions,
    /// The segments that take no more batches, in order. None is empty, but one of which the file is gone.
    sealed: Vec<Segment>,
    /// The segment that takes batches,
    active: Segment,
    /// its file, which appends open: a log that is only kept costs no open file;
    file: Kept<dyn File>,
    /// and its end, for the syncs that have begun since it is active.
    written: Arc<AtomicI64>,
    /// Whether a failed write has left something behind the active segment that is still to be cut off.
    has_remains: bool,
    /// Which segments are noted.
    manifest: Option<Manifest>,
    writers: Writers,
    /// When those that do not write any more were forgotten.
    writers_expired_ms: i64,
    /// How many bytes were appended since a checkpoint was begun.
    since_checkpoint: u64,
    durable: Arc<Durable>,
    damage: Vec<Damage>,
}

impl BucketLog {
    /// Opens the log in a directory, which need not be there: it is created by the first append.
    ///
    /// Reads what was written since the last checkpoint. A torn end is cut off; [`Self::damage`] reports
    /// other damage.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`].
    pub fn open(disk: Arc<dyn Disk>, directory: PathBuf, options: LogOptions) -> Result<Self, OpenError> {
        let found = match recovery::recover(&*disk, &directory, &options) {
            Ok(found) => found,
            Err(source) => {
                return Err(OpenError::Io {
                    path: directory,
                    source,
                });
            }
        };
        let mut sealed = found.segments;
        let active = sealed.pop().unwrap_or_else(|| Segment::new(0, None));
        let start = sealed.first().map_or(active.base, |first| first.base);
        let checkpoint = found.checkpoint.unwrap_or(start);
        Ok(Self {
            file: Kept::new(disk.open_files(), 1),
            disk,
            directory: directory.into(),
            options,
            sealed,
            written: Arc::new(active.end.into()),
            active,
            has_remains: false,
            manifest: found.manifest,
            writers: found.writers,
            writers_expired_ms: i64::MIN,
            since_checkpoint: 0,
            durable: Arc::new(Durable::new(checkpoint, checkpoint)),
            damage: found.damage,
        })
    }

    /// Where the log was found damaged when it was opened. Older segments are only read when someone asks for them.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The offset of the first record that is still there.
    pub fn start_offset(&self) -> Offset {
        self.sealed.first().unwrap_or(&self.active).base
    }

    /// The offset that the next record gets.
    pub const fn end_offset(&self) -> Offset {
        self.active.end
    }

    /// The offset up to which the log is durable. In memory there is nothing to lose.
    pub fn synced_offset(&self) -> Offset {
        if self.disk.is_memory() {
            self.end_offset()
        } else {
            self.durable.synced()
        }
    }

    /// The newest commit timestamp, in milliseconds since the epoch; none before the first append.
    pub const fn max_timestamp(&self) -> Option<i64> {
        self.active.max_timestamp
    }

    /// The size of all segments in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.segments().map(|segment| segment.size).sum()
    }

    /// Where a batch is stored already; nothing if it has no writer, or is its writer's next (`behaviour.md` §2.2).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfOrder`].
    pub fn check_writer(
        &self,
        writer: Option<WriterId>,
        sequence: Option<BatchSequence>,
        now_ms: i64,
    ) -> Result<Option<Span>, Error> {
        match writer {
            Some(writer) => self.writers.check(Stamp { writer, sequence }, now_ms),
            None => Ok(None),
        }
    }

    /// The place of the batch that contains an offset (`behaviour.md` §4.2). Nothing is read before [`Slice::load`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Storage`], [`Error::Damaged`].
    pub fn read(&self, from: Offset, limits: ReadLimits) -> Result<Slice, Error> {
        let (start, end) = (self.start_offset(), self.end_offset());
        if !(start..=end).contains(&from) {
            let offset = from;
            return Err(Error::OutOfRange { offset, start, end });
        }
        if from >= limits.up_to.min(end) {
            return Ok(Slice::EMPTY);
        }
        let Some((segment, entry)) = self.segment_of(from) else {
            return Err(missing(&self.directory, 0, from));
        };
        let path = segment.path(&self.directory);
        Ok(Slice::new(Place {
            file: self.file_of(segment).map_err(|error| gone(&path, error))?,
            path,
            verify: !self.disk.is_memory(),
            entry,
            marks: segment.marks_behind(from, limits.max_bytes),
            from,
            limits,
        }))
    }

    /// The batches from the one that contains an offset, or from the start, to the end that the log has now.
    pub fn batches(&self, from: Offset) -> Batches {
        let from_start = |segment: &Segment| segment.index.at_or_before(from.max(segment.base));
        let segments = self.segments().filter(|segment| segment.end > from);
        let stretches = segments.filter_map(|segment| {
            Some(Stretch {
                path: segment.path(&self.directory),
                entry: from_start(segment)?,
                end: segment.size,
                end_offset: segment.end,
            })
        });
        Batches::new(Arc::clone(&self.disk), from, stretches.collect())
    }

    /// The offset of the first batch of a time, in milliseconds since the epoch, or later (`behaviour.md` §6); none if
    /// all are older. Reads a few batches.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn offset_for_time(&self, timestamp: i64) -> Result<Option<Offset>, Error> {
        let mut segments = self.segments().peekable();
        let segment = loop {
            let Some(segment) = segments.next() else {
                return Ok(None);
            };
            if segment.is_lost() {
                // It may have the batch, unless those behind it are older.
                let next = segments.peek().filter(|next| !next.is_empty());
                if next.is_none_or(|next| next.max_timestamp >= Some(timestamp)) {
                    return Ok(Some(segment.base));
                }
            } else if !segment.is_empty() && segment.max_timestamp >= Some(timestamp) {
                break segment;
            }
        };
        let Some(entry) = segment.index.before_time(timestamp) else {
            return Ok(None);
        };
        let path = segment.path(&self.directory);
        let file = self.file_of(segment).map_err(|error| gone(&path, error))?;
        let mut walk = Walk::new(file, entry, segment.size, !self.disk.is_memory());
        loop {
            match walk.next().map_err(|error| error.in_file(&path, walk.at()))? {
                Some(batch) if batch.commit_timestamp() < timestamp => {}
                batch => return Ok(batch.map(|batch| batch.base_offset())),
            }
        }
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active])
    }

    /// The segment with an offset, and a place in it from which the offset is found; none at the end.
    fn segment_of(&self, offset: Offset) -> Option<(&Segment, Entry)> {
        let sealed = self.sealed.partition_point(|segment| segment.end <= offset);
        let segment = self.sealed.get(sealed).unwrap_or(&self.active);
        let entry = segment.index.at_or_before(offset)?;
        segment.contains(offset).then_some((segment, entry))
    }

    fn file_of(&self, segment: &Segment) -> io::Result<Arc<dyn File>> {
        let kept = (segment.base == self.active.base).then(|| self.file.get());
        kept.flatten()
            .map_or_else(|| self.disk.open_existing(&segment.path(&self.directory)), Ok)
    }
}

/// A file cannot be read or written.
fn storage(path: &Path, error: io::Error) -> Error {
    let path = path.to_owned();
    Error::Storage { path, error }
}

/// A segment that there has to be cannot be opened.
fn gone(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => damaged(path, 0, DecodeError::new("log", "the file is missing")),
        _ => storage(path, error),
    }
}

/// A file is not as it was written.
fn damaged(path: &Path, at: u64, reason: DecodeError) -> Error {
    let path = path.to_owned();
    Error::Damaged { path, at, reason }
}

/// A file has no batch with an offset that it should have.
fn missing(path: &Path, at: u64, offset: Offset) -> Error {
    let reason = DecodeError::new("log", format!("offset {offset} is missing"));
    damaged(path, at, reason)
}

//! What is known of a log after a start: from its checkpoint and its indexes, and by reading what is behind.
//!
//! Which segments there have to be is noted in the manifest. A crash of the process leaves the last batches of the last
//! segment cut short, or nothing amiss. After a power cut anything that was not synced may be missing: then the log ends
//! where the first batch is missing. Everything else is damage.

use std::io;
use std::path::Path;

use bytes::Bytes;

use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::log::{LogBatch, LogBatchHeader, LogBatches};

use super::checkpoint::{self, Checkpoint};
use super::index::Entry;
use super::manifest::{self, Manifest};
use super::segment::{self, Segment, index_path, log_path};
use super::walk::{Walk, WalkError};
use super::writers::Writers;
use super::{Damage, LogOptions};
use crate::disk::{Disk, remove_if_there};

/// Where the magic number of a batch is, and the least that a batch has.
const MAGIC_AT: usize = 12;
const SMALLEST_BATCH: usize = 48;
/// A batch further on than this is none: so wrong candidates are found out without their checksum.
const FARTHEST: Offset = 1 << 40;
/// A segment has fewer records. So far behind a last segment that is gone the log goes on: an offset that was given to a
/// record must not be given to another.
const MOST_RECORDS: Offset = 1 << 32;

/// A log as it was found.
pub(super) struct Recovered {
    /// All segments in order; none if nothing was written yet.
    pub(super) segments: Vec<Segment>,
    pub(super) writers: Writers,
    /// The offset of the checkpoint.
    pub(super) checkpoint: Option<Offset>,
    /// What is noted of the segments.
    pub(super) manifest: Option<Manifest>,
    pub(super) damage: Vec<Damage>,
}

pub(super) fn recover(disk: &dyn Disk, directory: &Path, options: &LogOptions) -> io::Result<Recovered> {
    let names = disk.list(directory)?;
    checkpoint::remove_unfinished(disk, directory, &names)?;
    manifest::remove_unfinished(disk, directory, &names)?;
    let manifest = Manifest::read(disk, directory)?;
    let mut bases = segment::bases(&names);
    if let Some(manifest) = manifest {
        remove_expired(disk, directory, &mut bases, manifest.first)?;
    }
    let writers = Writers::new(options.writer_expiration);
    let checkpoint = usable_checkpoint(disk, directory, (&names, &bases), &writers)?;
    let offset = checkpoint.as_ref().map(Checkpoint::offset);
    // After a power cut only what was before the checkpoint has to be there. What is noted of the last may be from before
    // another cut, behind which the log went on elsewhere; the first only changes durably.
    let is_first = |base: Offset| manifest.is_some_and(|manifest| manifest.first == base);
    let has_to_be = |base: Offset| !options.after_power_cut || is_first(base) && offset > Some(base);
    let noted = manifest.map(|manifest| [manifest.first, manifest.last]);
    let mut missing: Vec<Offset> = noted.into_iter().flatten().collect();
    missing.retain(|base| has_to_be(*base) && !bases.contains(base));
    missing.dedup();
    // What is noted of files that are not there is not built upon.
    let manifest =
        manifest.filter(|manifest| bases.contains(&manifest.first) && bases.contains(&manifest.last));
    bases.extend_from_slice(&missing);
    bases.sort_unstable();
    let mut recovery = Recovery {
        disk,
        directory,
        after_power_cut: options.after_power_cut,
        noted,
        missing,
        found: Recovered {
            segments: Vec::new(),
            writers,
            checkpoint: offset,
            manifest,
            damage: Vec::new(),
        },
    };
    recovery.segments(&bases, checkpoint)?;
    if options.after_power_cut && noted.is_some() {
        recovery.note_anew()?;
    }
    Ok(recovery.found)
}

/// Removes the segments before the first: a crash came between their being struck off and their removal.
fn remove_expired(
    disk: &dyn Disk,
    directory: &Path,
    bases: &mut Vec<Offset>,
    first: Offset,
) -> io::Result<()> {
    let expired = bases.drain(..bases.partition_point(|base| *base < first));
    for base in expired {
        disk.remove(&log_path(directory, base))?;
        remove_if_there(disk, &index_path(directory, base))?;
    }
    Ok(())
}

/// The newest checkpoint that is good. One before the newest serves only if its segment has not expired since.
fn usable_checkpoint(
    disk: &dyn Disk,
    directory: &Path,
    (names, bases): (&[String], &[Offset]),
    writers: &Writers,
) -> io::Result<Option<Checkpoint>> {
    let offsets = checkpoint::offsets(names);
    let newest = offsets.last().copied();
    for offset in offsets.into_iter().rev() {
        let found = Checkpoint::read(disk, directory, offset, writers)?;
        let usable = found.filter(|found| Some(offset) == newest || bases.contains(&found.segment.base));
        if usable.is_some() {
            return Ok(usable);
        }
    }
    Ok(None)
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    after_power_cut: bool,
    /// The first and the last segment, as they are noted.
    noted: Option<[Offset; 2]>,
    /// Those that have to be there and are not.
    missing: Vec<Offset>,
    found: Recovered,
}

/// Whether there can be more behind a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    GoesOn,
    WasCut,
}

impl Recovery<'_> {
    fn segments(&mut self, bases: &[Offset], checkpoint: Option<Checkpoint>) -> io::Result<()> {
        let Some(Checkpoint { segment, writers }) = checkpoint else {
            return self.tail(bases);
        };
        let (before, rest) = bases.split_at(bases.partition_point(|base| *base < segment.base));
        let ends = before.iter().copied().skip(1).chain([segment.base]);
        for (base, end) in before.iter().copied().zip(ends) {
            let sealed = self.sealed(base, end)?;
            self.found.segments.push(sealed);
        }
        self.found.writers = writers;
        self.resume(segment, rest)
    }

    /// A segment before the checkpoint: what its index says, if that is good.
    fn sealed(&mut self, base: Offset, end: Offset) -> io::Result<Segment> {
        let known = Segment::read_index(self.disk, self.directory, base)?;
        let known = known.filter(|known| known.end == end);
        if self.is_missing(base) {
            let mut segment = known.unwrap_or_else(|| Segment::new(base, self.max_timestamp()));
            self.lose(&mut segment, end);
            return Ok(segment);
        }
        if let Some(known) = known {
            return Ok(known);
        }
        let mut segment = Segment::new(base, self.max_timestamp());
        // The checkpoint has the writers as they were after these batches.
        let writers = self.found.writers.clone();
        self.read_durable(&mut segment)?;
        self.found.writers = writers;
        self.close_gap(&mut segment, end);
        segment.write_index(self.disk, self.directory);
        Ok(segment)
    }

    /// The segment of the checkpoint, and what was written behind it.
    fn resume(&mut self, mut segment: Segment, rest: &[Offset]) -> io::Result<()> {
        let there = rest.first() == Some(&segment.base);
        let behind = rest.get(usize::from(there)..).unwrap_or_default();
        let is_gone = self.is_missing(segment.base) || !there && self.had_file(&segment);
        if !there && !is_gone && (segment.is_empty() || behind.first() == Some(&segment.end)) {
            // It has expired; or there has never been one.
            let newest = segment.max_timestamp;
            if behind.is_empty() {
                self.found.segments.push(segment);
            }
            return self.tail_after(newest, behind);
        }
        if is_gone && segment.is_empty() {
            return self.go_on_behind(segment, behind);
        }
        let len = if there && !is_gone {
            self.len(segment.base)?
        } else {
            0
        };
        if len < segment.size {
            let lost = DecodeError::truncated("log", segment.size as usize, len as usize);
            self.damage(&segment, len, if is_gone { no_file() } else { lost });
            let next = Segment::new(segment.end, segment.max_timestamp);
            self.close_gap(&mut segment, behind.first().copied().unwrap_or(next.base));
            self.found.segments.push(segment);
            if behind.is_empty() {
                self.found.segments.push(next);
            }
            return self.tail(behind);
        }
        let tail = self.read(&mut segment, behind.is_empty())?;
        self.push(segment, tail, behind)
    }

    /// The segments that have to be read.
    fn tail(&mut self, bases: &[Offset]) -> io::Result<()> {
        self.tail_after(self.max_timestamp(), bases)
    }

    /// [`tail`](Self::tail), behind batches of which the newest has this timestamp.
    fn tail_after(&mut self, max_timestamp: Option<i64>, bases: &[Offset]) -> io::Result<()> {
        let Some((base, behind)) = bases.split_first() else {
            return Ok(());
        };
        let mut segment = Segment::new(*base, max_timestamp);
        if self.is_missing(*base) {
            return self.go_on_behind(segment, behind);
        }
        let tail = self.read(&mut segment, behind.is_empty())?;
        self.push(segment, tail, behind)
    }

    fn is_missing(&self, base: Offset) -> bool {
        self.missing.contains(&base)
    }

    /// Notes the segments that there are after a power cut: the next start takes them by the list.
    fn note_anew(&mut self) -> io::Result<()> {
        let bases = segment::bases(&self.disk.list(self.directory)?);
        let start = self.found.segments.first().map(|segment| segment.base);
        let there = start.zip(bases.last().copied());
        self.found.manifest = there.map(|(first, last)| Manifest {
            first,
            last: last.max(first),
        });
        match self.found.manifest {
            Some(manifest) if self.noted == Some([manifest.first, manifest.last]) => Ok(()),
            Some(manifest) => manifest.write(self.disk, self.directory, true),
            None => manifest::remove(self.disk, self.directory),
        }
    }

    /// Whether the segment of the checkpoint, which is not there, was there once, and has not expired.
    fn had_file(&self, segment: &Segment) -> bool {
        let is_durable = !self.after_power_cut || !segment.is_empty();
        is_durable
            && self.noted.is_some_and(|[first, last]| {
                first <= segment.base && (self.after_power_cut || segment.base <= last)
            })
    }

    /// Goes on behind a segment that is not there, of which nothing is known.
    fn go_on_behind(&mut self, mut segment: Segment, behind: &[Offset]) -> io::Result<()> {
        let far_behind = segment.base.saturating_add(MOST_RECORDS);
        let end = behind.first().copied().unwrap_or(far_behind);
        self.lose(&mut segment, end);
        let next = Segment::new(end, segment.max_timestamp);
        self.found.segments.push(segment);
        if behind.is_empty() {
            self.found.segments.push(next);
        }
        self.tail(behind)
    }

    /// Lets a segment that is not there reach to an offset. Reading it fails.
    fn lose(&mut self, segment: &mut Segment, end: Offset) {
        self.damage(segment, 0, no_file());
        if segment.index.at_or_before(segment.base).is_none() {
            segment.index.note_after_damage(segment.end());
        }
        segment.end = end;
    }

    /// Takes a segment that was read, and goes on with those behind it if they belong to it.
    fn push(&mut self, mut segment: Segment, tail: Tail, behind: &[Offset]) -> io::Result<()> {
        let follows = behind.first().is_none_or(|next| *next == segment.end);
        if tail == Tail::WasCut || !follows && self.after_power_cut {
            self.found.segments.push(segment);
            return self.drop_segments(behind);
        }
        if let Some(next) = behind.first() {
            self.close_gap(&mut segment, *next);
            segment.write_index(self.disk, self.directory);
        }
        self.found.segments.push(segment);
        self.tail(behind)
    }

    /// Reads a segment on from its end. What is not right is cut off if it can be the end of the log, or else damage.
    fn read(&mut self, segment: &mut Segment, is_last: bool) -> io::Result<Tail> {
        while let Some(source) = self.scan(segment)? {
            let behind = if self.after_power_cut {
                None
            } else {
                self.batch_behind(segment)?
            };
            if self.after_power_cut || is_last && behind.is_none() {
                return self.cut(segment, &source);
            }
            self.skip(segment, source, behind)?;
        }
        Ok(Tail::GoesOn)
    }

    /// Reads a segment that was durable.
    fn read_durable(&mut self, segment: &mut Segment) -> io::Result<()> {
        while let Some(source) = self.scan(segment)? {
            let behind = self.batch_behind(segment)?;
            self.skip(segment, source, behind)?;
        }
        Ok(())
    }

    /// Reads on until there is an end, or something that is not right.
    fn scan(&mut self, segment: &mut Segment) -> io::Result<Option<DecodeError>> {
        let file = self.disk.open_existing(&segment.path(self.directory))?;
        let len = file.len()?;
        let mut walk = Walk::new(file, segment.end(), len, true);
        loop {
            match walk.next() {
                Ok(Some(batch)) => {
                    segment.note(batch.header());
                    self.found.writers.note(batch.header());
                }
                // Of timestamps that have changed only indexes tell, and there is none yet.
                Ok(None) | Err(WalkError::Times { .. }) => return Ok(None),
                Err(WalkError::Bad(source)) => return Ok(Some(source)),
                Err(WalkError::Io(error)) => return Err(error),
            }
        }
    }

    /// The next good batch behind one that is not.
    fn batch_behind(&self, segment: &Segment) -> io::Result<Option<Entry>> {
        let file = self.disk.open_existing(&segment.path(self.directory))?;
        let len = usize::try_from(file.len()?.saturating_sub(segment.size)).unwrap_or(usize::MAX);
        let bytes = file.read_at(segment.size, len)?;
        let found = (1..bytes.len()).find_map(|at| batch_at(&bytes, at, segment.end));
        Ok(found.map(|(at, batch)| Entry {
            offset: batch.base_offset(),
            position: segment.size + at as u64,
            timestamp: batch.commit_timestamp(),
            ..segment.end()
        }))
    }

    /// Goes on behind a damaged place, with the next good batch or at the end of the file.
    fn skip(&mut self, segment: &mut Segment, source: DecodeError, behind: Option<Entry>) -> io::Result<()> {
        self.damage(segment, segment.size, source);
        if segment.is_empty() {
            segment.index.note_after_damage(segment.end());
        }
        if let Some(entry) = behind {
            segment.index.note_after_damage(entry);
            segment.size = entry.position;
            segment.end = entry.offset;
        } else {
            segment.size = self.len(segment.base)?;
        }
        Ok(())
    }

    /// Ends the log with the last good batch of a segment.
    fn cut(&self, segment: &Segment, source: &DecodeError) -> io::Result<Tail> {
        let path = segment.path(self.directory);
        let at = segment.size;
        tracing::warn!(target: crate::TARGET, path = %path.display(), at, error = %source, "a torn end was cut off");
        let file = self.disk.open_existing(&path)?;
        file.set_len(at)?;
        // What came back with the next power cut would be taken for damage once the end was clean.
        file.sync()?;
        remove_if_there(self.disk, &index_path(self.directory, segment.base))?;
        Ok(Tail::WasCut)
    }

    fn drop_segments(&self, bases: &[Offset]) -> io::Result<()> {
        for base in bases {
            let path = log_path(self.directory, *base);
            tracing::warn!(target: crate::TARGET, path = %path.display(), "a segment behind a torn one was removed");
            self.disk.remove(&path)?;
            remove_if_there(self.disk, &index_path(self.directory, *base))?;
        }
        if bases.is_empty() {
            return Ok(());
        }
        // One that came back with the next power cut could fit behind what is written until then.
        self.disk.sync_dir(self.directory)
    }

    /// Lets a segment reach to the next one. Who reads what is missing between them finds nothing.
    fn close_gap(&mut self, segment: &mut Segment, next: Offset) {
        if segment.end != next {
            let reason = format!("ends at offset {}, the next one begins at {next}", segment.end);
            self.damage(segment, segment.size, DecodeError::new("log", reason));
            if segment.index.at_or_before(segment.base).is_none() {
                segment.index.note_after_damage(segment.end());
            }
            segment.end = next;
        }
    }

    fn damage(&mut self, segment: &Segment, at: u64, source: DecodeError) {
        let path = segment.path(self.directory);
        tracing::error!(target: crate::TARGET, path = %path.display(), at, error = %source, "a log is damaged");
        self.found.damage.push(Damage { path, at, source });
    }

    fn len(&self, base: Offset) -> io::Result<u64> {
        self.disk.open_existing(&log_path(self.directory, base))?.len()
    }

    fn max_timestamp(&self) -> Option<i64> {
        self.found.segments.last()?.max_timestamp
    }
}

fn no_file() -> DecodeError {
    DecodeError::new("log", "the file is missing")
}

/// The batch that begins at a place, if one does that can come behind an offset.
fn batch_at(bytes: &Bytes, at: usize, end: Offset) -> Option<(usize, LogBatch)> {
    let head = bytes.get(at..at + SMALLEST_BATCH)?;
    let offset = i64::from_le_bytes(*head.first_chunk()?);
    let plausible = (end..end.saturating_add(FARTHEST)).contains(&offset);
    if !plausible || !LogBatchHeader::knows(*head.get(MAGIC_AT)?) {
        return None;
    }
    let batch = LogBatches::new(bytes.slice(at..)).next()?.ok()?;
    batch.verify().ok()?;
    Some((at, batch))
}

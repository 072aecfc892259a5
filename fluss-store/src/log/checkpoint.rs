//! What need not be read again at the next start: the writers, and where the log stood when all of it was durable.

use std::io;
use std::path::Path;

use bytes::Bytes;

use fluss_core::id::Offset;

use super::envelope::{self, Kind};
use super::segment::{Segment, named, offsets_named};
use super::writers::Writers;
use crate::disk::{Disk, remove_if_there};

const CHECKPOINT: &str = "checkpoint";
/// The name of a checkpoint until it is whole.
const UNFINISHED: &str = "unfinished";

/// One more than is needed: if the newest is damaged, the one before it serves.
const KEPT: usize = 2;

/// What was known when everything before the end of `segment` had been synced.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    /// The segment that was active.
    pub(super) segment: Segment,
    /// The writers of all that was stored up to its end.
    pub(super) writers: Writers,
}

impl Checkpoint {
    /// Everything before is durable.
    pub(super) const fn offset(&self) -> Offset {
        self.segment.end
    }

    /// The contents of its file.
    pub(super) fn encode(segment: &Segment, writers: &Writers) -> Bytes {
        let mut contents = Vec::new();
        segment.encode(&mut contents);
        writers.encode(&mut contents);
        envelope::seal(Kind::Checkpoint, &contents)
    }

    /// The checkpoint of an offset, unless it is damaged.
    pub(super) fn read(
        disk: &dyn Disk,
        directory: &Path,
        offset: Offset,
        writers: &Writers,
    ) -> io::Result<Option<Self>> {
        let contents = envelope::read(disk, &named(directory, offset, CHECKPOINT), Kind::Checkpoint)?;
        Ok(contents.and_then(|mut contents| {
            let segment = Segment::decode(&mut contents)?;
            let mut writers = writers.clone();
            writers.restore(&mut contents)?;
            (segment.end == offset).then_some(Self { segment, writers })
        }))
    }
}

/// The offsets of the checkpoints in a directory, in order.
pub(super) fn offsets(names: &[String]) -> Vec<Offset> {
    offsets_named(names, CHECKPOINT)
}

/// Writes a checkpoint so that it is either there or not, and removes those that are not needed any more.
pub(super) fn write(disk: &dyn Disk, directory: &Path, offset: Offset, contents: Bytes) -> io::Result<()> {
    let unfinished = named(directory, offset, UNFINISHED);
    let written = write_file(disk, &unfinished, contents)
        .and_then(|()| disk.rename(&unfinished, &named(directory, offset, CHECKPOINT)))
        .and_then(|()| disk.sync_dir(directory));
    if written.is_err() {
        remove_if_there(disk, &unfinished)?;
        return written;
    }
    let there = offsets(&disk.list(directory)?);
    for old in there.iter().rev().skip(KEPT) {
        // Another sync may do the same.
        remove_if_there(disk, &named(directory, *old, CHECKPOINT))?;
    }
    Ok(())
}

fn write_file(disk: &dyn Disk, path: &Path, contents: Bytes) -> io::Result<()> {
    let file = disk.open(path)?;
    file.set_len(0)?;
    file.write_at(0, contents)?;
    file.sync()
}

/// Removes what a crash has left of a checkpoint.
pub(super) fn remove_unfinished(disk: &dyn Disk, directory: &Path, names: &[String]) -> io::Result<()> {
    let mut unfinished = offsets_named(names, UNFINISHED).into_iter();
    unfinished.try_for_each(|offset| disk.remove(&named(directory, offset, UNFINISHED)))
}

//! Which segments there are: from the first, before which all has expired, to the last. Those between follow from one
//! another.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use fluss_core::id::Offset;

use super::envelope::{self, Kind};
use crate::disk::{Disk, remove_if_there};

const NAME: &str = "segments.list";
/// The name until it is whole.
const UNFINISHED: &str = "segments.unfinished";

/// The first and the last segment, by the offsets in their names.
///
/// It is never ahead of the files: a segment is noted when its file is there, before anything is written to it, and those
/// that expire are struck off before they are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manifest {
    pub(super) first: Offset,
    pub(super) last: Offset,
}

impl Manifest {
    /// What is noted in a directory; nothing if nothing is, or it is damaged.
    pub(super) fn read(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Self>> {
        let contents = envelope::read(disk, &path(directory), Kind::Manifest)?;
        Ok(contents.and_then(|mut contents| {
            let (first, last) = (contents.try_get_i64().ok()?, contents.try_get_i64().ok()?);
            (0 <= first && first <= last).then_some(Self { first, last })
        }))
    }

    /// Notes it, so that either this or what was noted before is there. `durable` also when the machine goes down.
    pub(super) fn write(self, disk: &dyn Disk, directory: &Path, durable: bool) -> io::Result<()> {
        let unfinished = directory.join(UNFINISHED);
        let written = self.write_file(disk, &unfinished, durable).and_then(|()| {
            disk.rename(&unfinished, &path(directory))?;
            if durable {
                disk.sync_dir(directory)?;
            }
            Ok(())
        });
        if written.is_err() {
            remove_if_there(disk, &unfinished)?;
        }
        written
    }

    fn write_file(self, disk: &dyn Disk, path: &Path, durable: bool) -> io::Result<()> {
        let mut contents = Vec::new();
        contents.put_i64(self.first);
        contents.put_i64(self.last);
        let file = disk.open(path)?;
        file.set_len(0)?;
        file.write_at(0, envelope::seal(Kind::Manifest, &contents))?;
        if durable { file.sync() } else { Ok(()) }
    }
}

/// Forgets what is noted.
pub(super) fn remove(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    remove_if_there(disk, &path(directory))
}

/// Removes what a crash has left of one.
pub(super) fn remove_unfinished(disk: &dyn Disk, directory: &Path, names: &[String]) -> io::Result<()> {
    if names.iter().any(|name| name == UNFINISHED) {
        disk.remove(&directory.join(UNFINISHED))?;
    }
    Ok(())
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

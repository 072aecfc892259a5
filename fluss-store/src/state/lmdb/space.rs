//! Room on the disk, taken before it is written to: a page of a map for which there is none kills the process.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

/// What is taken at least, so that the disk is not asked for each batch.
const STEP_BYTES: u64 = 256 << 10;

/// Takes a stretch of a file, or says that the disk is full.
pub(super) type Take = fn(&File, u64, u64) -> io::Result<()>;

/// How much of a file is there.
#[derive(Debug)]
pub(super) struct Space {
    file: File,
    taken: AtomicU64,
    take: Take,
}

impl Space {
    pub(super) const fn new(file: File, take: Take) -> Self {
        Self {
            file,
            taken: AtomicU64::new(0),
            take,
        }
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Sees to it that the first `needed` bytes are there, and some more, to a limit.
    pub(super) fn ensure(&self, needed: u64, limit: u64) -> io::Result<()> {
        let taken = self.taken.load(Ordering::Relaxed);
        if needed <= taken {
            return Ok(());
        }
        let ahead = (needed + needed / 8).next_multiple_of(STEP_BYTES).min(limit);
        // What lies ahead is a convenience: a disk that has no room for it may have enough for what is needed.
        let end = match (self.take)(&self.file, taken, ahead) {
            Ok(()) => ahead,
            Err(_) => (self.take)(&self.file, taken, needed).map(|()| needed)?,
        };
        self.taken.store(end, Ordering::Relaxed);
        Ok(())
    }
}

/// Takes a stretch from the file system.
pub(super) fn take(file: &File, from: u64, to: u64) -> io::Result<()> {
    let length = to.saturating_sub(from);
    match fallocate(file, FallocateFlags::empty(), from, length) {
        // A file system that cannot set room aside can at least say how much there is.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let system = fstatvfs(file)?;
            if system.f_bavail.saturating_mul(system.f_frsize) < length {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
        other => Ok(other?),
    }
}

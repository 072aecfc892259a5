//! All access to files. A disk is a directory, memory, or (feature `faulty`) one for tests that fails, runs full and forgets.
//!
//! Paths are relative to the root of the disk. Nothing is durable before it was synced: the contents of a file by
//! [`File::sync`], the names in a directory by [`Disk::sync_dir`].

mod chunks;
mod directory;
#[cfg(any(test, feature = "faulty"))]
pub mod faulty;
mod lock;
mod memory;
mod open_files;
mod trust;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use directory::read_write;
pub use directory::{DirectoryDisk, create_private};
pub use lock::leave_directories_to_parent;
pub use memory::MemoryDisk;
pub(crate) use open_files::with_room;
pub use open_files::{Kept, OpenFiles, is_exhausted};
pub use trust::Trust;

/// A place for files.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file to read and write it, and creates it if it is not there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file that has to be there.
    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Returns the names in a directory, in no order; none if it does not exist.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory and those above it.
    fn create_dir(&self, directory: &Path) -> io::Result<()>;

    /// Renames a file. It replaces the file that had the name before.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Those who have it open can still read it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it. Does nothing if it does not exist.
    fn remove_dir(&self, directory: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable. Its own name is one of the directory above it.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;

    /// Whether the files are in memory: then what is read is what was written, without a checksum to tell, and nothing
    /// is gained by a sync.
    fn is_memory(&self) -> bool {
        false
    }

    /// Returns an id of the current boot of the machine: what was not synced in an earlier boot may be lost. Nothing if it is
    /// not known.
    fn boot(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }

    /// Returns the files of this disk that are kept open; nothing if an open file costs no descriptor.
    fn open_files(&self) -> Option<Arc<OpenFiles>> {
        None
    }

    /// Returns where a path is in the file system, for libraries that access files on their own; nothing if it is not there.
    fn real_path(&self, path: &Path) -> Option<PathBuf>;
}

/// An open file. Offsets and lengths are in bytes.
pub trait File: fmt::Debug + Send + Sync {
    /// Returns the length.
    fn len(&self) -> io::Result<u64>;

    /// Returns whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Reads up to `len` bytes from `at` on: fewer if the file ends before. A file in memory does not copy them.
    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes>;

    /// Writes all of `bytes` at `at`, at most at the end of the file. What a failed write has left behind is not defined.
    fn write_at(&self, at: u64, bytes: Bytes) -> io::Result<()>;

    /// Cuts or extends the file with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the contents durable.
    fn sync(&self) -> io::Result<()>;
}

/// Reads all of a small file. Returns nothing if it cannot be read.
///
/// # Errors
///
/// No descriptor is left: the file may be there then.
pub fn read_if_there(disk: &dyn Disk, path: &Path) -> io::Result<Option<Bytes>> {
    let read = || {
        let file = disk.open_existing(path)?;
        file.read_at(0, usize::try_from(file.len()?).unwrap_or(usize::MAX))
    };
    match read() {
        Err(error) if is_exhausted(&error) => Err(error),
        read => Ok(read.ok()),
    }
}

/// Removes a file. Does nothing if it is not there.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

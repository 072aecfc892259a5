//! Disks for states: one in a directory, which is where LMDB has its files, and one that has no place of its own.

use std::sync::Arc;

use fluss_store::disk::faulty::FaultyDisk;
use fluss_store::disk::{DirectoryDisk, Disk, OpenFiles};
use tempfile::TempDir;

/// A disk in a directory that goes when it is dropped.
pub(in crate::kv) fn real() -> (Arc<dyn Disk>, TempDir) {
    let root = tempfile::tempdir().unwrap();
    let disk = DirectoryDisk::open_with(root.path(), OpenFiles::within(usize::MAX));
    (Arc::new(disk.unwrap()), root)
}

/// A disk without a place in the file system.
pub(in crate::kv) fn placeless() -> Arc<dyn Disk> {
    Arc::new(FaultyDisk::new(0))
}

//! The file of an environment, its map, and what LMDB says is wrong with it.

use std::io;
use std::path::{Path, PathBuf};

/// The file of the environment in a directory.
pub(in crate::state) fn data_file(directory: &Path) -> PathBuf {
    directory.join("data.mdb")
}

/// A map's size as LMDB takes it: whole pages of any size.
pub(super) fn map_bytes(bytes: u64) -> usize {
    const LARGEST_PAGE: u64 = 64 << 10;
    usize::try_from(bytes.next_multiple_of(LARGEST_PAGE)).unwrap_or(usize::MAX)
}

pub(super) fn fault(error: heed::Error) -> io::Error {
    match error {
        heed::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

//! The file of an environment, and its map.

use std::path::{Path, PathBuf};

/// The file of the environment in a directory.
pub(crate) fn data_file(directory: &Path) -> PathBuf {
    directory.join("data.mdb")
}

/// A map's size as LMDB takes it: whole pages of any size.
pub(crate) fn map_bytes(bytes: u64) -> usize {
    const LARGEST_PAGE: u64 = 64 << 10;
    usize::try_from(bytes.next_multiple_of(LARGEST_PAGE)).unwrap_or(usize::MAX)
}

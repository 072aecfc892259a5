//! Rows by keys of any length, in a tree of LMDB: whoever has an environment, with transactions of its own.

mod check;
mod file;
mod keys;
mod order;
mod read;
mod write;

use std::io;
use std::ops::ControlFlow;

use heed::types::Bytes;
use heed::{Database, MdbError};

pub(crate) use self::check::check;
pub(crate) use self::file::{data_file, map_bytes};
pub(crate) use self::keys::ABOUT;
use self::keys::Branch;
pub(crate) use self::order::ByBytes;
pub(crate) use self::read::{get, scan};
pub(crate) use self::write::{Place, Writes, pages};

/// Keys to values, as LMDB has them.
pub(crate) type Tree = Database<Bytes, Bytes, ByBytes>;

/// What is to be known of the branches that long keys lead to. It is stored with [`ABOUT`], and changes with the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Links {
    /// Keys of the tree that are links.
    pub(crate) count: u64,
    pub(crate) next_branch: Branch,
}

impl Links {
    /// How many of the entries of a tree are rows: all but links, and what is stored with [`ABOUT`].
    pub(crate) const fn rows_of(self, entries: u64) -> u64 {
        entries.saturating_sub(self.count + 1)
    }
}

/// Is called with a key and its value, and returns whether to go on.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>;

/// What LMDB says is wrong: pages that are not as it has written them are data that are invalid.
pub(crate) fn fault(error: heed::Error) -> io::Error {
    let kind = match error {
        heed::Error::Io(error) => return error,
        heed::Error::Mdb(
            MdbError::PageNotFound
            | MdbError::Corrupted
            | MdbError::Panic
            | MdbError::VersionMismatch
            | MdbError::Invalid,
        ) => io::ErrorKind::InvalidData,
        heed::Error::Mdb(MdbError::MapFull) => io::ErrorKind::StorageFull,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

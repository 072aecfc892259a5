//! What a state can do, whichever keeps it.

use std::fmt;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use fluss_core::id::Offset;

pub use crate::tree::Visit;

/// What is stored beside the rows, and changes with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// The end of the changelog that has been applied.
    pub applied: Offset,
    /// The numbers of the auto-increment column that the bucket has set aside and not given out.
    pub numbers: Range<i64>,
}

/// A key with its new value, or without one to remove it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// Its new value; nothing to remove the key.
    pub value: Option<Bytes>,
}

/// The rows of a bucket.
pub trait State: fmt::Debug + Send + Sync {
    /// Returns what has been committed. It does not change while others commit.
    fn snapshot(&self) -> io::Result<Box<dyn Snapshot + '_>>;

    /// Makes all changes, or none. They have to be sorted by key, each key once.
    fn commit(&self, changes: &[Change], about: &About) -> io::Result<()>;

    /// Removes everything.
    fn clear(&self) -> io::Result<()>;

    /// Makes what is committed durable.
    fn sync(&self) -> io::Result<()>;
}

/// A state at one moment.
pub trait Snapshot {
    /// Returns what is stored beside the rows.
    fn about(&self) -> io::Result<About>;

    /// Returns the number of keys.
    fn count(&self) -> io::Result<u64>;

    /// Returns the value of a key.
    fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>>;

    /// Visits the keys that begin with `prefix`, in the order of their bytes.
    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()>;
}

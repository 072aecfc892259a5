//! How far a copy is behind, as programs see it.

use std::time::Duration;

use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::Timestamp;

/// How far a bucket is behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BucketLag {
    /// The bucket.
    pub bucket: TableBucket,
    /// The end of what is applied of its changelog.
    pub applied: Offset,
    /// Where its changelog ended when the cluster was last asked.
    pub end: Offset,
    /// How long ago what was applied last was stored; nothing of a bucket that is not behind, or of which no change was
    /// applied yet.
    pub behind: Option<Duration>,
}

impl BucketLag {
    /// How many changes are not applied.
    pub const fn rows(&self) -> i64 {
        self.end - self.applied
    }
}

/// How far a copy is behind its table.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Lag {
    /// All that was stored by then is in the copy; nothing if that is not known yet.
    pub as_of: Option<Timestamp>,
    /// How long ago that was.
    pub age: Option<Duration>,
    /// The buckets.
    pub buckets: Vec<BucketLag>,
}

impl Lag {
    /// How many changes are not applied, of those that there were when the cluster was last asked.
    pub fn rows(&self) -> i64 {
        self.buckets.iter().map(BucketLag::rows).sum()
    }
}

//! Identifiers, each a type of its own so that none can be taken for another.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub $inner);

        impl $name {
            /// The bare number, as it stands on the wire.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(id: $inner) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A table, unique in its cluster and never used again after a drop.
    TableId(i64);
    /// A partition, unique in its cluster over all tables.
    PartitionId(i64);
    /// A bucket of a table or of a partition: 0 to the bucket count minus one.
    BucketId(i32);
    /// A version of a table's schema, from 1.
    SchemaId(i16);
    /// A tablet server or coordinator.
    ServerId(i32);
    /// A snapshot of a bucket, or of a table in a lake.
    SnapshotId(i64);
    /// An idempotent writer, given out by the cluster.
    WriterId(i64);
    /// The number of a batch of one writer in one bucket: 0, 1, 2 and so on, wrapping after `i32::MAX`.
    BatchSequence(i32);
    /// How often the leader of a bucket has changed.
    LeaderEpoch(i32);
}

impl BatchSequence {
    /// The sequence of a bucket's first batch.
    pub const FIRST: Self = Self(0);

    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(if self.0 == i32::MAX { 0 } else { self.0 + 1 })
    }
}

/// The position of a record in the log of a bucket, from 0.
pub type Offset = i64;

/// One bucket of a table, or of one partition of a partitioned table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableBucket {
    /// The table.
    pub table: TableId,
    /// The partition: present exactly if the table is partitioned.
    pub partition: Option<PartitionId>,
    /// The bucket in the table or partition.
    pub bucket: BucketId,
}

impl TableBucket {
    /// A bucket of a table that is not partitioned.
    pub const fn new(table: TableId, bucket: BucketId) -> Self {
        Self {
            table,
            partition: None,
            bucket,
        }
    }

    /// A bucket of one partition.
    pub const fn in_partition(table: TableId, partition: PartitionId, bucket: BucketId) -> Self {
        Self {
            table,
            partition: Some(partition),
            bucket,
        }
    }
}

impl fmt::Display for TableBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.table)?;
        if let Some(partition) = self.partition {
            write!(f, " partition {partition}")?;
        }
        write!(f, " bucket {}", self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_sequence_wraps_to_zero() {
        assert_eq!(BatchSequence::FIRST.next(), BatchSequence(1));
        assert_eq!(BatchSequence(i32::MAX).next(), BatchSequence::FIRST);
    }
}

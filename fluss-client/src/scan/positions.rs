//! Where a scanner stands, as a value that outlives it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::start::StartOffset;
use crate::cluster::check_bucket;
use fluss_core::id::{BucketId, Offset, PartitionId, TableBucket, TableId};
use fluss_core::types::{InvalidDefinition, TableInfo, TablePath};

/// The version of the text that is written and read.
const VERSION: u32 = 1;

/// Where a scanner stands in each bucket that it reads, and whether it follows new partitions.
///
/// Had from [`LogScanner::positions`](super::LogScanner::positions); kept as a short JSON text; and what a scanner starts
/// from again, with [`subscribe_positions`](super::LogScanner::subscribe_positions). It names its table by path and number,
/// so that it is not taken for the positions in another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Positions {
    path: TablePath,
    table: TableId,
    /// The next record of each bucket; nothing for the first that is still there.
    offsets: BTreeMap<TableBucket, Option<Offset>>,
    /// The partitions that were known, if those to come are read too.
    followed: Option<BTreeSet<PartitionId>>,
}

impl Positions {
    pub(super) fn new(
        table: &TableInfo,
        offsets: BTreeMap<TableBucket, Option<Offset>>,
        followed: Option<BTreeSet<PartitionId>>,
    ) -> Self {
        Self {
            path: table.path.clone(),
            table: table.id,
            offsets,
            followed,
        }
    }

    /// The table's path.
    pub const fn table(&self) -> &TablePath {
        &self.path
    }

    /// The table's number, which no table has that is created again under the path.
    pub const fn table_id(&self) -> TableId {
        self.table
    }

    /// Where reading each bucket goes on.
    pub fn buckets(&self) -> impl Iterator<Item = (TableBucket, StartOffset)> {
        let start = |next: Option<Offset>| next.map_or(StartOffset::Earliest, StartOffset::At);
        self.offsets().map(move |(bucket, next)| (bucket, start(next)))
    }

    /// Whether the partitions to come are read too, from their first records on.
    pub const fn follows_partitions(&self) -> bool {
        self.followed.is_some()
    }

    /// The same positions, except that reading this bucket goes on at an offset. For a consumer that works on rows behind the
    /// scanner, and saves where it is itself. A bucket that is not among the positions is not added.
    #[must_use]
    pub fn moved(mut self, bucket: &TableBucket, offset: Offset) -> Self {
        if let Some(next) = self.offsets.get_mut(bucket) {
            *next = Some(offset);
        }
        self
    }

    pub(super) fn offsets(&self) -> impl Iterator<Item = (TableBucket, Option<Offset>)> {
        self.offsets.iter().map(|(bucket, next)| (*bucket, *next))
    }

    pub(super) const fn followed(&self) -> Option<&BTreeSet<PartitionId>> {
        self.followed.as_ref()
    }

    /// Says why these cannot be positions in a table.
    pub(super) fn check(&self, table: &TableInfo) -> Result<(), String> {
        if self.path != table.path {
            return Err(format!("the positions are in table {}", self.path));
        }
        if self.table != table.id {
            return Err(format!(
                "the positions are in table number {}; the table was dropped and created again since, as number {}",
                self.table, table.id
            ));
        }
        if self.followed.is_some() && !table.is_partitioned() {
            return Err("the table is not partitioned".to_owned());
        }
        let mut buckets = self.offsets.keys();
        buckets.try_for_each(|bucket| check_bucket(table, *bucket))
    }

    /// As a text.
    pub fn to_json(&self) -> String {
        let entry = |(bucket, offset): (&TableBucket, &Option<Offset>)| Entry {
            partition: bucket.partition.map(PartitionId::get),
            bucket: bucket.bucket.get(),
            offset: *offset,
        };
        let document = Document {
            version: VERSION,
            table: self.path.to_string(),
            table_id: self.table.get(),
            buckets: self.offsets.iter().map(entry).collect(),
            new_partitions: self.followed.as_ref().map(|known| NewPartitions {
                start: Start::Earliest,
                known: known.iter().map(|id| id.get()).collect(),
            }),
        };
        // Numbers and names always make a text.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) has written.
    ///
    /// # Errors
    ///
    /// A text that is none, or of a later version.
    pub fn from_json(text: &str) -> Result<Self, InvalidDefinition> {
        let fault =
            |error: &dyn std::fmt::Display| InvalidDefinition::new(format!("saved positions: {error}"));
        let Version { version } = serde_json::from_str(text).map_err(|error| fault(&error))?;
        if version != VERSION {
            let reason = format!("this client reads version {VERSION}, not {version}");
            return Err(fault(&reason));
        }
        let document: Document = serde_json::from_str(text).map_err(|error| fault(&error))?;
        document.positions().map_err(|error| fault(&error))
    }
}

/// What tells how to read the rest.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    table: String,
    table_id: i64,
    buckets: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_partitions: Option<NewPartitions>,
}

/// A bucket; without offset it stands at the first record that is still there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<i64>,
    bucket: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<Offset>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPartitions {
    start: Start,
    known: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Start {
    Earliest,
}

impl Document {
    fn positions(self) -> Result<Positions, InvalidDefinition> {
        let table = TableId(self.table_id);
        let count = self.buckets.len();
        let offsets: BTreeMap<_, _> = self.buckets.into_iter().map(|entry| entry.of(table)).collect();
        if offsets.len() != count {
            return Err(InvalidDefinition::new("a bucket is named twice"));
        }
        if offsets.values().flatten().any(|offset| *offset < 0) {
            return Err(InvalidDefinition::new("an offset is negative"));
        }
        Ok(Positions {
            path: self.table.parse()?,
            table,
            offsets,
            followed: self
                .new_partitions
                .map(|new| new.known.into_iter().map(PartitionId).collect()),
        })
    }
}

impl Entry {
    fn of(self, table: TableId) -> (TableBucket, Option<Offset>) {
        let bucket = TableBucket {
            table,
            partition: self.partition.map(PartitionId),
            bucket: BucketId(self.bucket),
        };
        (bucket, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(offsets: Vec<(Option<i64>, i32, Option<i64>)>, followed: Option<Vec<i64>>) -> Positions {
        let table = TableId(7);
        let entry = |(partition, bucket, offset)| {
            let entry = Entry {
                partition,
                bucket,
                offset,
            };
            entry.of(table)
        };
        Positions {
            path: TablePath::new("d", "t"),
            table,
            offsets: offsets.into_iter().map(entry).collect(),
            followed: followed.map(|known| known.into_iter().map(PartitionId).collect()),
        }
    }

    #[test]
    fn the_text_names_the_table_and_is_short() {
        let plain = positions(vec![(None, 0, Some(17)), (None, 1, None)], None);
        assert_eq!(
            plain.to_json(),
            r#"{"version":1,"table":"d.t","table_id":7,"buckets":[{"bucket":0,"offset":17},{"bucket":1}]}"#
        );
        let followed = positions(vec![(Some(3), 0, Some(1))], Some(vec![3, 4]));
        assert_eq!(
            followed.to_json(),
            r#"{"version":1,"table":"d.t","table_id":7,"buckets":[{"partition":3,"bucket":0,"offset":1}],"new_partitions":{"start":"earliest","known":[3,4]}}"#
        );
    }

    #[test]
    fn a_bucket_is_moved_and_none_is_added() {
        let bucket = |bucket| TableBucket::new(TableId(7), BucketId(bucket));
        let both = positions(vec![(None, 0, Some(17)), (None, 1, None)], None);
        let moved = both.moved(&bucket(1), 4).moved(&bucket(2), 9);
        assert_eq!(
            moved,
            positions(vec![(None, 0, Some(17)), (None, 1, Some(4))], None)
        );
    }

    #[test]
    fn what_is_no_such_text_is_refused() {
        let refused = |text: &str| Positions::from_json(text).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"version":2,"more":[]}"#),
            "saved positions: this client reads version 1, not 2"
        );
        let text = positions(vec![(None, 0, Some(17))], None).to_json();
        for (old, new) in [
            ("17}", "-17}"),
            ("17}]", "17},{\"bucket\":0}]"),
            ("d.t", "dt"),
            ("17", "\"17\""),
            ("}]", "}"),
        ] {
            assert!(
                refused(&text.replace(old, new)).starts_with("saved positions: "),
                "{new}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_saved_is_read(
            offsets in prop::collection::vec((any::<Option<i64>>(), any::<i32>(), prop::option::of(0..i64::MAX)), 0..9),
            followed in prop::option::of(prop::collection::vec(any::<i64>(), 0..5)),
        ) {
            let positions = positions(offsets, followed);
            prop_assert_eq!(Positions::from_json(&positions.to_json()).unwrap(), positions);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Positions::from_json(&text);
        }
    }
}

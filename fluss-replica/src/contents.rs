//! What stands beside the rows of a copy, and changes with them.

use std::collections::BTreeMap;

use fluss_client::id::{BucketId, Offset, PartitionId, SchemaId, TableBucket, TableId};
use fluss_client::types::{InvalidDefinition, TablePath};
use serde::{Deserialize, Serialize};

use crate::shape::{Shape, parse_row_type, print_row_type};

/// What stands beside the rows of a copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) table_id: i64,
    /// The columns of the primary key.
    pub(crate) key: Vec<String>,
    /// The columns of rows by the schemas that they were written under.
    pub(crate) schemas: BTreeMap<i16, String>,
    /// The names of the partitions whose rows are held; nothing of a table without.
    pub(crate) partitions: BTreeMap<i64, String>,
    /// Where a scanner goes on, as it says itself.
    pub(crate) positions: String,
    /// How far each bucket is applied.
    pub(crate) applied: Vec<Applied>,
}

/// How far a bucket is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Applied {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<i64>,
    pub(crate) bucket: i32,
    /// The end of what is applied of its changelog.
    pub(crate) offset: Offset,
    /// When the last change of it was stored, in milliseconds since the epoch; 0 if that is not known.
    pub(crate) time: i64,
}

impl Contents {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Numbers and names always make a text.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How the rows are laid out.
    pub(crate) fn shape(&self, table: TablePath) -> Result<Shape, InvalidDefinition> {
        let types = self.schemas.iter();
        let types = types.map(|(id, text)| Ok((SchemaId(*id), parse_row_type(text)?)));
        Shape::new(table, types.collect::<Result<_, InvalidDefinition>>()?, &self.key)
    }

    /// Rows of these schemas are held.
    pub(crate) fn set_schemas(&mut self, shape: &Shape) {
        let types = shape.types().iter();
        self.schemas = types
            .map(|(id, row_type)| (id.get(), print_row_type(row_type)))
            .collect();
    }

    /// How far each bucket is applied.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (TableBucket, Applied)> {
        let table = TableId(self.table_id);
        self.applied.iter().map(move |applied| {
            let bucket = TableBucket {
                table,
                partition: applied.partition.map(PartitionId),
                bucket: BucketId(applied.bucket),
            };
            (bucket, *applied)
        })
    }

    /// Takes note that a bucket is applied up to an offset, by changes the last of which were stored at a time.
    pub(crate) fn advance(&mut self, bucket: &TableBucket, offset: Offset, time: Option<i64>) {
        let partition = bucket.partition.map(PartitionId::get);
        let is_it =
            |applied: &&mut Applied| applied.bucket == bucket.bucket.get() && applied.partition == partition;
        match self.applied.iter_mut().find(is_it) {
            Some(applied) => {
                applied.offset = offset.max(applied.offset);
                applied.time = time.unwrap_or(applied.time);
            }
            None => self.applied.push(Applied {
                partition,
                bucket: bucket.bucket.get(),
                offset,
                time: time.unwrap_or_default(),
            }),
        }
    }

    /// Forgets partitions that there are no more.
    pub(crate) fn forget(&mut self, partitions: &[PartitionId]) {
        let is_gone = |id: &i64| partitions.iter().any(|gone| gone.get() == *id);
        self.partitions.retain(|id, _| !is_gone(id));
        self.applied
            .retain(|applied| !applied.partition.as_ref().is_some_and(is_gone));
    }
}

//! Which bucket a row goes to.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

use crate::arrow::ArrowRows;
use crate::client::options::BucketAssigner;
use crate::client::shape::Shape;
use crate::error::ValueError;
use crate::id::{BucketId, TableBucket};
use crate::row::{BucketFunction, KeyEncoder};
use crate::types::{InvalidDefinition, Row, RowType, TableInfo};

/// Which bucket a row of a table goes to (`rows.md` §6).
#[derive(Debug)]
pub(super) struct Router {
    count: i32,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// That of the bucket key's hash.
    Key {
        encoder: KeyEncoder,
        function: BucketFunction,
        key: Vec<u8>,
    },
    /// The same one until its batch is full, then another.
    Sticky { current: BucketId },
    /// The next.
    RoundRobin { last: u32 },
}

impl Router {
    pub(super) fn of(info: &TableInfo, assigner: BucketAssigner) -> Result<Self, InvalidDefinition> {
        let count = info.bucket_count;
        let way = match (KeyEncoder::bucket_key(info, info.row_type())?, assigner) {
            (Some(encoder), _) => Way::Key {
                encoder,
                function: info.lake_format().into(),
                key: Vec::new(),
            },
            (None, BucketAssigner::Sticky) => Way::Sticky {
                current: BucketId(fastrand::i32(0..count)),
            },
            (None, BucketAssigner::RoundRobin) => Way::RoundRobin {
                last: fastrand::u32(..),
            },
        };
        Ok(Self { count, way })
    }

    /// The bucket of a row of the table's type, which is checked. `is_open` tells whether rows can join a batch of a
    /// bucket.
    pub(super) fn route(
        &mut self,
        row: &(impl Row + ?Sized),
        is_open: impl Fn(BucketId) -> bool,
    ) -> Result<BucketId, ValueError> {
        match &mut self.way {
            Way::Key {
                encoder,
                function,
                key,
            } => {
                key.clear();
                encoder.encode(row, key)?;
                function.bucket(key, self.count)
            }
            Way::Sticky { current } => {
                if !is_open(*current) {
                    *current = other(*current, self.count);
                }
                Ok(*current)
            }
            Way::RoundRobin { last } => {
                *last = last.wrapping_add(1);
                Ok(BucketId(
                    ((*last & 0x7FFF_FFFF) % self.count.unsigned_abs()) as i32,
                ))
            }
        }
    }

    /// The rows of an Arrow batch, by bucket. Without bucket key the batch goes to one bucket as it is.
    pub(super) fn split(
        &mut self,
        row_type: &RowType,
        batch: RecordBatch,
    ) -> Result<Vec<(BucketId, RecordBatch)>, ValueError> {
        if let Way::Sticky { current } = &mut self.way {
            *current = other(*current, self.count);
            return Ok(vec![(*current, batch)]);
        }
        let rows = ArrowRows::new(batch.clone(), row_type)?;
        let buckets: Vec<BucketId> = (0..rows.len())
            .map(|index| self.route(&rows.row(index), |_| true))
            .collect::<Result<_, _>>()?;
        crate::arrow::split(&batch, &buckets)
    }

    /// The positions of rows, by bucket.
    pub(super) fn pick(
        &mut self,
        rows: &ArrowRows,
        shape: &Shape,
    ) -> Result<BTreeMap<BucketId, Vec<u32>>, ValueError> {
        let mut picked: BTreeMap<BucketId, Vec<u32>> = BTreeMap::new();
        for index in 0..rows.len() {
            let bucket = self.route(&shape.spread(&rows.row(index)), |_| true)?;
            picked.entry(bucket).or_default().push(index as u32);
        }
        Ok(picked)
    }

    pub(super) fn bucket(info: &TableInfo, bucket: BucketId) -> TableBucket {
        TableBucket::new(info.id, bucket)
    }
}

/// A bucket at random that is not this one, if there is any.
fn other(current: BucketId, count: i32) -> BucketId {
    if count < 2 {
        return BucketId(0);
    }
    let step = fastrand::i32(1..count);
    BucketId(current.get().wrapping_add(step).rem_euclid(count))
}

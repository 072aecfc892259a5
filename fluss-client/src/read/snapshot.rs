//! Tables as they are, or as they were.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::bounds::AsOf;
#[cfg(doc)]
use super::plan::BucketRead;
use crate::error::Result;
use crate::scan::ScanBuilder;
use fluss_core::id::{Offset, TableBucket};

/// The rows of a table as they were at one moment of each bucket.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) schema: SchemaRef,
    pub(super) offsets: BTreeMap<TableBucket, Offset>,
    pub(super) batches: Vec<(TableBucket, RecordBatch)>,
}

impl Snapshot {
    /// The Arrow schema of the batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which moment of each bucket it shows: the end of its log, from which a scanner goes on.
    pub const fn offsets(&self) -> &BTreeMap<TableBucket, Offset> {
        &self.offsets
    }

    /// The rows, bucket by bucket.
    pub fn batches(&self) -> impl Iterator<Item = (TableBucket, &RecordBatch)> {
        self.batches.iter().map(|(bucket, batch)| (*bucket, batch))
    }

    /// The rows alone.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches.into_iter().map(|(_, batch)| batch).collect()
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.num_rows()).sum()
    }
}

impl ScanBuilder {
    /// The whole table, or those of its rows that a filter lets pass: what a [plan](Self::plan) reads, in memory.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan), and as [`BucketRead::into_stream`] says of each bucket.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn snapshot(self, as_of: AsOf) -> Result<Snapshot> {
        self.plan(as_of).await?.collect().await
    }
}

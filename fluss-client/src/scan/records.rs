use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use fluss_core::DecodeError;
use fluss_core::arrow::{ArrowRow, ArrowRows};
use fluss_core::id::{Offset, SchemaId, TableBucket};
use fluss_core::record::log::ChangeType;
use fluss_core::types::{RowType, Timestamp};

/// A run of records of one bucket, as columns.
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// The bucket.
    pub bucket: TableBucket,
    /// The offset of the first row that was read. Without a filter the others follow without gap; see
    /// [`offset`](Self::offset).
    pub base_offset: Offset,
    /// Of a filtered scan, which of the rows that were read are these, ascending and counted from the first.
    pub kept: Option<Arc<[u32]>>,
    /// When the server stored the rows, in milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// The schema that the rows were written under, if that is known. A later one than that of the table as it was asked for
    /// may have columns that are left out.
    pub schema_id: Option<SchemaId>,
    /// What each row did to its key; nothing in a log table, whose rows are all appended.
    pub change_types: Option<Arc<[ChangeType]>>,
    /// The rows.
    pub batch: RecordBatch,
}

impl ScanBatch {
    /// The offset of a row.
    pub fn offset(&self, row: usize) -> Offset {
        offset(self.base_offset, self.kept.as_deref(), row)
    }

    /// The offsets of all rows.
    pub fn offsets(&self) -> Int64Array {
        match &self.kept {
            Some(kept) => kept
                .iter()
                .map(|place| self.base_offset + Offset::from(*place))
                .collect(),
            None => (self.base_offset..).take(self.batch.num_rows()).collect(),
        }
    }

    /// Whether rows were read, and none is left.
    pub(super) fn is_filtered_out(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_empty())
    }

    /// Only the rows that are held, of a batch with all of them.
    pub(super) fn keep(self, held: &BooleanArray) -> Result<Self, ArrowError> {
        if held.true_count() == held.len() {
            return Ok(self);
        }
        let kept: Arc<[u32]> = held.values().set_indices_u32().collect();
        let kept_type = |types: &Arc<[ChangeType]>, row: &u32| types.get(*row as usize).copied();
        Ok(Self {
            batch: filter_record_batch(&self.batch, held)?,
            change_types: self
                .change_types
                .map(|types| kept.iter().filter_map(|row| kept_type(&types, row)).collect()),
            kept: Some(kept),
            ..self
        })
    }
}

/// The offset of a row among those that are left of what was read from `base` on.
fn offset(base: Offset, kept: Option<&[u32]>, row: usize) -> Offset {
    let place = kept.map_or(Some(row as Offset), |kept| {
        kept.get(row).map(|place| Offset::from(*place))
    });
    base + place.unwrap_or_default()
}

/// What one poll returned.
#[derive(Clone, Debug, Default)]
pub struct ScanRecords {
    buckets: Vec<BucketRecords>,
}

/// The records of one bucket in a [`ScanRecords`], in the order of their offsets.
#[derive(Clone, Debug)]
pub struct BucketRecords {
    bucket: TableBucket,
    runs: Vec<Run>,
}

/// Rows of one batch.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) rows: Arc<ArrowRows>,
    pub(super) range: Range<usize>,
    /// The offset of the first row that was read, which need not be in the range.
    pub(super) base_offset: Offset,
    /// As that of a [`ScanBatch`], of all rows.
    pub(super) kept: Option<Arc<[u32]>>,
    pub(super) timestamp: Timestamp,
    pub(super) schema_id: Option<SchemaId>,
    pub(super) change_types: Option<Arc<[ChangeType]>>,
}

/// A record: a row and where and when it was stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScanRecord<'a> {
    /// The position in the log of its bucket.
    pub offset: Offset,
    /// When the server stored it, in milliseconds since the epoch.
    pub timestamp: Timestamp,
    /// What it did to its key.
    pub change_type: ChangeType,
    /// The values.
    pub row: ArrowRow<'a>,
}

impl ScanRecords {
    pub(super) fn push(&mut self, bucket: TableBucket, run: Run) {
        match self.buckets.iter_mut().find(|records| records.bucket == bucket) {
            Some(records) => records.runs.push(run),
            None => self.buckets.push(BucketRecords {
                bucket,
                runs: vec![run],
            }),
        }
    }

    /// Records of one bucket, from their columns as [`BucketRecords::batch`] gives them.
    ///
    /// # Errors
    ///
    /// Columns that are not those of `row_type`.
    pub fn of_batch(batch: ScanBatch, row_type: &RowType) -> Result<Self, DecodeError> {
        let bucket = batch.bucket;
        let mut records = Self::default();
        records.push(bucket, Run::of_batch(batch, row_type)?);
        Ok(records)
    }

    /// The records by bucket.
    pub fn buckets(&self) -> &[BucketRecords] {
        &self.buckets
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(BucketRecords::len).sum()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// All records, bucket by bucket.
    pub fn iter(&self) -> impl Iterator<Item = (TableBucket, ScanRecord<'_>)> {
        self.buckets
            .iter()
            .flat_map(|records| records.iter().map(|record| (records.bucket, record)))
    }
}

impl BucketRecords {
    /// The bucket.
    pub const fn bucket(&self) -> TableBucket {
        self.bucket
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.range.len()).sum()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at a position among these.
    pub fn get(&self, index: usize) -> Option<ScanRecord<'_>> {
        let mut left = index;
        for run in &self.runs {
            if left < run.range.len() {
                return Some(run.record(run.range.start + left));
            }
            left -= run.range.len();
        }
        None
    }

    /// The record at a position among these, as columns.
    pub fn batch(&self, index: usize) -> Option<ScanBatch> {
        let mut left = index;
        for run in &self.runs {
            if left < run.range.len() {
                let mut run = run.clone();
                run.split_to(left);
                return Some(run.split_to(1).into_batch(self.bucket));
            }
            left -= run.range.len();
        }
        None
    }

    /// The records as columns.
    pub fn batches(&self) -> impl Iterator<Item = ScanBatch> {
        self.runs.iter().map(|run| run.clone().into_batch(self.bucket))
    }

    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = ScanRecord<'_>> {
        self.runs
            .iter()
            .flat_map(|run| run.range.clone().map(|index| run.record(index)))
    }
}

/// How many bytes the values of a batch have, whatever else the memory holds that they are in.
pub(super) fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    let bytes = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
    bytes.sum()
}

impl Run {
    /// The rows of decoded columns.
    pub(super) fn of_batch(batch: ScanBatch, row_type: &RowType) -> Result<Self, DecodeError> {
        let ScanBatch {
            base_offset,
            kept,
            timestamp,
            schema_id,
            change_types,
            batch,
            ..
        } = batch;
        let rows =
            ArrowRows::new(batch, row_type).map_err(|error| DecodeError::value("record batch", error))?;
        Ok(Self {
            range: 0..rows.len(),
            rows: Arc::new(rows),
            base_offset,
            kept,
            timestamp,
            schema_id,
            change_types,
        })
    }

    /// How many bytes the batch has that the rows are of.
    pub(super) fn bytes(&self) -> usize {
        bytes_of(self.rows.batch())
    }

    /// Takes up to `count` rows off the front.
    pub(super) fn split_to(&mut self, count: usize) -> Self {
        let middle = self.range.start + count.min(self.range.len());
        let front = Self {
            range: self.range.start..middle,
            ..self.clone()
        };
        self.range.start = middle;
        front
    }

    /// The rows as columns.
    pub(super) fn into_batch(self, bucket: TableBucket) -> ScanBatch {
        let Range { start, end } = self.range;
        let types = |types: Arc<[ChangeType]>| types.get(start..end).unwrap_or_default().into();
        let kept = |kept: Arc<[u32]>| kept.get(start..end).unwrap_or_default().into();
        let skipped = if self.kept.is_some() { 0 } else { start };
        ScanBatch {
            bucket,
            base_offset: self.base_offset + skipped as Offset,
            kept: self.kept.map(kept),
            timestamp: self.timestamp,
            schema_id: self.schema_id,
            change_types: self.change_types.map(types),
            batch: self.rows.batch().slice(start, end - start),
        }
    }

    /// The offset of a row of the batch.
    pub(super) fn offset(&self, row: usize) -> Offset {
        offset(self.base_offset, self.kept.as_deref(), row)
    }

    fn record(&self, index: usize) -> ScanRecord<'_> {
        let change_type = self
            .change_types
            .as_ref()
            .and_then(|types| types.get(index).copied());
        ScanRecord {
            offset: self.offset(index),
            timestamp: self.timestamp,
            change_type: change_type.unwrap_or(ChangeType::AppendOnly),
            row: self.rows.row(index),
        }
    }
}

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use super::batch::{Load, Part, Stage};
use super::handle::WriteHandle;
use super::layout::Change;
use super::partitions::Target;
use super::writer::Writer;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::Shape;
use fluss_core::ValueError;
use fluss_core::id::BucketId;
use fluss_core::types::PhysicalTablePath;

/// Changes of one bucket that a server stores as one batch: all of them, or none.
///
/// Changes of a key take effect in the order of the calls. Dropping it before [`send`](Self::send) writes nothing.
///
/// ```
/// # use std::sync::Arc;
/// # use fluss_client::arrow::{array::Int32Array, record_batch::RecordBatch};
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "seats");
/// # let schema = Schema::builder().column("seat", DataType::int()).primary_key(["seat"]).build()?;
/// # let descriptor = TableDescriptor::builder(schema).distributed_by(1, ["seat"]).build()?;
/// # connection.admin().create_table(&path, &descriptor, false).await?;
/// let table = connection.table(&path).await?;
/// let writer = table.upsert_writer()?;
/// writer.upsert(&[1.into()]).await?.wait().await?;
/// # let seats = |seats| RecordBatch::try_from_iter([("seat", Arc::new(Int32Array::from_iter_values(seats)) as _)]);
/// let (others, first) = (seats(2..=3)?, seats(1..=1)?);
/// let mut batch = writer.one_batch(true)?;
/// batch.put(others);
/// batch.delete(first);
/// let stored = batch.send().await?;
/// stored.wait().await?;
/// assert_eq!(stored.rows_stored(), 3);
/// assert_eq!(table.scan().take_rows(10).await?.num_rows(), 2);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is written before `send`"]
pub struct OneBatch {
    writer: Writer,
    rows: Arc<Shape>,
    /// The shape of what is deleted; nothing for a log table.
    keys: Option<Arc<Shape>>,
    changes: Vec<(Change, RecordBatch)>,
}

impl OneBatch {
    pub(super) const fn new(writer: Writer, rows: Arc<Shape>, keys: Option<Arc<Shape>>) -> Self {
        Self {
            writer,
            rows,
            keys,
            changes: Vec::new(),
        }
    }

    /// Adds rows to be stored: upserted, or appended to a log table. All batches have the same schema.
    pub fn put(&mut self, batch: RecordBatch) {
        let change = match self.keys {
            Some(_) => Change::Upsert,
            None => Change::Append,
        };
        self.changes.push((change, batch));
    }

    /// Adds keys whose rows are to be deleted. The batch has the columns of the primary key, and no others.
    pub fn delete(&mut self, keys: RecordBatch) {
        self.changes.push((Change::Delete, keys));
    }

    /// The buckets that the rows go to, and how many go to each. Rows of a log table without bucket key go to one bucket of
    /// each partition.
    ///
    /// # Errors
    ///
    /// A missing or unknown column, a type that does not fit, or a value that the table cannot take.
    pub fn places(&self) -> Result<Vec<(PhysicalTablePath, BucketId, u64)>> {
        let mut places = BTreeMap::new();
        for part in self.parts()? {
            *places.entry(part.target).or_insert(0) += u64::from(part.load.rows);
        }
        let place = |(target, rows): (Target, u64)| {
            let path = self.writer.shared.partitions().physical(target.slot);
            (path, target.bucket, rows)
        };
        Ok(places.into_iter().map(place).collect())
    }

    /// Has the changes sent. The handle tells their fate.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places); rows of several buckets; [`NoMemory`](ErrorKind::NoMemory) if no memory became free in
    /// time. Nothing is sent then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory sends nothing.
    pub async fn send(self) -> Result<WriteHandle> {
        loop {
            let parts = self.parts()?;
            let Some(Part { target, buckets, .. }) = parts.first() else {
                return Ok(WriteHandle::batches(Vec::new()));
            };
            let (target, buckets) = (*target, *buckets);
            if parts.iter().any(|part| part.target != target) {
                let reason = "the rows lie in several buckets, and one batch is of one bucket";
                return Err(self.context(ErrorKind::InvalidArgument(reason.to_owned())));
            }
            let load = Load {
                rows: parts.iter().map(|part| part.load.rows).sum(),
                bytes: parts.iter().map(|part| part.load.bytes).sum(),
            };
            let rows = parts.into_iter().filter_map(|part| match part.stage {
                Stage::Raw(rows) => Some(rows),
                _ => None,
            });
            let encoded = self.writer.shared.layout.encode_together(rows.collect());
            let encoded = encoded.map_err(|error| self.context(error))?;
            let part = Part {
                target,
                buckets,
                stage: Stage::Encoded(encoded),
                load,
                start: 0,
            };
            let reserved = self.writer.reserve(self.change(), load.bytes).await?;
            // How many buckets its partition has may have been found out meanwhile.
            if let Some(delivery) = self.writer.push_whole(part, reserved)? {
                return Ok(WriteHandle::batches(vec![delivery]));
            }
        }
    }

    /// The changes by where they go, each in one piece.
    fn parts(&self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for run in self.changes.chunk_by(|one, next| one.0 == next.0) {
            let Some((change, first)) = run.first() else {
                continue;
            };
            let shape = match (change, &self.keys) {
                (Change::Delete, Some(keys)) => keys,
                _ => &self.rows,
            };
            let batches = run.iter().map(|(_, batch)| batch);
            let batch = concat_batches(&first.schema(), batches)
                .map_err(|error| self.context(ValueError::row(error.to_string())))?;
            let cut = self.writer.cut_whole(*change, shape, &batch);
            parts.extend(cut.map_err(|error| self.context(error))?);
        }
        Ok(parts)
    }

    fn change(&self) -> Change {
        let first = self.changes.first();
        first.map_or(Change::Append, |(change, _)| *change)
    }

    fn context(&self, kind: impl Into<ErrorKind>) -> Error {
        self.writer.context(self.change()).error(kind)
    }
}

impl fmt::Debug for OneBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.changes.iter().map(|(_, batch)| batch.num_rows()).sum();
        f.debug_struct("OneBatch")
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}

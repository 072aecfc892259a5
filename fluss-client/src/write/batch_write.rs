use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::batch::Part;
use super::handle::{Delivery, WriteHandle};
use super::layout::Change;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::shape::Shape;
use fluss_core::ValueError;

/// Arrow batches that are written as one: all of their rows, or none.
///
/// [`add`](Self::add) checks a batch and keeps its rows; [`finish`](Self::finish) has them sent. Dropping it before that
/// writes nothing. Rows that are more than the writer's memory ([`buffer_bytes`](crate::WriterOptions::buffer_bytes))
/// cannot be kept: they are sent as they come, and [`rows_taken`](Self::rows_taken) tells how many were, also in the
/// [context](crate::Context::rows_taken) of errors. [`check`](Self::check) before the first `add` finds what is
/// wrong with such rows before any of them is sent.
#[must_use = "nothing is written before `finish`"]
pub struct BatchWrite {
    writer: Writer,
    change: Change,
    shape: Arc<Shape>,
    kept: Vec<Part>,
    kept_bytes: usize,
    deliveries: Vec<Arc<Delivery>>,
    /// Rows that were added.
    rows: u64,
    /// Those of them that are not kept any more.
    taken: u64,
}

impl BatchWrite {
    pub(super) fn new(writer: Writer, change: Change, shape: Arc<Shape>) -> Self {
        Self {
            writer,
            change,
            shape,
            kept: Vec::new(),
            kept_bytes: 0,
            deliveries: Vec::new(),
            rows: 0,
            taken: 0,
        }
    }

    /// Checks a batch and keeps its rows. Its columns are matched by name.
    ///
    /// # Errors
    ///
    /// A missing or unknown column, a type that does not fit, or a value that the table cannot take: then nothing of the
    /// batch is kept. Rows are counted from the first one that was added. [`NoMemory`](crate::ErrorKind::NoMemory)
    /// if the rows are more than the writer's memory, and none became free in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the batch out, or, where the rows are more than the writer's memory, the part of it that
    /// is not sent yet.
    pub async fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let parts = self.prepare(batch, self.rows).await?;
        self.rows += batch.num_rows() as u64;
        self.kept_bytes += parts.iter().map(|part| part.load.bytes).sum::<usize>();
        self.kept.extend(parts);
        if self.kept_bytes > self.writer.buffer_bytes() {
            self.send_in_parts().await?;
        }
        Ok(())
    }

    /// Checks a batch as [`add`](Self::add) does, and keeps nothing. `row` is the number of its first row among those that
    /// are written as one, which errors count from.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), but for memory.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn check(&self, batch: &RecordBatch, row: u64) -> Result<()> {
        self.prepare(batch, row).await.map(drop)
    }

    /// How many rows were sent before all were added, because they are more than the writer's memory.
    pub const fn rows_taken(&self) -> u64 {
        self.taken
    }

    /// Has the rows sent. The handle tells their fate.
    ///
    /// # Errors
    ///
    /// [`NoMemory`](crate::ErrorKind::NoMemory) if no memory became free in time: then nothing is sent but what
    /// [`rows_taken`](Self::rows_taken) says.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory sends nothing but what [`rows_taken`](Self::rows_taken) says.
    pub async fn finish(mut self) -> Result<WriteHandle> {
        if self.kept_bytes > self.writer.buffer_bytes() {
            self.send_in_parts().await?;
        }
        if !self.kept.is_empty() {
            let reserved = self.writer.reserve(self.change, self.kept_bytes).await;
            let reserved = reserved.map_err(|error| self.told(error))?;
            let kept = std::mem::take(&mut self.kept);
            let pushed = self.writer.push_parts(self.change, kept, reserved);
            let pushed = pushed.map_err(|error| self.told(error))?;
            self.deliveries.extend(pushed);
        }
        Ok(WriteHandle::batches(self.deliveries))
    }

    async fn send_in_parts(&mut self) -> Result<()> {
        for part in std::mem::take(&mut self.kept) {
            let (rows, bytes) = (part.load.rows, part.load.bytes);
            let reserved = self.writer.reserve(self.change, bytes).await;
            let reserved = reserved.map_err(|error| self.told(error))?;
            let pushed = self.writer.push_parts(self.change, vec![part], reserved);
            let pushed = pushed.map_err(|error| self.told(error))?;
            self.deliveries.extend(pushed);
            self.kept_bytes -= bytes;
            self.taken += u64::from(rows);
        }
        Ok(())
    }

    async fn prepare(&self, batch: &RecordBatch, row: u64) -> Result<Vec<Part>> {
        let keys;
        if self.change == Change::Upsert {
            self.check_columns(batch)?;
        }
        let batch = if self.change == Change::Delete {
            keys = self.keys_of(batch)?;
            &keys
        } else {
            batch
        };
        let prepared = self.writer.prepare(self.change, &self.shape, batch).await;
        prepared.map_err(|error| self.told(error.after_rows(row)))
    }

    /// Says what writes some of the columns, to somebody whose batch has no others.
    fn check_columns(&self, batch: &RecordBatch) -> Result<()> {
        let is_missing = |name: &&str| batch.column_by_name(name).is_none();
        let Some(missing) = self.shape.row_type().names().find(is_missing) else {
            return Ok(());
        };
        let reason = "the batch has no such column; only some are written by a partial update \
                      (partial_update in Python, UpsertBuilder::columns in Rust)";
        let context = self.writer.context(self.change);
        Err(self.told(context.error(ValueError::column(missing, reason))))
    }

    /// The columns of the key alone.
    fn keys_of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let key_type = self.shape.row_type();
        let is_key = |column: &usize| key_type.index_of(schema.field(*column).name()).is_some();
        let columns: Vec<usize> = (0..schema.fields().len()).filter(is_key).collect();
        let refused = |error: arrow::error::ArrowError| {
            let context = self.writer.context(self.change);
            self.told(context.error(ValueError::row(error.to_string())))
        };
        batch.project(&columns).map_err(refused)
    }

    /// The same error, with the rows that were taken before.
    fn told(&self, error: Error) -> Error {
        error.after_taking(self.taken)
    }
}

impl fmt::Debug for BatchWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchWrite")
            .field("rows", &self.rows)
            .field("rows_taken", &self.taken)
            .finish_non_exhaustive()
    }
}

//! Changes of all documents.

use std::collections::VecDeque;
use std::sync::Arc;

use fluss_client::arrow::array::{ArrayRef, new_null_array};
use fluss_client::arrow::datatypes::SchemaRef;
use fluss_client::arrow::error::ArrowError;
use fluss_client::arrow::record_batch::RecordBatch;
use fluss_client::filter::{Predicate, col};
use fluss_client::{AsOf, Context, ErrorKind, ScanBuilder, WriteHandle};
use futures::TryStreamExt;

use super::Documents;
use super::columns::ColumnSet;
use super::writers::Writer;
use crate::error::Result;

/// So many batches are written before the first is waited for.
const AT_ONCE: usize = 16;

impl Documents {
    /// Sets columns to null in all documents, and returns how many had a value in one of them. Columns of the primary key are
    /// passed over. When it returns, all changes are acknowledged.
    ///
    /// The documents are those of one moment of each bucket, after earlier writes of this program: a field that is set
    /// meanwhile may stay, or be set to null. A document that another program deletes meanwhile may be there again, with its
    /// key alone.
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a column that does not exist,
    /// takes no null or is filled in by the server, or a table where another column beside the key takes no null. Those of
    /// scans and writes, after which some of the documents may be changed: it is safe to try again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of the documents changed, or none. Later writes come after those that are under way.
    pub async fn clear_columns<S: AsRef<str>>(&self, names: &[S]) -> Result<u64> {
        self.clear(self.shared.columns.cleared(names)?).await
    }

    /// Sets the columns whose names begin with one of these prefixes to null in all documents, as
    /// [`clear_columns`](Self::clear_columns).
    ///
    /// # Errors
    ///
    /// As [`clear_columns`](Self::clear_columns).
    ///
    /// # Cancellation
    ///
    /// As [`clear_columns`](Self::clear_columns).
    pub async fn clear_columns_with_prefix<S: AsRef<str>>(&self, prefixes: &[S]) -> Result<u64> {
        self.clear(self.shared.columns.cleared_by_prefix(prefixes)?).await
    }

    /// Deletes all documents, and returns how many there were. When it returns, all deletes are acknowledged.
    ///
    /// The documents are those of one moment of each bucket, after earlier writes of this program: those that are inserted
    /// meanwhile may stay.
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a table that ignores or refuses
    /// deletes, or that has a column which the server fills in. Those of scans and writes, after which some of the documents
    /// may be deleted: it is safe to try again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of the documents deleted, or none. Later writes come after those that are under way.
    pub async fn truncate(&self) -> Result<u64> {
        self.shared.columns.check_deletes()?;
        let writer = self.writer(&ColumnSet::WHOLE).await?;
        self.sweep(self.shared.table.scan(), &writer, Change::Delete)
            .await
    }

    async fn clear(&self, columns: Vec<usize>) -> Result<u64> {
        if columns.is_empty() {
            return Ok(0);
        }
        let set = self.shared.columns.clearing(&columns)?;
        let has_value = columns
            .iter()
            .map(|column| col(self.shared.columns.name(*column)).is_not_null());
        let scan = self
            .shared
            .table
            .scan()
            .filter(Predicate::Any(has_value.collect()));
        let writer = self.writer(&set).await?;
        let schema = self.schema(&set)?;
        self.sweep(scan, &writer, Change::Clear(schema)).await
    }

    /// Changes all rows that a scan gives, and returns how many there were.
    async fn sweep(&self, scan: ScanBuilder, writer: &Writer, change: Change) -> Result<u64> {
        self.shared.writers.settle().await;
        let scan = scan.project(self.shared.columns.key_names());
        let mut keys = scan.plan(AsOf::Latest).await?.into_stream();
        let mut under_way: VecDeque<WriteHandle> = VecDeque::new();
        let mut rows = 0;
        while let Some(batch) = keys.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            rows += batch.num_rows() as u64;
            let handle = match &change {
                Change::Delete => writer.upserts.delete_arrow(&batch).await?,
                Change::Clear(schema) => {
                    let batch = self.with_nulls(&batch, schema)?;
                    writer.upserts.upsert_arrow(&batch).await?
                }
            };
            self.shared.order.note_many(handle.clone());
            under_way.push_back(handle);
            if under_way.len() > AT_ONCE
                && let Some(first) = under_way.pop_front()
            {
                first.wait().await?;
            }
        }
        for handle in under_way {
            handle.wait().await?;
        }
        Ok(rows)
    }

    /// Keys as rows of a schema, null in its other columns.
    fn with_nulls(&self, keys: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let column = |field: &Arc<fluss_client::arrow::datatypes::Field>| -> ArrayRef {
            let key = keys.column_by_name(field.name()).cloned();
            key.unwrap_or_else(|| new_null_array(field.data_type(), keys.num_rows()))
        };
        let columns = schema.fields().iter().map(column).collect();
        let defect = |error: ArrowError| {
            let context = Context::new("clear columns").table(&self.shared.table.info().path);
            context.error(ErrorKind::Defect(error.to_string()))
        };
        Ok(RecordBatch::try_new(schema.clone(), columns).map_err(defect)?)
    }
}

/// What becomes of the rows that a scan gives.
enum Change {
    /// They are deleted.
    Delete,
    /// They are written as rows of this schema, null beside the key.
    Clear(SchemaRef),
}

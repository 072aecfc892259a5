//! Reads that end.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use fluss_client::{self as client, ScanBatch};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;
use tokio::sync::Mutex;

use crate::arrow::{ArrowTable, RecordBatch};
use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::lend::{Source, check_unread, next, rest, streamed};
use crate::own::Own;
use crate::pending::Pending;
use crate::scanner::{show_changes, shown_schema};

/// Reads parts of logs to their ends.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct BoundedReader {
    reader: Own<Arc<Mutex<client::BoundedReader>>>,
    ends: HashMap<TableBucket, i64>,
    schema: SchemaRef,
}

impl BoundedReader {
    pub(crate) fn new(reader: client::BoundedReader) -> Self {
        let ends = reader.ends().iter();
        Self {
            ends: ends.map(|(bucket, end)| (TableBucket(*bucket), *end)).collect(),
            schema: shown_schema(reader.schema(), reader.table()),
            reader: Own::new(Arc::new(Mutex::new(reader))),
        }
    }
}

#[pymethods]
impl BoundedReader {
    #[getter]
    fn ends(&self) -> HashMap<TableBucket, i64> {
        self.ends.clone()
    }

    /// Raises if it was read to its end already, which whoever reads it now would take for an empty table.
    fn begin(&self) -> PyResult<()> {
        Ok(check_unread(self.reader.get()?)?)
    }

    /// The next batch, or None at the end.
    fn next_batch(&self) -> PyResult<Pending> {
        let reader = self.reader.get()?.clone();
        Ok(Pending::new(next(reader), |py, batch| match batch.take() {
            Some(batch) => Ok(Bound::new(py, RecordBatch::new(batch))?.into_any()),
            None => Ok(py.None().into_bound(py)),
        }))
    }

    /// All that is left, as one table.
    fn read_all(&self) -> PyResult<Pending> {
        let reader = self.reader.get()?.clone();
        let read = rest(reader);
        let schema = self.schema.clone();
        Ok(Pending::new(read, |py, batches| {
            let batches = batches.take().into_iter().map(|batch| batch.batch).collect();
            Ok(Bound::new(py, ArrowTable::new(schema, batches))?.into_any())
        }))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    /// Reads as whoever takes the stream asks for batches.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        streamed(py, self.reader.get()?, &self.schema, requested_schema)
    }
}

impl Source for client::BoundedReader {
    type Batch = ScanBatch;

    async fn next(&mut self) -> Result<Option<ScanBatch>, Fault> {
        Ok(self.next_batch().await?)
    }

    async fn rest(&mut self) -> Result<Vec<ScanBatch>, Fault> {
        Ok(self.collect().await?)
    }

    fn put_back(&mut self, batches: Vec<ScanBatch>) {
        self.put_back(batches);
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }

    fn check_unread(&self) -> Result<(), Fault> {
        Ok(self.check_unread()?)
    }

    fn show(&self, mut batch: ScanBatch) -> Result<ScanBatch, Fault> {
        show_changes(&mut batch, self.table())?;
        Ok(batch)
    }

    fn columns(batch: ScanBatch) -> Columns {
        batch.batch
    }
}

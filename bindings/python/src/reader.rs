//! Reads that end.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use fluss_client::{self as client, ScanBatch};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;

use crate::batch::RecordBatch;
use crate::bucket::TableBucket;
use crate::convert::RowShape;
use crate::error::Fault;
use crate::pending::Pending;
use crate::reading::{Polled, Reading, Source};
use crate::records::ScanRecords;
use crate::scanner::{show_changes, shown_schema};

/// Reads parts of logs to their ends.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct BoundedReader {
    reading: Reading<client::BoundedReader>,
    ends: HashMap<TableBucket, i64>,
    shape: Arc<RowShape>,
}

impl BoundedReader {
    pub(crate) fn new(reader: client::BoundedReader, shape: Arc<RowShape>) -> Self {
        let ends = reader.ends().iter();
        let ends = ends.map(|(bucket, end)| (TableBucket(*bucket), *end)).collect();
        let schema = shown_schema(reader.schema(), reader.table());
        Self {
            reading: Reading::new(reader, schema),
            ends,
            shape,
        }
    }
}

#[pymethods]
impl BoundedReader {
    #[getter]
    fn ends(&self) -> HashMap<TableBucket, i64> {
        self.ends.clone()
    }

    fn begin(&self) -> PyResult<()> {
        self.reading.begin()
    }

    fn next_batch(&self) -> PyResult<Pending> {
        self.reading.next_batch()
    }

    /// The next batch as records, or None at the end.
    fn next_records(&self) -> PyResult<Pending> {
        let shape = self.shape.clone();
        self.reading.poll(None, move |py, polled| match polled {
            Polled::Batch(batch) => ScanRecords::of_batch(batch, shape)?.into_bound_py_any(py),
            Polled::Nothing | Polled::End => Ok(py.None().into_bound(py)),
        })
    }

    fn read_all(&self) -> PyResult<Pending> {
        self.reading.read_all()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_schema(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_stream(py, requested_schema)
    }
}

impl Source for client::BoundedReader {
    type Batch = ScanBatch;
    type Object = RecordBatch;

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

    fn object(batch: ScanBatch, _schema: SchemaRef) -> RecordBatch {
        RecordBatch::new(batch)
    }
}

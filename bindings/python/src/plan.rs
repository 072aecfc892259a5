//! Whole tables, as they are read.

use std::collections::HashMap;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use fluss_client::{self as client, ErrorKind, RowStream};
use futures::TryStreamExt;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;

use crate::arrow::ArrowTable;
use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::own::Own;
use crate::pending::Pending;
use crate::reading::{Reading, Source};

/// A read of a whole table that is planned.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct TableRead(Own<client::TableRead>);

impl TableRead {
    pub(crate) fn new(read: client::TableRead) -> Self {
        Self(Own::new(read))
    }
}

#[pymethods]
impl TableRead {
    fn buckets(&self) -> PyResult<Vec<BucketRead>> {
        let buckets = self.0.get()?.buckets().iter();
        Ok(buckets.map(|read| BucketRead(Own::new(read.clone()))).collect())
    }

    fn reader(&self) -> PyResult<RowReader> {
        let read = self.0.get()?;
        Ok(RowReader::new(
            read.buckets().to_vec(),
            read.clone().into_stream(),
        ))
    }
}

/// The read of one bucket of a table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct BucketRead(Own<client::BucketRead>);

#[pymethods]
impl BucketRead {
    #[getter]
    fn bucket(&self) -> PyResult<TableBucket> {
        Ok(TableBucket(self.0.get()?.bucket()))
    }

    #[getter]
    fn end_offset(&self) -> PyResult<Option<i64>> {
        Ok(self.0.get()?.end_offset())
    }

    fn reader(&self) -> PyResult<RowReader> {
        let read = self.0.get()?;
        Ok(RowReader::new(vec![read.clone()], read.clone().into_stream()))
    }
}

/// Reads the rows of a table, or of one of its buckets.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct RowReader {
    reading: Reading<Rows>,
    buckets: Vec<client::BucketRead>,
}

impl RowReader {
    fn new(buckets: Vec<client::BucketRead>, stream: RowStream) -> Self {
        let schema = stream.schema().clone();
        let rows = Rows {
            stream: Some(stream),
            read: Vec::new(),
            failure: None,
            has_ended: false,
        };
        Self {
            reading: Reading::new(rows, schema),
            buckets,
        }
    }
}

#[pymethods]
impl RowReader {
    #[getter]
    fn offsets(&self) -> HashMap<TableBucket, i64> {
        let buckets = self.buckets.iter();
        let ends = buckets.filter_map(|read| Some((TableBucket(read.bucket()), read.end_offset()?)));
        ends.collect()
    }

    fn begin(&self) -> PyResult<()> {
        self.reading.begin()
    }

    fn next_batch(&self) -> PyResult<Pending> {
        self.reading.next_batch()
    }

    fn read_all(&self) -> PyResult<Pending> {
        self.reading.read_all()
    }

    /// Stops reading.
    fn close(&self) -> PyResult<Pending> {
        let rows = self.reading.source()?.clone();
        Ok(Pending::nothing(async move {
            rows.lock().await.stream = None;
            Ok::<_, Fault>(())
        }))
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

/// Rows that are read once.
struct Rows {
    /// Until it is closed.
    stream: Option<RowStream>,
    /// What a call for all rows has read so far.
    read: Vec<Columns>,
    /// Why it could not be read to its end.
    failure: Option<client::Error>,
    /// Whether somebody was told the end.
    has_ended: bool,
}

impl Rows {
    /// The next rows of the stream, which says once why it fails.
    async fn pull(&mut self) -> Result<Option<Columns>, Fault> {
        let stream = self.stream.as_mut();
        let stream = stream.ok_or_else(|| Fault::new("ClosedError", "the reader is closed"))?;
        if let Some(error) = self.failure.clone().filter(|_| stream.has_ended()) {
            return Err(error.into());
        }
        stream.try_next().await.map_err(|error| {
            self.failure = Some(error.clone());
            error.into()
        })
    }
}

impl Source for Rows {
    type Batch = Columns;
    type Object = ArrowTable;

    async fn next(&mut self) -> Result<Option<Columns>, Fault> {
        // What a call for all rows had read when it was given up comes first.
        let read = std::mem::take(&mut self.read);
        if let Some(stream) = &mut self.stream {
            stream.put_back(read);
        }
        let batch = self.pull().await?;
        self.has_ended = batch.is_none();
        Ok(batch)
    }

    async fn rest(&mut self) -> Result<Vec<Columns>, Fault> {
        self.check_unread()?;
        while let Some(batch) = self.pull().await? {
            self.read.push(batch);
        }
        self.has_ended = true;
        Ok(std::mem::take(&mut self.read))
    }

    fn put_back(&mut self, batches: Vec<Columns>) {
        self.has_ended = false;
        if let Some(stream) = &mut self.stream {
            stream.put_back(batches);
        }
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn check_unread(&self) -> Result<(), Fault> {
        if !self.has_ended {
            return Ok(());
        }
        Err(Fault::new("ArgumentError", ErrorKind::already_read().to_string()))
    }

    fn show(&self, batch: Columns) -> Result<Columns, Fault> {
        Ok(batch)
    }

    fn columns(batch: Columns) -> Columns {
        batch
    }

    fn object(batch: Columns, schema: SchemaRef) -> ArrowTable {
        ArrowTable::new(schema, vec![batch])
    }
}

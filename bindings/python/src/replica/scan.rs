//! Scans of a replica.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use fluss_replica::{Error, Scan};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;

use crate::arrow::ArrowTable;
use crate::error::Fault;
use crate::pending::Pending;
use crate::reading::{Reading, Shelf, Source};

/// Reads rows of a copy, all of one moment.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct ReplicaScan(Reading<Rows>);

impl ReplicaScan {
    pub(super) fn new(scan: Scan) -> Self {
        let schema = scan.schema().clone();
        let rows = Rows {
            scan: Some(scan),
            shelf: Shelf::default(),
            failure: None,
        };
        Self(Reading::new(rows, schema))
    }
}

#[pymethods]
impl ReplicaScan {
    fn begin(&self) -> PyResult<()> {
        self.0.begin()
    }

    fn next_batch(&self) -> PyResult<Pending> {
        self.0.next_batch()
    }

    fn read_all(&self) -> PyResult<Pending> {
        self.0.read_all()
    }

    /// Stops reading.
    fn close(&self) -> PyResult<Pending> {
        let rows = self.0.source()?.clone();
        Ok(Pending::nothing(async move {
            rows.lock().await.scan = None;
            Ok::<_, Fault>(())
        }))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.0.export_schema(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.0.export_stream(py, requested_schema)
    }
}

/// Rows that are read once.
struct Rows {
    /// Until it is closed.
    scan: Option<Scan>,
    /// What was read and nobody has.
    shelf: Shelf<RecordBatch, ()>,
    /// Why it could not be read to its end.
    failure: Option<Error>,
}

impl Rows {
    async fn pull(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let scan = self.scan.as_mut();
        let scan = scan.ok_or_else(|| Fault::new("ClosedError", "the reader is closed"))?;
        if let Some(error) = self.failure.clone() {
            return Err(error.into());
        }
        scan.next_batch().await.map_err(|error| {
            self.failure = Some(error.clone());
            error.into()
        })
    }
}

impl Source for Rows {
    type Batch = RecordBatch;
    type Object = ArrowTable;

    async fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let next = match self.shelf.pop() {
            Some(read) => Some(read),
            None => self.pull().await?.map(|batch| (batch, None)),
        };
        Ok(self.shelf.give(next, None).0)
    }

    async fn rest(&mut self) -> Result<Vec<RecordBatch>, Fault> {
        self.check_unread()?;
        while let Some(batch) = self.pull().await? {
            self.shelf.push(batch, None);
        }
        Ok(self.shelf.give_all(None).0)
    }

    fn put_back(&mut self, batches: Vec<RecordBatch>) {
        self.shelf.put_back(batches);
    }

    fn has_ended(&self) -> bool {
        self.shelf.has_ended()
    }

    fn check_unread(&self) -> Result<(), Fault> {
        self.shelf
            .check_unread("the rows were read to their end: scan them anew")
    }

    fn show(&self, batch: RecordBatch) -> Result<RecordBatch, Fault> {
        Ok(batch)
    }

    fn columns(batch: RecordBatch) -> RecordBatch {
        batch
    }

    fn object(batch: RecordBatch, schema: SchemaRef) -> ArrowTable {
        ArrowTable::new(schema, vec![batch])
    }
}

//! Batches of records.

use fluss_client::ScanBatch;
use fluss_client::types::Timestamp;
use fluss_core::arrow::recast;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

use crate::arrow::{library, pandas, requested, row_field, to_array};
use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::pickle;

/// What a batch is made of: its bucket, the offset of the first row that was read, which of those rows are left, the time,
/// and an Arrow IPC stream.
type BatchParts<'py> = (TableBucket, i64, Option<Vec<u32>>, i64, Bound<'py, PyBytes>);

/// Consecutive records of one bucket as columns.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct RecordBatch(ScanBatch);

impl RecordBatch {
    pub(crate) const fn new(batch: ScanBatch) -> Self {
        Self(batch)
    }
}

#[pymethods]
impl RecordBatch {
    #[getter]
    fn bucket(&self) -> TableBucket {
        TableBucket(self.0.bucket)
    }

    #[getter]
    fn batch(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        Self::to_pyarrow(slf)
    }

    #[getter]
    fn base_offset(&self) -> i64 {
        self.0.offset(0)
    }

    #[getter]
    fn last_offset(&self) -> i64 {
        match self.0.batch.num_rows() {
            0 => self.0.base_offset - 1,
            rows => self.0.offset(rows - 1),
        }
    }

    #[getter]
    fn offsets(&self) -> Vec<i64> {
        self.0.offsets().values().to_vec()
    }

    #[getter]
    fn timestamp(&self) -> i64 {
        self.0.timestamp.millis()
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.0.batch.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0
            .batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    fn __len__(&self) -> usize {
        self.0.batch.num_rows()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, BatchParts<'py>)> {
        let scanned = &self.0;
        let bytes = pickle::to_bytes(scanned.batch.schema_ref(), std::slice::from_ref(&scanned.batch))?;
        let kept = scanned.kept.as_ref().map(|kept| kept.to_vec());
        let bytes = PyBytes::new(py, &bytes);
        let parts = (
            self.bucket(),
            scanned.base_offset,
            kept,
            scanned.timestamp.millis(),
            bytes,
        );
        Ok((py.get_type::<Self>().getattr("_restore")?, parts))
    }

    #[staticmethod]
    #[pyo3(signature = (bucket, base_offset, kept, timestamp, bytes))]
    fn _restore(
        bucket: TableBucket,
        base_offset: i64,
        kept: Option<Vec<u32>>,
        timestamp: i64,
        bytes: &[u8],
    ) -> Result<Self, Fault> {
        let (_, batches) = pickle::from_bytes(bytes)?;
        let batch = batches.into_iter().next();
        Ok(Self(ScanBatch {
            bucket: bucket.0,
            base_offset,
            kept: kept.map(Into::into),
            timestamp: Timestamp::from_millis(timestamp),
            schema_id: None,
            change_types: None,
            batch: batch.ok_or_else(|| Fault::new("DataError", "this is no batch"))?,
        }))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.batch.schema_ref().as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let mut batch = self.0.batch.clone();
        if let Some(wanted) = requested(requested_schema)? {
            batch = recast(&batch, &wanted).map_err(|error| PyErr::from(Fault::from(error)))?;
        }
        to_array_pycapsules(py, row_field(batch.schema_ref()), &to_array(batch), None)
    }

    fn to_pyarrow(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pyarrow", "pyarrow")?.call_method1("record_batch", (slf,))
    }

    #[pyo3(signature = (*, dtype_backend=None, types_mapper=None))]
    fn to_pandas<'py>(
        slf: Bound<'py, Self>,
        dtype_backend: Option<Bound<'py, PyAny>>,
        types_mapper: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pandas("record_batch", slf.into_any(), dtype_backend, types_mapper)
    }

    fn to_polars(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "polars", "polars")?.call_method1("DataFrame", (slf,))
    }

    fn __repr__(&self) -> String {
        format!(
            "RecordBatch(bucket={}, base_offset={}, num_rows={})",
            self.0.bucket.bucket,
            self.0.base_offset,
            self.0.batch.num_rows()
        )
    }
}

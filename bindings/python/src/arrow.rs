//! Arrow data in and out, by the Arrow `PyCapsule` interface.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch as Batch, RecordBatchReader, StructArray};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use fluss_client::{ScanBatch, Snapshot};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::input::AnyRecordBatch;

use crate::error::{self, Fault};
use crate::path::TableBucket;

/// Arrow data that goes in, batch by batch.
pub(crate) struct Incoming(Box<dyn RecordBatchReader + Send>);

impl<'py> FromPyObject<'_, 'py> for Incoming {
    type Error = PyErr;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if !(data.hasattr("__arrow_c_stream__")? || data.hasattr("__arrow_c_array__")?) {
            let kind = data.get_type().qualname()?;
            return Err(error::kind(format!(
                "Arrow data is expected, such as a pyarrow Table or a pandas or polars DataFrame: anything with \
                 __arrow_c_stream__ or __arrow_c_array__, and not {kind}"
            )));
        }
        imported(|| Ok(Self(data.extract::<AnyRecordBatch>()?.into_reader()?)))?
    }
}

impl Iterator for Incoming {
    type Item = Result<Batch, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match imported(|| self.0.next()) {
            Ok(next) => next.map(|batch| batch.map_err(|error| Fault::new("DataError", error.to_string()))),
            Err(fault) => Some(Err(fault)),
        }
    }
}

/// What an import gives. Arrow 59 panics at a slice of structs within structs, whose offset it counts twice.
fn imported<T>(import: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(import)).map_err(|_| {
        let message = "the Arrow data cannot be taken as it is: a slice of structs within structs has to be copied \
                       first, with pyarrow by data.take(list(range(len(data))))";
        Fault::new("DataError", message)
    })
}

/// Columns that were read: batches of one schema.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ArrowTable {
    schema: SchemaRef,
    batches: Vec<Batch>,
    /// Of a whole table: which moment of each bucket it shows.
    offsets: HashMap<TableBucket, i64>,
}

impl ArrowTable {
    pub(crate) fn new(schema: SchemaRef, batches: Vec<Batch>) -> Self {
        Self {
            schema,
            batches,
            offsets: HashMap::new(),
        }
    }

    pub(crate) fn of_snapshot(snapshot: Snapshot) -> Self {
        let offsets = snapshot.offsets().iter();
        Self {
            offsets: offsets
                .map(|(bucket, offset)| (TableBucket(*bucket), *offset))
                .collect(),
            schema: snapshot.schema().clone(),
            batches: snapshot.into_batches(),
        }
    }
}

#[pymethods]
impl ArrowTable {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(Batch::num_rows).sum()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.schema.fields().len()
    }

    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect()
    }

    #[getter]
    fn offsets(&self) -> HashMap<TableBucket, i64> {
        self.offsets.clone()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let batches = self.batches.clone().into_iter().map(Ok);
        stream(py, &self.schema, batches, requested_schema)
    }

    fn to_pyarrow(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pyarrow", "pyarrow")?.call_method1("table", (slf,))
    }

    fn to_pandas(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pandas", "pandas")?;
        library(slf.py(), "pyarrow", "pandas")?
            .call_method1("table", (slf,))?
            .call_method0("to_pandas")
    }

    fn to_polars(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "polars", "polars")?.call_method1("DataFrame", (slf,))
    }

    fn __repr__(&self) -> String {
        format!(
            "ArrowTable(num_rows={}, columns={:?})",
            self.num_rows(),
            self.column_names()
        )
    }
}

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
        self.0.timestamp
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

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.batch.schema_ref().as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let field = row_field(self.0.batch.schema_ref());
        to_array_pycapsules(py, field, &to_array(self.0.batch.clone()), requested_schema)
    }

    fn to_pyarrow(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pyarrow", "pyarrow")?.call_method1("record_batch", (slf,))
    }

    fn to_pandas(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pandas", "pandas")?;
        library(slf.py(), "pyarrow", "pandas")?
            .call_method1("record_batch", (slf,))?
            .call_method0("to_pandas")
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

/// Batches of one schema as any Arrow library takes them, one after the other.
pub(crate) fn stream<'py>(
    py: Python<'py>,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<Batch, ArrowError>> + Send + 'static,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyArrowResult<Bound<'py, PyCapsule>> {
    let arrays = batches.map(|batch| batch.map(to_array));
    let stream = ArrayIterator::new(arrays, row_field(schema));
    to_stream_pycapsule(py, Box::new(stream), requested_schema)
}

fn row_field(schema: &SchemaRef) -> Arc<Field> {
    Field::new_struct("", schema.fields().clone(), false)
        .with_metadata(schema.metadata().clone())
        .into()
}

fn to_array(batch: Batch) -> ArrayRef {
    Arc::new(StructArray::from(batch))
}

/// A library that is imported only when asked for.
fn library<'py>(py: Python<'py>, name: &str, extra: &str) -> PyResult<Bound<'py, PyModule>> {
    py.import(name).map_err(|error| {
        if error.is_instance_of::<PyImportError>(py) {
            let message = format!("this needs {name}: pip install 'fluss-client[{extra}]'");
            let raised = PyImportError::new_err(message);
            raised.set_cause(py, Some(error));
            return raised;
        }
        error
    })
}

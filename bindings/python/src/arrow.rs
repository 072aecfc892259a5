//! Arrow data in and out, by the Arrow `PyCapsule` interface.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch as Batch, RecordBatchReader, StructArray};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use fluss_client::types::Timestamp;
use fluss_client::{ScanBatch, Snapshot};
use fluss_core::arrow::{check_recast, recast};
use fluss_rpc::sync::Mutex;
use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyTuple};
use pyo3_arrow::PySchema;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};

use crate::blocking::may_block;
use crate::bucket::TableBucket;
use crate::error::{self, Fault};
use crate::import;
use crate::pickle;
use crate::schema::Schema;

/// Arrow data that goes in, batch by batch.
///
/// Its source may wait, and be Python code, also such that calls this client: it is asked only on a thread that may block.
pub(crate) struct Incoming {
    batches: Box<dyn RecordBatchReader + Send>,
    is_in_memory: bool,
}

impl<'py> FromPyObject<'_, 'py> for Incoming {
    type Error = PyErr;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Some(reader) = imported(|| import::reader(&data))?? else {
            let kind = data.get_type().qualname()?;
            return Err(error::kind(format!(
                "Arrow data is expected, such as a pyarrow Table or a pandas or polars DataFrame: anything with \
                 __arrow_c_stream__ or __arrow_c_array__, and not {kind}"
            )));
        };
        Ok(Self {
            batches: reader.map_err(|error| Fault::new("DataError", error.to_string()))?,
            // A table or data frame has a length, a reader or generator has none.
            is_in_memory: data.hasattr(intern!(data.py(), "__len__"))?,
        })
    }
}

impl Incoming {
    /// The columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }

    /// Whether all of it is in memory, whoever reads it.
    pub(crate) const fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// The next batch, and what is behind it. It is asked for on the thread of the call that blocks, or else on one of the
    /// runtime's that is there to be blocked.
    pub(crate) async fn pull(self) -> Result<(Self, Option<Batch>), Fault> {
        let pull = move || {
            let mut data = self;
            let batch = data.next().transpose()?;
            Ok((data, batch))
        };
        if may_block() {
            return pull();
        }
        let pulled = tokio::task::spawn_blocking(pull).await;
        pulled.unwrap_or_else(|error| Err(Fault::new("FlussError", format!("the client failed: {error}"))))
    }

    fn next(&mut self) -> Option<Result<Batch, Fault>> {
        match imported(|| self.batches.next()) {
            Ok(next) => next.map(|batch| batch.map_err(|error| Fault::new("DataError", error.to_string()))),
            Err(fault) => Some(Err(fault)),
        }
    }
}

/// What an import gives: of data that Arrow panics at, an error.
fn imported<T>(import: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(import)).map_err(|_| {
        let message = "the Arrow data cannot be read: it is not laid out as Arrow says";
        Fault::new("DataError", message)
    })
}

/// Arrow data that is read once, as it comes.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct ArrowStream(Mutex<Option<(SchemaRef, Batches)>>);

type Batches = Box<dyn Iterator<Item = Result<Batch, ArrowError>> + Send>;

#[pymethods]
impl ArrowStream {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let taken = self.0.lock().take();
        let (schema, batches) = taken.ok_or_else(|| error::argument("the Arrow data was read already"))?;
        stream(py, &schema, batches, requested_schema)
    }
}

/// Arrow data for a table, with the timestamps that have no zone in UTC where the table has a `TIMESTAMP_LTZ`.
#[pyfunction]
pub(crate) fn assume_utc(data: Incoming, schema: &Schema) -> Result<ArrowStream, Fault> {
    let row_type = schema.0.row_type().clone();
    let zoned = fluss_core::arrow::assume_utc(&Batch::new_empty(data.batches.schema()), &row_type);
    let zoned = zoned.map_err(|error| Fault::new("DataError", error.to_string()))?;
    let batches = data
        .batches
        .map(move |batch| fluss_core::arrow::assume_utc(&batch?, &row_type));
    Ok(ArrowStream(Mutex::new(Some((zoned.schema(), Box::new(batches))))))
}

/// What a table is made of: an Arrow IPC stream, and the moments of its buckets.
type TableParts<'py> = (Bound<'py, PyBytes>, HashMap<TableBucket, i64>);

/// What a batch is made of: its bucket, the offset of the first row that was read, which of those rows are left, the time,
/// and an Arrow IPC stream.
type BatchParts<'py> = (TableBucket, i64, Option<Vec<u32>>, i64, Bound<'py, PyBytes>);

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

    /// The columns.
    #[cfg(feature = "sql")]
    pub(crate) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows.
    #[cfg(feature = "sql")]
    pub(crate) fn batches(&self) -> &[Batch] {
        &self.batches
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

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, TableParts<'py>)> {
        let bytes = pickle::to_bytes(&self.schema, &self.batches)?;
        let restore = py.get_type::<Self>().getattr("_restore")?;
        Ok((restore, (PyBytes::new(py, &bytes), self.offsets.clone())))
    }

    #[staticmethod]
    fn _restore(bytes: &[u8], offsets: HashMap<TableBucket, i64>) -> Result<Self, Fault> {
        let (schema, batches) = pickle::from_bytes(bytes)?;
        Ok(Self {
            schema,
            batches,
            offsets,
        })
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

    #[pyo3(signature = (*, dtype_backend=None, types_mapper=None))]
    fn to_pandas<'py>(
        slf: Bound<'py, Self>,
        dtype_backend: Option<Bound<'py, PyAny>>,
        types_mapper: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pandas("table", slf.into_any(), dtype_backend, types_mapper)
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

/// Batches of one schema as any Arrow library takes them, one after the other.
pub(crate) fn stream<'py>(
    py: Python<'py>,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<Batch, ArrowError>> + Send + 'static,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyArrowResult<Bound<'py, PyCapsule>> {
    let batches = Caught(batches);
    let Some(wanted) = requested(requested_schema)? else {
        let arrays = batches.map(|batch| batch.map(to_array));
        let stream = ArrayIterator::new(arrays, row_field(schema));
        return to_stream_pycapsule(py, Box::new(stream), None);
    };
    check_recast(schema, &wanted).map_err(|error| PyErr::from(Fault::from(error)))?;
    let field = row_field(&wanted);
    let arrays = batches.map(move |batch| {
        let fitted = recast(&batch?, &wanted);
        fitted
            .map(to_array)
            .map_err(|error| ArrowError::CastError(error.to_string()))
    });
    to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, field)), None)
}

/// The schema that is asked for. `pyo3-arrow` would cast to it, but what does not fit would become null.
fn requested(schema: Option<Bound<'_, PyCapsule>>) -> PyResult<Option<SchemaRef>> {
    let schema = schema.map(|capsule| PySchema::from_arrow_pycapsule(&capsule));
    Ok(schema.transpose()?.map(PySchema::into_inner))
}

/// A data frame of pandas, made by pyarrow of what it calls `kind`.
fn pandas<'py>(
    kind: &str,
    data: Bound<'py, PyAny>,
    dtype_backend: Option<Bound<'py, PyAny>>,
    types_mapper: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    library(py, "pandas", "pandas")?;
    let columns = library(py, "pyarrow", "pandas")?.call_method1(kind, (data,))?;
    py.import("fluss._pandas")?
        .call_method1("to_pandas", (columns, dtype_backend, types_mapper))
}

/// Batches for a library that is not to see a panic, which would end the process.
struct Caught<I>(I);

impl<I: Iterator<Item = Result<Batch, ArrowError>>> Iterator for Caught<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        catch_unwind(AssertUnwindSafe(|| self.0.next())).unwrap_or_else(|_| {
            let message = "the client failed: a panic".to_owned();
            Some(Err(ArrowError::ExternalError(message.into())))
        })
    }
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
pub(crate) fn library<'py>(py: Python<'py>, name: &str, extra: &str) -> PyResult<Bound<'py, PyModule>> {
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

//! Arrow data in and out, by the Arrow `PyCapsule` interface.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch as Batch, RecordBatchReader, StructArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use fluss_client::Snapshot;
use fluss_core::arrow::{check_recast, data_bytes, recast};
use fluss_rpc::sync::Mutex;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList, PySlice};
use pyo3_arrow::PySchema;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

use crate::blocking::may_block;
use crate::bucket::TableBucket;
use crate::columns::{ArrowColumn, ArrowSchema};
use crate::convert::extend_rows;
use crate::error::{self, Fault};
pub(crate) use crate::library::library;
use crate::parts::{ArrowParts, Reader, imported, reader, unreadable};
use crate::pickle;
use crate::schema::Schema;

/// Arrow data that goes in, batch by batch.
///
/// Its source may wait, and be Python code, also such that calls this client: it is asked only on a thread that may block.
pub(crate) struct Incoming {
    batches: Reader,
    is_in_memory: bool,
}

impl<'py> FromPyObject<'_, 'py> for Incoming {
    type Error = PyErr;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(parts) = data.cast::<ArrowParts>() {
            let parts = parts.get();
            return Ok(Self {
                batches: Box::new(parts.read(data.py())),
                is_in_memory: parts.is_in_memory,
            });
        }
        Ok(Self {
            batches: reader(&data)?,
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

    /// All that is left, on a thread that may be blocked.
    fn rest(mut self) -> Result<Vec<Batch>, Fault> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&mut self) -> Option<Result<Batch, Fault>> {
        match imported(|| self.batches.next()) {
            Ok(next) => next.map(|batch| batch.map_err(unreadable)),
            Err(fault) => Some(Err(fault)),
        }
    }
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
    pub(crate) const fn schema_ref(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows.
    pub(crate) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    fn column(&self, name: &str) -> PyResult<ArrowColumn> {
        let Some((place, field)) = self.schema.column_with_name(name) else {
            let message = format!("there is no column '{name}': there are {:?}", self.column_names());
            return Err(PyKeyError::new_err(message));
        };
        let chunks = self.batches.iter().map(|batch| batch.column(place).clone());
        Ok(ArrowColumn::new(Arc::new(field.clone()), chunks.collect()))
    }

    /// Some of the rows: of a range without steps no value is copied.
    fn slice(&self, rows: &Bound<'_, PySlice>) -> PyResult<Self> {
        let length = isize::try_from(self.num_rows()).map_err(|_| error::defect("so many rows"))?;
        let rows = rows.indices(length)?;
        let (start, count) = (rows.start.cast_unsigned(), rows.slicelength);
        if rows.step == 1 {
            return Ok(self.range(start, count));
        }
        let places =
            (0..count).map(|place| start.wrapping_add_signed(rows.step.wrapping_mul(place.cast_signed())));
        let places: UInt64Array = places.map(|place| place as u64).collect();
        let taken = concat_batches(&self.schema, &self.batches)
            .and_then(|all| take_record_batch(&all, &places))
            .map_err(unreadable)?;
        Ok(Self::new(self.schema.clone(), vec![taken]))
    }

    /// So many rows from one on.
    fn range(&self, start: usize, count: usize) -> Self {
        let (mut skipped, mut left) = (start, count);
        let mut batches = Vec::new();
        for batch in &self.batches {
            let begin = skipped.min(batch.num_rows());
            let rows = left.min(batch.num_rows() - begin);
            if rows > 0 {
                batches.push(batch.slice(begin, rows));
            }
            (skipped, left) = (skipped - begin, left - rows);
        }
        Self::new(self.schema.clone(), batches)
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
    /// Reads any Arrow data whole.
    #[new]
    fn of_data(py: Python<'_>, data: Incoming) -> PyResult<Self> {
        let schema = data.schema();
        let batches = py.detach(|| data.rest())?;
        Ok(Self::new(schema, batches))
    }

    /// One table of the rows of several that have these columns.
    #[staticmethod]
    fn concat(schema: PySchema, tables: Vec<PyRef<'_, Self>>) -> Self {
        let batches = tables.into_iter().flat_map(|table| table.batches.clone());
        Self::new(schema.into_inner(), batches.collect())
    }

    /// The columns: names and types.
    #[getter]
    fn schema(&self) -> ArrowSchema {
        ArrowSchema::of(self.schema.clone())
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.batches.iter().map(data_bytes).sum()
    }

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

    fn __getitem__<'py>(&self, py: Python<'py>, key: Key<'py>) -> PyResult<Bound<'py, PyAny>> {
        match key {
            Key::Column(name) => self.column(&name)?.into_bound_py_any(py),
            Key::Rows(rows) => self.slice(&rows)?.into_bound_py_any(py),
            Key::Other(key) => Err(error::kind(format!(
                "the name of a column or a slice of rows is expected, and not {key}"
            ))),
        }
    }

    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for batch in &self.batches {
            extend_rows(&list, batch, true)?;
        }
        Ok(list)
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

    pub(crate) fn to_polars(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
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

/// What is asked of a table by an index.
#[derive(FromPyObject)]
enum Key<'py> {
    Column(String),
    Rows(Bound<'py, PySlice>),
    Other(Bound<'py, PyAny>),
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
pub(crate) fn requested(schema: Option<Bound<'_, PyCapsule>>) -> PyResult<Option<SchemaRef>> {
    let schema = schema.map(|capsule| PySchema::from_arrow_pycapsule(&capsule));
    Ok(schema.transpose()?.map(PySchema::into_inner))
}

/// A data frame of pandas, made by pyarrow of what it calls `kind`.
pub(crate) fn pandas<'py>(
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

pub(crate) fn row_field(schema: &SchemaRef) -> Arc<Field> {
    Field::new_struct("", schema.fields().clone(), false)
        .with_metadata(schema.metadata().clone())
        .into()
}

pub(crate) fn to_array(batch: Batch) -> ArrayRef {
    Arc::new(StructArray::from(batch))
}

//! Reads of a replica. They wait for nobody, and are the same calls in both faces.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use fluss_core::arrow::{ColumnsBuilder, user_schema};
use fluss_replica::{self as replica, HeldRow, Rows};
use fluss_rpc::sync::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyIterator, PyList, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use super::ReplicaCore;
use super::columns::{Columns, Reading, Wanted, listed, row};
use super::many::found;
use super::scan::ReplicaScan;
use crate::arrow::{ArrowTable, Incoming, library};
use crate::blocking::block_on;
use crate::convert::{Key, Maps, RowShape, key_from_python};
use crate::error::Fault;
use crate::own::Own;
use crate::table::{ColumnArgument, names};

/// Reads rows of a replica.
#[pyclass(frozen, subclass, module = "fluss._fluss")]
pub(crate) struct ReplicaReads {
    replica: Own<replica::Replica>,
    /// What the last read has made for the columns that are held.
    columns: Mutex<Option<Arc<Columns>>>,
}

impl ReplicaReads {
    /// What was made for the columns by an earlier read, or is made now.
    fn columns(&self, py: Python<'_>) -> PyResult<Arc<Columns>> {
        let known = self.columns.lock().clone();
        known.map_or_else(|| self.look(py), Ok)
    }

    fn look(&self, py: Python<'_>) -> PyResult<Arc<Columns>> {
        let looked = self
            .replica
            .get_at_once()?
            .read(|rows| Ok((rows.layout(), rows.key_type().clone(), rows.row_type().clone())));
        let (layout, key_type, row_type) = looked.map_err(Fault::from)?;
        let columns = Arc::new(Columns {
            layout,
            nullable_key: key_type.nullable(),
            key_type,
            shape: RowShape::new(py, row_type, Maps::Dict),
        });
        *self.columns.lock() = Some(columns.clone());
        Ok(columns)
    }

    /// Reads what there is of keys. `prepare` converts them before, which may call Python code; `read` calls none, and reads
    /// nothing if other columns are held since.
    fn prepared<K, T>(
        &self,
        py: Python<'_>,
        exact: bool,
        prepare: impl Fn(&Columns) -> PyResult<K>,
        read: impl Fn(&Reading<'_>, &K) -> PyResult<Option<T>>,
    ) -> PyResult<T> {
        let replica = self.replica.get_at_once()?;
        let mut columns = self.columns(py)?;
        loop {
            let keys = match prepare(&columns) {
                Ok(keys) => keys,
                Err(error) => {
                    let held = self.look(py)?;
                    if held.layout == columns.layout {
                        return Err(error);
                    }
                    columns = held;
                    continue;
                }
            };
            let reading = Reading {
                replica,
                columns: &columns,
                exact,
            };
            if let Some(found) = read(&reading, &keys)? {
                return Ok(found);
            }
            drop(keys);
            columns = self.look(py)?;
        }
    }

    /// As [`prepared`](Self::prepared), all of one moment, on this thread.
    fn single<K, T>(
        &self,
        py: Python<'_>,
        exact: bool,
        prepare: impl Fn(&Columns) -> PyResult<K>,
        read: impl Fn(&Reading<'_>, &mut Rows<'_>, &K) -> PyResult<T>,
    ) -> PyResult<T> {
        self.prepared(py, exact, prepare, |reading, key| {
            let read = |rows: &mut Rows<'_>| Ok(reading.fits(rows).then(|| read(reading, rows, key)));
            let found = reading.replica.read(read).map_err(Fault::from)?;
            found.transpose()
        })
    }

    fn one<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
        wanted: Wanted,
        exact: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let replica = self.replica.get_at_once()?;
        self.single(
            py,
            exact,
            |columns| Ok((columns.place(replica, column, wanted)?, columns.key(key)?)),
            |reading, rows, (place, key)| {
                let found = row(rows, key)?;
                found.map(|row| reading.value(py, row, *place)).transpose()
            },
        )
    }

    /// What is made of the rows of keys, all of one moment, in their order.
    fn each<P, T>(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        exact: bool,
        prepare: impl Fn(&Columns) -> PyResult<P>,
        make: impl Fn(&Reading<'_>, &P, HeldRow<'_>) -> PyResult<T>,
    ) -> PyResult<Vec<Option<T>>> {
        let listed = listed(keys)?;
        self.prepared(
            py,
            exact,
            |columns| Ok((prepare(columns)?, columns.keys(&listed)?)),
            |reading, (prepared, keys)| found(py, reading, keys, |row| make(reading, prepared, row)),
        )
    }

    fn many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column: &str,
        wanted: Wanted,
        exact: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let replica = self.replica.get_at_once()?;
        let values = self.each(
            py,
            keys,
            exact,
            |columns| columns.place(replica, column, wanted),
            |reading, place, row| reading.value(py, row, *place),
        )?;
        PyList::new(py, values)
    }
}

#[pymethods]
impl ReplicaReads {
    #[new]
    #[pyo3(signature = (core, *_others))]
    fn new(core: &ReplicaCore, _others: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self {
            replica: Own::new(core.0.get()?.clone()),
            columns: Mutex::default(),
        })
    }

    /// The row of a key as a dict, or None.
    ///
    /// With ``exact``, moments come as of `fluss.client.ScanRecord.get_row`.
    #[pyo3(signature = (key, *, exact=false))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        exact: bool,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.single(
            py,
            exact,
            |columns| columns.key(key),
            |reading, rows, key| {
                let found = row(rows, key)?;
                found.map(|row| reading.dict(py, row)).transpose()
            },
        )
    }

    /// The value of a column in the row of a key; None if there is no such row, or none in it.
    #[pyo3(signature = (key, column, *, exact=false))]
    fn get_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
        exact: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::Any, exact)
    }

    /// The text in a column of STRING or CHAR; None if there is none.
    fn get_string_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::String, false)
    }

    /// The bytes in a column of BYTES or BINARY; None if there are none.
    fn get_bytes_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::Bytes, false)
    }

    /// The number in a column of TINYINT, SMALLINT, INT or BIGINT; None if there is none.
    fn get_int_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::Int, false)
    }

    /// The number in a column of FLOAT or DOUBLE; None if there is none.
    fn get_float_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::Float, false)
    }

    /// What is in a column of BOOLEAN; None if there is nothing.
    fn get_bool_value<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.one(py, key, column, Wanted::Bool, false)
    }

    /// The rows of keys in their order, all of one moment, with None for those that are not there.
    #[pyo3(signature = (keys, *, exact=false))]
    fn multiget<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        exact: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let made = |reading: &Reading<'_>, (): &(), row: HeldRow<'_>| reading.dict(py, row);
        let found = self.each(py, keys, exact, |_| Ok(()), made)?;
        PyList::new(py, found)
    }

    /// The values of a column in the rows of keys, in their order, all of one moment, with None for those that are not
    /// there.
    #[pyo3(signature = (keys, column, *, exact=false))]
    fn multiget_values<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column: &str,
        exact: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        self.many(py, keys, column, Wanted::Any, exact)
    }

    /// As `multiget_values`, of a column of STRING or CHAR, as an iterator.
    fn multiget_string_values<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Bound<'py, PyIterator>> {
        self.many(py, keys, column, Wanted::String, false)?.try_iter()
    }

    /// As `multiget_values`, of a column of BYTES or BINARY, as an iterator.
    fn multiget_bytes_values<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Bound<'py, PyIterator>> {
        self.many(py, keys, column, Wanted::Bytes, false)?.try_iter()
    }

    /// The rows of keys in their order, all of one moment, as one Arrow table.
    ///
    /// Keys are a list of them, or Arrow data with the columns of the primary key; others are passed over. Where a key
    /// has no row, or a null in it, all columns are null.
    fn multiget_arrow(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<ArrowTable> {
        let replica = self.replica.get_at_once()?;
        let is_arrow = keys.hasattr(intern!(py, "__arrow_c_stream__"))?
            || keys.hasattr(intern!(py, "__arrow_c_array__"))?;
        let keys = if is_arrow {
            let mut data: Incoming = keys.extract()?;
            let schema = data.schema();
            let pulling = async move {
                let mut batches = Vec::new();
                loop {
                    let batch;
                    (data, batch) = data.pull().await?;
                    match batch {
                        Some(batch) => batches.push(batch),
                        None => return Ok::<_, Fault>(batches),
                    }
                }
            };
            let batches = block_on(py, pulling, None)??;
            let joined = concat_batches(&schema, &batches);
            joined.map_err(|error| Fault::new("DataError", error.to_string()))?
        } else {
            let key_type = &self.fresh_columns(py)?.nullable_key;
            let mut columns = ColumnsBuilder::new(key_type, 0);
            for key in listed(keys)? {
                let key = Key::from_python(&key, key_type).map_err(Fault::from)?;
                columns.append(&key).map_err(Fault::from)?;
            }
            columns.finish().map_err(Fault::from)?
        };
        let found: RecordBatch = py.detach(|| replica.get_arrow(&keys)).map_err(Fault::from)?;
        Ok(ArrowTable::new(found.schema(), vec![found]))
    }

    /// Begins to read the rows whose keys begin with some values.
    fn read_rows(
        &self,
        py: Python<'_>,
        prefix: &Bound<'_, PyAny>,
        columns: Option<Vec<ColumnArgument>>,
    ) -> PyResult<ReplicaScan> {
        let replica = self.replica.get_at_once()?;
        let held = self.fresh_columns(py)?;
        let is_row = prefix.is_instance_of::<PyDict>()
            || prefix.is_instance_of::<PyList>()
            || prefix.is_instance_of::<PyTuple>();
        let given = if is_row { prefix.len()? } else { 1 };
        let places: Vec<usize> = (0..given.min(held.key_type.len())).collect();
        let of_prefix = held.key_type.project(&places);
        let prefix = key_from_python(prefix, &of_prefix, None).map_err(Fault::from)?;
        let columns = columns.map(|columns| names(columns, held.shape.row_type()));
        let columns = columns.transpose()?;
        let scan = py.detach(|| replica.scan(&prefix, columns.as_deref()));
        Ok(ReplicaScan::new(scan.map_err(Fault::from)?))
    }

    /// The number of rows.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let replica = self.replica.get_at_once()?;
        Ok(py.detach(|| replica.count()).map_err(Fault::from)?)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.count(py)?).unwrap_or(usize::MAX))
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.single(
            py,
            false,
            |columns| columns.key(key),
            |_, rows, key| Ok(row(rows, key)?.is_some()),
        )
    }

    /// The names of the columns that are held.
    #[getter]
    fn column_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let columns = self.fresh_columns(py)?;
        Ok(columns.shape.row_type().names().map(str::to_owned).collect())
    }

    /// The columns that are held, as a ``pyarrow.Schema``. Needs pyarrow.
    #[getter]
    fn schema<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        library(slf.py(), "pyarrow", "pyarrow")?.call_method1("schema", (slf,))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let columns = self.fresh_columns(py)?;
        to_schema_pycapsule(py, user_schema(columns.shape.row_type()).as_ref())
    }
}

impl ReplicaReads {
    /// What is made for the columns that are held now.
    fn fresh_columns(&self, py: Python<'_>) -> PyResult<Arc<Columns>> {
        self.single(py, false, |_| Ok(()), |_, _, ()| Ok(()))?;
        self.columns(py)
    }
}

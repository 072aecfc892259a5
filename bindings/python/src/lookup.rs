//! Look-ups by key.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use fluss_client as client;
use fluss_client::types::OwnedRow;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::arrow::{ArrowTable, Incoming};
use crate::convert::{Maps, RowShape, key_from_python};
use crate::error::Fault;
use crate::own::Own;
use crate::pending::Pending;

/// Looks rows up by their primary key.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Lookuper {
    lookuper: Own<client::Lookuper>,
    shape: Arc<RowShape>,
}

impl Lookuper {
    pub(crate) fn new(py: Python<'_>, lookuper: client::Lookuper, maps: Maps) -> Self {
        let shape = RowShape::new(py, lookuper.table().row_type().clone(), maps);
        let lookuper = Own::new(lookuper);
        Self { lookuper, shape }
    }
}

#[pymethods]
impl Lookuper {
    /// The row of a key, or nothing.
    #[pyo3(signature = (key, *, exact=false))]
    fn lookup(&self, key: &Bound<'_, PyAny>, exact: bool) -> PyResult<Pending> {
        let (lookuper, shape) = (self.lookuper.get()?.clone(), self.shape.clone());
        let key = key_from_python(key, lookuper.key_type(), None).map_err(Fault::from)?;
        let found = async move { lookuper.lookup(&key).await };
        Ok(Pending::new(found, move |py, row: Option<OwnedRow>| {
            shown(py, &shape, row.as_ref(), exact)
        }))
    }

    /// The rows of many keys, in their order.
    #[pyo3(signature = (keys, *, exact=false))]
    fn lookup_many(&self, keys: &Bound<'_, PyAny>, exact: bool) -> PyResult<Pending> {
        let lookuper = self.lookuper.get()?.clone();
        let key_type = lookuper.key_type().nullable();
        let key = |key: PyResult<Bound<'_, PyAny>>| {
            Ok(key_from_python(&key?, &key_type, None).map_err(Fault::from)?)
        };
        let keys: Vec<OwnedRow> = keys.try_iter()?.map(key).collect::<PyResult<_>>()?;
        let shape = self.shape.clone();
        let found = async move { lookuper.lookup_many(&keys).await };
        Ok(Pending::new(found, move |py, rows: Vec<Option<OwnedRow>>| {
            let list = PyList::empty(py);
            for row in &rows {
                list.append(shown(py, &shape, row.as_ref(), exact)?)?;
            }
            Ok(list.into_any())
        }))
    }

    /// The rows of the keys in Arrow data, in their order.
    fn lookup_arrow(&self, keys: Incoming) -> PyResult<Pending> {
        let mut keys = keys;
        let lookuper = self.lookuper.get()?.clone();
        let schema = lookuper.schema();
        let found = async move {
            let mut found = Vec::new();
            loop {
                let batch;
                (keys, batch) = keys.pull().await?;
                let Some(batch) = batch else {
                    return Ok::<_, Fault>(found);
                };
                found.push(lookuper.lookup_arrow(&batch).await?);
            }
        };
        Ok(Pending::object(found, |batches: Vec<RecordBatch>| {
            ArrowTable::new(schema, batches)
        }))
    }
}

/// Looks up all rows whose keys begin with the same values.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct PrefixLookuper {
    lookuper: Own<client::PrefixLookuper>,
    shape: Arc<RowShape>,
}

impl PrefixLookuper {
    pub(crate) fn new(py: Python<'_>, lookuper: client::PrefixLookuper, maps: Maps) -> Self {
        let shape = RowShape::new(py, lookuper.table().row_type().clone(), maps);
        let lookuper = Own::new(lookuper);
        Self { lookuper, shape }
    }
}

#[pymethods]
impl PrefixLookuper {
    /// The rows of a prefix.
    #[pyo3(signature = (prefix, *, exact=false))]
    fn lookup(&self, prefix: &Bound<'_, PyAny>, exact: bool) -> PyResult<Pending> {
        let (lookuper, shape) = (self.lookuper.get()?.clone(), self.shape.clone());
        let prefix = key_from_python(prefix, lookuper.key_type(), None).map_err(Fault::from)?;
        let found = async move { lookuper.lookup(&prefix).await };
        Ok(Pending::new(found, move |py, rows: Vec<OwnedRow>| {
            let list = PyList::empty(py);
            for row in &rows {
                list.append(shape.dict(py, row, exact)?)?;
            }
            Ok(list.into_any())
        }))
    }
}

/// A row as a dict, or None.
fn shown<'py>(
    py: Python<'py>,
    shape: &RowShape,
    row: Option<&OwnedRow>,
    exact: bool,
) -> PyResult<Bound<'py, PyAny>> {
    match row {
        Some(row) => Ok(shape.dict(py, row, exact)?.into_any()),
        None => Ok(py.None().into_bound(py)),
    }
}

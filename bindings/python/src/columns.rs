//! The columns of tables that were read: one with its values, and all with their names and types.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyIterator, PyList};
use pyo3_arrow::PySchema;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

use crate::convert::values;
use crate::library::library;
use crate::parts::reader;

/// A column of a table that was read.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ArrowColumn {
    field: FieldRef,
    chunks: Vec<ArrayRef>,
}

impl ArrowColumn {
    pub(crate) const fn new(field: FieldRef, chunks: Vec<ArrayRef>) -> Self {
        Self { field, chunks }
    }
}

#[pymethods]
impl ArrowColumn {
    #[getter]
    fn name(&self) -> &str {
        self.field.name()
    }

    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for value in self.chunks.iter().map(|chunk| values(py, chunk)) {
            value?.into_iter().try_for_each(|value| list.append(value))?;
        }
        Ok(list)
    }

    fn to_pyarrow(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        library(slf.py(), "pyarrow", "pyarrow")?.call_method1("chunked_array", (slf,))
    }

    fn to_polars(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let name = slf.get().name().to_owned();
        library(slf.py(), "polars", "polars")?.call_method1("Series", (name, slf))
    }

    fn __len__(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.to_pylist(py)?.try_iter()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.field.as_ref())
    }

    /// A type that is asked for is passed over, as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let chunks = ArrayIterator::new(self.chunks.clone().into_iter().map(Ok), self.field.clone());
        to_stream_pycapsule(py, Box::new(chunks), None)
    }

    fn __repr__(&self) -> String {
        format!(
            "ArrowColumn({}: {}, len={})",
            self.field.name(),
            self.field.data_type(),
            self.__len__()
        )
    }
}

/// The columns of Arrow data: their names and types.
#[pyclass(frozen, eq, module = "fluss.client")]
#[derive(PartialEq, Eq)]
pub(crate) struct ArrowSchema(SchemaRef);

impl ArrowSchema {
    pub(crate) const fn of(schema: SchemaRef) -> Self {
        Self(schema)
    }
}

#[pymethods]
impl ArrowSchema {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if data.hasattr(intern!(data.py(), "__arrow_c_schema__"))? {
            return Ok(Self(data.extract::<PySchema>()?.into_inner()));
        }
        Ok(Self(reader(data)?.schema()))
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        self.0
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect()
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.as_ref())
    }

    fn __repr__(&self) -> String {
        format!("ArrowSchema({})", shown(&self.0))
    }
}

fn shown(schema: &Arc<Schema>) -> String {
    let column = |field: &FieldRef| {
        let null = if field.is_nullable() { "" } else { " not null" };
        format!("{}: {}{null}", field.name(), field.data_type())
    };
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

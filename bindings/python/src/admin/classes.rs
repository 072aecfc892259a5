//! Classes of the Python package, and lists of what is made of them.

use pyo3::prelude::*;
use pyo3::types::PyList;

/// A class of `fluss.metadata`.
pub(super) fn metadata<'py>(py: Python<'py>, class: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("fluss.metadata")?.getattr(class)
}

/// A list of what was made, unless something was not.
pub(super) fn list<'py>(
    py: Python<'py>,
    items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any())
}

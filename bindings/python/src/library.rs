//! Libraries of Python that are optional.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

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

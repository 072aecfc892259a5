//! Names of tables.

use fluss_client::types;
use pyo3::prelude::*;

use crate::error::Fault;

/// A table's database and name.
#[pyclass(frozen, eq, ord, hash, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TablePath(pub(crate) types::TablePath);

/// A table as an argument: a [`TablePath`] or `database.table`.
pub(crate) struct PathArgument(pub(crate) types::TablePath);

impl<'py> FromPyObject<'_, 'py> for PathArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(path) = object.cast::<TablePath>() {
            return Ok(Self(path.get().0.clone()));
        }
        let text: String = object.extract()?;
        text.parse()
            .map(Self)
            .map_err(|error: types::InvalidDefinition| Fault::from(error).into())
    }
}

#[pymethods]
impl TablePath {
    #[new]
    fn new(database_name: String, table_name: String) -> Self {
        Self(types::TablePath::new(database_name, table_name))
    }

    #[staticmethod]
    fn of(path: PathArgument) -> Self {
        Self(path.0)
    }

    #[getter]
    fn database_name(&self) -> &str {
        self.0.database()
    }

    #[getter]
    fn table_name(&self) -> &str {
        self.0.table()
    }

    fn table_path_str(&self) -> String {
        self.0.to_string()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("TablePath('{}', '{}')", self.0.database(), self.0.table())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, (&str, &str)) {
        (
            py.get_type::<Self>().into_any(),
            (self.0.database(), self.0.table()),
        )
    }
}

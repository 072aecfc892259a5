//! Names of tables.

use fluss_client::{Admin, types};
use pyo3::prelude::*;

use crate::error::Fault;

/// A table's database and name.
#[pyclass(frozen, eq, ord, hash, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TablePath(pub(crate) types::TablePath);

/// A table as an argument: a [`TablePath`], `database.table`, or a name in the connection's database.
pub(crate) enum PathArgument {
    Whole(types::TablePath),
    Named(String),
}

impl PathArgument {
    /// The path, on the connection that is administered.
    pub(crate) fn of(self, admin: &Admin) -> Result<types::TablePath, Fault> {
        match self {
            Self::Whole(path) => Ok(path),
            Self::Named(name) => Ok(admin.path(&name)?),
        }
    }

    /// The path, without a connection.
    pub(crate) fn whole(self) -> Result<types::TablePath, Fault> {
        match self {
            Self::Whole(path) => Ok(path),
            Self::Named(name) => Ok(name.parse::<types::TablePath>()?),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for PathArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(path) = object.cast::<TablePath>() {
            return Ok(Self::Whole(path.get().0.clone()));
        }
        object.extract().map(Self::Named)
    }
}

#[pymethods]
impl TablePath {
    #[new]
    fn new(database_name: String, table_name: String) -> Self {
        Self(types::TablePath::new(database_name, table_name))
    }

    #[staticmethod]
    fn of(path: PathArgument) -> Result<Self, Fault> {
        path.whole().map(Self)
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

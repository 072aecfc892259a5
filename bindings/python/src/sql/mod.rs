//! SQL: sessions, prepared statements, and the rows of queries.

mod outcome;
mod prepared;
mod rows;
mod session;

use pyo3::prelude::*;

pub(crate) use session::{SessionOptions, SqlSession};

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<prepared::SqlPrepared>()?;
    module.add_class::<rows::SqlRows>()?;
    module.add_class::<session::SqlSession>()?;
    module.add_function(wrap_pyfunction!(rows::sql_rows, module)?)
}

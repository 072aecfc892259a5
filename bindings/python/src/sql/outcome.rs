//! What statements come to.

use fluss_sql::Outcome;
use futures::TryStreamExt;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::rows::SqlRows;
use crate::arrow::ArrowTable;

/// The rows of a query as they come, how many rows were written, or None.
pub(super) fn to_python(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Rows(rows) => SqlRows::new(rows).into_bound_py_any(py),
        Outcome::Changed(rows) => rows.into_bound_py_any(py),
        _ => Ok(py.None().into_bound(py)),
    }
}

/// What several statements have come to.
pub(super) fn all_to_python(py: Python<'_>, outcomes: Vec<Outcome>) -> PyResult<Bound<'_, PyAny>> {
    let outcomes = outcomes.into_iter().map(|outcome| to_python(py, outcome));
    outcomes.collect::<PyResult<Vec<_>>>()?.into_bound_py_any(py)
}

/// What a statement has come to, with all rows of a query.
pub(super) enum Fetched {
    Rows(u64, ArrowTable),
    Changed(u64),
    Done,
}

impl Fetched {
    pub(super) async fn of(outcome: Outcome) -> Result<Self, fluss_sql::Error> {
        Ok(match outcome {
            Outcome::Rows(rows) => {
                let (id, schema) = (rows.query_id(), rows.schema().clone());
                Self::Rows(id, ArrowTable::new(schema, rows.try_collect().await?))
            }
            Outcome::Changed(rows) => Self::Changed(rows),
            _ => Self::Done,
        })
    }

    /// The rows of a query with its id, how many rows were written, or None.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Rows(id, rows) => (id.to_string(), rows).into_bound_py_any(py),
            Self::Changed(rows) => rows.into_bound_py_any(py),
            Self::Done => Ok(py.None().into_bound(py)),
        }
    }
}

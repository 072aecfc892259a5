//! Statements that are carried out many times.

use std::sync::Arc;

use fluss_rpc::sync::Mutex;
use fluss_sql::Prepared;
use pyo3::intern;
use pyo3::prelude::*;

use super::outcome::{self, Fetched};
use crate::arrow::Incoming;
use crate::convert::{parameters_from_python, rows_from_python};
use crate::error::{self, Fault};
use crate::own::Own;
use crate::pending::Pending;

/// A statement that was parsed and checked, until it is closed.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct SqlPrepared(Own<Mutex<Option<Arc<Prepared>>>>);

impl SqlPrepared {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self(Own::new(Mutex::new(Some(Arc::new(prepared)))))
    }

    fn prepared(&self) -> PyResult<Arc<Prepared>> {
        let prepared = self.0.get()?.lock().clone();
        prepared.ok_or_else(|| error::closed("statement"))
    }
}

#[pymethods]
impl SqlPrepared {
    #[pyo3(signature = (parameters=None))]
    fn execute(&self, parameters: Option<&Bound<'_, PyAny>>) -> PyResult<Pending> {
        let prepared = self.prepared()?;
        let parameters = parameters_from_python(parameters)?;
        let running = async move { prepared.execute(parameters).await };
        Ok(Pending::new(running, outcome::to_python))
    }

    /// Carries it out, and reads all rows of a query.
    #[pyo3(signature = (parameters=None))]
    fn fetch(&self, parameters: Option<&Bound<'_, PyAny>>) -> PyResult<Pending> {
        let prepared = self.prepared()?;
        let parameters = parameters_from_python(parameters)?;
        let running = async move { Fetched::of(prepared.execute(parameters).await?).await };
        Ok(Pending::new(running, |py, fetched| fetched.into_python(py)))
    }

    /// Carries it out for each row of parameters: a list of rows, or Arrow data.
    fn execute_many(&self, rows: &Bound<'_, PyAny>) -> PyResult<Pending> {
        let prepared = self.prepared()?;
        let py = rows.py();
        let is_arrow = |name| rows.hasattr(name);
        if is_arrow(intern!(py, "__arrow_c_stream__"))? || is_arrow(intern!(py, "__arrow_c_array__"))? {
            let data: Incoming = rows.extract()?;
            return Ok(Pending::object(of_batches(prepared, data), |written| written));
        }
        let rows = rows_from_python(rows)?;
        let running = async move { prepared.execute_rows(rows).await };
        Ok(Pending::object(running, |written| written))
    }

    #[getter]
    fn parameter_count(&self) -> PyResult<usize> {
        Ok(self.prepared()?.parameter_count())
    }

    fn close(&self) -> PyResult<()> {
        *self.0.get()?.lock() = None;
        Ok(())
    }
}

async fn of_batches(prepared: Arc<Prepared>, mut data: Incoming) -> Result<u64, Fault> {
    let mut written = 0;
    loop {
        let (rest, batch) = data.pull().await?;
        data = rest;
        let Some(batch) = batch else {
            return Ok(written);
        };
        let many = prepared.execute_many(batch).await;
        written += many.map_err(|error| Fault::from(error).after_taking(written))?;
    }
}

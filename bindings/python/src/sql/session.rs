//! Sessions: one statement after another.

use std::path::PathBuf;

use fluss_client as client;
use fluss_sql::{OnDuplicate, Options, Session, StartFrom, TransactionMode};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::outcome::{self, Fetched};
use super::prepared::SqlPrepared;
use super::rows::SqlRows;
use crate::convert::parameters_from_python;
use crate::error::{self, Fault};
use crate::own::Own;
use crate::pending::Pending;
use crate::runtime::runtime;

/// What a session can be told.
#[derive(Default)]
pub(crate) struct SessionOptions {
    database: Option<String>,
    on_duplicate: Option<String>,
    transactions: Option<String>,
    memory_limit: Option<usize>,
    spill_directory: Option<PathBuf>,
}

impl<'py> FromPyObject<'_, 'py> for SessionOptions {
    type Error = PyErr;

    fn extract(options: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let options = options.cast::<PyDict>()?;
        let said = |name: &str| {
            let value = options.get_item(name)?;
            Ok::<_, PyErr>(value.filter(|value| !value.is_none()))
        };
        let text = |name: &str| said(name)?.map(|value| value.extract()).transpose();
        Ok(Self {
            database: text("database")?,
            on_duplicate: text("on_duplicate")?,
            transactions: text("transactions")?,
            memory_limit: said("memory_limit")?.map(|value| value.extract()).transpose()?,
            spill_directory: said("spill_directory")?
                .map(|value| value.extract())
                .transpose()?,
        })
    }
}

impl SessionOptions {
    fn read(self) -> PyResult<Options> {
        let mut options = Options::default()
            .with_database(self.database)
            .with_memory_limit(self.memory_limit)
            .with_spill_directory(self.spill_directory);
        if let Some(word) = &self.on_duplicate {
            options = options.with_on_duplicate(match word.as_str() {
                "error" => OnDuplicate::Error,
                "upsert" => OnDuplicate::Upsert,
                _ => {
                    return Err(error::argument(format!(
                        "on_duplicate is 'error' or 'upsert', not '{word}'"
                    )));
                }
            });
        }
        if let Some(word) = &self.transactions {
            options = options.with_transactions(match word.as_str() {
                "strict" => TransactionMode::Strict,
                "batch" => TransactionMode::Batch,
                _ => {
                    return Err(error::argument(format!(
                        "transactions is 'strict' or 'batch', not '{word}'"
                    )));
                }
            });
        }
        Ok(options)
    }
}

/// A user's session.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct SqlSession(Own<Session>);

impl SqlSession {
    pub(crate) fn open(connection: &client::Connection, options: SessionOptions) -> PyResult<Self> {
        let _guard = runtime()?.enter();
        let session = Session::new(connection, options.read()?).map_err(Fault::from)?;
        Ok(Self(Own::new(session)))
    }

    fn session(&self) -> PyResult<Session> {
        let session = self.0.get()?;
        if session.connection().is_closed() {
            return Err(error::closed("connection"));
        }
        Ok(session.clone())
    }
}

#[pymethods]
impl SqlSession {
    /// Carries out one statement.
    #[pyo3(signature = (text, parameters=None))]
    fn execute(&self, text: String, parameters: Option<&Bound<'_, PyAny>>) -> PyResult<Pending> {
        let session = self.session()?;
        let parameters = parameters_from_python(parameters)?;
        let running = async move { session.execute(&text, parameters).await };
        Ok(Pending::new(running, outcome::to_python))
    }

    /// Carries out statements, one after another.
    fn execute_all(&self, text: String) -> PyResult<Pending> {
        let session = self.session()?;
        let running = async move { session.execute_all(&text).await };
        Ok(Pending::new(running, outcome::all_to_python))
    }

    /// Carries out one statement, and reads all rows of a query.
    #[pyo3(signature = (text, parameters=None))]
    fn fetch(&self, text: String, parameters: Option<&Bound<'_, PyAny>>) -> PyResult<Pending> {
        let session = self.session()?;
        let parameters = parameters_from_python(parameters)?;
        let running = async move { Fetched::of(session.execute(&text, parameters).await?).await };
        Ok(Pending::new(running, |py, fetched| fetched.into_python(py)))
    }

    fn prepare(&self, text: String) -> PyResult<Pending> {
        let session = self.session()?;
        let preparing = async move { session.prepare(&text).await };
        Ok(Pending::object(preparing, SqlPrepared::new))
    }

    fn begin(&self) -> PyResult<Pending> {
        let session = self.session()?;
        Ok(Pending::nothing(async move { session.begin().await }))
    }

    fn commit(&self) -> PyResult<Pending> {
        let session = self.session()?;
        Ok(Pending::nothing(async move { session.commit().await }))
    }

    fn rollback(&self) -> PyResult<Pending> {
        let session = self.session()?;
        Ok(Pending::nothing(async move { session.rollback().await }))
    }

    #[getter]
    fn database(&self) -> PyResult<String> {
        Ok(self.0.get()?.database())
    }

    /// Begins a query, one with `EMIT CHANGES` where `start` says: `earliest`, `latest`, a time, or where another stood.
    #[pyo3(signature = (text, parameters, start))]
    fn follow(&self, text: String, parameters: Option<&Bound<'_, PyAny>>, start: &str) -> PyResult<Pending> {
        let session = self.session()?;
        let parameters = parameters_from_python(parameters)?;
        let start: StartFrom = start
            .parse()
            .map_err(|error: fluss_sql::Error| error::argument(error.message))?;
        let beginning = async move { session.follow(&text, parameters, start).await };
        Ok(Pending::object(beginning, SqlRows::new))
    }

    /// The statements of a text.
    #[staticmethod]
    fn split(text: &str) -> Result<Vec<String>, Fault> {
        Ok(Session::split(text)?)
    }
}

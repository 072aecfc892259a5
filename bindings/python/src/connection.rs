//! Connections.

use std::collections::BTreeMap;
use std::convert::identity;

use fluss_client as client;
use pyo3::prelude::*;

use crate::admin::Admin;
use crate::closing::CloseOnDrop;
use crate::config::client_options;
use crate::documents::Documents;
use crate::error;
#[cfg(not(feature = "sql"))]
use crate::error::Fault;
use crate::own::Own;
use crate::path::PathArgument;
use crate::pending::Pending;
#[cfg(feature = "sql")]
use crate::sql::{SessionOptions, SqlSession};
use crate::streams::EventStreams;
use crate::table::Table;
use crate::{exit, logging, metrics};

/// A connection to a cluster.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Connection {
    connection: Own<client::Connection>,
    target: client::Target,
}

#[pymethods]
impl Connection {
    /// Opens a connection with these options.
    #[staticmethod]
    fn open(py: Python<'_>, options: BTreeMap<String, String>) -> PyResult<Pending> {
        exit::watch(py)?;
        logging::start();
        metrics::start();
        let (target, mut options) = client_options(options)?;
        let opening = async move {
            target.lead(&mut options).await?;
            let connection = Own::new(client::Connection::open(options).await?);
            Ok::<_, client::Error>(Self { connection, target })
        };
        Ok(Pending::object(opening, identity))
    }

    fn admin(&self) -> PyResult<Admin> {
        let connection = self.connection.get()?;
        if connection.is_closed() {
            return Err(error::closed("connection"));
        }
        Ok(Admin::new(connection.admin()))
    }

    fn table(&self, path: PathArgument) -> PyResult<Pending> {
        let connection = self.connection.get()?.clone();
        let path = path.of(&connection.admin())?;
        let table = async move { connection.table(&path).await };
        Ok(Pending::object(table, Table::new))
    }

    /// The streams of a table.
    fn streams(&self, path: PathArgument, create: bool, buckets: i32) -> PyResult<Pending> {
        EventStreams::open(self.connection.get()?.clone(), path, create, buckets)
    }

    /// The documents of a table, which close this connection with them if it is their own.
    fn documents(&self, path: PathArgument, owns: bool) -> PyResult<Pending> {
        Documents::open(self.connection.get()?.clone(), path, owns)
    }

    /// A session of SQL on this connection.
    #[cfg(feature = "sql")]
    fn sql(&self, options: SessionOptions) -> PyResult<SqlSession> {
        let connection = self.connection.get()?;
        if connection.is_closed() {
            return Err(error::closed("connection"));
        }
        SqlSession::open(connection, options)
    }

    /// Raises: this build has no SQL.
    #[cfg(not(feature = "sql"))]
    fn sql(&self, _options: Bound<'_, PyAny>) -> PyResult<()> {
        Err(Fault::new(
            "UnsupportedError",
            "this build of the package has no SQL: its feature 'sql' was left out",
        )
        .into())
    }

    /// Sends what writers have taken, and closes. Whoever stops waiting closes at once.
    fn close(&self) -> PyResult<Pending> {
        let connection = self.connection.get()?.clone();
        Ok(Pending::nothing(async move {
            CloseOnDrop(connection).shut_down().await
        }))
    }

    fn __repr__(&self) -> String {
        format!("Connection('{}')", self.target)
    }
}

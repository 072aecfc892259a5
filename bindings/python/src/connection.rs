//! Connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_client as client;
use pyo3::prelude::*;

use crate::admin::Admin;
use crate::config::client_options;
use crate::path::PathArgument;
use crate::pending::Pending;
use crate::table::Table;

/// A connection to a cluster.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Connection(client::Connection);

#[pymethods]
impl Connection {
    /// Opens a connection with these options.
    #[staticmethod]
    fn open(options: BTreeMap<String, String>) -> PyResult<Pending> {
        let options = client_options(options)?;
        Ok(Pending::new(
            client::Connection::open(options),
            |py, connection| Ok(Bound::new(py, Self(connection))?.into_any()),
        ))
    }

    fn admin(&self) -> Admin {
        Admin(Arc::new(self.0.admin()))
    }

    fn table(&self, path: PathArgument) -> Pending {
        let connection = self.0.clone();
        Pending::new(async move { connection.table(&path.0).await }, |py, table| {
            Ok(Bound::new(py, Table(table))?.into_any())
        })
    }

    fn close(&self) -> Pending {
        let connection = self.0.clone();
        Pending::nothing(async move { connection.shut_down().await })
    }

    fn __repr__(&self) -> String {
        let servers: Vec<_> = self
            .0
            .options()
            .bootstrap_servers
            .iter()
            .map(ToString::to_string)
            .collect();
        format!("Connection('fluss://{}')", servers.join(","))
    }
}

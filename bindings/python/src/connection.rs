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
use crate::{logging, metrics};

/// A connection to a cluster.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Connection {
    connection: client::Connection,
    target: client::Target,
}

#[pymethods]
impl Connection {
    /// Opens a connection with these options.
    #[staticmethod]
    fn open(options: BTreeMap<String, String>) -> PyResult<Pending> {
        logging::start();
        metrics::start();
        let (target, mut options) = client_options(options)?;
        let opening = async move {
            target.lead(&mut options).await?;
            let connection = client::Connection::open(options).await?;
            Ok::<_, client::Error>(Self { connection, target })
        };
        Ok(Pending::new(opening, |py, opened| {
            Ok(Bound::new(py, opened)?.into_any())
        }))
    }

    fn admin(&self) -> Admin {
        Admin(Arc::new(self.connection.admin()))
    }

    fn table(&self, path: PathArgument) -> Pending {
        let connection = self.connection.clone();
        Pending::new(async move { connection.table(&path.0).await }, |py, table| {
            Ok(Bound::new(py, Table(table))?.into_any())
        })
    }

    fn close(&self) -> Pending {
        let connection = self.connection.clone();
        Pending::nothing(async move { connection.shut_down().await })
    }

    fn __repr__(&self) -> String {
        format!("Connection('{}')", self.target)
    }
}

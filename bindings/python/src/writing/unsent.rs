//! Writers with rows that nobody has flushed: who lets one go is warned, and the interpreter's exit sends what they have.

use std::ffi::CString;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fluss_client::{Connection, WeakConnection};
use fluss_rpc::sync::{Mutex, MutexGuard, PerProcess};
use pyo3::exceptions::PyResourceWarning;
use pyo3::prelude::*;

use crate::blocking::block_on;

/// How long the interpreter's exit waits for rows that were not flushed.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

/// A writer that may have rows which nobody has flushed.
pub(crate) trait Unsent: Send + Sync {
    /// What to warn of: the writer, by its table, and what became of it.
    fn warning(&self, fate: &str) -> Option<String>;
}

/// The writers of this process, and their connections.
static OPEN: PerProcess<Locked> = PerProcess::new(Locked::default);

#[derive(Default)]
struct Locked(Mutex<Open>);

impl Locked {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock()
    }
}

#[derive(Default)]
struct Open {
    writers: Vec<Weak<dyn Unsent>>,
    connections: Vec<WeakConnection>,
}

impl Open {
    fn add(&mut self, writer: Weak<dyn Unsent>, connection: &Connection) {
        self.writers.retain(|writer| writer.strong_count() > 0);
        self.connections.retain(|known| known.upgrade().is_some());
        self.writers.push(writer);
        let is_known =
            |known: &WeakConnection| known.upgrade().is_some_and(|known| known.is_same(connection));
        if !self.connections.iter().any(is_known) {
            self.connections.push(connection.downgrade());
        }
    }
}

/// Watches a writer for as long as it is there, and its connection, which sends what the writer has given it.
pub(crate) fn watch<W: Unsent + 'static>(writer: &Arc<W>, connection: &Connection) {
    let weak = Arc::downgrade(writer);
    OPEN.get().lock().add(weak, connection);
}

/// Has rows sent that were not flushed, also those of writers that were let go, and waits for it within bounds. The
/// interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_writers(py: Python<'_>) -> PyResult<()> {
    let Some(open) = OPEN.known() else {
        return Ok(());
    };
    let (writers, connections): (Vec<_>, Vec<_>) = {
        let open = open.lock();
        let writers = open.writers.iter().filter_map(Weak::upgrade).collect();
        let connections = open.connections.iter().filter_map(WeakConnection::upgrade);
        (
            writers,
            connections.filter(|connection| !connection.is_closed()).collect(),
        )
    };
    for warning in writers
        .iter()
        .filter_map(|writer| writer.warning("is open at the exit"))
    {
        warn(py, &warning);
    }
    let flushes = connections.iter().map(Connection::flush);
    let all = async { tokio::time::timeout(EXIT_PATIENCE, futures::future::join_all(flushes)).await };
    if let Ok(outcomes) = block_on(py, all, None)? {
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::error!(target: "fluss::client::writer", %error, "rows were lost at the exit");
        }
    } else {
        let lost = writers.iter().filter_map(|writer| writer.warning("ends"));
        for warning in lost {
            tracing::error!(target: "fluss::client::writer", "{warning}");
        }
    }
    Ok(())
}

/// Warns of a writer that is let go with rows that were not flushed.
pub(crate) fn let_go(writer: &dyn Unsent) {
    let Some(warning) = writer.warning("was let go") else {
        return;
    };
    // An interpreter that is ending has nobody to warn.
    let _ = Python::try_attach(|py| {
        // It may happen on the way of an exception.
        let raised = PyErr::take(py);
        warn(py, &warning);
        if let Some(raised) = raised {
            raised.restore(py);
        }
    });
}

/// Warns of a resource that was not closed.
fn warn(py: Python<'_>, warning: &str) {
    let category = py.get_type::<PyResourceWarning>();
    let message = CString::new(warning).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &category, &message, 1) {
        error.write_unraisable(py, None);
    }
}

//! The one tokio runtime of a process, for blocking and awaited calls alike.

use std::io;

use fluss_rpc::sync::PerProcess;
use pyo3::PyResult;
use pyo3::exceptions::PyRuntimeError;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: PerProcess<io::Result<Runtime>> =
    PerProcess::new(|| Builder::new_multi_thread().enable_all().build());

/// The runtime of this process, started when it is first asked for.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let runtime = RUNTIME.get().as_ref();
    runtime.map_err(|error| PyRuntimeError::new_err(format!("the client's threads do not start: {error}")))
}

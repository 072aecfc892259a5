//! The one tokio runtime, for blocking and awaited calls alike.

use std::sync::OnceLock;

use pyo3::PyResult;
use tokio::runtime::Runtime;

use crate::error;

/// The process in which the runtime's threads live: a fork does not take them along.
static HOME: OnceLock<u32> = OnceLock::new();

/// The runtime, or an exception if the process was forked since it was first used.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let process = std::process::id();
    if *HOME.get_or_init(|| process) == process {
        Ok(pyo3_async_runtimes::tokio::get_runtime())
    } else {
        Err(error::forked())
    }
}

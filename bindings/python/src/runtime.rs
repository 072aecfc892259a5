//! The one tokio runtime, for blocking and awaited calls alike.

use std::sync::OnceLock;

use pyo3::PyResult;
use tokio::runtime::{Builder, Runtime};

use crate::error;

/// The process in which the runtime's threads live: a fork does not take them along.
static HOME: OnceLock<u32> = OnceLock::new();

/// The runtime, or an exception if the process was forked since it was first used.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let process = std::process::id();
    if *HOME.get_or_init(|| process) == process {
        started()
    } else {
        Err(error::forked())
    }
}

/// Whether the runtime was used, in this process.
pub(crate) fn is_here() -> bool {
    HOME.get() == Some(&std::process::id())
}

fn started() -> PyResult<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

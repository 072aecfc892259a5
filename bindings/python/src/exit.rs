//! What is done when a process ends, or begins by a fork.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::{awaited, logging, own, stay, writing};

/// Has the interpreter's exit wait for what is on its way to it, and forked processes leave to their parents what is theirs.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if !is_main(py) {
        return Ok(());
    }
    // What is registered last is called first: nobody calls Python code any more once loggers have no events to take, and events go
    // on until there are no outcomes any more. Before all that rows are sent that were not flushed.
    py.import("logging")?;
    let at_exit = py.import("atexit")?.getattr("register")?;
    at_exit.call1((wrap_pyfunction!(stay::end_calls, module)?,))?;
    at_exit.call1((wrap_pyfunction!(logging::end_logging, module)?,))?;
    at_exit.call1((wrap_pyfunction!(awaited::end_deliveries, module)?,))?;
    at_exit.call1((wrap_pyfunction!(writing::end_writers, module)?,))?;
    // A system without forks has no such function.
    if let Ok(at_fork) = py.import("os")?.getattr("register_at_fork") {
        let after = [("after_in_child", wrap_pyfunction!(begin_as_child, module)?)];
        at_fork.call((), Some(&after.into_py_dict(py)?))?;
    }
    Ok(())
}

/// Whether this is the interpreter that lives as long as the process. What goes to all of them ends with it alone.
#[expect(unsafe_code, reason = "the interpreter's number has no other face")]
fn is_main(_attached: Python<'_>) -> bool {
    // SAFETY: the thread is attached, so it has an interpreter.
    unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) == 0 }
}

/// Leaves to the parent what is the parent's. A forked process calls it before anything else.
#[pyfunction]
fn begin_as_child() {
    own::see_process();
    fluss_client::embedded::leave_directories_to_parent();
}

/// Has the end of a process of `multiprocessing`, which is none of the interpreter, send rows that were not flushed. Called when
/// there may soon be some.
pub(crate) fn watch(py: Python<'_>) -> PyResult<()> {
    /// The last process that was looked at.
    static WATCHED: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    if WATCHED.swap(process, Ordering::Relaxed) == process {
        return Ok(());
    }
    // Such a process has it loaded.
    let loaded = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Ok(processes) = loaded.get_item(intern!(py, "multiprocessing.process")) else {
        return Ok(());
    };
    if !processes.call_method0(intern!(py, "parent_process"))?.is_none() {
        let util = py.import(intern!(py, "multiprocessing.util"))?;
        let finalize = util.getattr(intern!(py, "Finalize"))?;
        let end = wrap_pyfunction!(end_as_child, py)?;
        finalize.call((py.None(), end), Some(&[("exitpriority", 0)].into_py_dict(py)?))?;
    }
    Ok(())
}

/// Sends what writers have, and gives loggers what is left.
#[pyfunction]
fn end_as_child(py: Python<'_>) -> PyResult<()> {
    writing::end_writers(py)?;
    logging::hand_over(py)
}

//! Operations awaited on asyncio.
//!
//! An operation is a task of the runtime. Its outcome is handed to the event loop, with others that are there by then; the
//! loop makes it a Python object and settles the future that is awaited. A future that is done, because it was cancelled,
//! aborts its task.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use pyo3::intern;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::error::Fault;
use crate::handover::Handover;
use crate::logging;
use crate::pending::{Finish, Task};
use crate::runtime::runtime;

static DELIVERIES: Handover<Outcome> = Handover::new(hand_over);

/// A future of the running event loop that `task` settles.
pub(crate) fn future(py: Python<'_>, task: Task) -> PyResult<Bound<'_, PyAny>> {
    let runtime = runtime()?;
    let event_loop = py
        .import(intern!(py, "asyncio"))?
        .call_method0(intern!(py, "get_running_loop"))?;
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let (event_loop, awaited) = (event_loop.unbind(), future.clone().unbind());
    let spawned = runtime.spawn(async move {
        let result = AssertUnwindSafe(task).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(Fault::new("FlussError", "the client failed: a panic")));
        let outcome = Outcome {
            event_loop,
            future: awaited,
            result,
        };
        // Nobody awaits it any more when the interpreter exits.
        DELIVERIES.add(outcome, usize::MAX);
    });
    future.call_method1(intern!(py, "add_done_callback"), (Abort(spawned.abort_handle()),))?;
    Ok(future)
}

/// What an operation has come to, and who awaits it.
struct Outcome {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    result: Result<Finish, Fault>,
}

/// Hands outcomes to their event loops, all of a loop in one call. A loop that was closed has nobody left who awaits.
fn hand_over(py: Python<'_>, mut outcomes: Vec<Outcome>) {
    while let Some(event_loop) = outcomes.first().map(|first| first.event_loop.clone_ref(py)) {
        let (its, others) = outcomes
            .into_iter()
            .partition(|outcome| outcome.event_loop.is(&event_loop));
        outcomes = others;
        let called = event_loop.call_method1(
            py,
            intern!(py, "call_soon_threadsafe"),
            (Settle(Mutex::new(its)),),
        );
        if let Err(error) = called {
            tracing::debug!(%error, "outcomes came too late for their event loop");
        }
    }
}

/// Settles futures, on their event loop.
#[pyclass(frozen)]
struct Settle(Mutex<Vec<Outcome>>);

#[pymethods]
impl Settle {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let told = logging::hand_over(py);
        let outcomes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let settled = outcomes.into_iter().map(|outcome| settle(py, outcome));
        // Each is settled, whatever becomes of another.
        settled.fold(told, PyResult::and)
    }
}

fn settle(py: Python<'_>, outcome: Outcome) -> PyResult<()> {
    let future = outcome.future.bind(py);
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match outcome.result.map_err(PyErr::from).and_then(|finish| finish(py)) {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
    };
    Ok(())
}

/// Aborts a task once its future is done.
#[pyclass(frozen)]
struct Abort(AbortHandle);

#[pymethods]
impl Abort {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        self.0.abort();
    }
}

/// Lets no outcome come any more, and waits for those on their way. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_deliveries(py: Python<'_>) {
    DELIVERIES.end(py);
}

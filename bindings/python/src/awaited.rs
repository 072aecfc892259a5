//! Operations awaited on asyncio.
//!
//! An operation is a task of the runtime. Its outcome is handed to the event loop, which makes it a Python object and
//! settles the future that is awaited; a future that is done, because it was cancelled, aborts its task.

use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use pyo3::intern;
use pyo3::prelude::*;
use tokio::task::{AbortHandle, spawn_blocking};

use crate::error::{self, Fault};
use crate::pending::{Finish, Task};
use crate::runtime::{self, runtime};

/// How long the interpreter's exit waits for outcomes on their way, which need an instant.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

static DELIVERIES: Deliveries = Deliveries {
    state: Mutex::new(State {
        active: 0,
        ended: false,
    }),
    changed: Condvar::new(),
};

/// A future of the running event loop that `task` settles.
pub(crate) fn future(py: Python<'_>, task: Task) -> PyResult<Bound<'_, PyAny>> {
    let runtime = runtime()?;
    let event_loop = py
        .import(intern!(py, "asyncio"))?
        .call_method0(intern!(py, "get_running_loop"))?;
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let (awaiting_loop, awaited) = (event_loop.unbind(), future.clone().unbind());
    let spawned = runtime.spawn(async move {
        let outcome = AssertUnwindSafe(task).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Err(Fault::new("FlussError", "the client failed: a panic")));
        // Waiting for the interpreter must not hold up the runtime's threads.
        spawn_blocking(move || deliver(&awaiting_loop, &awaited, outcome));
    });
    future.call_method1(intern!(py, "add_done_callback"), (Abort(spawned.abort_handle()),))?;
    Ok(future)
}

/// Hands an outcome to the event loop. A loop that was closed has nobody left who awaits.
fn deliver(event_loop: &Py<PyAny>, future: &Py<PyAny>, outcome: Result<Finish, Fault>) {
    let Some(_delivery) = DELIVERIES.begin() else {
        return;
    };
    Python::attach(|py| {
        let settle = Settle(Mutex::new(Some(outcome)));
        let settled = event_loop
            .bind(py)
            .call_method1(intern!(py, "call_soon_threadsafe"), (settle, future.bind(py)));
        if let Err(error) = settled {
            tracing::debug!(%error, "an outcome came too late for its event loop");
        }
    });
}

/// Settles a future, on its event loop.
#[pyclass(frozen)]
struct Settle(Mutex<Option<Result<Finish, Fault>>>);

#[pymethods]
impl Settle {
    fn __call__(&self, py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outcome) = outcome else {
            return Err(error::defect("an outcome was handed over twice"));
        };
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match outcome.map_err(PyErr::from).and_then(|finish| finish(py)) {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }
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

/// The threads that are about to call the interpreter.
///
/// One that waits for the interpreter while it exits would be ended in the middle of Rust code, which aborts the process.
struct Deliveries {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    active: usize,
    ended: bool,
}

/// As long as it lives, the interpreter does not exit.
struct Delivery(&'static Deliveries);

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing once the interpreter exits.
    fn begin(&'static self) -> Option<Delivery> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        state.active += 1;
        Some(Delivery(self))
    }

    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        drop(
            self.changed
                .wait_timeout_while(state, EXIT_PATIENCE, |state| state.active > 0),
        );
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.0.lock().active -= 1;
        self.0.changed.notify_all();
    }
}

/// Lets no outcome come any more, and waits for those on their way. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_deliveries(py: Python<'_>) {
    // In a forked process the threads that deliver stayed behind.
    if runtime::is_here() {
        py.detach(|| DELIVERIES.end());
    }
}

//! Operations awaited on asyncio.
//!
//! An operation is a task of the runtime. When it has ended the event loop is told, once for all that have by then, and wakes
//! whoever awaits. The outcome itself stays here until the awaiting coroutine goes on: only then is it made a Python
//! object, and what it stands for handed over. A coroutine that is cancelled before that drops the outcome, and with it goes
//! back what was read, though the task had ended already.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fluss_rpc::sync::{Mutex, PerProcess};
use futures::FutureExt;
use pyo3::exceptions::{PyBaseException, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use tokio::task::AbortHandle;

use crate::error::{self, Fault};
use crate::handover::Handover;
use crate::logging;
use crate::own::Own;
use crate::runtime::runtime;
use crate::stay;
use crate::task::{Finish, Task};

static DELIVERIES: PerProcess<Handover<Ended>> = PerProcess::new(|| Handover::new(wake));

/// Begins `task`, for a coroutine of the running event loop.
pub(crate) fn begin(py: Python<'_>, task: Task) -> PyResult<Bound<'_, PyAny>> {
    let runtime = runtime()?;
    logging::read_levels(py)?;
    let event_loop = py
        .import(intern!(py, "asyncio"))?
        .call_method0(intern!(py, "get_running_loop"))?;
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let outcome = Arc::new(Outcome::default());
    let ended = Ended {
        event_loop: event_loop.unbind(),
        future: future.clone().unbind(),
    };
    let told = outcome.clone();
    let spawned = runtime.spawn(async move {
        let result = AssertUnwindSafe(task).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(Fault::new("FlussError", "the client failed: a panic")));
        // Nobody is woken any more when the interpreter exits.
        if told.put(result) {
            DELIVERIES.get().add(ended, usize::MAX);
        }
    });
    let awaiting = Awaiting {
        future: future.unbind(),
        begun: Own::new((outcome, spawned.abort_handle())),
    };
    Ok(Bound::new(py, awaiting)?.into_any())
}

/// What an operation has come to, until the coroutine goes on that awaits it.
#[derive(Default)]
struct Outcome(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    Known(Result<Finish, Fault>),
    /// It was taken, or nobody wants it any more.
    Gone,
}

impl Outcome {
    /// Keeps what the task has come to. It returns false, and drops it, if nobody wants it any more.
    fn put(&self, result: Result<Finish, Fault>) -> bool {
        let mut state = self.0.lock();
        let is_wanted = matches!(*state, State::Unknown);
        let unwanted = if is_wanted {
            *state = State::Known(result);
            None
        } else {
            Some(result)
        };
        drop(state);
        drop(unwanted);
        is_wanted
    }

    fn take(&self) -> Option<Result<Finish, Fault>> {
        let mut state = self.0.lock();
        let former = std::mem::replace(&mut *state, State::Gone);
        drop(state);
        match former {
            State::Known(result) => Some(result),
            State::Unknown | State::Gone => None,
        }
    }
}

/// What a coroutine goes through while it awaits an operation, as the iterator of a future would be.
#[pyclass(frozen)]
struct Awaiting {
    future: Py<PyAny>,
    begun: Own<(Arc<Outcome>, AbortHandle)>,
}

impl Awaiting {
    /// Has the operation end, unless it has, and gives back what it has read.
    fn give_up(&self) {
        if let Some((outcome, task)) = self.begun.here() {
            task.abort();
            drop(outcome.take());
        }
    }
}

#[pymethods]
impl Awaiting {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// The future that is waited for, and in the end the outcome.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (outcome, _) = self.begun.get()?;
        let future = self.future.bind(py);
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
            return Ok(future.clone());
        }
        // It raises if the future was cancelled.
        if let Err(error) = future.call_method0(intern!(py, "result")) {
            self.give_up();
            return Err(error);
        }
        let told = logging::hand_over(py);
        match outcome.take() {
            Some(result) => {
                told?;
                let value = result?(py)?;
                Err(PyStopIteration::new_err((value,)))
            }
            None => Err(error::defect("an outcome was awaited twice")),
        }
    }

    fn send<'py>(&self, py: Python<'py>, _value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.__next__(py)
    }

    /// The coroutine does not go on: it is cancelled, or an exception is raised where it awaits.
    #[pyo3(signature = (exception, value=None, _traceback=None))]
    fn throw(
        &self,
        exception: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.give_up();
        let raised = match value {
            Some(value) if value.is_instance_of::<PyBaseException>() => value,
            Some(value) if exception.is_instance_of::<PyType>() => exception.call1((value,))?,
            _ if exception.is_instance_of::<PyType>() => exception.call0()?,
            _ => exception,
        };
        Err(PyErr::from_value(raised))
    }

    fn close(&self) {
        self.give_up();
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// An operation that has ended, and who awaits it.
struct Ended {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

/// Has event loops wake those who await what has ended, all of a loop in one call. A loop that was closed has nobody left
/// who awaits.
fn wake(py: Python<'_>, mut ended: Vec<Ended>) {
    while let Some(event_loop) = ended.first().map(|first| first.event_loop.clone_ref(py)) {
        let (its, others) = ended
            .into_iter()
            .partition(|ended| ended.event_loop.is(&event_loop));
        ended = others;
        let settle = (Settle(Mutex::new(its)),);
        let called = stay::call(py, || {
            event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), settle)
        });
        if let Err(error) = called {
            tracing::debug!(target: "fluss", %error, "outcomes came too late for their event loop");
        }
    }
}

/// Settles futures, on their event loop.
#[pyclass(frozen)]
struct Settle(Mutex<Vec<Ended>>);

#[pymethods]
impl Settle {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let ended = std::mem::take(&mut *self.0.lock());
        let settled = ended.into_iter().map(|ended| settle(py, &ended));
        // Each is settled, whatever becomes of another.
        settled.fold(logging::hand_over(py), PyResult::and)
    }
}

fn settle(py: Python<'_>, ended: &Ended) -> PyResult<()> {
    let future = ended.future.bind(py);
    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}

/// Lets no outcome come any more, and waits for those on their way. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_deliveries(py: Python<'_>) {
    DELIVERIES.get().end(py);
}

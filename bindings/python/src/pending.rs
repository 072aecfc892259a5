//! An operation that was begun and can be finished in two ways: waited for or awaited.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use tokio::time::{Instant, timeout_at};

use crate::awaited;
use crate::error::{self, Fault};
use crate::logging;
use crate::runtime::runtime;

/// How long a blocked call may go without a look at signals.
const TICK: Duration = Duration::from_millis(20);

/// Turns an outcome into a Python object; called with the interpreter attached.
pub(crate) type Finish = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<Finish, Fault>> + Send>>;

/// An operation of the client. Nothing happens until it is waited for or awaited, once.
///
/// Dropping it, a `KeyboardInterrupt` while waiting and the cancellation of the awaiting task drop the operation.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Pending(Mutex<Option<Task>>);

impl Pending {
    /// The operation `task`, whose outcome becomes a Python object through `convert`.
    pub(crate) fn new<T, E, C>(task: impl Future<Output = Result<T, E>> + Send + 'static, convert: C) -> Self
    where
        T: Send + 'static,
        E: Into<Fault>,
        C: for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        Self(Mutex::new(Some(Box::pin(async move {
            let outcome = task.await.map_err(Into::into)?;
            let finish: Finish = Box::new(move |py| convert(py, outcome).map(Bound::unbind));
            Ok(finish)
        }))))
    }

    /// An operation without a result.
    pub(crate) fn nothing<E: Into<Fault>>(
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        Self::new(task, |py, ()| Ok(py.None().into_bound(py)))
    }

    fn take(&self) -> PyResult<Task> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
            .ok_or_else(|| PyRuntimeError::new_err("the operation was already waited for"))
    }
}

#[pymethods]
impl Pending {
    /// Blocks until the operation has ended, at most `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = timeout.map(seconds).transpose()?;
        block_on(py, self.take()?, limit)??(py)
    }

    pub(crate) fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        awaited::future(py, self.take()?)?.call_method0(intern!(py, "__await__"))
    }
}

/// Waits for `task` without the interpreter, at most `limit`, and looks at signals at every tick. Whatever ends the
/// wait before the task drops the task.
pub(crate) fn block_on<T: Send>(
    py: Python<'_>,
    task: impl Future<Output = T> + Send,
    limit: Option<Duration>,
) -> PyResult<T> {
    let runtime = runtime()?;
    let mut task = std::pin::pin!(task);
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let tick = Instant::now() + TICK;
        let wake = end.map_or(tick, |end| tick.min(end));
        let polled = py.detach(|| runtime.block_on(async { timeout_at(wake, task.as_mut()).await }));
        logging::hand_over(py)?;
        if let Ok(outcome) = polled {
            return Ok(outcome);
        }
        py.check_signals()?;
        if let (Some(end), Some(limit)) = (end, limit)
            && Instant::now() >= end
        {
            return Err(error::timeout(limit));
        }
    }
}

/// A duration of this many seconds.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("{seconds} seconds is no duration")))
}

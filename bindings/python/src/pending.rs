//! An operation that was begun and can be finished in two ways: waited for or awaited.

use std::future::Future;
use std::time::Duration;

use fluss_rpc::sync::Mutex;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::awaited;
use crate::blocking::{block_on, seconds};
use crate::error::Fault;
use crate::own::Own;
use crate::task::{Finish, Task};

/// An operation of the client. Nothing happens until it is waited for or awaited, once.
///
/// Dropping it, a `KeyboardInterrupt` while waiting and the cancellation of the awaiting task drop the operation.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Pending(Own<Mutex<Option<Task>>>);

impl Pending {
    /// The operation `task`, whose outcome becomes a Python object through `convert`.
    pub(crate) fn new<T, E, C>(task: impl Future<Output = Result<T, E>> + Send + 'static, convert: C) -> Self
    where
        T: Send + 'static,
        E: Into<Fault>,
        C: for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        let task: Task = Box::pin(async move {
            let outcome = task.await.map_err(Into::into)?;
            let finish: Finish = Box::new(move |py| convert(py, outcome).map(Bound::unbind));
            Ok(finish)
        });
        Self(Own::new(Mutex::new(Some(task))))
    }

    /// The operation `task`, whose outcome becomes through `make` what Python has a type for, such as one of our classes.
    pub(crate) fn object<T, E, O>(
        task: impl Future<Output = Result<T, E>> + Send + 'static,
        make: impl FnOnce(T) -> O + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        E: Into<Fault>,
        O: for<'py> IntoPyObjectExt<'py>,
    {
        Self::new(task, |py, outcome| make(outcome).into_bound_py_any(py))
    }

    /// An operation without a result.
    pub(crate) fn nothing<E: Into<Fault>>(
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        Self::new(task, |py, ()| Ok(py.None().into_bound(py)))
    }

    fn take(&self) -> PyResult<Task> {
        let mut slot = self.0.get()?.lock();
        slot.take()
            .ok_or_else(|| PyRuntimeError::new_err("the operation was already waited for"))
    }
}

/// How long a call has.
#[derive(FromPyObject)]
pub(crate) enum Limit {
    Delta(Duration),
    Seconds(f64),
}

impl Limit {
    pub(crate) fn duration(self) -> PyResult<Duration> {
        match self {
            Self::Delta(limit) => Ok(limit),
            Self::Seconds(limit) => seconds(limit),
        }
    }
}

#[pymethods]
impl Pending {
    /// Blocks until the operation has ended, at most `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = timeout.map(seconds).transpose()?;
        let outcome = block_on(py, self.take()?, limit)?;
        // An interrupt that has come meanwhile would be raised on the way to the caller, who would not get the outcome.
        py.check_signals()?;
        outcome?(py)
    }

    /// The same, which has so long: a number of seconds or a `timedelta`. Without one it has as long as the options say.
    fn within(slf: PyRef<'_, Self>, limit: Option<Limit>) -> PyResult<PyRef<'_, Self>> {
        if let Some(limit) = limit {
            let limit = limit.duration()?;
            let mut slot = slf.0.get()?.lock();
            *slot = slot
                .take()
                .map(|task| -> Task { Box::pin(fluss_client::within(limit, task)) });
        }
        Ok(slf)
    }

    pub(crate) fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        awaited::begin(py, self.take()?)
    }
}

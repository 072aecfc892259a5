//! What an operation does, and what becomes of its outcome.

use std::future::Future;
use std::pin::Pin;

use pyo3::prelude::*;

use crate::error::Fault;

/// Turns an outcome into a Python object, and hands over what it stands for; called with the interpreter attached, by
/// whoever gets the object. What is not handed over goes back when this is dropped.
pub(crate) type Finish = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;

/// What an operation does, until it can be finished.
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<Finish, Fault>> + Send>>;

//! The handle of a write.

use std::collections::HashMap;
use std::convert::identity;
use std::future::Future;
use std::sync::Arc;

use fluss_client::{self as client, Error};
use pyo3::prelude::*;

use super::collected::Collected;
use crate::blocking::block_on;
use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::own::Own;
use crate::pending::{Limit, Pending};

/// A write on its way.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct WriteHandle(Own<Arc<[Collected]>>);

impl WriteHandle {
    pub(super) fn new(parts: impl Into<Arc<[Collected]>>) -> Self {
        Self(Own::new(parts.into()))
    }

    /// The handle of a write that the client has taken.
    pub(crate) fn of(handle: client::WriteHandle) -> Self {
        Self::new([Collected::Now(handle)])
    }

    /// Waits for the acknowledgement of every part, and gives the offset of the row, if it is one.
    fn settled(&self) -> PyResult<impl Future<Output = Result<Option<i64>, Error>> + Send + 'static> {
        let parts = self.0.get()?.clone();
        // From now on, and not only once it is polled.
        let awaited: Vec<_> = parts.iter().filter_map(Collected::awaited).collect();
        Ok(async move {
            let _awaited = awaited;
            let mut offset = None;
            for part in parts.iter() {
                offset = part.settled().await?;
            }
            Ok(offset)
        })
    }

    /// Waits for the acknowledgement of every part, and gives the writes that they were.
    pub(crate) fn written(
        &self,
    ) -> PyResult<impl Future<Output = Result<Vec<client::WriteHandle>, Error>> + Send + 'static> {
        let (settled, parts) = (self.settled()?, self.0.get()?.clone());
        Ok(async move {
            settled.await?;
            Ok(parts.iter().filter_map(Collected::handle).cloned().collect())
        })
    }
}

#[pymethods]
impl WriteHandle {
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Limit>) -> PyResult<Option<i64>> {
        let limit = timeout.map(Limit::duration).transpose()?;
        Ok(block_on(py, self.settled()?, limit)?.map_err(Fault::from)?)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Pending::object(self.settled()?, identity).__await__(py)
    }

    #[getter]
    fn ends(&self) -> PyResult<HashMap<TableBucket, Option<i64>>> {
        let handles = self.0.get()?.iter().filter_map(Collected::handle);
        let mut ends = HashMap::new();
        for (bucket, end) in handles.flat_map(client::WriteHandle::ends) {
            let known = ends.entry(TableBucket(bucket)).or_insert(end);
            *known = end.max(*known);
        }
        Ok(ends)
    }

    fn done(&self) -> PyResult<bool> {
        Ok(self.0.get()?.iter().all(Collected::is_settled))
    }

    fn __repr__(&self) -> &'static str {
        if self.done().unwrap_or(false) {
            "WriteHandle(done)"
        } else {
            "WriteHandle(pending)"
        }
    }
}

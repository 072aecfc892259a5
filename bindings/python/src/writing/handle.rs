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
pub(crate) struct WriteHandle {
    parts: Own<Arc<[Collected]>>,
    /// Of Arrow data: how much it is.
    extent: Option<Extent>,
}

/// How much Arrow data is.
#[derive(Clone, Copy, Default)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl WriteHandle {
    pub(super) fn new(parts: impl Into<Arc<[Collected]>>) -> Self {
        Self {
            parts: Own::new(parts.into()),
            extent: None,
        }
    }

    pub(super) fn of_data(collected: Collected, extent: Extent) -> Self {
        Self {
            extent: Some(extent),
            ..Self::new([collected])
        }
    }

    /// The handle of a write that the client has taken.
    pub(crate) fn of(handle: client::WriteHandle) -> Self {
        Self::new([Collected::Now(handle)])
    }

    /// Waits for the acknowledgement of every part, and gives the offset of the row, if it is one.
    fn settled(&self) -> PyResult<impl Future<Output = Result<Option<i64>, Error>> + Send + 'static> {
        let parts = self.parts.get()?.clone();
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
        let (settled, parts) = (self.settled()?, self.parts.get()?.clone());
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
        self.acknowledged()?.__await__(py)
    }

    /// The wait for the acknowledgement, which can be given a limit.
    fn acknowledged(&self) -> PyResult<Pending> {
        Ok(Pending::object(self.settled()?, identity))
    }

    #[getter]
    fn ends(&self) -> PyResult<HashMap<TableBucket, Option<i64>>> {
        let handles = self.parts.get()?.iter().filter_map(Collected::handle);
        let mut ends = HashMap::new();
        for (bucket, end) in handles.flat_map(client::WriteHandle::ends) {
            let known = ends.entry(TableBucket(bucket)).or_insert(end);
            *known = end.max(*known);
        }
        Ok(ends)
    }

    #[getter]
    fn rows(&self) -> PyResult<usize> {
        let rows = self.parts.get()?.len();
        Ok(self.extent.map_or(rows, |extent| extent.rows))
    }

    #[getter]
    fn nbytes(&self) -> Option<usize> {
        self.extent.map(|extent| extent.bytes)
    }

    #[getter]
    fn rows_stored(&self) -> PyResult<u64> {
        let handles = self.parts.get()?.iter().filter_map(Collected::handle);
        Ok(handles.map(client::WriteHandle::rows_stored).sum())
    }

    fn done(&self) -> PyResult<bool> {
        Ok(self.parts.get()?.iter().all(Collected::is_settled))
    }

    fn __repr__(&self) -> &'static str {
        if self.done().unwrap_or(false) {
            "WriteHandle(done)"
        } else {
            "WriteHandle(pending)"
        }
    }
}

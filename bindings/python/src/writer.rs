//! Writers.

use arrow::array::RecordBatch;
use fluss_client::types::RowType;
use fluss_client::{self as client, Error};
use pyo3::prelude::*;

use crate::arrow::Incoming;
use crate::convert::{key_from_python, row_from_python};
use crate::error::Fault;
use crate::pending::{Pending, block_on, seconds};
use crate::runtime::runtime;

/// Appends rows and Arrow batches to a log table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct AppendWriter {
    writer: client::AppendWriter,
    row_type: RowType,
}

impl AppendWriter {
    pub(crate) fn new(writer: client::AppendWriter) -> Self {
        let row_type = writer.table().row_type().clone();
        Self { writer, row_type }
    }
}

#[pymethods]
impl AppendWriter {
    /// Collects a row; blocks, without the interpreter, only while there is no memory for it.
    fn append(&self, py: Python<'_>, row: &Bound<'_, PyAny>) -> PyResult<WriteHandle> {
        runtime()?;
        let row = row_from_python(row, &self.row_type).map_err(Fault::from)?;
        let collected = self.writer.try_append(&row);
        collect(py, collected, || self.writer.append(&row))
    }

    /// Collects the rows of Arrow data, batch by batch.
    fn append_arrow(&self, data: Incoming) -> Pending {
        let writer = self.writer.clone();
        collect_all(data, move |batch| {
            let writer = writer.clone();
            async move { writer.append_arrow(&batch).await }
        })
    }

    fn flush(&self) -> Pending {
        let writer = self.writer.clone();
        Pending::nothing(async move { writer.flush().await })
    }

    fn close(&self) -> Pending {
        let writer = self.writer.clone();
        Pending::nothing(async move { writer.close().await })
    }
}

/// Upserts and deletes rows of a primary-key table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct UpsertWriter(client::UpsertWriter);

impl UpsertWriter {
    pub(crate) const fn new(writer: client::UpsertWriter) -> Self {
        Self(writer)
    }
}

#[pymethods]
impl UpsertWriter {
    /// Collects a row; blocks, without the interpreter, only while there is no memory for it.
    fn upsert(&self, py: Python<'_>, row: &Bound<'_, PyAny>) -> PyResult<WriteHandle> {
        runtime()?;
        let row = row_from_python(row, self.0.row_type()).map_err(Fault::from)?;
        let collected = self.0.try_upsert(&row);
        collect(py, collected, || self.0.upsert(&row))
    }

    /// Collects a key, or a row with it, to be deleted; blocks as `upsert` does.
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<WriteHandle> {
        runtime()?;
        let all = self.0.table().row_type();
        let key = key_from_python(key, self.0.key_type(), Some(all)).map_err(Fault::from)?;
        let collected = self.0.try_delete(&key);
        collect(py, collected, || self.0.delete(&key))
    }

    /// Collects the rows of Arrow data, batch by batch.
    fn upsert_arrow(&self, data: Incoming) -> Pending {
        let writer = self.0.clone();
        collect_all(data, move |batch| {
            let writer = writer.clone();
            async move { writer.upsert_arrow(&batch).await }
        })
    }

    /// Collects the keys in Arrow data, batch by batch.
    fn delete_arrow(&self, data: Incoming) -> Pending {
        let writer = self.0.clone();
        collect_all(data, move |batch| {
            let writer = writer.clone();
            async move { writer.delete_arrow(&batch).await }
        })
    }

    fn flush(&self) -> Pending {
        let writer = self.0.clone();
        Pending::nothing(async move { writer.flush().await })
    }

    fn close(&self) -> Pending {
        let writer = self.0.clone();
        Pending::nothing(async move { writer.close().await })
    }
}

/// The handle of a row that is collected, or will be once there is memory for it.
fn collect<F>(
    py: Python<'_>,
    collected: client::Result<Option<client::WriteHandle>>,
    wait: impl FnOnce() -> F,
) -> PyResult<WriteHandle>
where
    F: Future<Output = client::Result<client::WriteHandle>> + Send,
{
    let handle = match collected.map_err(Fault::from)? {
        Some(handle) => handle,
        None => block_on(py, wait(), None)?.map_err(Fault::from)?,
    };
    Ok(WriteHandle(vec![handle]))
}

/// Collects Arrow data, batch by batch; one handle tells the fate of all.
fn collect_all<F>(data: Incoming, collect: impl Fn(RecordBatch) -> F + Send + 'static) -> Pending
where
    F: Future<Output = client::Result<client::WriteHandle>> + Send,
{
    let collected = async move {
        let mut handles = Vec::new();
        for batch in data {
            handles.push(collect(batch?).await?);
        }
        Ok::<_, Fault>(handles)
    };
    Pending::new(collected, |py, handles| {
        Ok(Bound::new(py, WriteHandle(handles))?.into_any())
    })
}

/// A write on its way.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct WriteHandle(Vec<client::WriteHandle>);

impl WriteHandle {
    /// Waits for the acknowledgement of every part, and gives the offset of the row, if it is one.
    fn settled(&self) -> impl Future<Output = Result<Option<i64>, Error>> + Send + 'static {
        let handles = self.0.clone();
        async move {
            let mut offset = None;
            for handle in &handles {
                offset = handle.wait().await?;
            }
            Ok(offset)
        }
    }
}

#[pymethods]
impl WriteHandle {
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<i64>> {
        let limit = timeout.map(seconds).transpose()?;
        Ok(block_on(py, self.settled(), limit)?.map_err(Fault::from)?)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Pending::new(self.settled(), |py, offset| {
            Ok(offset.into_pyobject(py)?.into_any())
        })
        .__await__(py)
    }

    fn done(&self) -> bool {
        self.0.iter().all(client::WriteHandle::is_settled)
    }

    fn __repr__(&self) -> &'static str {
        if self.done() {
            "WriteHandle(done)"
        } else {
            "WriteHandle(pending)"
        }
    }
}

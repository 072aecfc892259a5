//! Writers of log tables.

use arrow::array::RecordBatchReader;
use fluss_client::types::RowType;
use fluss_client::{self as client, Error};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;

use crate::convert::row_from_python;
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
        let handle = match self.writer.try_append(&row).map_err(Fault::from)? {
            Some(handle) => handle,
            None => block_on(py, self.writer.append(&row), None)?.map_err(Fault::from)?,
        };
        Ok(WriteHandle(vec![handle]))
    }

    /// Collects the rows of Arrow data, batch by batch.
    fn append_arrow(&self, data: AnyRecordBatch) -> PyResult<Pending> {
        let writer = self.writer.clone();
        let batches = data.into_reader()?;
        Ok(Pending::new(append_all(writer, batches), |py, handles| {
            Ok(Bound::new(py, WriteHandle(handles))?.into_any())
        }))
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

async fn append_all(
    writer: client::AppendWriter,
    batches: Box<dyn RecordBatchReader + Send>,
) -> Result<Vec<client::WriteHandle>, Fault> {
    let mut handles = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| Fault::new("DataError", error.to_string()))?;
        handles.push(writer.append_arrow(&batch).await?);
    }
    Ok(handles)
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

//! Writers.

use fluss_client::types::{OwnedRow, RowType, TableInfo};
use fluss_client::{self as client, BatchWrite, ValueError};
use fluss_core::arrow::ColumnsBuilder;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::arrow::{ArrowTable, Incoming};
use crate::convert::{key_from_python, row_from_python};
use crate::error::Fault;
use crate::pending::Pending;
use crate::writing::{Change, Collects, WriteHandle, Writing};

/// Appends rows and Arrow batches to a log table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct AppendWriter {
    writing: Writing<client::AppendWriter>,
    row_type: RowType,
}

impl AppendWriter {
    pub(crate) fn new(connection: &client::Connection, writer: client::AppendWriter) -> Self {
        let row_type = writer.table().row_type().clone();
        Self {
            writing: Writing::new(connection, writer),
            row_type,
        }
    }
}

impl Collects for client::AppendWriter {
    const NAME: &'static str = "AppendWriter";

    fn operation(_change: Change) -> &'static str {
        "append"
    }

    fn table(&self) -> &TableInfo {
        self.table()
    }

    fn try_collect(&self, _change: Change, row: &OwnedRow) -> client::Result<Option<client::WriteHandle>> {
        self.try_append(row)
    }

    async fn collect(&self, _change: Change, row: &OwnedRow) -> client::Result<client::WriteHandle> {
        self.append(row).await
    }

    fn batches(&self, _change: Change) -> client::Result<BatchWrite> {
        Ok(self.append_batches())
    }

    async fn flush(&self) -> client::Result<()> {
        self.flush().await
    }

    async fn close(&self) -> client::Result<()> {
        self.close().await
    }
}

#[pymethods]
impl AppendWriter {
    /// Collects a row; blocks, without the interpreter, only while there is no memory for it. With `soon` it never blocks:
    /// the row waits for its memory by itself.
    #[pyo3(signature = (row, *, soon=false))]
    fn append(&self, py: Python<'_>, row: &Bound<'_, PyAny>, soon: bool) -> PyResult<WriteHandle> {
        self.writing.check_open()?;
        let row = row_from_python(row, &self.row_type).map_err(Fault::from)?;
        self.writing.collect(py, Change::Put, row, soon)
    }

    /// Rows as columns, for [`append_arrow`](Self::append_arrow).
    #[pyo3(signature = (rows, first=0))]
    fn rows(&self, rows: &Bound<'_, PyList>, first: usize) -> PyResult<ArrowTable> {
        table_of(rows, first, &self.row_type, row_from_python)
    }

    /// Collects the rows of Arrow data as a whole.
    fn append_arrow(&self, data: Incoming) -> PyResult<Pending> {
        self.writing.collect_all(Change::Put, data)
    }

    fn flush(&self) -> PyResult<Pending> {
        self.writing.flush()
    }

    fn close(&self) -> PyResult<Pending> {
        self.writing.close()
    }
}

/// Upserts and deletes rows of a primary-key table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct UpsertWriter {
    writing: Writing<client::UpsertWriter>,
    row_type: RowType,
    key_type: RowType,
    all: RowType,
}

impl UpsertWriter {
    pub(crate) fn new(connection: &client::Connection, writer: client::UpsertWriter) -> Self {
        Self {
            row_type: writer.row_type().clone(),
            key_type: writer.key_type().clone(),
            all: writer.table().row_type().clone(),
            writing: Writing::new(connection, writer),
        }
    }
}

impl Collects for client::UpsertWriter {
    const NAME: &'static str = "UpsertWriter";

    fn operation(change: Change) -> &'static str {
        match change {
            Change::Put => "upsert",
            Change::Delete => "delete",
        }
    }

    fn table(&self) -> &TableInfo {
        self.table()
    }

    fn try_collect(&self, change: Change, row: &OwnedRow) -> client::Result<Option<client::WriteHandle>> {
        match change {
            Change::Put => self.try_upsert(row),
            Change::Delete => self.try_delete(row),
        }
    }

    async fn collect(&self, change: Change, row: &OwnedRow) -> client::Result<client::WriteHandle> {
        match change {
            Change::Put => self.upsert(row).await,
            Change::Delete => self.delete(row).await,
        }
    }

    fn batches(&self, change: Change) -> client::Result<BatchWrite> {
        match change {
            Change::Put => Ok(self.upsert_batches()),
            Change::Delete => self.delete_batches(),
        }
    }

    async fn flush(&self) -> client::Result<()> {
        self.flush().await
    }

    async fn close(&self) -> client::Result<()> {
        self.close().await
    }
}

#[pymethods]
impl UpsertWriter {
    /// Collects a row, as [`AppendWriter::append`] does.
    #[pyo3(signature = (row, *, soon=false))]
    fn upsert(&self, py: Python<'_>, row: &Bound<'_, PyAny>, soon: bool) -> PyResult<WriteHandle> {
        self.writing.check_open()?;
        let row = row_from_python(row, &self.row_type).map_err(Fault::from)?;
        self.writing.collect(py, Change::Put, row, soon)
    }

    /// Collects a key, or a row with it, to be deleted, as [`AppendWriter::append`] does.
    #[pyo3(signature = (key, *, soon=false))]
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>, soon: bool) -> PyResult<WriteHandle> {
        self.writing.check_open()?;
        let key = key_from_python(key, &self.key_type, Some(&self.all)).map_err(Fault::from)?;
        self.writing.collect(py, Change::Delete, key, soon)
    }

    /// Rows as columns, for [`upsert_arrow`](Self::upsert_arrow).
    #[pyo3(signature = (rows, first=0))]
    fn rows(&self, rows: &Bound<'_, PyList>, first: usize) -> PyResult<ArrowTable> {
        table_of(rows, first, &self.row_type, row_from_python)
    }

    /// Keys, or rows with them, as columns, for [`delete_arrow`](Self::delete_arrow).
    #[pyo3(signature = (keys, first=0))]
    fn keys(&self, keys: &Bound<'_, PyList>, first: usize) -> PyResult<ArrowTable> {
        table_of(keys, first, &self.key_type, |key, key_type| {
            key_from_python(key, key_type, Some(&self.all))
        })
    }

    /// Collects the rows of Arrow data as a whole.
    fn upsert_arrow(&self, data: Incoming) -> PyResult<Pending> {
        self.writing.collect_all(Change::Put, data)
    }

    /// Collects the keys in Arrow data as a whole.
    fn delete_arrow(&self, data: Incoming) -> PyResult<Pending> {
        self.writing.collect_all(Change::Delete, data)
    }

    fn flush(&self) -> PyResult<Pending> {
        self.writing.flush()
    }

    fn close(&self) -> PyResult<Pending> {
        self.writing.close()
    }
}

/// Rows that `read` makes of Python values, as columns; errors count them from `first`.
fn table_of(
    rows: &Bound<'_, PyList>,
    first: usize,
    row_type: &RowType,
    read: impl Fn(&Bound<'_, PyAny>, &RowType) -> Result<OwnedRow, ValueError>,
) -> PyResult<ArrowTable> {
    let mut columns = ColumnsBuilder::new(row_type, rows.len());
    for (index, row) in rows.iter().enumerate() {
        let appended = read(&row, row_type).and_then(|row| columns.append(&row));
        appended.map_err(|error| Fault::from(error.at_row(first + index)))?;
    }
    let columns = columns.finish().map_err(Fault::from)?;
    Ok(ArrowTable::new(columns.schema(), vec![columns]))
}

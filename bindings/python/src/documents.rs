//! Documents: rows that are changed field by field.

use std::sync::Arc;

use fluss_client as client;
use fluss_client::types::{Datum, OwnedRow};
use fluss_replica as replica;
use fluss_rpc::sync::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::closing::CloseOnDrop;
use crate::convert::{document_from_python, key_from_python};
use crate::error::Fault;
use crate::own::Own;
use crate::path::PathArgument;
use crate::pending::Pending;
use crate::writing::{Unsent, WriteHandle, let_go, watch};

/// The documents of a table. When they are let go with writes that are not acknowledged it says so.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Documents(Own<Arc<State>>);

struct State {
    documents: replica::Documents,
    connection: client::Connection,
    /// Whether the connection is closed with them.
    owns: bool,
    /// The last write, until a flush.
    last: Mutex<Option<client::WriteHandle>>,
}

impl Documents {
    /// Opens the documents of a table.
    pub(crate) fn open(connection: client::Connection, path: PathArgument, owns: bool) -> PyResult<Pending> {
        let path = path.of(&connection.admin())?;
        let opening = async move {
            let documents = replica::Documents::open(&connection, &path).await?;
            let state = Arc::new(State {
                documents,
                connection,
                owns,
                last: Mutex::default(),
            });
            watch(&state, &state.connection);
            Ok::<_, replica::Error>(state)
        };
        Ok(Pending::object(opening, |state| Self(Own::new(state))))
    }

    fn key(&self, key: &Bound<'_, PyAny>) -> PyResult<OwnedRow> {
        let info = self.0.get()?.documents.table().info();
        let positions = info.schema().indexes_of(info.schema().primary_key());
        let key_type = info.row_type().project(&positions.map_err(Fault::from)?);
        let key = key_from_python(key, &key_type, Some(info.row_type()));
        Ok(key.map_err(Fault::from)?)
    }

    /// A write of one document, which gives its handle.
    fn write<F>(&self, write: impl FnOnce(replica::Documents) -> F + Send + 'static) -> PyResult<Pending>
    where
        F: Future<Output = replica::Result<client::WriteHandle>> + Send,
    {
        let state = self.0.get()?.clone();
        let writing = async move {
            let handle = write(state.documents.clone()).await?;
            *state.last.lock() = Some(handle.clone());
            Ok::<_, replica::Error>(handle)
        };
        Ok(Pending::object(writing, WriteHandle::of))
    }

    /// A change of all documents, which gives how many were changed.
    fn sweep<F>(&self, sweep: impl FnOnce(replica::Documents) -> F + Send + 'static) -> PyResult<Pending>
    where
        F: Future<Output = replica::Result<u64>> + Send,
    {
        let documents = self.0.get()?.documents.clone();
        let sweeping = async move { sweep(documents).await };
        Ok(Pending::object(sweeping, |rows: u64| rows))
    }
}

impl State {
    async fn flush(&self) -> replica::Result<()> {
        self.documents.flush().await?;
        self.last.lock().take_if(|last| last.is_settled());
        Ok(())
    }
}

impl Unsent for State {
    fn warning(&self, fate: &str) -> Option<String> {
        let last = self.last.lock();
        let is_unsent = last.as_ref().is_some_and(|last| !last.is_settled());
        is_unsent.then(|| {
            let path = &self.documents.table().info().path;
            format!("the Documents of table {path} {fate} with writes that are not acknowledged: flush or close it")
        })
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        if let Some(state) = self.0.here() {
            let_go(&**state);
        }
    }
}

#[pymethods]
impl Documents {
    /// Sets fields of a document, and gives the handle of the write.
    fn upsert_fields(&self, document: &Bound<'_, PyDict>) -> PyResult<Pending> {
        let row_type = self.0.get()?.documents.table().info().row_type();
        let fields = document_from_python(document, row_type).map_err(Fault::from)?;
        self.write(move |documents| async move {
            let named = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.borrowed()));
            let named: Vec<(&str, Datum<'_>)> = named.collect();
            documents.upsert_fields(&named).await
        })
    }

    /// Sets columns of a document to null, if there is one, and gives the handle of the write.
    fn delete_fields(&self, key: &Bound<'_, PyAny>, columns: Vec<String>) -> PyResult<Pending> {
        let key = self.key(key)?;
        self.write(move |documents| async move { documents.delete_fields(&key, &columns).await })
    }

    /// Deletes a document, if there is one, and gives the handle of the write.
    fn delete_document(&self, key: &Bound<'_, PyAny>) -> PyResult<Pending> {
        let key = self.key(key)?;
        self.write(move |documents| async move { documents.delete_document(&key).await })
    }

    /// Sets columns to null in all documents, and gives how many were changed.
    fn clear_columns(&self, names: Vec<String>) -> PyResult<Pending> {
        self.sweep(move |documents| async move { documents.clear_columns(&names).await })
    }

    /// The same for the columns whose names begin so.
    fn clear_columns_with_prefix(&self, prefixes: Vec<String>) -> PyResult<Pending> {
        self.sweep(move |documents| async move { documents.clear_columns_with_prefix(&prefixes).await })
    }

    /// Deletes all documents, and gives how many there were.
    fn truncate(&self) -> PyResult<Pending> {
        self.sweep(|documents| async move { documents.truncate().await })
    }

    fn flush(&self) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        Ok(Pending::nothing(async move { state.flush().await }))
    }

    /// Flushes, and closes the connection if it is their own.
    fn close(&self) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            if state.connection.is_closed() {
                return Ok(());
            }
            let closing = state.owns.then(|| CloseOnDrop(state.connection.clone()));
            let flushed = state.flush().await;
            match closing {
                Some(closing) => flushed.and(closing.shut_down().await.map_err(Into::into)),
                None => flushed,
            }
        }))
    }

    #[getter]
    fn table_path(&self) -> PyResult<String> {
        Ok(self.0.get()?.documents.table().info().path.to_string())
    }
}

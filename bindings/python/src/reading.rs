//! Readers of batches, which get back what was read and not taken: by calls that are waited for or awaited, and by Arrow streams.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::arrow::{ArrowTable, stream};
use crate::blocking::block_on;
use crate::error::Fault;
use crate::own::Own;
use crate::pending::Pending;

/// What is read once, batch by batch.
pub(crate) trait Source: Send + 'static {
    type Batch: Clone + Send + 'static;

    /// What Python gets for a batch.
    type Object: for<'py> IntoPyObjectExt<'py>;

    /// The next batch; nothing at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Batch>, Fault>> + Send;

    /// All batches that are left.
    fn rest(&mut self) -> impl Future<Output = Result<Vec<Self::Batch>, Fault>> + Send;

    /// Takes batches back that were read last, in their order, or the end that was told.
    fn put_back(&mut self, batches: Vec<Self::Batch>);

    /// Whether somebody was told the end.
    fn has_ended(&self) -> bool;

    /// Fails if somebody was told the end: who reads it now would take it for empty.
    fn check_unread(&self) -> Result<(), Fault>;

    /// A batch as Python sees it.
    fn show(&self, batch: Self::Batch) -> Result<Self::Batch, Fault>;

    /// The columns of a batch.
    fn columns(batch: Self::Batch) -> Columns;

    /// A batch of the columns `schema` as a Python object.
    fn object(batch: Self::Batch, schema: SchemaRef) -> Self::Object;
}

/// What readers of Python do with a source, in the process that has made it.
pub(crate) struct Reading<S: Source> {
    source: Own<Arc<Mutex<S>>>,
    /// The columns of the batches, as Python sees them.
    schema: SchemaRef,
}

impl<S: Source> Reading<S> {
    pub(crate) fn new(source: S, schema: SchemaRef) -> Self {
        Self {
            source: Own::new(Arc::new(Mutex::new(source))),
            schema,
        }
    }

    pub(crate) fn source(&self) -> PyResult<&Arc<Mutex<S>>> {
        self.source.get()
    }

    /// Raises if it was read to its end already, which whoever reads it now would take for an empty table.
    pub(crate) fn begin(&self) -> PyResult<()> {
        Ok(check_unread(self.source()?)?)
    }

    /// The next batch, or None at the end.
    pub(crate) fn next_batch(&self) -> PyResult<Pending> {
        let (source, schema) = (self.source()?.clone(), self.schema.clone());
        Ok(Pending::object(next(source), |read| {
            read.take().map(|batch| S::object(batch, schema))
        }))
    }

    /// All that is left, as one table.
    pub(crate) fn read_all(&self) -> PyResult<Pending> {
        let (source, schema) = (self.source()?.clone(), self.schema.clone());
        Ok(Pending::object(rest(source), |read| {
            let columns = read.take().into_iter().map(S::columns);
            ArrowTable::new(schema, columns.collect())
        }))
    }

    /// The next batch as `make` shows it, within a limit of time. What cannot be shown stays unread.
    pub(crate) fn poll<F>(&self, limit: Option<Duration>, make: F) -> PyResult<Pending>
    where
        F: for<'py> FnOnce(Python<'py>, Polled<'_, S::Batch>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        let source = self.source()?.clone();
        let polled = async move {
            match limit {
                None => next(source).await.map(Some),
                Some(limit) => tokio::time::timeout(limit, next(source)).await.ok().transpose(),
            }
        };
        Ok(Pending::new(polled, |py, read| {
            let Some(read) = read else {
                return make(py, Polled::Nothing);
            };
            let shown = match &read.shown {
                Some(batch) => make(py, Polled::Batch(batch)),
                None => make(py, Polled::End),
            }?;
            read.take();
            Ok(shown)
        }))
    }

    /// All batches that are left as `make` shows them. What cannot be shown stays unread.
    #[cfg(feature = "sql")]
    pub(crate) fn read_as<F>(&self, make: F) -> PyResult<Pending>
    where
        F: for<'py> FnOnce(Python<'py>, &[S::Batch]) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        let source = self.source()?.clone();
        Ok(Pending::new(rest(source), |py, read| {
            let shown = make(py, &read.shown)?;
            read.take();
            Ok(shown)
        }))
    }

    /// The columns, as any Arrow library takes them.
    pub(crate) fn export_schema<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    /// An Arrow stream that reads as whoever takes it asks for batches.
    pub(crate) fn export_stream<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let source = self.source()?.clone();
        check_unread(&source).map_err(PyErr::from)?;
        let source = Own::new(source);
        let mut has_begun = false;
        let batches = std::iter::from_fn(move || {
            let is_first = !std::mem::replace(&mut has_begun, true);
            waited(&source, is_first).transpose()
        });
        stream(py, &self.schema, batches.fuse(), requested_schema)
    }
}

/// What has come of a read that had some time.
pub(crate) enum Polled<'a, B> {
    Batch(&'a B),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

/// What a source has read and nobody has: ahead, or given back. It knows where the source stood behind each batch, and so
/// where it stands for whoever gives back what he got.
pub(crate) struct Shelf<B, P> {
    read: VecDeque<(B, Option<P>)>,
    /// Where the source stood before what was given out last, and behind each batch of it.
    before: Option<P>,
    given: Vec<Option<P>>,
    /// Whether somebody was told the end.
    has_ended: bool,
}

impl<B, P> Default for Shelf<B, P> {
    fn default() -> Self {
        Self {
            read: VecDeque::new(),
            before: None,
            given: Vec::new(),
            has_ended: false,
        }
    }
}

impl<B, P: Clone> Shelf<B, P> {
    pub(crate) fn push(&mut self, batch: B, behind: Option<P>) {
        self.read.push_back((batch, behind));
    }

    pub(crate) fn pop(&mut self) -> Option<(B, Option<P>)> {
        self.read.pop_front()
    }

    #[cfg(feature = "sql")]
    pub(crate) fn clear(&mut self) {
        self.read.clear();
    }

    #[cfg(feature = "sql")]
    pub(crate) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    #[cfg(feature = "sql")]
    pub(crate) fn batches(&self) -> impl Iterator<Item = &B> {
        self.read.iter().map(|(batch, _)| batch)
    }

    /// Gives a batch out, or the end, and says where the source stands for whoever has it.
    pub(crate) fn give(&mut self, next: Option<(B, Option<P>)>, before: Option<P>) -> (Option<B>, Option<P>) {
        self.has_ended = next.is_none();
        let (batch, behind) = next.unzip();
        let behind = behind.flatten();
        self.given = vec![behind.clone()];
        self.before.clone_from(&before);
        (batch, behind.or(before))
    }

    /// Gives all out that is on the shelf, and the end.
    pub(crate) fn give_all(&mut self, before: Option<P>) -> (Vec<B>, Option<P>) {
        self.has_ended = true;
        let (batches, given): (_, Vec<_>) = std::mem::take(&mut self.read).into_iter().unzip();
        let last = given.last().cloned().flatten();
        self.given = given;
        self.before.clone_from(&before);
        (batches, last.or(before))
    }

    /// Takes back what was given out last, and says where the source stands again.
    pub(crate) fn put_back(&mut self, batches: Vec<B>) -> Option<P> {
        self.has_ended = false;
        let given = std::mem::take(&mut self.given);
        for read in batches.into_iter().zip(given).rev() {
            self.read.push_front(read);
        }
        self.before.take()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Fails with `reason` if somebody was told the end.
    pub(crate) fn check_unread(&self, reason: &str) -> Result<(), Fault> {
        if self.has_ended {
            return Err(Fault::new("ArgumentError", reason));
        }
        Ok(())
    }
}

/// Batches that were read, or the end. They go back to the source unless they are taken.
struct Read<T, S: Source> {
    shown: T,
    loan: Loan<S>,
}

struct Loan<S: Source> {
    source: OwnedMutexGuard<S>,
    batches: Option<Vec<S::Batch>>,
}

impl<T, S: Source> Read<T, S> {
    fn take(self) -> T {
        let Self { shown, mut loan } = self;
        loan.batches = None;
        shown
    }
}

impl<S: Source> Drop for Loan<S> {
    fn drop(&mut self) {
        if let Some(batches) = self.batches.take() {
            self.source.put_back(batches);
        }
    }
}

async fn next<S: Source>(source: Arc<Mutex<S>>) -> Result<Read<Option<S::Batch>, S>, Fault> {
    let mut source = source.lock_owned().await;
    let had_ended = source.has_ended();
    let batches = source.next().await?.into_iter().collect();
    let Read { shown, mut loan } = lend(source, batches)?;
    if had_ended {
        // The end stays told, whoever gets it once more.
        loan.batches = None;
    }
    let shown = shown.into_iter().next();
    Ok(Read { shown, loan })
}

async fn rest<S: Source>(source: Arc<Mutex<S>>) -> Result<Read<Vec<S::Batch>, S>, Fault> {
    let mut source = source.lock_owned().await;
    let batches = source.rest().await?;
    lend(source, batches)
}

/// Lends batches that were just read.
fn lend<S: Source>(
    source: OwnedMutexGuard<S>,
    batches: Vec<S::Batch>,
) -> Result<Read<Vec<S::Batch>, S>, Fault> {
    let shown = batches.clone().into_iter();
    let loan = Loan {
        source,
        batches: Some(batches),
    };
    let shown = shown
        .map(|batch| loan.source.show(batch))
        .collect::<Result<_, _>>()?;
    Ok(Read { shown, loan })
}

fn check_unread<S: Source>(source: &Mutex<S>) -> Result<(), Fault> {
    match source.try_lock() {
        Ok(source) => source.check_unread(),
        // While somebody reads it, nobody was told the end yet.
        Err(_) => Ok(()),
    }
}

/// Waits for the next batch, whether the caller holds the interpreter or not.
fn waited<S: Source>(source: &Own<Arc<Mutex<S>>>, is_first: bool) -> Result<Option<Columns>, ArrowError> {
    let batch = Python::try_attach(|py| -> PyResult<_> {
        let source = source.get()?;
        if is_first {
            check_unread(source)?;
        }
        let read = block_on(py, next(source.clone()), None)?;
        Ok(read?.take())
    });
    let ended = || ArrowError::ExternalError("the interpreter is ending".into());
    let batch = batch.ok_or_else(ended)?.map_err(|error| {
        interrupt_later(&error);
        ArrowError::ExternalError(Box::new(error))
    })?;
    Ok(batch.map(S::columns))
}

/// How long a library may take to come back to the program once its stream has failed.
const WAY_BACK: Duration = Duration::from_millis(100);

/// An Arrow stream can only fail, which an interrupt is not: it is raised a moment later, when the library that reads the
/// stream has come back to the program. Within the library it would be lost.
fn interrupt_later(error: &PyErr) {
    if !Python::attach(|py| error.is_instance_of::<PyKeyboardInterrupt>(py)) {
        return;
    }
    std::thread::spawn(|| {
        std::thread::sleep(WAY_BACK);
        // An interpreter that is ending has nothing to interrupt.
        let _ = Python::try_attach(|py| {
            let threads = py.import(intern!(py, "_thread"));
            let interrupted = threads.and_then(|threads| threads.call_method0(intern!(py, "interrupt_main")));
            if let Err(error) = interrupted {
                error.write_unraisable(py, None);
            }
        });
    });
}

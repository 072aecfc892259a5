//! Reads that end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use fluss_client::{self as client, AsOf, Bounds, ScanBatch, StartOffset, StopOffset};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::admin::OffsetSpec;
use crate::arrow::{ArrowTable, RecordBatch, stream};
use crate::error::Fault;
use crate::own::Own;
use crate::path::TableBucket;
use crate::pending::{Pending, block_on};
use crate::scanner::{StartArgument, show_changes, shown_schema};

/// Where each bucket begins or ends.
#[derive(FromPyObject)]
pub(crate) enum BoundArgument {
    All(OffsetSpec),
    Each(HashMap<TableBucket, StartArgument>),
}

/// The moment whose rows are wanted.
#[derive(FromPyObject)]
pub(crate) enum MomentArgument {
    Timestamp(i64),
    Offsets(HashMap<TableBucket, i64>),
}

impl From<MomentArgument> for AsOf {
    fn from(moment: MomentArgument) -> Self {
        match moment {
            MomentArgument::Timestamp(millis) => Self::Timestamp(millis),
            MomentArgument::Offsets(offsets) => Self::Offsets(
                offsets
                    .into_iter()
                    .map(|(bucket, offset)| (bucket.0, offset))
                    .collect(),
            ),
        }
    }
}

/// What is read between two bounds, which name the same buckets where both name some.
pub(crate) fn bounds(start: BoundArgument, stop: BoundArgument) -> Result<Bounds, Fault> {
    let start = each(start, |start| Ok(start.into()))?;
    let stop = each(stop, stop_offset)?;
    let pairs = match (start, stop) {
        (Each::All(start), Each::All(stop)) => return Ok(Bounds::Table { start, stop }),
        (Each::Of(starts), Each::All(stop)) => pair(starts, |_| Some(stop)),
        (Each::All(start), Each::Of(stops)) => {
            return Ok(Bounds::Buckets(
                stops
                    .into_iter()
                    .map(|(bucket, stop)| (bucket, (start, stop)))
                    .collect(),
            ));
        }
        (Each::Of(starts), Each::Of(stops)) if starts.len() == stops.len() => {
            pair(starts, |bucket| stops.get(bucket).copied())
        }
        (Each::Of(_), Each::Of(_)) => None,
    };
    pairs
        .map(Bounds::Buckets)
        .ok_or_else(|| Fault::new("ArgumentError", "start and stop do not name the same buckets"))
}

enum Each<T> {
    All(T),
    Of(BTreeMap<client::id::TableBucket, T>),
}

type Pairs = BTreeMap<client::id::TableBucket, (StartOffset, StopOffset)>;

fn pair(
    starts: BTreeMap<client::id::TableBucket, StartOffset>,
    stop: impl Fn(&client::id::TableBucket) -> Option<StopOffset>,
) -> Option<Pairs> {
    let pairs = starts
        .into_iter()
        .map(|(bucket, start)| Some((bucket, (start, stop(&bucket)?))));
    pairs.collect()
}

fn each<T>(bound: BoundArgument, read: impl Fn(StartArgument) -> Result<T, Fault>) -> Result<Each<T>, Fault> {
    Ok(match bound {
        BoundArgument::All(spec) => Each::All(read(StartArgument::Spec(spec))?),
        BoundArgument::Each(bounds) => {
            let bounds = bounds.into_iter();
            Each::Of(
                bounds
                    .map(|(bucket, bound)| Ok((bucket.0, read(bound)?)))
                    .collect::<Result<_, Fault>>()?,
            )
        }
    })
}

fn stop_offset(stop: StartArgument) -> Result<StopOffset, Fault> {
    match stop.into() {
        StartOffset::Latest => Ok(StopOffset::Latest),
        StartOffset::At(offset) => Ok(StopOffset::At(offset)),
        StartOffset::Timestamp(millis) => Ok(StopOffset::Before(millis)),
        StartOffset::Earliest => Err(Fault::new(
            "ArgumentError",
            "a read cannot stop at the earliest offset",
        )),
    }
}

/// Reads parts of logs to their ends.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct BoundedReader {
    reader: Own<Arc<Mutex<client::BoundedReader>>>,
    ends: HashMap<TableBucket, i64>,
    schema: SchemaRef,
}

impl BoundedReader {
    pub(crate) fn new(reader: client::BoundedReader) -> Self {
        let ends = reader.ends().iter();
        Self {
            ends: ends.map(|(bucket, end)| (TableBucket(*bucket), *end)).collect(),
            schema: shown_schema(reader.schema(), reader.table()),
            reader: Own::new(Arc::new(Mutex::new(reader))),
        }
    }
}

#[pymethods]
impl BoundedReader {
    #[getter]
    fn ends(&self) -> HashMap<TableBucket, i64> {
        self.ends.clone()
    }

    /// Raises if it was read to its end already, which whoever reads it now would take for an empty table.
    fn begin(&self) -> PyResult<()> {
        Ok(check_unread(self.reader.get()?)?)
    }

    /// The next batch, or None at the end.
    fn next_batch(&self) -> PyResult<Pending> {
        let reader = self.reader.get()?.clone();
        let next = async move { next(reader).await };
        Ok(Pending::new(next, |py, batch| match batch.take() {
            Some(batch) => Ok(Bound::new(py, RecordBatch::new(batch))?.into_any()),
            None => Ok(py.None().into_bound(py)),
        }))
    }

    /// All that is left, as one table.
    fn read_all(&self) -> PyResult<Pending> {
        let reader = self.reader.get()?.clone();
        let read = async move { all(reader).await };
        let schema = self.schema.clone();
        Ok(Pending::new(read, |py, batches| {
            let batches = batches.take().into_iter().map(|batch| batch.batch).collect();
            Ok(Bound::new(py, ArrowTable::new(schema, batches))?.into_any())
        }))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    /// Reads as whoever takes the stream asks for batches.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.begin()?;
        let reader = self.reader.get()?.clone();
        let mut has_begun = false;
        let batches = std::iter::from_fn(move || {
            let is_first = !std::mem::replace(&mut has_begun, true);
            waited(&reader, is_first).transpose()
        });
        stream(py, &self.schema, batches.fuse(), requested_schema)
    }
}

/// Batches that were read, or the end. They go back to the reader unless they are taken.
struct Read<T> {
    shown: T,
    loan: Loan,
}

struct Loan {
    reader: OwnedMutexGuard<client::BoundedReader>,
    batches: Option<Vec<ScanBatch>>,
}

impl<T> Read<T> {
    fn take(self) -> T {
        let Self { shown, mut loan } = self;
        loan.batches = None;
        shown
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(batches) = self.batches.take() {
            self.reader.put_back(batches);
        }
    }
}

async fn next(reader: Arc<Mutex<client::BoundedReader>>) -> Result<Read<Option<ScanBatch>>, Fault> {
    let mut reader = reader.lock_owned().await;
    let had_ended = reader.has_ended();
    let batches = reader.next_batch().await?.into_iter().collect();
    let mut read = lend(reader, batches)?.first();
    if had_ended {
        // The end stays told, whoever gets it once more.
        read.loan.batches = None;
    }
    Ok(read)
}

async fn all(reader: Arc<Mutex<client::BoundedReader>>) -> Result<Read<Vec<ScanBatch>>, Fault> {
    let mut reader = reader.lock_owned().await;
    let batches = reader.collect().await?;
    lend(reader, batches)
}

/// Lends batches that were just read.
fn lend(
    reader: OwnedMutexGuard<client::BoundedReader>,
    batches: Vec<ScanBatch>,
) -> Result<Read<Vec<ScanBatch>>, Fault> {
    let mut shown = batches.clone();
    let loan = Loan {
        reader,
        batches: Some(batches),
    };
    for batch in &mut shown {
        show_changes(batch, loan.reader.table())?;
    }
    Ok(Read { shown, loan })
}

impl Read<Vec<ScanBatch>> {
    fn first(self) -> Read<Option<ScanBatch>> {
        Read {
            shown: self.shown.into_iter().next(),
            loan: self.loan,
        }
    }
}

fn check_unread(reader: &Mutex<client::BoundedReader>) -> Result<(), Fault> {
    match reader.try_lock() {
        Ok(reader) => Ok(reader.check_unread()?),
        // While somebody reads it, nobody was told the end yet.
        Err(_) => Ok(()),
    }
}

/// Waits for the next batch, whether the caller holds the interpreter or not.
fn waited(reader: &Arc<Mutex<client::BoundedReader>>, is_first: bool) -> Result<Option<Columns>, ArrowError> {
    let batch = Python::try_attach(|py| -> PyResult<_> {
        if is_first {
            check_unread(reader)?;
        }
        let read = block_on(py, next(reader.clone()), None)?;
        Ok(read?.take())
    });
    let ended = || ArrowError::ExternalError("the interpreter is ending".into());
    let batch = batch.ok_or_else(ended)?.map_err(|error| {
        interrupt_later(&error);
        ArrowError::ExternalError(Box::new(error))
    })?;
    Ok(batch.map(|batch| batch.batch))
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

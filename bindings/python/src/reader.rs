//! Reads that end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use fluss_client::{self as client, AsOf, Bounds, ScanBatch, StartOffset, StopOffset};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;
use tokio::sync::Mutex;

use crate::admin::OffsetSpec;
use crate::arrow::{ArrowTable, RecordBatch, stream};
use crate::error::Fault;
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
    reader: Arc<Mutex<client::BoundedReader>>,
    ends: HashMap<TableBucket, i64>,
    schema: SchemaRef,
}

impl BoundedReader {
    pub(crate) fn new(reader: client::BoundedReader) -> Result<Self, Fault> {
        let ends = reader.ends().iter();
        Ok(Self {
            ends: ends.map(|(bucket, end)| (TableBucket(*bucket), *end)).collect(),
            schema: shown_schema(reader.schema(), reader.table())?,
            reader: Arc::new(Mutex::new(reader)),
        })
    }
}

#[pymethods]
impl BoundedReader {
    #[getter]
    fn ends(&self) -> HashMap<TableBucket, i64> {
        self.ends.clone()
    }

    /// The next batch, or None at the end.
    fn next_batch(&self) -> Pending {
        let reader = self.reader.clone();
        Pending::new(async move { next(&reader).await }, |py, batch| match batch {
            Some(batch) => Ok(Bound::new(py, RecordBatch::new(batch))?.into_any()),
            None => Ok(py.None().into_bound(py)),
        })
    }

    /// All that is left, as one table.
    fn read_all(&self) -> Pending {
        let reader = self.reader.clone();
        let read = async move {
            let mut batches = Vec::new();
            while let Some(batch) = next(&reader).await? {
                batches.push(batch.batch);
            }
            Ok::<_, Fault>(batches)
        };
        let schema = self.schema.clone();
        Pending::new(read, |py, batches| {
            Ok(Bound::new(py, ArrowTable::new(schema, batches))?.into_any())
        })
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
        let reader = self.reader.clone();
        let batches = std::iter::from_fn(move || waited(&reader).transpose());
        stream(py, &self.schema, batches, requested_schema)
    }
}

async fn next(reader: &Mutex<client::BoundedReader>) -> Result<Option<ScanBatch>, Fault> {
    let mut reader = reader.lock().await;
    let mut batch = reader.next_batch().await?;
    if let Some(batch) = &mut batch {
        show_changes(batch, reader.table())?;
    }
    Ok(batch)
}

/// Waits for the next batch, whether the caller holds the interpreter or not.
fn waited(reader: &Mutex<client::BoundedReader>) -> Result<Option<Columns>, ArrowError> {
    let batch = Python::attach(|py| -> PyResult<_> { Ok(block_on(py, next(reader), None)??) });
    let batch = batch.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    Ok(batch.map(|batch| batch.batch))
}

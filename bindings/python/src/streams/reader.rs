//! Reading events.

use std::sync::Arc;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::SchemaRef;
use fluss_client as client;
use fluss_rpc::sync::Mutex;
use fluss_streams::{Notice, RecordedEvent, Subscription, arrow_schema, to_arrow};
use futures::StreamExt;
use futures::stream::BoxStream;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList};
use pyo3_arrow::error::PyArrowResult;

use crate::error::Fault;
use crate::own::Own;
use crate::pending::{Limit, Pending};
use crate::positions::Positions;
use crate::reading::{Polled, Reading, Shelf, Source};

/// How many events are handed over at a time.
pub(super) const AT_A_TIME: usize = 1024;

/// Events as they come. Whoever lets go of it stops reading.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct EventReader {
    reading: Reading<Events>,
    standing: Own<Arc<Mutex<Standing>>>,
}

/// Where the reading of events stands, for those who ask while somebody reads.
#[derive(Default)]
struct Standing {
    /// Behind what was handed over last.
    positions: Option<client::Positions>,
    is_caught_up: bool,
    is_closed: bool,
    close: Option<Box<dyn Fn() + Send>>,
}

impl EventReader {
    pub(super) fn new(feed: Feed) -> Self {
        let standing = Arc::<Mutex<Standing>>::default();
        let events = Events {
            feed,
            shelf: Shelf::default(),
            standing: standing.clone(),
        };
        Self {
            reading: Reading::new(events, arrow_schema()),
            standing: Own::new(standing),
        }
    }

    pub(super) fn following(subscription: Subscription) -> Self {
        let (positions, close) = (subscription.positions().ok(), subscription.closer());
        let reader = Self::new(Feed::Subscription(Box::new(subscription)));
        if let Some(standing) = reader.standing.anywhere() {
            let mut standing = standing.lock();
            standing.positions = positions;
            standing.close = Some(Box::new(close));
        }
        reader
    }
}

#[pymethods]
impl EventReader {
    /// The next events as tuples, and whether all that there were at the beginning are read, within a limit of time: no
    /// events if none have come by then; None at the end.
    #[pyo3(signature = (limit=None))]
    fn next_events(&self, limit: Option<Limit>) -> PyResult<Pending> {
        let limit = limit.map(Limit::duration).transpose()?;
        self.reading.poll(limit, |py, polled| match polled {
            Polled::Batch(batch) => {
                (list_of(py, &batch.events)?, batch.tells_caught_up).into_bound_py_any(py)
            }
            Polled::Nothing => (PyList::empty(py), false).into_bound_py_any(py),
            Polled::End => Ok(py.None().into_bound(py)),
        })
    }

    fn begin(&self) -> PyResult<()> {
        self.reading.begin()
    }

    /// All events that are left, as one Arrow table.
    fn read_all(&self) -> PyResult<Pending> {
        self.reading.read_all()
    }

    /// From where another goes on behind what was handed over, but for appends in these buckets at these offsets; None of a
    /// reader of one stream.
    #[expect(clippy::needless_pass_by_value, reason = "Python's lists come as values")]
    fn positions(&self, waiting: Vec<(i32, i64)>) -> PyResult<Option<Positions>> {
        let standing = self.standing.get()?.lock();
        let moved = |positions: client::Positions, (bucket, offset): &(i32, i64)| {
            let found = positions.buckets().find(|(of, _)| of.bucket.get() == *bucket);
            match found {
                Some((bucket, _)) => positions.moved(&bucket, *offset),
                None => positions,
            }
        };
        let positions = standing.positions.clone();
        Ok(positions.map(|positions| Positions(waiting.iter().rev().fold(positions, moved))))
    }

    fn is_caught_up(&self) -> PyResult<bool> {
        Ok(self.standing.get()?.lock().is_caught_up)
    }

    /// Stops reading: whoever waits gets the end.
    fn close(&self) -> PyResult<()> {
        let mut standing = self.standing.get()?.lock();
        standing.is_closed = true;
        if let Some(close) = standing.close.take() {
            close();
        }
        Ok(())
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_schema(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_stream(py, requested_schema)
    }
}

fn list_of<'py>(py: Python<'py>, events: &[RecordedEvent]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for event in events {
        let of = &event.event;
        let (bucket, position) = event.place.map(|(bucket, offset)| (bucket.get(), offset)).unzip();
        list.append((
            of.id.to_string(),
            of.event_type.as_str(),
            PyBytes::new(py, &of.data),
            PyBytes::new(py, &of.metadata),
            of.content_type.as_str(),
            &*event.stream,
            event.version,
            event.recorded_at.millis(),
            bucket,
            position,
        ))?;
    }
    Ok(list)
}

/// Where events come from.
pub(super) enum Feed {
    Stream(BoxStream<'static, Vec<fluss_streams::Result<RecordedEvent>>>),
    Subscription(Box<Subscription>),
}

/// Some events, and whether they are the last of those that there were when the reading began.
#[derive(Clone)]
struct Batch {
    events: Vec<RecordedEvent>,
    tells_caught_up: bool,
}

/// Events that are read once.
struct Events {
    feed: Feed,
    shelf: Shelf<Batch, client::Positions>,
    standing: Arc<Mutex<Standing>>,
}

impl Events {
    /// What comes next, without what was given back.
    async fn fresh(&mut self) -> Result<Option<(Batch, Option<client::Positions>)>, Fault> {
        match self.pull().await {
            // It was closed meanwhile, which is an end.
            Err(_) if self.standing.lock().is_closed => Ok(None),
            pulled => Ok(pulled?),
        }
    }

    async fn pull(&mut self) -> fluss_streams::Result<Option<(Batch, Option<client::Positions>)>> {
        if self.standing.lock().is_closed {
            return Ok(None);
        }
        let batch = |events, tells_caught_up| Batch {
            events,
            tells_caught_up,
        };
        match &mut self.feed {
            Feed::Stream(events) => match events.next().await {
                None => Ok(None),
                Some(chunk) => {
                    let events = chunk.into_iter().collect::<fluss_streams::Result<_>>()?;
                    Ok(Some((batch(events, false), None)))
                }
            },
            Feed::Subscription(subscription) => match subscription.next().await? {
                None => Ok(None),
                Some(Notice::Event(event)) => {
                    let mut events = vec![event];
                    events.extend(subscription.take_ready(AT_A_TIME));
                    Ok(Some((batch(events, false), Some(subscription.positions()?))))
                }
                Some(_) => Ok(Some((batch(Vec::new(), true), Some(subscription.positions()?)))),
            },
        }
    }

    /// Notes where the reading stands for whoever has got all that was given out.
    fn note(&self, positions: Option<client::Positions>) {
        self.standing.lock().positions = positions;
    }

    fn positions(&self) -> Option<client::Positions> {
        self.standing.lock().positions.clone()
    }
}

impl Source for Events {
    type Batch = Batch;
    type Object = usize;

    async fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let next = match self.shelf.pop() {
            Some(read) => Some(read),
            None => self.fresh().await?,
        };
        let (batch, stands) = self.shelf.give(next, self.positions());
        self.note(stands);
        if batch.as_ref().is_some_and(|batch| batch.tells_caught_up) {
            self.standing.lock().is_caught_up = true;
        }
        Ok(batch)
    }

    async fn rest(&mut self) -> Result<Vec<Batch>, Fault> {
        self.check_unread()?;
        while let Some((batch, behind)) = self.fresh().await? {
            self.shelf.push(batch, behind);
        }
        let (batches, stands) = self.shelf.give_all(self.positions());
        self.note(stands);
        Ok(batches)
    }

    fn put_back(&mut self, batches: Vec<Batch>) {
        let stands = self.shelf.put_back(batches);
        self.note(stands);
    }

    fn has_ended(&self) -> bool {
        self.shelf.has_ended()
    }

    fn check_unread(&self) -> Result<(), Fault> {
        self.shelf
            .check_unread("the events were read to their end: read them anew")
    }

    fn show(&self, batch: Batch) -> Result<Batch, Fault> {
        let bytes = |event: &RecordedEvent| event.event.data.len() + event.event.metadata.len();
        if batch.events.iter().map(bytes).sum::<usize>() > i32::MAX as usize {
            return Err(Fault::new("DataError", "the events are too large for one batch"));
        }
        Ok(batch)
    }

    fn columns(batch: Batch) -> Columns {
        // Too many bytes would be the only fault.
        to_arrow(&batch.events).unwrap_or_else(|_| Columns::new_empty(arrow_schema()))
    }

    fn object(batch: Batch, _schema: SchemaRef) -> usize {
        batch.events.len()
    }
}

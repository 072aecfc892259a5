//! What both kinds of writers do: collect rows without ever blocking an event loop, and lose none in silence.

use std::collections::VecDeque;
use std::ffi::CString;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use fluss_client::types::{Datum, OwnedRow, TableInfo};
use fluss_client::{self as client, BatchWrite, Connection, Context, ErrorKind, WeakConnection};
use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::PyResourceWarning;
use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::arrow::Incoming;
use crate::blocking::block_on;
use crate::error::Fault;
use crate::own::{Own, PerProcess};
use crate::pending::Pending;
use crate::runtime::runtime;
use crate::writer::WriteHandle;

/// How long the interpreter's exit waits for rows that were not flushed.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

/// What is done with a row.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// It is appended or upserted.
    Put,
    Delete,
}

/// A writer of the client.
pub(crate) trait Collects: Clone + Send + Sync + 'static {
    /// What it is called in Python.
    const NAME: &'static str;

    /// What errors call a change.
    fn operation(change: Change) -> &'static str;

    fn table(&self) -> &TableInfo;

    fn try_collect(&self, change: Change, row: &OwnedRow) -> client::Result<Option<client::WriteHandle>>;

    fn collect(
        &self,
        change: Change,
        row: &OwnedRow,
    ) -> impl Future<Output = client::Result<client::WriteHandle>> + Send;

    /// Begins to collect Arrow batches as one.
    fn batches(&self, change: Change) -> client::Result<BatchWrite>;

    fn flush(&self) -> impl Future<Output = client::Result<()>> + Send;

    fn close(&self) -> impl Future<Output = client::Result<()>> + Send;
}

/// A writer, for the process that has made it. When it is let go with rows that were not flushed it says so.
pub(crate) struct Writing<W: Collects>(Own<Arc<State<W>>>);

struct State<W> {
    writer: W,
    connection: Connection,
    /// The last row that was collected, until a flush.
    last: Mutex<Option<Collected>>,
    queue: Mutex<Queue>,
    /// Rings when no row waits for memory any more.
    idle: Notify,
    is_closed: AtomicBool,
}

/// Rows that wait for memory, because whoever gave them must not.
#[derive(Default)]
struct Queue {
    rows: VecDeque<Waiting>,
    /// What the rows take that nobody awaits. It is bounded; as many others wait as there are tasks that await them.
    unawaited: Arc<AtomicUsize>,
    /// Whether a task takes them.
    is_active: bool,
    /// The first failure that no flush has told.
    failure: Option<client::Error>,
}

/// A row that waits for memory, until a deadline.
struct Waiting {
    change: Change,
    row: OwnedRow,
    deadline: Instant,
    promise: Arc<Promise>,
}

/// A row that was given to a writer.
#[derive(Clone)]
pub(crate) enum Collected {
    Now(client::WriteHandle),
    Soon(Arc<Promise>),
}

/// What becomes of a row that waits for memory.
pub(crate) struct Promise {
    outcome: OnceLock<client::Result<client::WriteHandle>>,
    told: Notify,
    bytes: usize,
    unawaited: Arc<AtomicUsize>,
    /// How many await it, while it waits.
    awaiting: Mutex<Option<usize>>,
}

/// Somebody who awaits a row. While it waits for memory for as long as it must, nobody is told that the queue is full.
pub(crate) struct Awaited(Arc<Promise>);

impl Promise {
    /// The row of so many bytes, which nobody awaits yet.
    fn new(bytes: usize, unawaited: &Arc<AtomicUsize>) -> Self {
        unawaited.fetch_add(bytes, Ordering::AcqRel);
        Self {
            outcome: OnceLock::new(),
            told: Notify::new(),
            bytes,
            unawaited: unawaited.clone(),
            awaiting: Mutex::new(Some(0)),
        }
    }

    fn settle(&self, outcome: client::Result<client::WriteHandle>) {
        let waited = self.awaiting().take();
        if waited == Some(0) {
            self.unawaited.fetch_sub(self.bytes, Ordering::AcqRel);
        }
        if self.outcome.set(outcome).is_ok() {
            self.told.notify_waiters();
        }
    }

    fn awaiting(&self) -> MutexGuard<'_, Option<usize>> {
        self.awaiting.lock()
    }

    async fn collected(&self) -> client::Result<client::WriteHandle> {
        loop {
            let told = self.told.notified();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            told.await;
        }
    }
}

impl Awaited {
    fn new(promise: &Arc<Promise>) -> Self {
        if let Some(awaiting) = promise.awaiting().as_mut() {
            if *awaiting == 0 {
                promise.unawaited.fetch_sub(promise.bytes, Ordering::AcqRel);
            }
            *awaiting += 1;
        }
        Self(promise.clone())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(awaiting) = self.0.awaiting().as_mut() {
            *awaiting -= 1;
            if *awaiting == 0 {
                self.0.unawaited.fetch_add(self.0.bytes, Ordering::AcqRel);
            }
        }
    }
}

impl Collected {
    /// Begins to await the row, if it waits for memory.
    pub(crate) fn awaited(&self) -> Option<Awaited> {
        match self {
            Self::Now(_) => None,
            Self::Soon(promise) => Some(Awaited::new(promise)),
        }
    }

    /// Waits for the acknowledgement, and returns the offset of the row.
    pub(crate) async fn settled(&self) -> client::Result<Option<i64>> {
        match self {
            Self::Now(handle) => handle.wait().await,
            Self::Soon(promise) => promise.collected().await?.wait().await,
        }
    }

    /// The write, once the writer has taken the row.
    pub(crate) fn handle(&self) -> Option<&client::WriteHandle> {
        match self {
            Self::Now(handle) => Some(handle),
            Self::Soon(promise) => promise.outcome.get()?.as_ref().ok(),
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Now(handle) => handle.is_settled(),
            Self::Soon(promise) => match promise.outcome.get() {
                Some(Ok(handle)) => handle.is_settled(),
                Some(Err(_)) => true,
                None => false,
            },
        }
    }
}

impl<W: Collects> Writing<W> {
    pub(crate) fn new(connection: &Connection, writer: W) -> Self {
        let state = Arc::new(State {
            writer,
            connection: connection.clone(),
            last: Mutex::default(),
            queue: Mutex::default(),
            idle: Notify::new(),
            is_closed: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&state);
        let unsent: Weak<dyn Unsent> = weak;
        OPEN.get().lock().add(unsent, connection);
        Self(Own::new(state))
    }

    /// Refuses rows once the connection is closed, by which they would never be sent.
    pub(crate) fn check_open(&self) -> PyResult<()> {
        Ok(self.0.get()?.check_open()?)
    }

    /// Collects a row. While there is no memory for it, it blocks without the interpreter, or with `soon` lets the row wait.
    pub(crate) fn collect(
        &self,
        py: Python<'_>,
        change: Change,
        row: OwnedRow,
        soon: bool,
    ) -> PyResult<WriteHandle> {
        let state = self.0.get()?;
        let collected = if soon {
            state.collect_soon(change, row)?
        } else {
            let collected = state.writer.try_collect(change, &row).map_err(Fault::from)?;
            Collected::Now(match collected {
                Some(handle) => handle,
                None => block_on(py, state.while_open(state.writer.collect(change, &row)), None)??,
            })
        };
        state.note(&collected);
        Ok(WriteHandle::new([collected]))
    }

    /// Collects Arrow data as a whole; one handle tells the fate of all of it. Data that is in memory anyway, which has a
    /// length, is checked before any of it is sent; of a source that gives more than fits the writer's memory, what comes
    /// before a fault is sent, and the fault says how much that is.
    pub(crate) fn collect_all(&self, change: Change, data: Incoming) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        state.check_open()?;
        let collected = async move {
            state.drained().await;
            let mut write = state.writer.batches(change)?;
            let collected = state.add_all(&mut write, data).await;
            collected.map_err(|fault| fault.after_taking(write.rows_taken()))?;
            let collected = Collected::Now(state.while_open(write.finish()).await?);
            state.note(&collected);
            Ok::<_, Fault>(collected)
        };
        Ok(Pending::new(collected, |py, collected| {
            Ok(Bound::new(py, WriteHandle::new([collected]))?.into_any())
        }))
    }

    pub(crate) fn flush(&self) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            state.check_open()?;
            state.flush().await
        }))
    }

    /// Flushes, and takes no more rows. A writer that is closed already stays so.
    pub(crate) fn close(&self) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            if state.is_closed.load(Ordering::Acquire) {
                return Ok(());
            }
            state.check_open()?;
            let flushed = state.flush().await;
            let closed = state.while_open(state.writer.close()).await;
            state.is_closed.store(true, Ordering::Release);
            flushed.and(closed)
        }))
    }
}

impl<W: Collects> Drop for Writing<W> {
    fn drop(&mut self) {
        let Some(warning) = self.0.here().and_then(|state| state.warning("was let go")) else {
            return;
        };
        // An interpreter that is ending has nobody to warn.
        let _ = Python::try_attach(|py| {
            // It may happen on the way of an exception.
            let raised = PyErr::take(py);
            warn(py, &warning);
            if let Some(raised) = raised {
                raised.restore(py);
            }
        });
    }
}

impl<W: Collects> State<W> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    fn check_open(&self) -> Result<(), Fault> {
        if self.connection.is_closed() {
            return Err(self.closed());
        }
        Ok(())
    }

    fn closed(&self) -> Fault {
        let message = format!(
            "the connection of the {} of table {} is closed",
            W::NAME,
            self.writer.table().path
        );
        Fault::new("ClosedError", message)
    }

    /// Does something that fails as soon as the connection is closed.
    async fn while_open<T>(&self, work: impl Future<Output = client::Result<T>>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            done = work => Ok(done?),
            () = self.connection.closed() => Err(self.closed()),
        }
    }

    async fn add_all(&self, write: &mut BatchWrite, mut data: Incoming) -> Result<(), Fault> {
        let mut batches = Vec::new();
        let is_in_memory = data.is_in_memory();
        loop {
            let batch;
            (data, batch) = data.pull().await?;
            match batch {
                Some(batch) if is_in_memory => batches.push(batch),
                Some(batch) => self.while_open(write.add(&batch)).await?,
                None => break,
            }
        }
        let bytes: usize = batches.iter().map(fluss_core::arrow::data_bytes).sum();
        if bytes > self.connection.options().writer.buffer_bytes {
            let mut rows = 0;
            for batch in &batches {
                self.while_open(write.check(batch, rows)).await?;
                rows += batch.num_rows() as u64;
            }
        }
        for batch in &batches {
            self.while_open(write.add(batch)).await?;
        }
        Ok(())
    }

    /// Takes note of the last row.
    fn note(&self, collected: &Collected) {
        *self.last.lock() = Some(collected.clone());
    }

    /// Collects a row now if there is memory for it and none waits; otherwise it waits behind those that do. Rows that wait
    /// and that nobody awaits have as much memory again as the writer's buffer.
    fn collect_soon(self: &Arc<Self>, change: Change, row: OwnedRow) -> PyResult<Collected> {
        let mut queue = self.queue();
        if !queue.is_active
            && let Some(handle) = self.writer.try_collect(change, &row).map_err(Fault::from)?
        {
            return Ok(Collected::Now(handle));
        }
        let bytes = size(&row);
        let options = &self.connection.options().writer;
        let unawaited = queue.unawaited.load(Ordering::Acquire);
        if unawaited > 0 && unawaited + bytes > options.buffer_bytes {
            let message = format!(
                "the buffer of the {} of table {} is full, and so is the queue before it: await the handles of rows as \
                 they are given, or flush() now and then",
                W::NAME,
                self.writer.table().path
            );
            return Err(Fault::new("BufferFullError", message).into());
        }
        let runtime = runtime()?;
        let promise = Arc::new(Promise::new(bytes, &queue.unawaited));
        queue.rows.push_back(Waiting {
            change,
            row,
            deadline: Instant::now() + options.delivery_timeout,
            promise: promise.clone(),
        });
        if !queue.is_active {
            queue.is_active = true;
            let state = self.clone();
            runtime.spawn(async move { state.collect_queue().await });
        }
        Ok(Collected::Soon(promise))
    }

    /// Collects the rows that wait, in their order.
    async fn collect_queue(&self) {
        loop {
            let next = {
                let mut queue = self.queue();
                let next = queue.rows.pop_front();
                queue.is_active = next.is_some();
                next
            };
            let Some(waiting) = next else {
                self.idle.notify_waiters();
                return;
            };
            let outcome = self.collect_in_time(&waiting).await;
            if let Err(error) = &outcome {
                let mut queue = self.queue();
                queue.failure.get_or_insert_with(|| error.clone());
            }
            waiting.promise.settle(outcome);
        }
    }

    /// Collects a row that waits. One whose deadline has passed is not collected any more.
    async fn collect_in_time(&self, waiting: &Waiting) -> client::Result<client::WriteHandle> {
        let late = || {
            let context = Context::new(W::operation(waiting.change)).table(&self.writer.table().path);
            let after = self.connection.options().writer.delivery_timeout;
            Err(context.error(ErrorKind::NoMemory { after }))
        };
        if Instant::now() >= waiting.deadline {
            return late();
        }
        let collected = self.writer.collect(waiting.change, &waiting.row);
        let collected = timeout_at(waiting.deadline, collected).await;
        collected.unwrap_or_else(|_| late())
    }

    /// Waits until no row waits for memory.
    async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if !self.queue().is_active {
                return;
            }
            idle.await;
        }
    }

    async fn flush(&self) -> Result<(), Fault> {
        self.while_open(async {
            self.drained().await;
            let failure = self.queue().failure.take();
            self.writer.flush().await?;
            failure.map_or(Ok(()), Err)
        })
        .await?;
        let mut last = self.last.lock();
        last.take_if(|last| last.is_settled());
        Ok(())
    }
}

/// About how many bytes a row takes.
fn size(row: &OwnedRow) -> usize {
    row.iter().map(bytes).sum()
}

fn bytes(datum: &Datum<'_>) -> usize {
    let content = match datum {
        Datum::String(text) => text.len(),
        Datum::Bytes(bytes) => bytes.len(),
        Datum::Array(elements) => elements.iter().map(bytes).sum(),
        Datum::Map(entries) => entries.iter().map(|(key, value)| bytes(key) + bytes(value)).sum(),
        Datum::Row(fields) => fields.iter().map(bytes).sum(),
        _ => 0,
    };
    size_of::<Datum<'_>>() + content
}

/// A writer that may have rows which nobody has flushed.
trait Unsent: Send + Sync {
    /// What to warn of: the writer, by its table, and what became of it.
    fn warning(&self, fate: &str) -> Option<String>;
}

impl<W: Collects> Unsent for State<W> {
    fn warning(&self, fate: &str) -> Option<String> {
        let last = self.last.lock();
        let is_unsent = last.as_ref().is_some_and(|last| !last.is_settled());
        is_unsent.then(|| {
            let table = &self.writer.table().path;
            format!(
                "the {} of table {table} {fate} with rows that are not acknowledged: flush or close it",
                W::NAME
            )
        })
    }
}

/// The writers of this process, and their connections.
static OPEN: PerProcess<Locked> = PerProcess::new(Locked::default);

#[derive(Default)]
struct Locked(Mutex<Open>);

impl Locked {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock()
    }
}

#[derive(Default)]
struct Open {
    writers: Vec<Weak<dyn Unsent>>,
    connections: Vec<WeakConnection>,
}

impl Open {
    fn add(&mut self, writer: Weak<dyn Unsent>, connection: &Connection) {
        self.writers.retain(|writer| writer.strong_count() > 0);
        self.connections.retain(|known| known.upgrade().is_some());
        self.writers.push(writer);
        let is_known =
            |known: &WeakConnection| known.upgrade().is_some_and(|known| known.is_same(connection));
        if !self.connections.iter().any(is_known) {
            self.connections.push(connection.downgrade());
        }
    }
}

/// Has rows sent that were not flushed, also those of writers that were let go, and waits for it within bounds. The
/// interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_writers(py: Python<'_>) -> PyResult<()> {
    let Some(open) = OPEN.known() else {
        return Ok(());
    };
    let (writers, connections): (Vec<_>, Vec<_>) = {
        let open = open.lock();
        let writers = open.writers.iter().filter_map(Weak::upgrade).collect();
        let connections = open.connections.iter().filter_map(WeakConnection::upgrade);
        (
            writers,
            connections.filter(|connection| !connection.is_closed()).collect(),
        )
    };
    for warning in writers
        .iter()
        .filter_map(|writer| writer.warning("is open at the exit"))
    {
        warn(py, &warning);
    }
    let flushes = connections.iter().map(Connection::flush);
    let all = async { tokio::time::timeout(EXIT_PATIENCE, futures::future::join_all(flushes)).await };
    if let Ok(outcomes) = block_on(py, all, None)? {
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::error!(target: "fluss::client::writer", %error, "rows were lost at the exit");
        }
    } else {
        let lost = writers.iter().filter_map(|writer| writer.warning("ends"));
        for warning in lost {
            tracing::error!(target: "fluss::client::writer", "{warning}");
        }
    }
    Ok(())
}

/// Warns of a resource that was not closed.
fn warn(py: Python<'_>, warning: &str) {
    let category = py.get_type::<PyResourceWarning>();
    let message = CString::new(warning).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &category, &message, 1) {
        error.write_unraisable(py, None);
    }
}

//! Rows that wait for memory, because whoever gave them must not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluss_client::types::{Datum, OwnedRow};
use fluss_client::{self as client, Context, ErrorKind};
use fluss_rpc::sync::Mutex;
use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::collected::{Collected, Promise};
use super::sink::{Change, Collects, Sink};
use crate::error::Fault;
use crate::runtime::runtime;

/// Rows that wait for memory, and go to a writer in their order.
pub(super) struct Queue<W> {
    sink: Arc<Sink<W>>,
    state: Mutex<State>,
    /// Rings when no row waits for memory any more.
    idle: Notify,
}

#[derive(Default)]
struct State {
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

impl<W: Collects> Queue<W> {
    pub(super) fn new(sink: Arc<Sink<W>>) -> Self {
        Self {
            sink,
            state: Mutex::default(),
            idle: Notify::new(),
        }
    }

    /// Collects a row now if there is memory for it and none waits; otherwise it waits behind those that do. Rows that wait
    /// and that nobody awaits have as much memory again as the writer's buffer.
    pub(super) fn collect(self: &Arc<Self>, change: Change, row: OwnedRow) -> PyResult<Collected> {
        let mut state = self.state.lock();
        if !state.is_active
            && let Some(handle) = self.sink.writer.try_collect(change, &row).map_err(Fault::from)?
        {
            return Ok(Collected::Now(handle));
        }
        let bytes = size(&row);
        let options = &self.sink.connection.options().writer;
        let unawaited = state.unawaited.load(Ordering::Acquire);
        if unawaited > 0 && unawaited + bytes > options.buffer_bytes {
            let message = format!(
                "the buffer of the {} is full, and so is the queue before it: await the handles of rows as they are given, \
                 or flush() now and then",
                self.sink.name()
            );
            return Err(Fault::new("BufferFullError", message).into());
        }
        let runtime = runtime()?;
        let promise = Arc::new(Promise::new(bytes, &state.unawaited));
        state.rows.push_back(Waiting {
            change,
            row,
            deadline: Instant::now() + options.delivery_timeout,
            promise: promise.clone(),
        });
        if !state.is_active {
            state.is_active = true;
            let queue = self.clone();
            runtime.spawn(async move { queue.collect_waiting().await });
        }
        Ok(Collected::Soon(promise))
    }

    /// Collects the rows that wait, in their order.
    async fn collect_waiting(&self) {
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.rows.pop_front();
                state.is_active = next.is_some();
                next
            };
            let Some(waiting) = next else {
                self.idle.notify_waiters();
                return;
            };
            let outcome = self.collect_in_time(&waiting).await;
            if let Err(error) = &outcome {
                let mut state = self.state.lock();
                state.failure.get_or_insert_with(|| error.clone());
            }
            waiting.promise.settle(outcome);
        }
    }

    /// Collects a row that waits. One whose deadline has passed is not collected any more.
    async fn collect_in_time(&self, waiting: &Waiting) -> client::Result<client::WriteHandle> {
        let sink = &self.sink;
        let late = || {
            let context = Context::new(W::operation(waiting.change)).table(&sink.writer.table().path);
            let after = sink.connection.options().writer.delivery_timeout;
            Err(context.error(ErrorKind::NoMemory { after }))
        };
        if Instant::now() >= waiting.deadline {
            return late();
        }
        let collected = sink.writer.collect(waiting.change, &waiting.row);
        let collected = timeout_at(waiting.deadline, collected).await;
        collected.unwrap_or_else(|_| late())
    }

    /// Waits until no row waits for memory.
    pub(super) async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if !self.state.lock().is_active {
                return;
            }
            idle.await;
        }
    }

    /// The first failure of a row that has waited, once.
    pub(super) fn take_failure(&self) -> Option<client::Error> {
        self.state.lock().failure.take()
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

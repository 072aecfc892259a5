//! What both kinds of writers do: collect rows without ever blocking an event loop, and lose none in silence.

mod batches;
mod collected;
mod handle;
mod queue;
mod sink;
mod unsent;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fluss_client::Connection;
use fluss_client::types::OwnedRow;
use pyo3::prelude::*;

use self::collected::Collected;
pub(crate) use self::handle::WriteHandle;
use self::queue::Queue;
use self::sink::Sink;
pub(crate) use self::sink::{Change, Collects};
pub(crate) use self::unsent::{Unsent, end_writers, let_go, watch};
use crate::arrow::Incoming;
use crate::blocking::block_on;
use crate::error::Fault;
use crate::own::Own;
use crate::pending::Pending;

/// A writer, for the process that has made it. When it is let go with rows that were not flushed it says so.
pub(crate) struct Writing<W: Collects>(Own<Arc<State<W>>>);

struct State<W> {
    sink: Arc<Sink<W>>,
    queue: Arc<Queue<W>>,
    is_closed: AtomicBool,
}

impl<W: Collects> Writing<W> {
    pub(crate) fn new(connection: &Connection, writer: W) -> Self {
        let sink = Arc::new(Sink::new(connection, writer));
        unsent::watch(&sink, connection);
        Self(Own::new(Arc::new(State {
            queue: Arc::new(Queue::new(sink.clone())),
            sink,
            is_closed: AtomicBool::new(false),
        })))
    }

    /// Refuses rows once the connection is closed, by which they would never be sent.
    pub(crate) fn check_open(&self) -> PyResult<()> {
        Ok(self.0.get()?.sink.check_open()?)
    }

    /// Collects a row. While there is no memory for it, it blocks without the interpreter, or with `soon` lets the row wait.
    pub(crate) fn collect(
        &self,
        py: Python<'_>,
        change: Change,
        row: OwnedRow,
        soon: bool,
    ) -> PyResult<WriteHandle> {
        let State { sink, queue, .. } = &**self.0.get()?;
        let collected = if soon {
            queue.collect(change, row)?
        } else {
            let collected = sink.writer.try_collect(change, &row).map_err(Fault::from)?;
            Collected::Now(match collected {
                Some(handle) => handle,
                None => block_on(py, sink.while_open(sink.writer.collect(change, &row)), None)??,
            })
        };
        sink.note(&collected);
        Ok(WriteHandle::new([collected]))
    }

    /// Collects Arrow data as a whole, behind the rows that wait; one handle tells the fate of all of it.
    pub(crate) fn collect_all(&self, change: Change, data: Incoming) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        state.sink.check_open()?;
        let collected = async move {
            state.queue.drained().await;
            let (collected, extent) = batches::collect(&state.sink, change, data).await?;
            state.sink.note(&collected);
            Ok::<_, Fault>((collected, extent))
        };
        Ok(Pending::object(collected, |(collected, extent)| {
            WriteHandle::of_data(collected, extent)
        }))
    }

    pub(crate) fn flush(&self) -> PyResult<Pending> {
        let state = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            state.sink.check_open()?;
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
            state.sink.check_open()?;
            let flushed = state.flush().await;
            let closed = state.sink.while_open(state.sink.writer.close()).await;
            state.is_closed.store(true, Ordering::Release);
            flushed.and(closed)
        }))
    }
}

impl<W: Collects> State<W> {
    async fn flush(&self) -> Result<(), Fault> {
        let flushed = self.sink.while_open(async {
            self.queue.drained().await;
            let failure = self.queue.take_failure();
            self.sink.writer.flush().await?;
            failure.map_or(Ok(()), Err)
        });
        flushed.await?;
        self.sink.forget_settled();
        Ok(())
    }
}

impl<W: Collects> Drop for Writing<W> {
    fn drop(&mut self) {
        if let Some(state) = self.0.here() {
            let_go(&*state.sink);
        }
    }
}

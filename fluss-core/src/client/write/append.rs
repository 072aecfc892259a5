use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::accumulator::{Accumulator, Pushed};
use super::batch::Layout;
use super::handle::WriteHandle;
use super::memory::Memory;
use super::router::Router;
use super::sender::{Sender, Shared};
use crate::client::Connection;
use crate::client::error::{Context, ErrorKind, Result};
use crate::client::options::WriterOptions;
use crate::error::ValueError;
use crate::types::{Row, TableInfo};

/// Rows take memory from the writer's budget in pieces of this size.
const FUNDS_BYTES: usize = 64 << 10;

/// Appends to a log table. Clones share it.
///
/// Rows are collected per bucket and sent in batches, in the background. A call returns as soon as its rows are
/// collected; it waits only while the writer's memory is used up. Every write has a handle that tells its fate, and
/// [`flush`](Self::flush) waits for all.
///
/// When the last clone is dropped, what was collected is still sent, as long as the runtime lives;
/// [`close`](Self::close) waits for it.
#[derive(Clone)]
pub struct AppendWriter {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    router: Mutex<Router>,
    options: WriterOptions,
    closing: CancellationToken,
    /// Lets the sender end when the last clone goes away.
    _guard: DropGuard,
}

impl AppendWriter {
    pub(crate) fn new(connection: &Connection, info: &Arc<TableInfo>) -> Result<Self> {
        let context = || Context::new("append to").table(&info.path);
        if info.has_primary_key() {
            let reason = "the table has a primary key: it takes upserts, not appends";
            return Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
        }
        if info.is_partitioned() {
            let reason = "the table is partitioned, which this writer does not support yet";
            return Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
        }
        let options = connection.options().writer.clone();
        let router = Router::of(info, options.bucket_assigner).map_err(|error| context().error(error))?;
        let layout = Layout::of(info);
        let shared = Arc::new(Shared {
            info: info.clone(),
            memory: Memory::new(options.buffer_bytes),
            accumulator: Mutex::new(Accumulator::new(
                info.path.clone(),
                layout.clone(),
                options.clone(),
            )),
            layout,
            wake: tokio::sync::Notify::new(),
        });
        let closing = CancellationToken::new();
        // The task ends by itself: once the writer is closed or dropped, and everything is settled or expired.
        tokio::spawn(Sender::new(shared.clone(), connection.clone(), closing.clone()).run());
        let guard = closing.clone().drop_guard();
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                router: Mutex::new(router),
                options,
                closing,
                _guard: guard,
            }),
        })
    }

    /// The table.
    pub fn table(&self) -> &TableInfo {
        &self.inner.shared.info
    }

    /// Collects a row.
    ///
    /// # Errors
    ///
    /// A row that the table cannot take, before anything is sent: the writer stays usable. A timeout if no memory
    /// became free in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory leaves the row out.
    pub async fn append(&self, row: &(impl Row + ?Sized)) -> Result<WriteHandle> {
        loop {
            if let Some(handle) = self.try_append(row)? {
                return Ok(handle);
            }
            let funds = self.reserve(FUNDS_BYTES).await?;
            self.inner.shared.lock().fund(funds);
        }
    }

    /// Collects a row if there is memory for it now.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn try_append(&self, row: &(impl Row + ?Sized)) -> Result<Option<WriteHandle>> {
        self.check_open()?;
        let now = Instant::now();
        loop {
            match self.push(row, now)? {
                Pushed::Taken { handle, wake } => {
                    if wake {
                        self.inner.shared.wake.notify_one();
                    }
                    return Ok(Some(handle));
                }
                Pushed::NeedsFunds => {
                    let Some(funds) = self.inner.shared.memory.try_reserve(FUNDS_BYTES) else {
                        return Ok(None);
                    };
                    self.inner.shared.lock().fund(funds);
                }
            }
        }
    }

    fn push(&self, row: &(impl Row + ?Sized), now: Instant) -> Result<Pushed> {
        let shared = &self.inner.shared;
        let mut router = self.inner.router.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accumulator = shared.lock();
        if let Some(error) = accumulator.ended() {
            return Err(error.clone());
        }
        let bucket = |bucket| Router::bucket(&shared.info, bucket);
        router
            .route(row, |candidate| accumulator.is_open(&bucket(candidate)))
            .and_then(|target| accumulator.push_row(bucket(target), row, now))
            .map_err(|error| self.refusal(error))
    }

    /// Collects the rows of an Arrow batch, which need not go through rows: its columns are matched by name, and the
    /// batch is split by bucket.
    ///
    /// # Errors
    ///
    /// A missing or unknown column, a type that does not fit, or a value that the table cannot take, before anything
    /// is sent: the writer stays usable. A timeout if no memory became free in time; the part of the batch that is
    /// collected by then is sent all the same.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory leaves out what is not collected by then.
    pub async fn append_arrow(&self, batch: &RecordBatch) -> Result<WriteHandle> {
        self.check_open()?;
        let shared = &self.inner.shared;
        let batch =
            crate::arrow::conform(batch, shared.info.row_type()).map_err(|error| self.refusal(error))?;
        let mut deliveries = Vec::new();
        for piece in self.pieces(&batch) {
            let parts = {
                let mut router = self.inner.router.lock().unwrap_or_else(PoisonError::into_inner);
                router
                    .split(&shared.layout, piece)
                    .map_err(|error| self.refusal(error))?
            };
            for (bucket, part) in parts {
                let bytes = self.reserve(crate::arrow::data_bytes(&part)).await?;
                let bucket = Router::bucket(&shared.info, bucket);
                deliveries.push(shared.lock().push_arrow(bucket, part, bytes, Instant::now()));
                shared.wake.notify_one();
            }
        }
        Ok(WriteHandle::batches(deliveries))
    }

    /// Slices of a batch of about the size of a log batch.
    fn pieces(&self, batch: &RecordBatch) -> Vec<RecordBatch> {
        let rows = batch.num_rows();
        let bytes = crate::arrow::data_bytes(batch).max(1);
        let pieces = bytes
            .div_ceil(self.inner.options.batch_bytes)
            .clamp(1, rows.max(1));
        let step = rows.div_ceil(pieces).max(1);
        (0..rows)
            .step_by(step)
            .map(|start| batch.slice(start, step.min(rows - start)))
            .collect()
    }

    async fn reserve(&self, bytes: usize) -> Result<usize> {
        let shared = &self.inner.shared;
        if let Some(bytes) = shared.memory.try_reserve(bytes) {
            return Ok(bytes);
        }
        // Batches that wait for more rows hold what this one waits for.
        let idle = shared.lock().relieve();
        shared.memory.release(idle);
        shared.wake.notify_one();
        let timeout = self.inner.options.delivery_timeout;
        shared.memory.reserve(bytes, timeout).await.ok_or_else(|| {
            let context = Context::new("wait for memory to append to").table(&shared.info.path);
            context.error(ErrorKind::Timeout {
                after: timeout,
                outcome_unknown: false,
            })
        })
    }

    /// Sends what is collected, and waits until everything written before this call is acknowledged or has failed.
    ///
    /// # Errors
    ///
    /// The first failure of a write of this writer since the last flush.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn flush(&self) -> Result<()> {
        let deliveries = self.inner.shared.lock().close_open();
        self.inner.shared.wake.notify_one();
        for delivery in deliveries {
            // What failed is told below, whoever waited for it.
            drop(delivery.wait().await);
        }
        self.inner.shared.lock().take_failure().map_or(Ok(()), Err)
    }

    /// Flushes, and takes no more rows.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        self.inner.closing.cancel();
        flushed
    }

    fn check_open(&self) -> Result<()> {
        if self.inner.closing.is_cancelled() {
            return Err(Context::new("append to")
                .table(&self.inner.shared.info.path)
                .error(ErrorKind::Closed));
        }
        Ok(())
    }

    fn refusal(&self, error: ValueError) -> crate::client::Error {
        Context::new("append to")
            .table(&self.inner.shared.info.path)
            .error(error)
    }
}

impl fmt::Debug for AppendWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendWriter")
            .field("table", &self.inner.shared.info.path.to_string())
            .finish_non_exhaustive()
    }
}

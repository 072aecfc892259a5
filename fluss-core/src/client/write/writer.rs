//! What all writers have in common.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::accumulator::{Accumulator, Pushed};
use super::handle::{Delivery, WriteHandle};
use super::layout::{Change, Layout, Picked, Rows};
use super::memory::Memory;
use super::partitions::{Partitions, Slot, Target};
use super::request::{Api, Destination};
use super::router::Router;
use super::sender::{Sender, Shared};
use crate::arrow::ArrowRows;
use crate::client::Connection;
use crate::client::error::{Context, Error, ErrorKind, Result};
use crate::client::meters::WriterMeters;
use crate::client::options::WriterOptions;
use crate::client::shape::Shape;
use crate::error::ValueError;
use crate::types::{InvalidDefinition, Row, TableInfo};

/// Rows take memory from the writer's budget in pieces of this size.
const FUNDS_BYTES: usize = 64 << 10;

/// Collects rows and has them sent. Clones share it; what is collected is still sent when the last one is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    router: Arc<Mutex<Router>>,
    options: Arc<WriterOptions>,
    closing: CancellationToken,
    /// Lets the sender end when the last clone goes away.
    _guard: Arc<DropGuard>,
}

impl Writer {
    /// Begins to write. `operation` is what errors call it.
    pub(super) fn new(
        connection: &Connection,
        info: &Arc<TableInfo>,
        operation: &'static str,
        layout: Layout,
        api: Api,
    ) -> Result<Self, InvalidDefinition> {
        let options = connection.options().writer.clone();
        let router = Router::of(info, options.bucket_assigner)?;
        let meters = Arc::new(WriterMeters::of(&info.path));
        let accumulator = Accumulator::new(operation, layout.clone(), options.clone(), meters.clone());
        let shared = Arc::new(Shared {
            info: info.clone(),
            operation,
            layout,
            destination: Destination {
                table: info.id,
                acks: options.acks.number(),
                api,
            },
            memory: Memory::new(options.buffer_bytes),
            meters,
            accumulator: Mutex::new(accumulator),
            partitions: Mutex::new(Partitions::of(info)?),
            wake: tokio::sync::Notify::new(),
        });
        connection.writers().add(&shared);
        let closing = CancellationToken::new();
        // The task ends by itself: once the writer is closed or dropped, and everything is settled or expired.
        tokio::spawn(Sender::new(shared.clone(), connection.clone(), closing.clone()).run());
        Ok(Self {
            shared,
            router: Arc::new(Mutex::new(router)),
            options: Arc::new(options),
            _guard: Arc::new(closing.clone().drop_guard()),
            closing,
        })
    }

    pub(super) fn table(&self) -> &TableInfo {
        &self.shared.info
    }

    /// Collects a row that is given in a shape, and waits for memory if need be.
    pub(super) async fn push(
        &self,
        change: Change,
        shape: &Shape,
        row: &(impl Row + ?Sized),
    ) -> Result<WriteHandle> {
        loop {
            if let Some(handle) = self.try_push(change, shape, row)? {
                return Ok(handle);
            }
            let funds = self.reserve(change, FUNDS_BYTES).await?;
            self.shared.lock().fund(funds);
        }
    }

    /// Collects a row if there is memory for it now.
    pub(super) fn try_push(
        &self,
        change: Change,
        shape: &Shape,
        row: &(impl Row + ?Sized),
    ) -> Result<Option<WriteHandle>> {
        self.check_open(change)?;
        shape.check(row).map_err(|error| self.refusal(change, error))?;
        let (row, now) = (shape.spread(row), Instant::now());
        loop {
            match self.collect(change, &row, now)? {
                Pushed::Taken { handle, wake } => {
                    if wake {
                        self.shared.wake.notify_one();
                    }
                    return Ok(Some(handle));
                }
                Pushed::NeedsFunds => {
                    let Some(funds) = self.shared.memory.try_reserve(FUNDS_BYTES) else {
                        return Ok(None);
                    };
                    self.shared.lock().fund(funds);
                }
            }
        }
    }

    fn collect(&self, change: Change, row: &(impl Row + ?Sized), now: Instant) -> Result<Pushed> {
        let slot = self.slot(row).map_err(|error| self.refusal(change, error))?;
        let pushed = {
            let mut router = self.router.lock().unwrap_or_else(PoisonError::into_inner);
            let mut accumulator = self.shared.lock();
            if let Some(error) = accumulator.ended() {
                return Err(error.clone());
            }
            router
                .route(slot, row, |candidate| accumulator.is_open(candidate))
                .and_then(|target| accumulator.push_row(target, change, row, now))
                .map_err(|error| self.refusal(change, error))?
        };
        if matches!(pushed, Pushed::Taken { .. }) {
            self.want(slot);
        }
        Ok(pushed)
    }

    /// Has a partition looked for that rows wait for.
    fn want(&self, slot: Slot) {
        if self.shared.info.is_partitioned() && self.shared.partitions().want(slot) {
            self.shared.wake.notify_one();
        }
    }

    /// The partition of a row.
    fn slot(&self, row: &(impl Row + ?Sized)) -> Result<Slot, ValueError> {
        if self.shared.info.is_partitioned() {
            self.shared.partitions().slot(row)
        } else {
            Ok(Slot::WHOLE)
        }
    }

    /// The partition of each row; none of a table without partitions.
    fn slots(&self, rows: &RecordBatch, shape: &Shape) -> Result<Vec<Slot>, ValueError> {
        if !self.shared.info.is_partitioned() {
            return Ok(Vec::new());
        }
        let rows = ArrowRows::new(rows.clone(), shape.row_type())?;
        self.shared.partitions().slots(&rows, shape)
    }

    /// Collects an Arrow batch to append.
    pub(super) async fn push_batch(&self, shape: &Shape, batch: &RecordBatch) -> Result<WriteHandle> {
        let change = Change::Append;
        self.check_open(change)?;
        let row_type = shape.row_type();
        let refusal = |error| self.refusal(change, error);
        let batch = crate::arrow::conform(batch, row_type).map_err(refusal)?;
        let slots = self.slots(&batch, shape).map_err(refusal)?;
        let mut deliveries = Vec::new();
        for (start, piece) in self.pieces(&batch) {
            let slots = slots.get(start..start + piece.num_rows()).unwrap_or_default();
            let parts = self
                .route(|router| router.split(row_type, piece, slots))
                .map_err(refusal)?;
            for (target, part) in parts {
                let bytes = crate::arrow::data_bytes(&part);
                deliveries.push(self.push_part(change, target, Rows::Batch(part), bytes).await?);
            }
        }
        Ok(WriteHandle::batches(deliveries))
    }

    /// Collects an Arrow batch of rows that are given in a shape, to upsert or delete them.
    pub(super) async fn push_changes(
        &self,
        change: Change,
        shape: &Arc<Shape>,
        batch: &RecordBatch,
    ) -> Result<WriteHandle> {
        self.check_open(change)?;
        let refusal = |error| self.refusal(change, error);
        let batch = crate::arrow::conform(batch, shape.row_type()).map_err(refusal)?;
        let slots = self.slots(&batch, shape).map_err(refusal)?;
        let mut deliveries = Vec::new();
        for (start, piece) in self.pieces(&batch) {
            let slots = slots.get(start..start + piece.num_rows()).unwrap_or_default();
            let row_bytes = crate::arrow::data_bytes(&piece) / piece.num_rows().max(1) + 1;
            let rows = Arc::new(ArrowRows::new(piece, shape.row_type()).map_err(refusal)?);
            let picked = self.route(|router| router.pick(&rows, shape, slots));
            for (target, indexes) in picked.map_err(refusal)? {
                let bytes = row_bytes * indexes.len();
                let (rows, shape) = (rows.clone(), shape.clone());
                let rows = Rows::Picked(Picked {
                    rows,
                    shape,
                    change,
                    indexes,
                });
                deliveries.push(self.push_part(change, target, rows, bytes).await?);
            }
        }
        Ok(WriteHandle::batches(deliveries))
    }

    async fn push_part(
        &self,
        change: Change,
        target: Target,
        rows: Rows,
        bytes: usize,
    ) -> Result<Arc<Delivery>> {
        let bytes = self.reserve(change, bytes).await?;
        let delivery = {
            let mut accumulator = self.shared.lock();
            if let Some(error) = accumulator.ended().cloned() {
                self.shared.memory.release(bytes);
                return Err(error);
            }
            accumulator.push_rows(target, rows, bytes, Instant::now())
        };
        self.want(target.slot);
        self.shared.wake.notify_one();
        Ok(delivery)
    }

    fn route<T>(&self, route: impl FnOnce(&mut Router) -> T) -> T {
        route(&mut self.router.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Slices of a batch of about the size of a log batch, and where they begin.
    fn pieces(&self, batch: &RecordBatch) -> Vec<(usize, RecordBatch)> {
        let rows = batch.num_rows();
        let bytes = crate::arrow::data_bytes(batch).max(1);
        let pieces = bytes.div_ceil(self.options.batch_bytes).clamp(1, rows.max(1));
        let step = rows.div_ceil(pieces).max(1);
        (0..rows)
            .step_by(step)
            .map(|start| (start, batch.slice(start, step.min(rows - start))))
            .collect()
    }

    async fn reserve(&self, change: Change, bytes: usize) -> Result<usize> {
        let shared = &self.shared;
        if let Some(bytes) = shared.memory.try_reserve(bytes) {
            return Ok(bytes);
        }
        // Batches that wait for more rows hold what this one waits for.
        let idle = shared.lock().relieve();
        shared.memory.release(idle);
        shared.wake.notify_one();
        let (timeout, begun) = (self.options.delivery_timeout, Instant::now());
        let reserved = shared.memory.reserve(bytes, timeout).await;
        shared.meters.waited(begun);
        reserved.ok_or_else(|| self.context(change).error(ErrorKind::NoMemory { after: timeout }))
    }

    /// Sends what is collected, and waits until everything written before is acknowledged or has failed.
    pub(super) async fn flush(&self) -> Result<()> {
        for delivery in self.shared.send_open() {
            // What failed is told below, whoever waited for it.
            drop(delivery.wait().await);
        }
        self.shared.lock().take_failure().map_or(Ok(()), Err)
    }

    /// Flushes, and takes no more rows.
    pub(super) async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        self.closing.cancel();
        flushed
    }

    fn check_open(&self, change: Change) -> Result<()> {
        if self.closing.is_cancelled() {
            return Err(self.context(change).error(ErrorKind::Closed));
        }
        Ok(())
    }

    fn refusal(&self, change: Change, error: ValueError) -> Error {
        self.context(change).error(error)
    }

    fn context(&self, change: Change) -> Context {
        Context::new(change.operation()).table(&self.shared.info.path)
    }
}

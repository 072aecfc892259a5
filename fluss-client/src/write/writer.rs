//! What all writers have in common.

use std::sync::{Arc, Weak};

use arrow::record_batch::RecordBatch;
use fluss_rpc::guarded::Guarded;
use fluss_rpc::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::accumulator::{Accumulator, Pushed};
use super::batch::{Part, Stage};
use super::handle::{Delivery, Line, WriteHandle};
use super::layout::{Change, Layout, Picked, Rows};
use super::memory::Memory;
use super::partitions::{Partitions, Slot};
use super::request::{Api, Destination};
use super::reroute::Rerouter;
use super::router::Router;
use super::sender::{SMALL_BYTES, Sender};
use super::shared::Shared;
use crate::cluster::{Cluster, Unsent};
use crate::config::WriterOptions;
use crate::deadline;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::meters::WriterMeters;
use crate::shape::Shape;
use fluss_core::ValueError;
use fluss_core::arrow::ArrowRows;
use fluss_core::types::{InvalidDefinition, Row, TableInfo};

/// Rows take memory from the writer's budget in pieces of this size.
const FUNDS_BYTES: usize = 64 << 10;

/// Collects rows and has them sent. Clones share it; what is collected is still sent when the last one is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    cluster: Cluster,
    options: Arc<WriterOptions>,
    closing: CancellationToken,
    /// Lets the sender end when the last clone goes away.
    _guard: Arc<DropGuard>,
}

impl Writer {
    /// Begins to write. `operation` is what errors call it.
    pub(super) fn new(
        cluster: &Cluster,
        info: &Arc<TableInfo>,
        operation: &'static str,
        layout: Layout,
        api: Api,
    ) -> Result<Self, InvalidDefinition> {
        let options = cluster.options().writer.clone();
        let router = Router::of(info, options.bucket_assigner, cluster.random().fork())?;
        let meters = Arc::new(WriterMeters::of(cluster.owner(), &info.path));
        let line = Arc::new(Line::new(breakdown(info, operation)));
        let accumulator = Accumulator::new(
            operation,
            layout.clone(),
            options.clone(),
            meters.clone(),
            line.clone(),
            cluster.random().clone(),
        );
        let told = line.clone();
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
            accumulator: Guarded::telling(accumulator, move || told.break_down()),
            partitions: Mutex::new(Partitions::of(info)?),
            router: Mutex::new(router),
            line,
        });
        let unsent: Weak<Shared> = Arc::downgrade(&shared);
        cluster.writers().add(unsent);
        let closing = CancellationToken::new();
        // The task ends by itself: once the writer is closed or dropped, and everything is settled or expired.
        tokio::spawn(Sender::new(shared.clone(), cluster.clone(), closing.clone()).run());
        Ok(Self {
            shared,
            cluster: cluster.clone(),
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
            self.shared.lock()?.fund(funds);
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
                        self.shared.line.wake();
                    }
                    return Ok(Some(handle));
                }
                Pushed::NeedsFunds => {
                    let Some(funds) = self.shared.memory.try_reserve(FUNDS_BYTES) else {
                        return Ok(None);
                    };
                    self.shared.lock()?.fund(funds);
                }
            }
        }
    }

    fn collect(&self, change: Change, row: &(impl Row + ?Sized), now: Instant) -> Result<Pushed> {
        let slot = self.slot(row).map_err(|error| self.refusal(change, error))?;
        let pushed = {
            let mut router = self.shared.router.lock();
            let mut accumulator = self.shared.lock()?;
            if let Some(error) = accumulator.ended() {
                return Err(error.clone());
            }
            router
                .route(slot, row, |candidate| accumulator.room(candidate))
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
            self.shared.line.wake();
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

    /// An Arrow batch as the parts that go to buckets, checked and, unless it goes as columns, encoded: nothing of it can
    /// be refused any more.
    pub(super) async fn prepare(
        &self,
        change: Change,
        shape: &Arc<Shape>,
        batch: &RecordBatch,
    ) -> Result<Vec<Part>> {
        self.check_open(change)?;
        let parts = self
            .cut(change, shape, batch)
            .map_err(|error| self.refusal(change, error))?;
        let encoded = parts.into_iter().map(|part| self.encode(change, part));
        futures::future::try_join_all(encoded).await
    }

    fn cut(&self, change: Change, shape: &Arc<Shape>, batch: &RecordBatch) -> Result<Vec<Part>, ValueError> {
        let batch = fluss_core::arrow::conform(batch, shape.row_type())?;
        let pieces = self.pieces(&batch);
        self.cut_pieces(change, shape, &batch, pieces)
    }

    /// An Arrow batch as one part for each bucket, however large they are.
    pub(super) fn cut_whole(
        &self,
        change: Change,
        shape: &Arc<Shape>,
        batch: &RecordBatch,
    ) -> Result<Vec<Part>, ValueError> {
        let batch = fluss_core::arrow::conform(batch, shape.row_type())?;
        let pieces = (batch.num_rows() > 0).then(|| (0, batch.clone()));
        self.cut_pieces(change, shape, &batch, pieces.into_iter().collect())
    }

    fn cut_pieces(
        &self,
        change: Change,
        shape: &Arc<Shape>,
        batch: &RecordBatch,
        pieces: Vec<(usize, RecordBatch)>,
    ) -> Result<Vec<Part>, ValueError> {
        let slots = self.slots(batch, shape)?;
        let mut parts = Vec::new();
        for (start, piece) in pieces {
            let slots = slots.get(start..start + piece.num_rows()).unwrap_or_default();
            let misrouted = |error: ValueError| error.after_rows(start as u64);
            if self.shared.layout.is_columns() {
                let split = self.route(|router| {
                    let split = router.split(shape, piece, slots)?.into_iter();
                    let chosen = split.map(|(target, rows)| ((target, router.count(target.slot)), rows));
                    Ok(chosen.collect::<Vec<_>>())
                });
                let split = split.map_err(misrouted)?.into_iter();
                parts.extend(split.map(|(chosen, rows)| {
                    let bytes = fluss_core::arrow::data_bytes(&rows);
                    Part::raw(chosen, Rows::Batch(rows), bytes, start)
                }));
                continue;
            }
            let row_bytes = fluss_core::arrow::data_bytes(&piece) / piece.num_rows().max(1) + 1;
            let rows = Arc::new(ArrowRows::new(piece, shape.row_type())?);
            let picked = self.route(|router| {
                let picked = router.pick(&rows, shape, slots)?.into_iter();
                let chosen = picked.map(|(target, indexes)| ((target, router.count(target.slot)), indexes));
                Ok(chosen.collect::<Vec<_>>())
            });
            let picked = picked.map_err(misrouted)?.into_iter();
            parts.extend(picked.map(|(chosen, indexes)| {
                let bytes = row_bytes * indexes.len();
                let picked = Picked {
                    rows: rows.clone(),
                    shape: shape.clone(),
                    change,
                    indexes,
                };
                Part::raw(chosen, Rows::Picked(picked), bytes, start)
            }));
        }
        Ok(parts)
    }

    /// Encodes a part whose rows are checked only then; a large one on a thread of its own.
    async fn encode(&self, change: Change, part: Part) -> Result<Part> {
        let layout = &self.shared.layout;
        let load = part.load;
        let stage = match part.stage {
            Stage::Raw(rows) if !layout.is_columns() => {
                let encoded = if load.bytes <= SMALL_BYTES {
                    layout.encode(rows)
                } else {
                    let layout = layout.clone();
                    let encoding = tokio::task::spawn_blocking(move || layout.encode(rows));
                    encoding
                        .await
                        .map_err(|error| self.context(change).error(ErrorKind::Defect(error.to_string())))?
                };
                let refusal = |error: ValueError| self.refusal(change, error.after_rows(part.start as u64));
                Stage::Encoded(encoded.map_err(refusal)?)
            }
            stage => stage,
        };
        Ok(Part { stage, ..part })
    }

    /// Collects parts at once, for which memory is reserved.
    pub(super) fn push_parts(
        &self,
        change: Change,
        parts: Vec<Part>,
        reserved: usize,
    ) -> Result<Vec<Arc<Delivery>>> {
        let mut deliveries = Vec::with_capacity(parts.len());
        let slots: Vec<Slot> = parts.iter().map(|part| part.target.slot).collect();
        {
            let mut router = self.shared.router.lock();
            let mut accumulator = self.shared.lock()?;
            if let Some(error) = accumulator.ended().cloned() {
                self.shared.memory.release(reserved);
                return Err(error);
            }
            let mut left = reserved;
            let now = Instant::now();
            let mut fitting = Vec::with_capacity(parts.len());
            let mut rerouter = Rerouter::new(&self.shared.info, &self.shared.layout, &mut router);
            for part in parts {
                if rerouter.fits(part.target.slot, part.buckets) {
                    fitting.push(part);
                    continue;
                }
                // How many buckets its partition has was found out since it was cut.
                let regrouped = rerouter.regroup_part(part);
                fitting.extend(regrouped.map_err(|error| self.refusal(change, error))?);
            }
            for part in fitting {
                // What asked for more memory than there is holds all of it.
                let bytes = part.load.bytes.min(left);
                left -= bytes;
                deliveries.push(accumulator.push_part(part, bytes, now));
            }
            accumulator.fund(left);
        }
        for slot in slots {
            self.want(slot);
        }
        self.shared.line.wake();
        Ok(deliveries)
    }

    /// Collects a part for which memory is reserved. Returns nothing, and has collected nothing, if it was cut for another
    /// number of buckets than its partition has.
    pub(super) fn push_whole(&self, part: Part, reserved: usize) -> Result<Option<Arc<Delivery>>> {
        let slot = part.target.slot;
        let delivery = {
            let router = self.shared.router.lock();
            let mut accumulator = self.shared.lock()?;
            let ended = accumulator.ended().cloned();
            if ended.is_some() || router.count(slot) != part.buckets {
                self.shared.memory.release(reserved);
                return ended.map_or(Ok(None), Err);
            }
            let bytes = part.load.bytes.min(reserved);
            accumulator.fund(reserved - bytes);
            accumulator.push_part(part, bytes, Instant::now())
        };
        self.want(slot);
        self.shared.line.wake();
        Ok(Some(delivery))
    }

    /// The most bytes that rows may hold.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.options.buffer_bytes
    }

    fn route<T>(&self, route: impl FnOnce(&mut Router) -> T) -> T {
        route(&mut self.shared.router.lock())
    }

    /// Slices of a batch of about the size of a log batch, and where they begin.
    fn pieces(&self, batch: &RecordBatch) -> Vec<(usize, RecordBatch)> {
        let rows = batch.num_rows();
        let bytes = fluss_core::arrow::data_bytes(batch).max(1);
        let pieces = bytes.div_ceil(self.options.batch_bytes).clamp(1, rows.max(1));
        let step = rows.div_ceil(pieces).max(1);
        (0..rows)
            .step_by(step)
            .map(|start| (start, batch.slice(start, step.min(rows - start))))
            .collect()
    }

    pub(super) async fn reserve(&self, change: Change, bytes: usize) -> Result<usize> {
        let shared = &self.shared;
        if let Some(bytes) = shared.memory.try_reserve(bytes) {
            return Ok(bytes);
        }
        // Open batches hold what this one waits for.
        let idle = shared.lock()?.make_room();
        shared.memory.release(idle);
        let (timeout, begun) = (deadline::patience(self.options.delivery_timeout), Instant::now());
        let left = deadline::left(timeout);
        let reserved = tokio::select! {
            reserved = shared.memory.reserve(bytes, left) => reserved,
            () = self.cluster.closed() => return Err(self.context(change).error(ErrorKind::Closed)),
        };
        shared.meters.waited(begun);
        if let Some(bytes) = reserved {
            return Ok(bytes);
        }
        if let Some(error) = shared.lock()?.ended() {
            return Err(error.clone());
        }
        Err(self.context(change).error(ErrorKind::NoMemory { after: timeout }))
    }

    /// Sends what is collected, and waits until everything written before is acknowledged or has failed.
    pub(super) async fn flush(&self) -> Result<()> {
        // What failed is told below, whoever waited for it.
        drop(self.shared.send_all().await);
        let mut accumulator = self.shared.lock()?;
        let failure = accumulator
            .take_failure()
            .or_else(|| accumulator.ended().cloned());
        failure.map_or(Ok(()), Err)
    }

    /// Flushes, and takes no more rows.
    pub(super) async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        self.closing.cancel();
        flushed
    }

    fn check_open(&self, change: Change) -> Result<()> {
        if self.closing.is_cancelled() || self.cluster.is_closed() {
            return Err(self.context(change).error(ErrorKind::Closed));
        }
        Ok(())
    }

    fn refusal(&self, change: Change, error: ValueError) -> Error {
        self.context(change).error(error)
    }

    pub(super) fn context(&self, change: Change) -> Context {
        Context::new(change.operation()).table(&self.shared.info.path)
    }
}

/// What is told once a change of what a writer has collected has ended half-way.
fn breakdown(info: &TableInfo, operation: &'static str) -> Error {
    let reason = "the writer has failed half-way through a change and is not used any more; what it was not told to be \
                  stored may be stored all the same";
    let context = Context::new(operation).table(&info.path);
    context.error(ErrorKind::Defect(reason.to_owned()))
}

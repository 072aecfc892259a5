//! Every unacknowledged row of a writer, and what is to be done next.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluss_rpc::net::{Random, ServerAddress};
use tokio::time::Instant;

use super::batch::{Batch, Load, OpenBatch, Part, Stage};
use super::bucket::BucketQueue;
use super::handle::{Delivery, Line, WriteHandle};
use super::layout::{Change, Layout, Rows};
use super::outcome::{Followup, Next, Outcome, fail};
use super::partitions::{Partitions, Slot, Target};
use super::reroute::{Group, Rerouter};
use super::router::Room;
use super::shipment::{BatchKey, Due, Obstacles, Route, Sent, Shipment, place};
use crate::config::WriterOptions;
use crate::error::{Context, Error, ErrorKind, tell};
use crate::log_target;
use crate::meters::WriterMeters;
use fluss_core::ValueError;
use fluss_core::id::{TableBucket, WriterId};
use fluss_core::record::UnsealedBatch;
use fluss_core::types::Row;

/// Every unacknowledged row of a writer.
///
/// Rows, encodings, answers and the time go in; batches to encode and to send, and the next moment at which something
/// is due, come out.
pub(super) struct Accumulator {
    /// What the writer does, as errors call it.
    operation: &'static str,
    layout: Layout,
    options: WriterOptions,
    meters: Arc<WriterMeters>,
    /// Tells the sender that somebody waits for a batch.
    line: Arc<Line>,
    random: Random,
    /// Room for keys.
    key: Vec<u8>,
    buckets: BTreeMap<Target, BucketQueue>,
    /// Bytes of memory taken, but held by no batch yet.
    funds: usize,
    last_id: u64,
    /// The first failure that nobody was told yet.
    failure: Option<Error>,
    /// Why the writer is at its end.
    ended: Option<Error>,
}

/// What became of a row.
pub(super) enum Pushed {
    /// It is in a batch. `wake` says that the sender has something to do.
    Taken { handle: WriteHandle, wake: bool },
    /// Memory is needed first.
    NeedsFunds,
}

impl Accumulator {
    pub(super) fn new(
        operation: &'static str,
        layout: Layout,
        options: WriterOptions,
        meters: Arc<WriterMeters>,
        line: Arc<Line>,
        random: Random,
    ) -> Self {
        let (key, buckets) = (Vec::new(), BTreeMap::new());
        Self {
            operation,
            layout,
            options,
            meters,
            line,
            random,
            key,
            buckets,
            funds: 0,
            last_id: 0,
            failure: None,
            ended: None,
        }
    }

    /// Adds memory for rows to come.
    pub(super) fn fund(&mut self, bytes: usize) {
        self.funds += bytes;
    }

    /// Why nothing can be written any more.
    pub(super) fn ended(&self) -> Option<&Error> {
        self.ended.as_ref()
    }

    /// Adds a row of the table's type, which is checked, all or nothing.
    pub(super) fn push_row(
        &mut self,
        target: Target,
        change: Change,
        row: &(impl Row + ?Sized),
        now: Instant,
    ) -> Result<Pushed, ValueError> {
        if self.funds == 0 {
            return Ok(Pushed::NeedsFunds);
        }
        let queue = self.buckets.entry(target);
        let queue = queue.or_insert_with(|| BucketQueue::new(self.random.clone()));
        let wake = queue.open.is_none();
        let open = queue
            .open
            .get_or_insert_with(|| OpenBatch::new(&self.layout, Delivery::hurrying(&self.line), now));
        let growth = match open.push(&self.layout, change, row, &mut self.key) {
            Ok(growth) => growth,
            Err(error) => {
                if open.count == 0 {
                    queue.open = None;
                }
                return Err(error);
            }
        };
        // The last row may be larger than what was left; the next one waits for it.
        let paid = growth.min(self.funds);
        self.funds -= paid;
        open.bytes -= growth - paid;
        let handle = WriteHandle::row(open.delivery.clone(), open.count - 1);
        let full = open.bytes >= self.options.batch_bytes;
        if full {
            queue.close_open(&mut self.last_id);
        }
        Ok(Pushed::Taken {
            handle,
            wake: wake || full,
        })
    }

    /// What rows for a bucket find there.
    pub(super) fn room(&self, target: Target) -> Room {
        match self.buckets.get(&target) {
            Some(queue) if !queue.flows(self.options.max_in_flight) => Room::Blocked,
            Some(queue) if queue.open.is_some() => Room::Open,
            _ => Room::Free,
        }
    }

    /// Adds rows, which hold `bytes` of memory, as a batch of their own.
    pub(super) fn push_part(&mut self, part: Part, bytes: usize, now: Instant) -> Arc<Delivery> {
        let queue = self.buckets.entry(part.target);
        let queue = queue.or_insert_with(|| BucketQueue::new(self.random.clone()));
        queue.close_open(&mut self.last_id);
        let delivery = Arc::new(Delivery::of(&self.line));
        let load = Load { bytes, ..part.load };
        queue.push(&mut self.last_id, part.stage, load, now, delivery.clone());
        delivery
    }

    /// The fates of all rows that are not settled. Whoever waits for one has its batch sent.
    pub(super) fn deliveries(&self) -> Vec<Arc<Delivery>> {
        let queues = self.buckets.values();
        queues
            .flat_map(|queue| {
                let closed = queue.unsettled().map(|batch| &batch.delivery);
                closed.chain(queue.open.as_ref().map(|open| &open.delivery))
            })
            .cloned()
            .collect()
    }

    /// Sends what there is, because memory is short, and gives back what no batch holds.
    pub(super) fn make_room(&mut self) -> usize {
        for open in self.buckets.values().filter_map(|queue| queue.open.as_ref()) {
            open.delivery.hurry();
        }
        std::mem::take(&mut self.funds)
    }

    /// The first failure since the last call.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Whether nothing is left to be sent or answered.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets
            .values()
            .all(|queue| queue.open.is_none() && queue.unsettled().next().is_none())
    }

    /// The batches to be encoded: full ones, and those that somebody waits for, or that have waited long enough for more
    /// rows, as soon as they can be sent. With the memory that each holds.
    pub(super) fn take_raw(&mut self, now: Instant) -> Vec<(BatchKey, Rows, usize)> {
        let mut raw = Vec::new();
        for (target, queue) in &mut self.buckets {
            if queue.is_ripe(now, self.options.linger, self.options.max_in_flight) {
                queue.close_open(&mut self.last_id);
            }
            for batch in queue.waiting_mut() {
                if matches!(batch.stage, Stage::Raw(_))
                    && let Stage::Raw(rows) = std::mem::replace(&mut batch.stage, Stage::Encoding)
                {
                    raw.push(((*target, batch.id), rows, batch.load.bytes));
                }
            }
        }
        raw
    }

    /// Takes an encoded batch back.
    pub(super) fn on_encoded(&mut self, (target, id): BatchKey, encoded: UnsealedBatch) {
        let queue = self.buckets.get_mut(&target);
        if let Some(batch) = queue.and_then(|queue| queue.waiting_mut().find(|batch| batch.id == id)) {
            batch.stage = Stage::Encoded(encoded);
        }
    }

    /// Sends due batches on their way, as far as `route` knows the way.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        route: impl Fn(Target) -> Route,
    ) -> (Vec<Shipment>, Obstacles) {
        let mut shipments: Vec<Shipment> = Vec::new();
        let mut obstacles = Obstacles::default();
        for (target, queue) in &mut self.buckets {
            if !queue.is_due(now, self.options.max_in_flight) {
                continue;
            }
            if self.options.idempotence && queue.lacks_writer() {
                obstacles.writer |= !queue.has_in_flight();
                continue;
            }
            let (bucket, buckets, server) = match route(*target) {
                Route::Open(bucket, buckets, server) => (bucket, buckets, server),
                Route::Closed(bucket) => {
                    obstacles.leaders.push((target.slot, bucket));
                    continue;
                }
                Route::Unknown => {
                    obstacles.partitions.push(target.slot);
                    continue;
                }
            };
            queue.sent_to = Some(bucket);
            let Some(batch) = queue.send_next(self.options.idempotence) else {
                continue;
            };
            let (rows, again) = (batch.load.rows, batch.attempts > 1);
            let Some((id, created, bytes)) = batch.sealed() else {
                continue;
            };
            self.meters.sent(rows, bytes.len(), again);
            let deadline = created + self.options.delivery_timeout;
            let due = Due {
                sent: Sent {
                    key: (*target, id),
                    bucket,
                    buckets,
                },
                bytes,
                deadline,
            };
            place(&mut shipments, server, self.options.request_max_bytes, due);
        }
        (shipments, obstacles)
    }

    /// Lets every bucket that needs one become a writer.
    pub(super) fn adopt(&mut self, writer: WriterId) {
        self.buckets
            .values_mut()
            .filter(|queue| !queue.has_in_flight())
            .for_each(|queue| queue.sequences.adopt(writer));
    }

    /// Takes note of what came of a batch. Returns the bytes to give back, and what is to be done.
    pub(super) fn on_outcome(
        &mut self,
        (target, id): BatchKey,
        outcome: Outcome,
        now: Instant,
    ) -> (usize, Next) {
        let Some(queue) = self.buckets.get_mut(&target) else {
            return (0, Next::default());
        };
        let mut followup = queue.on_outcome(id, outcome, now, &self.options);
        let next = std::mem::take(&mut followup.next);
        if let Some(pause) = next.held_up {
            self.meters.held_up(pause);
        }
        (self.settle([followup]), next)
    }

    /// Fails what cannot be encoded.
    pub(super) fn on_unencodable(
        &mut self,
        (target, id): BatchKey,
        error: ValueError,
        partitions: &Partitions,
    ) -> usize {
        let error = self.context(target, partitions).error(error);
        let Some(queue) = self.buckets.get_mut(&target) else {
            return 0;
        };
        let followup = queue.on_unencodable(id, error);
        self.settle(followup)
    }

    /// Fails the batches that have waited for too long, and names who answered last, and what, or who was to be asked.
    pub(super) fn expire<'a>(
        &mut self,
        now: Instant,
        partitions: &Partitions,
        leader: impl Fn(&TableBucket) -> Option<&'a ServerAddress>,
    ) -> usize {
        let timeout = self.options.delivery_timeout;
        let mut followups = Vec::new();
        for (target, queue) in &mut self.buckets {
            followups.extend(queue.expire(now, timeout, &mut self.last_id, |batch| {
                let mut context = Context::new(self.operation)
                    .physical(&partitions.physical(target.slot))
                    .bucket(target.bucket);
                let asked = batch.last_error.as_ref().map(Error::context);
                let asked = asked.and_then(|context| context.server.as_ref());
                let leads = || leader(&partitions.bucket(*target)?.0);
                context.server = asked.or_else(leads).cloned();
                context.last_answer = batch.last_words();
                if context.server.is_none() && batch.attempts == 0 {
                    return context.error(ErrorKind::NoLeader(timeout));
                }
                context.error(ErrorKind::Timeout {
                    after: timeout,
                    outcome_unknown: batch.doubtful,
                })
            }));
        }
        self.settle(followups)
    }

    fn context(&self, target: Target, partitions: &Partitions) -> Context {
        Context::new(self.operation)
            .physical(&partitions.physical(target.slot))
            .bucket(target.bucket)
    }

    /// Fails everything that is to go to a partition, because there is none.
    pub(super) fn fail(&mut self, slot: Slot, error: &Error) -> usize {
        tell!(
            log_target::WRITER,
            warn,
            error,
            "what waits for a partition was given up"
        );
        let mut id = self.last_id;
        let failed: Vec<_> = self
            .of(slot)
            .flat_map(|queue| queue.fail_all(error, &mut id))
            .collect();
        self.last_id = id;
        self.failure.get_or_insert_with(|| error.clone());
        self.settle(failed)
    }

    /// Lets everything that was to go to a partition go to the one that takes its place, from the first number on.
    /// Not while any of it is on its way: then it returns false.
    pub(super) fn restart(&mut self, slot: Slot) -> bool {
        if self.of(slot).any(|queue| queue.has_in_flight()) {
            return false;
        }
        self.of(slot).for_each(BucketQueue::restart);
        true
    }

    /// Whether everything that is to go to a partition can be taken apart: none of it is on its way, or being encoded.
    pub(super) fn is_at_rest(&self, slot: Slot) -> bool {
        let of_slot = |(target, _): &(&Target, &BucketQueue)| target.slot == slot;
        let mut queues = self.buckets.iter().filter(of_slot);
        queues.all(|(_, queue)| !queue.has_in_flight() && !queue.is_being_encoded())
    }

    /// Has everything that waits for a partition, none of which is stored, go to the buckets that it has now. It is then in
    /// other batches, in the order in which it was collected. Returns the bytes to give back of what could not be taken
    /// apart.
    pub(super) fn reroute(&mut self, slot: Slot, rerouter: &mut Rerouter<'_>) -> usize {
        let mut batches = Vec::new();
        let targets: Vec<Target> = self
            .buckets
            .keys()
            .filter(|target| target.slot == slot)
            .copied()
            .collect();
        for target in targets {
            if let Some(mut queue) = self.buckets.remove(&target) {
                queue.close_open(&mut self.last_id);
                batches.extend(queue.into_waiting());
            }
        }
        batches.sort_by_key(|batch| batch.id);
        let mut failed = Vec::new();
        for mut batch in batches {
            match rerouter.regroup(slot, std::mem::replace(&mut batch.stage, Stage::Encoding)) {
                Ok(groups) => self.scatter(&batch, groups),
                Err(error) => {
                    let context = Context::new(self.operation).table(rerouter.path());
                    failed.push(fail(&batch, context.error(error)));
                }
            }
        }
        self.settle(failed)
    }

    /// Puts the rows of a batch into others.
    fn scatter(&mut self, batch: &Batch, groups: Vec<Group>) {
        let mut left = batch.load.bytes;
        let mut places = vec![None; batch.load.rows as usize];
        let groups_left = groups.len();
        for (number, Group { target, rows, stage }) in groups.into_iter().enumerate() {
            let share = batch.load.bytes / (batch.load.rows.max(1) as usize) * rows.len();
            let is_last = number + 1 == groups_left;
            let bytes = if is_last { left } else { share.min(left) };
            left -= bytes;
            let delivery = Arc::new(Delivery::of(&self.line));
            if batch.delivery.is_urgent() {
                delivery.hurry();
            }
            for (index, row) in (0..).zip(&rows) {
                if let Some(place) = places.get_mut(*row as usize) {
                    *place = Some((delivery.clone(), index));
                }
            }
            let queue = self.buckets.entry(target);
            let queue = queue.or_insert_with(|| BucketQueue::new(self.random.clone()));
            let load = Load {
                rows: rows.len() as u32,
                bytes,
            };
            queue.push(&mut self.last_id, stage, load, batch.created, delivery);
        }
        batch.delivery.move_to(places.into_iter().flatten().collect());
    }

    fn of(&mut self, slot: Slot) -> impl Iterator<Item = &mut BucketQueue> {
        let of_slot = move |(target, _): &(&Target, &mut BucketQueue)| target.slot == slot;
        self.buckets.iter_mut().filter(of_slot).map(|(_, queue)| queue)
    }

    fn settle(&mut self, followups: impl IntoIterator<Item = Followup>) -> usize {
        let mut released = 0;
        for followup in followups {
            released += followup.released;
            if let Some(settled) = followup.settled {
                self.meters.settled(settled.rows, settled.created, settled.stored);
            }
            if self.failure.is_none() {
                self.failure = followup.failure;
            }
        }
        released
    }

    /// When time alone will change something, after `now`.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let (linger, timeout) = (self.options.linger, self.options.delivery_timeout);
        self.buckets
            .values()
            .filter_map(|queue| queue.next_wake(now, linger, timeout, self.options.max_in_flight))
            .min()
    }

    /// Ends the writer: everything fails, and so does everything that comes.
    pub(super) fn end(&mut self, error: &Error) -> usize {
        if self.ended.replace(error.clone()).is_none() && !matches!(error.kind(), ErrorKind::Closed) {
            tell!(log_target::WRITER, error, error, "a writer came to its end");
        }
        let queues = self.buckets.values_mut();
        let failed: Vec<_> = queues
            .flat_map(|queue| queue.fail_all(error, &mut self.last_id))
            .collect();
        self.settle(failed) + std::mem::take(&mut self.funds)
    }
}

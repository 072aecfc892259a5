//! The batches of one bucket, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Backoff, Random};
use tokio::time::Instant;

use super::batch::{Batch, Load, OpenBatch, Stage};
use super::brake::Brake;
use super::handle::{Delivery, Stored};
use super::outcome::{Followup, Next, Outcome, fail, settle};
use super::sequences::{Sequences, Standing, Verdict, judge};
use crate::config::WriterOptions;
use crate::error::Error;
use crate::retry;
use fluss_core::id::TableBucket;

/// The batches of one bucket: one that rows join, those that wait, and those on their way.
///
/// What is stored is stored once and in order, whichever answers are lost, late or out of order:
///
/// * A batch keeps its number until it is acknowledged or given up, or known not to be stored.
/// * A number is given out only within [`WriterOptions::max_in_flight`](crate::WriterOptions::max_in_flight) of
///   the oldest one without an answer, so that the server still recognises every batch that is sent again.
/// * A batch that is sent again travels alone.
/// * A gap that the server reports (`OUT_OF_ORDER_SEQUENCE`) means that the batch is not stored only if every earlier batch
///   is settled and no later one is acknowledged. Then none of the later ones is stored either: all go on under the next
///   writer's numbers, in their order.
/// * Giving a batch up leaves the numbers as they are: whether it was stored is seen by what becomes of the next.
pub(super) struct BucketQueue {
    random: Random,
    pub(super) open: Option<OpenBatch>,
    /// In order, the oldest first.
    waiting: VecDeque<Batch>,
    /// In order, the oldest first.
    in_flight: VecDeque<Batch>,
    pub(super) sequences: Sequences,
    pause: Option<Pause>,
    brake: Brake,
    /// Where the last batch was sent: the bucket on the server.
    pub(super) sent_to: Option<TableBucket>,
}

/// A bucket that was refused rests before it tries again.
struct Pause {
    until: Instant,
    backoff: Backoff,
    lengths: Box<dyn Iterator<Item = Duration> + Send>,
}

impl BucketQueue {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            open: None,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            sequences: Sequences::default(),
            pause: None,
            brake: Brake::default(),
            sent_to: None,
        }
    }

    /// Lets no more rows join.
    pub(super) fn close_open(&mut self, id: &mut u64) {
        if let Some(open) = self.open.take() {
            let load = Load {
                rows: open.count,
                bytes: open.bytes,
            };
            self.push(id, Stage::Raw(open.rows), load, open.opened, open.delivery);
        }
    }

    /// Adds a batch to those that wait.
    pub(super) fn push(
        &mut self,
        id: &mut u64,
        stage: Stage,
        load: Load,
        created: Instant,
        delivery: Arc<Delivery>,
    ) {
        *id += 1;
        let batch = Batch {
            id: *id,
            stage,
            load,
            delivery,
            created,
            attempts: 0,
            stamp: None,
            doubtful: false,
            last_error: None,
            last_answer: None,
            lasting: 0,
        };
        self.waiting.push_back(batch);
    }

    /// All batches that are not settled, apart from the open one.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Batch> {
        self.in_flight.iter().chain(&self.waiting)
    }

    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.waiting.iter_mut()
    }

    /// All batches, of which none is on its way.
    pub(super) fn into_waiting(self) -> VecDeque<Batch> {
        self.waiting
    }

    /// Whether any batch is being encoded.
    pub(super) fn is_being_encoded(&self) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|batch| matches!(batch.stage, Stage::Encoding))
    }

    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether the next batch could be sent but for its leader and writer.
    pub(super) fn is_due(&self, now: Instant, max_in_flight: usize) -> bool {
        let Some(head) = self.waiting.front() else {
            return false;
        };
        let rested = self.pause.as_ref().is_none_or(|pause| pause.until <= now);
        let alone = self.in_flight.is_empty();
        let in_line = head.attempts == 0 && self.has_room(max_in_flight);
        let held_up = self.brake.until(now).is_some();
        rested && !held_up && (alone || in_line) && matches!(head.stage, Stage::Encoded(_))
    }

    /// Whether a batch that was not sent before may follow those that are on their way.
    fn has_room(&self, max_in_flight: usize) -> bool {
        // They are in the order of their numbers: the first has the oldest.
        let oldest = self.in_flight.front().and_then(|batch| batch.stamp);
        let given_out = oldest.map_or(0, |stamp| self.sequences.since(stamp));
        self.in_flight.len() < max_in_flight
            && given_out < max_in_flight as u64
            && self.in_flight.iter().all(|batch| batch.attempts == 1)
    }

    /// Whether the open batch is to be closed: somebody waits for it, or it has waited for long enough, and it can be sent
    /// next. Until then more rows join it.
    pub(super) fn is_ripe(&self, now: Instant, linger: Duration, max_in_flight: usize) -> bool {
        let is_wanted = |open: &OpenBatch| open.delivery.is_urgent() || now >= open.opened + linger;
        let held_up = self.brake.until(now).is_some();
        self.open.as_ref().is_some_and(is_wanted) && self.flows(max_in_flight) && !held_up
    }

    /// Whether the open batch would be the next to be sent.
    pub(super) fn flows(&self, max_in_flight: usize) -> bool {
        self.waiting.is_empty() && self.has_room(max_in_flight)
    }

    /// Whether the next batch needs the bucket to be a writer, and it is none. While batches of the former writer are
    /// on their way it stays so.
    pub(super) fn lacks_writer(&self) -> bool {
        self.waiting.front().is_some_and(|head| head.stamp.is_none()) && !self.sequences.is_ready()
    }

    /// Sends the next batch on its way.
    pub(super) fn send_next(&mut self, idempotent: bool) -> Option<&mut Batch> {
        let head = self.waiting.front_mut()?;
        if idempotent && head.stamp.is_none() {
            head.stamp = Some(self.sequences.next()?);
        }
        head.attempts += 1;
        let head = self.waiting.pop_front()?;
        self.in_flight.push_back(head);
        self.in_flight.back_mut()
    }

    /// Takes note of what came of a batch.
    pub(super) fn on_outcome(
        &mut self,
        id: u64,
        outcome: Outcome,
        now: Instant,
        options: &WriterOptions,
    ) -> Followup {
        let most = options.max_throttle;
        let held_up = match &outcome {
            Outcome::Stored(_, pressure) => self.brake.on_pressure(*pressure, most, now),
            Outcome::Refused(ErrorCode::STORAGE_BACKPRESSURE, _) => self.brake.on_refusal(most, now),
            _ => None,
        };
        let mut followup = self.come_of(id, outcome, now, options.retries);
        followup.next.held_up = held_up;
        if followup.next.refresh {
            self.brake.release();
        }
        followup
    }

    fn come_of(&mut self, id: u64, outcome: Outcome, now: Instant, retries: u32) -> Followup {
        let Some(position) = self.in_flight.iter().position(|batch| batch.id == id) else {
            return Followup::default();
        };
        let Some(mut batch) = self.in_flight.remove(position) else {
            return Followup::default();
        };
        let (verdict, error) = match outcome {
            Outcome::Stored(stored, _) => return self.acknowledge(&batch, stored),
            // Without a number it would be stored twice, if it is stored.
            Outcome::Refused(ErrorCode::UNKNOWN_SERVER_ERROR, error) if batch.stamp.is_none() => {
                batch.doubtful = true;
                (Verdict::Fail, error)
            }
            // That is looked at first: it is not stored, however often it was sent (`v1_0.md` §5.5).
            Outcome::Refused(ErrorCode::INVALID_BUCKET_ROUTING, error) => {
                batch.doubtful = false;
                (Verdict::Misrouted, error)
            }
            Outcome::Refused(code, error) => {
                // The leader has it, and not as many others as were asked for.
                batch.doubtful |= matches!(
                    code,
                    ErrorCode::REQUEST_TIME_OUT | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                );
                (judge(code, self.standing(&batch, position)), error)
            }
            Outcome::Unknown(error) => {
                batch.doubtful = true;
                (Verdict::Retry { refresh: true }, error)
            }
            Outcome::Impossible(error) => (Verdict::Fail, error),
        };
        let is_hopeless = batch.note(&error);
        match verdict {
            Verdict::Stored => {
                let stored = Stored {
                    bucket: self.sent_to,
                    ..Stored::default()
                };
                self.acknowledge(&batch, stored)
            }
            Verdict::Fail => fail(&batch, error),
            _ if is_hopeless => fail(&batch, error),
            _ if batch.attempts > retries => fail(&batch, batch.in_doubt(error)),
            Verdict::Renumber => {
                if let Some(stamp) = batch.stamp {
                    self.sequences.abandon(stamp);
                }
                self.requeue(batch, error, now, false)
            }
            Verdict::Misrouted => {
                if let Some(stamp) = batch.stamp {
                    self.sequences.abandon(stamp);
                }
                self.requeue(batch, error, now, true)
            }
            Verdict::Retry { refresh } => self.requeue(batch, error, now, refresh),
        }
    }

    fn acknowledge(&mut self, batch: &Batch, mut stored: Stored) -> Followup {
        self.pause = None;
        if let Some(stamp) = batch.stamp {
            self.sequences.acknowledge(stamp);
        }
        stored.rows = batch.load.rows;
        if let Some(base) = stored.base_offset {
            stored.end_offset = Some(base.saturating_add(batch.load.rows.into()));
        }
        settle(batch, Ok(stored))
    }

    /// What is known of the batches around one that was the one at `position` of those on their way.
    fn standing(&self, batch: &Batch, position: usize) -> Standing {
        if batch.stamp.is_some_and(|stamp| self.sequences.is_stored(stamp)) {
            return Standing::Overtaken;
        }
        if position == 0 && self.waiting.front().is_none_or(|head| head.id > batch.id) {
            return Standing::First;
        }
        Standing::Behind
    }

    fn requeue(&mut self, mut batch: Batch, error: Error, now: Instant, refresh: bool) -> Followup {
        self.rest(error.code(), now);
        let next = Next {
            refresh,
            again: Some((error, batch.attempts)),
            held_up: None,
        };
        // What was numbered by a writer that was given up is not stored, as little as the batch that it was given up for.
        for batch in std::iter::once(&mut batch).chain(&mut self.waiting) {
            if batch.stamp.is_some_and(|stamp| !self.sequences.is_current(stamp)) {
                (batch.stamp, batch.doubtful) = (None, false);
            }
        }
        let place = self
            .waiting
            .iter()
            .position(|other| other.id > batch.id)
            .unwrap_or(self.waiting.len());
        self.waiting.insert(place, batch);
        Followup {
            next,
            ..Followup::default()
        }
    }

    /// Lets some time pass after a refusal, the more the longer there are none but such.
    fn rest(&mut self, code: Option<ErrorCode>, now: Instant) {
        let backoff = retry::backoff_after(code);
        let pause = self.pause.take().filter(|pause| pause.backoff == backoff);
        let pause = self.pause.insert(pause.unwrap_or_else(|| Pause {
            until: now,
            backoff,
            lengths: Box::new(backoff.delays(self.random.fork())),
        }));
        if pause.until <= now {
            pause.until = now + pause.lengths.next().unwrap_or_default();
        }
    }

    /// Fails the batches that have waited for longer than `timeout`. Those on their way have a deadline of their own.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        timeout: Duration,
        id: &mut u64,
        error: impl Fn(&Batch) -> Error,
    ) -> Vec<Followup> {
        let mut followups = Vec::new();
        if self
            .open
            .as_ref()
            .is_some_and(|open| now >= open.opened + timeout)
        {
            self.close_open(id);
        }
        while let Some(head) = self.waiting.front()
            && now >= head.created + timeout
        {
            let error = error(head);
            if let Some(head) = self.waiting.pop_front() {
                followups.push(fail(&head, error));
            }
        }
        followups
    }

    /// Fails a batch that cannot be encoded.
    pub(super) fn on_unencodable(&mut self, id: u64, error: Error) -> Option<Followup> {
        let position = self.waiting.iter().position(|batch| batch.id == id)?;
        let batch = self.waiting.remove(position)?;
        Some(fail(&batch, error))
    }

    /// When time alone will change something, after `now`.
    pub(super) fn next_wake(
        &self,
        now: Instant,
        linger: Duration,
        timeout: Duration,
        max_in_flight: usize,
    ) -> Option<Instant> {
        let open = self.open.as_ref().map(|open| open.opened);
        let lingered = open
            .filter(|_| self.flows(max_in_flight))
            .map(|opened| opened + linger);
        let waiting = self.waiting.front().map(|head| head.created);
        let expired = waiting.into_iter().chain(open).map(|created| created + timeout);
        let pause = self.pause.as_ref().filter(|_| !self.waiting.is_empty());
        let rested = pause.map(|pause| pause.until);
        let free = self.brake.until(now);
        // What is overdue waits for an answer or a task, which wakes the sender when it ends.
        expired
            .chain(lingered)
            .chain(rested)
            .chain(free)
            .filter(|due| *due > now)
            .min()
    }

    /// Begins anew in a bucket where nothing of this one is stored.
    pub(super) fn restart(&mut self) {
        (self.sequences, self.pause) = (Sequences::default(), None);
        self.brake.release();
        for batch in &mut self.waiting {
            (batch.stamp, batch.attempts, batch.doubtful) = (None, 0, false);
        }
    }

    /// Fails everything, the open batch included.
    pub(super) fn fail_all(&mut self, error: &Error, id: &mut u64) -> Vec<Followup> {
        self.close_open(id);
        let batches = self.waiting.drain(..).chain(self.in_flight.drain(..));
        batches.map(|batch| settle(&batch, Err(error.clone()))).collect()
    }
}

#[cfg(test)]
mod tests;

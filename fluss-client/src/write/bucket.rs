//! The batches of one bucket, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::Random;
use tokio::time::Instant;

use super::batch::{Batch, Load, OpenBatch, Stage};
use super::handle::{Delivery, Stored};
use super::sequences::{Sequences, Standing, Verdict, judge};
use crate::error::{Error, tell, tell_retry};
use crate::log_target;
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
    /// Where the last batch was sent: the bucket on the server.
    pub(super) sent_to: Option<TableBucket>,
}

/// A bucket that was refused rests before it tries again.
struct Pause {
    until: Instant,
    lengths: Box<dyn Iterator<Item = Duration> + Send>,
}

/// What came of a batch on its way.
pub(super) enum Outcome {
    /// It is stored.
    Stored(Stored),
    /// The server refused it.
    Refused(ErrorCode, Error),
    /// Nobody knows; it is to be sent again under the same number.
    Unknown(Error),
    /// It cannot be sent.
    Impossible(Error),
}

/// What is to be done after an outcome.
#[derive(Default)]
pub(super) struct Followup {
    /// Bytes of memory to give back.
    pub(super) released: usize,
    /// Whether the leader is to be looked for.
    pub(super) refresh: bool,
    /// Why the batch failed for good.
    pub(super) failure: Option<Error>,
    /// The batch whose fate is known now.
    pub(super) settled: Option<Settled>,
}

/// A batch whose fate is known.
pub(super) struct Settled {
    pub(super) rows: u32,
    pub(super) created: Instant,
    pub(super) stored: bool,
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
        rested && (alone || in_line) && matches!(head.stage, Stage::Encoded(_))
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
        self.open.as_ref().is_some_and(is_wanted) && self.flows(max_in_flight)
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
    pub(super) fn on_outcome(&mut self, id: u64, outcome: Outcome, now: Instant, retries: u32) -> Followup {
        let Some(position) = self.in_flight.iter().position(|batch| batch.id == id) else {
            return Followup::default();
        };
        let Some(mut batch) = self.in_flight.remove(position) else {
            return Followup::default();
        };
        let (verdict, error) = match outcome {
            Outcome::Stored(stored) => return self.acknowledge(&batch, stored),
            // Without a number it would be stored twice, if it is stored.
            Outcome::Refused(ErrorCode::UNKNOWN_SERVER_ERROR, error) if batch.stamp.is_none() => {
                batch.doubtful = true;
                (Verdict::Fail, error)
            }
            Outcome::Refused(code, error) => (judge(code, self.standing(&batch, position)), error),
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
                self.requeue(batch, &error, now, false)
            }
            Verdict::Retry { refresh } => self.requeue(batch, &error, now, refresh),
        }
    }

    fn acknowledge(&mut self, batch: &Batch, mut stored: Stored) -> Followup {
        self.pause = None;
        if let Some(stamp) = batch.stamp {
            self.sequences.acknowledge(stamp);
        }
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

    fn requeue(&mut self, mut batch: Batch, error: &Error, now: Instant, refresh: bool) -> Followup {
        tell_retry!(log_target::WRITER, error, batch.attempts, "a batch is sent again");
        // What was numbered by a writer that was given up is not stored, as little as the batch that it was given up for.
        for batch in std::iter::once(&mut batch).chain(&mut self.waiting) {
            batch.stamp = batch.stamp.filter(|stamp| self.sequences.is_current(*stamp));
            batch.doubtful &= batch.stamp.is_some();
        }
        let place = self
            .waiting
            .iter()
            .position(|other| other.id > batch.id)
            .unwrap_or(self.waiting.len());
        self.waiting.insert(place, batch);
        let pause = self.pause.get_or_insert_with(|| Pause {
            until: now,
            lengths: Box::new(retry::pauses(&self.random)),
        });
        if pause.until <= now {
            pause.until = now + pause.lengths.next().unwrap_or_default();
        }
        Followup {
            refresh,
            ..Followup::default()
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
        // What is overdue waits for an answer or a task, which wakes the sender when it ends.
        expired
            .chain(lingered)
            .chain(rested)
            .filter(|due| *due > now)
            .min()
    }

    /// Begins anew in a bucket where nothing of this one is stored.
    pub(super) fn restart(&mut self) {
        (self.sequences, self.pause) = (Sequences::default(), None);
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

fn fail(batch: &Batch, error: Error) -> Followup {
    tell!(
        log_target::WRITER,
        warn,
        &error,
        rows = batch.load.rows,
        attempts = batch.attempts,
        "a batch was given up"
    );
    let followup = settle(batch, Err(error.clone()));
    Followup {
        failure: Some(error),
        ..followup
    }
}

fn settle(batch: &Batch, outcome: Result<Stored, Error>) -> Followup {
    let stored = outcome.is_ok();
    batch.delivery.settle(outcome);
    Followup {
        released: batch.load.bytes,
        settled: Some(Settled {
            rows: batch.load.rows,
            created: batch.created,
            stored,
        }),
        ..Followup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Rows;
    use super::*;
    use crate::error::{Context, ErrorKind};
    use fluss_core::id::{SchemaId, WriterId};
    use fluss_core::record::log::RowsBuilder;
    use fluss_core::row::RowFormat;

    const IN_FLIGHT: usize = 5;

    /// A bucket of writer 7 with encoded batches 1, 2 and so on.
    fn queue(batches: u64, now: Instant) -> BucketQueue {
        let mut queue = BucketQueue::new(Random::with_seed(1));
        queue.sequences.adopt(WriterId(7));
        let mut id = 0;
        for _ in 0..batches {
            let encoded = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true)
                .finish()
                .unwrap();
            let load = Load { rows: 1, bytes: 10 };
            queue.push(&mut id, Stage::Encoded(encoded), load, now, Arc::default());
        }
        queue
    }

    fn send(queue: &mut BucketQueue, now: Instant) -> Option<(u64, i64, i32)> {
        if !queue.is_due(now, IN_FLIGHT) {
            return None;
        }
        let batch = queue.send_next(true)?;
        batch
            .stamp
            .map(|stamp| (batch.id, stamp.writer.get(), stamp.sequence().get()))
    }

    fn open(now: Instant) -> OpenBatch {
        OpenBatch {
            rows: Rows::Records(RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true)),
            count: 1,
            bytes: 10,
            opened: now,
            delivery: Arc::default(),
        }
    }

    fn lost() -> Outcome {
        Outcome::Unknown(Context::new("append").error(ErrorKind::NoServer))
    }

    fn refused(code: ErrorCode) -> Outcome {
        Outcome::Refused(code, Context::new("append").error(ErrorKind::server(code, None)))
    }

    /// What becomes of a batch that is sent again and again, and answered in turn with these.
    fn answered(codes: &[ErrorCode]) -> (usize, Option<Error>) {
        let mut now = Instant::now();
        let mut queue = queue(1, now);
        let mut answers = 0;
        for code in codes.iter().cycle().take(20) {
            now += Duration::from_secs(2);
            assert!(send(&mut queue, now).is_some());
            answers += 1;
            if let Some(failure) = queue.on_outcome(1, refused(*code), now, u32::MAX).failure {
                return (answers, Some(failure));
            }
        }
        let late = queue.expire(now, Duration::ZERO, &mut 1, |batch| {
            let mut context = Context::new("append");
            context.last_answer = batch.last_words();
            context.error(ErrorKind::NoServer)
        });
        (answers, late.into_iter().find_map(|followup| followup.failure))
    }

    #[test]
    fn what_waiting_does_not_change_is_told_after_a_few_answers_in_a_row() {
        let (corrupt, elsewhere) = (ErrorCode::CORRUPT_RECORD, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let (answers, error) = answered(&[corrupt]);
        assert_eq!((answers, error.unwrap().code()), (5, Some(corrupt)));
        let (answers, error) = answered(&[ErrorCode::UNKNOWN_SERVER_ERROR]);
        assert_eq!(answers, 5, "it may just be opening or closing the bucket");
        assert_eq!(error.unwrap().code(), Some(ErrorCode::UNKNOWN_SERVER_ERROR));
        let (answers, error) = answered(&[corrupt, corrupt, elsewhere]);
        assert_eq!(answers, 20);
        assert_eq!(error.unwrap().code(), None);
        let (answers, _) = answered(&[ErrorCode::STORAGE_EXCEPTION]);
        assert_eq!(answers, 20, "a disk may have room again");
        let (answers, _) = answered(&[ErrorCode::SCHEMA_NOT_EXIST]);
        assert_eq!(answers, 20, "a server may learn late of a column that was added");
    }

    #[test]
    fn a_batch_without_a_number_that_may_be_stored_is_not_sent_again() {
        let now = Instant::now();
        let mut queue = queue(1, now);
        assert!(queue.send_next(false).is_some());
        let followup = queue.on_outcome(1, refused(ErrorCode::UNKNOWN_SERVER_ERROR), now, u32::MAX);
        let code = followup.failure.and_then(|error| error.code());
        assert_eq!(code, Some(ErrorCode::UNKNOWN_SERVER_ERROR));
    }

    #[test]
    fn what_a_server_answered_last_is_told_at_the_deadline() {
        let (_, error) = answered(&[ErrorCode::STORAGE_EXCEPTION]);
        let error = error.unwrap();
        let words = error.context().last_answer.clone().unwrap();
        assert_eq!(words, "the storage of the server failed [STORAGE_EXCEPTION (26)]");
    }

    #[test]
    fn at_most_five_batches_are_on_their_way() {
        let now = Instant::now();
        let mut queue = queue(7, now);
        let sent: Vec<_> = std::iter::from_fn(|| send(&mut queue, now)).collect();
        assert_eq!(sent, [(1, 7, 0), (2, 7, 1), (3, 7, 2), (4, 7, 3), (5, 7, 4)]);
        queue.on_outcome(1, Outcome::Stored(Stored::default()), now, u32::MAX);
        assert_eq!(send(&mut queue, now), Some((6, 7, 5)));
    }

    #[test]
    fn a_batch_that_was_lost_is_sent_again_alone_in_its_order_and_under_its_number() {
        let now = Instant::now();
        let mut queue = queue(3, now);
        for id in 1..=3 {
            assert_eq!(send(&mut queue, now).map(|(sent, ..)| sent), Some(id));
        }
        for id in [2, 1] {
            assert!(queue.on_outcome(id, lost(), now, u32::MAX).refresh);
        }
        let later = now + Duration::from_secs(10);
        assert_eq!(send(&mut queue, later), None, "batch 3 is still on its way");
        queue.on_outcome(3, refused(ErrorCode::OUT_OF_ORDER_SEQUENCE), later, u32::MAX);
        let much_later = later + Duration::from_secs(10);
        for (id, sequence) in [(1, 0), (2, 1), (3, 2)] {
            assert_eq!(send(&mut queue, much_later), Some((id, 7, sequence)));
            assert_eq!(send(&mut queue, much_later), None);
            queue.on_outcome(id, Outcome::Stored(Stored::default()), much_later, u32::MAX);
        }
    }

    #[test]
    fn numbers_stay_within_five_of_the_oldest_without_an_answer() {
        let now = Instant::now();
        let mut queue = queue(8, now);
        for id in 1..=5 {
            assert_eq!(send(&mut queue, now).map(|(sent, ..)| sent), Some(id));
        }
        for id in 2..=5 {
            queue.on_outcome(id, Outcome::Stored(Stored::default()), now, u32::MAX);
            assert_eq!(send(&mut queue, now), None, "the server would forget batch 1");
        }
        queue.on_outcome(1, lost(), now, u32::MAX);
        let later = now + Duration::from_secs(10);
        assert_eq!(send(&mut queue, later), Some((1, 7, 0)));
        queue.on_outcome(1, Outcome::Stored(Stored::default()), later, u32::MAX);
        assert_eq!(send(&mut queue, later), Some((6, 7, 5)));
    }

    #[test]
    fn a_gap_before_an_acknowledged_batch_means_that_the_batch_is_stored() {
        let now = Instant::now();
        let mut queue = queue(3, now);
        let delivery = queue.unsettled().next().unwrap().delivery.clone();
        while send(&mut queue, now).is_some() {}
        queue.on_outcome(2, Outcome::Stored(Stored::default()), now, u32::MAX);
        queue.on_outcome(1, lost(), now, u32::MAX);
        queue.on_outcome(3, Outcome::Stored(Stored::default()), now, u32::MAX);
        let later = now + Duration::from_secs(10);
        assert_eq!(send(&mut queue, later), Some((1, 7, 0)));
        queue.on_outcome(1, refused(ErrorCode::OUT_OF_ORDER_SEQUENCE), later, u32::MAX);
        assert!(delivery.outcome().unwrap().is_ok());
    }

    #[test]
    fn a_lost_number_makes_the_bucket_another_writer() {
        let now = Instant::now();
        let mut queue = queue(4, now);
        for id in 1..=3 {
            assert_eq!(send(&mut queue, now).map(|(sent, ..)| sent), Some(id));
        }
        let followup = queue.on_outcome(1, refused(ErrorCode::RECORD_TOO_LARGE), now, u32::MAX);
        assert!(followup.failure.is_some());
        assert_eq!(followup.released, 10);
        queue.on_outcome(2, refused(ErrorCode::OUT_OF_ORDER_SEQUENCE), now, u32::MAX);
        assert!(queue.lacks_writer());
        queue.on_outcome(3, refused(ErrorCode::OUT_OF_ORDER_SEQUENCE), now, u32::MAX);
        queue.sequences.adopt(WriterId(8));
        let later = now + Duration::from_secs(10);
        for (id, sequence) in [(2, 0), (3, 1), (4, 2)] {
            assert_eq!(send(&mut queue, later), Some((id, 8, sequence)));
            queue.on_outcome(id, Outcome::Stored(Stored::default()), later, u32::MAX);
        }
    }

    #[test]
    fn a_batch_that_is_given_up_leaves_the_numbers_of_the_others() {
        let now = Instant::now();
        let mut queue = queue(2, now);
        while send(&mut queue, now).is_some() {}
        for id in [1, 2] {
            queue.on_outcome(id, lost(), now, u32::MAX);
        }
        let timeout = Duration::from_secs(2);
        let second = queue.waiting.back_mut().unwrap();
        second.created += timeout;
        let late = |batch: &Batch| {
            assert!(batch.doubtful, "it may be stored");
            Context::new("append").error(ErrorKind::NoServer)
        };
        let later = now + timeout;
        assert_eq!(queue.expire(later, timeout, &mut 2, late).len(), 1);
        assert_eq!(
            send(&mut queue, later),
            Some((2, 7, 1)),
            "it may be stored as well"
        );
        queue.on_outcome(2, Outcome::Stored(Stored::default()), later, u32::MAX);
    }

    #[test]
    fn rows_join_the_open_batch_until_it_can_be_sent() {
        let now = Instant::now();
        let linger = Duration::from_millis(20);
        let mut queue = queue(5, now);
        while send(&mut queue, now).is_some() {}
        queue.open = Some(open(now));
        let later = now + 2 * linger;
        assert!(!queue.is_ripe(later, linger, IN_FLIGHT), "five are on their way");
        let timeout = Duration::from_secs(2);
        assert_eq!(
            queue.next_wake(later, linger, timeout, IN_FLIGHT),
            Some(now + timeout)
        );
        queue.on_outcome(1, Outcome::Stored(Stored::default()), later, u32::MAX);
        assert!(queue.is_ripe(later, linger, IN_FLIGHT));
        assert!(!queue.is_ripe(now, linger, IN_FLIGHT), "nobody waits for it yet");
        queue.open.as_ref().unwrap().delivery.hurry();
        assert!(queue.is_ripe(now, linger, IN_FLIGHT));
    }

    #[test]
    fn an_open_batch_that_can_not_be_sent_fails_in_time() {
        let now = Instant::now();
        let mut queue = queue(5, now);
        while send(&mut queue, now).is_some() {}
        queue.open = Some(open(now));
        let timeout = Duration::from_secs(2);
        let late = |_: &Batch| Context::new("append").error(ErrorKind::NoServer);
        assert_eq!(queue.expire(now + timeout, timeout, &mut 5, late).len(), 1);
        assert!(queue.open.is_none());
    }

    #[test]
    fn what_waits_for_too_long_fails() {
        let now = Instant::now();
        let mut queue = queue(1, now);
        let delivery = queue.unsettled().next().unwrap().delivery.clone();
        let timeout = Duration::from_secs(2);
        let wake = queue.next_wake(now, Duration::ZERO, timeout, IN_FLIGHT);
        assert_eq!(wake, Some(now + timeout));
        let late = |batch: &Batch| {
            assert!(!batch.doubtful, "it was never sent");
            Context::new("append").error(ErrorKind::NoServer)
        };
        assert!(queue.expire(now, timeout, &mut 1, late).is_empty());
        assert_eq!(queue.expire(now + timeout, timeout, &mut 1, late).len(), 1);
        assert!(delivery.outcome().unwrap().is_err());
    }
}

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

fn stored() -> Outcome {
    Outcome::Stored(Stored::default(), 0.0)
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
        if let Some(failure) = queue
            .on_outcome(1, refused(*code), now, &WriterOptions::default())
            .failure
        {
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
    let followup = queue.on_outcome(
        1,
        refused(ErrorCode::UNKNOWN_SERVER_ERROR),
        now,
        &WriterOptions::default(),
    );
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
    queue.on_outcome(1, stored(), now, &WriterOptions::default());
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
        assert!(
            queue
                .on_outcome(id, lost(), now, &WriterOptions::default())
                .next
                .refresh
        );
    }
    let later = now + Duration::from_secs(10);
    assert_eq!(send(&mut queue, later), None, "batch 3 is still on its way");
    queue.on_outcome(
        3,
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE),
        later,
        &WriterOptions::default(),
    );
    let much_later = later + Duration::from_secs(10);
    for (id, sequence) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(send(&mut queue, much_later), Some((id, 7, sequence)));
        assert_eq!(send(&mut queue, much_later), None);
        queue.on_outcome(id, stored(), much_later, &WriterOptions::default());
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
        queue.on_outcome(id, stored(), now, &WriterOptions::default());
        assert_eq!(send(&mut queue, now), None, "the server would forget batch 1");
    }
    queue.on_outcome(1, lost(), now, &WriterOptions::default());
    let later = now + Duration::from_secs(10);
    assert_eq!(send(&mut queue, later), Some((1, 7, 0)));
    queue.on_outcome(1, stored(), later, &WriterOptions::default());
    assert_eq!(send(&mut queue, later), Some((6, 7, 5)));
}

#[test]
fn a_gap_before_an_acknowledged_batch_means_that_the_batch_is_stored() {
    let now = Instant::now();
    let mut queue = queue(3, now);
    let delivery = queue.unsettled().next().unwrap().delivery.clone();
    while send(&mut queue, now).is_some() {}
    queue.on_outcome(2, stored(), now, &WriterOptions::default());
    queue.on_outcome(1, lost(), now, &WriterOptions::default());
    queue.on_outcome(3, stored(), now, &WriterOptions::default());
    let later = now + Duration::from_secs(10);
    assert_eq!(send(&mut queue, later), Some((1, 7, 0)));
    queue.on_outcome(
        1,
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE),
        later,
        &WriterOptions::default(),
    );
    assert!(delivery.outcome().unwrap().is_ok());
}

#[test]
fn a_lost_number_makes_the_bucket_another_writer() {
    let now = Instant::now();
    let mut queue = queue(4, now);
    for id in 1..=3 {
        assert_eq!(send(&mut queue, now).map(|(sent, ..)| sent), Some(id));
    }
    let followup = queue.on_outcome(
        1,
        refused(ErrorCode::RECORD_TOO_LARGE),
        now,
        &WriterOptions::default(),
    );
    assert!(followup.failure.is_some());
    assert_eq!(followup.released, 10);
    queue.on_outcome(
        2,
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE),
        now,
        &WriterOptions::default(),
    );
    assert!(queue.lacks_writer());
    queue.on_outcome(
        3,
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE),
        now,
        &WriterOptions::default(),
    );
    queue.sequences.adopt(WriterId(8));
    let later = now + Duration::from_secs(10);
    for (id, sequence) in [(2, 0), (3, 1), (4, 2)] {
        assert_eq!(send(&mut queue, later), Some((id, 8, sequence)));
        queue.on_outcome(id, stored(), later, &WriterOptions::default());
    }
}

#[test]
fn a_batch_that_is_given_up_leaves_the_numbers_of_the_others() {
    let now = Instant::now();
    let mut queue = queue(2, now);
    while send(&mut queue, now).is_some() {}
    for id in [1, 2] {
        queue.on_outcome(id, lost(), now, &WriterOptions::default());
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
    queue.on_outcome(2, stored(), later, &WriterOptions::default());
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
    queue.on_outcome(1, stored(), later, &WriterOptions::default());
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

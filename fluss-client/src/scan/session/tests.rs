use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto::PbFetchLogRespForBucket;

use super::super::arrivals::tests::{server, table};
use super::super::decode::tests::decoder;
use super::wanted::EARLIEST;
use super::*;
use crate::error::{Context, ErrorKind};
use fluss_core::DecodeError;
use fluss_core::id::{BucketId, TableId};
use fluss_core::record::log::{ChangeType, RowsBuilder};
use fluss_core::row::RowFormat;
use fluss_core::types::{DataType, Datum, Field, RowType};

const TIMEOUT: Duration = Duration::from_secs(2);

fn session() -> Session {
    let decoder = decoder(SchemaId(1), None, "COMPACTED");
    Session::new(
        ScannerOptions::default(),
        RemoteOptions::default(),
        decoder.own_forms(),
        Random::with_seed(1),
    )
}

fn bucket(number: i32) -> TableBucket {
    TableBucket::new(TableId(1), BucketId(number))
}

/// What there is to ask the one server for.
fn ask(session: &mut Session, now: Instant) -> Vec<Wanted> {
    let (fetches, lost) = session.fetches(now, |_| Some(server()), |_, _| false);
    assert!(lost.is_empty());
    fetches.into_iter().flat_map(|fetch| fetch.buckets).collect()
}

/// An answer with one batch of three rows.
fn three_rows() -> PbFetchLogRespForBucket {
    let row_type = RowType::new([Field::new("a", DataType::int())]);
    let mut rows = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true);
    for value in 0..3 {
        rows.append(&row_type, ChangeType::AppendOnly, &[Datum::Int(value)])
            .unwrap();
    }
    let records = rows.finish().unwrap().seal(None);
    PbFetchLogRespForBucket {
        records: Some(records),
        high_watermark: Some(3),
        ..Default::default()
    }
}

fn refusal(code: ErrorCode) -> PbFetchLogRespForBucket {
    PbFetchLogRespForBucket {
        error_code: Some(code.number()),
        ..Default::default()
    }
}

#[test]
fn the_next_fetch_begins_where_the_last_ended() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), None);
    let wanted = ask(&mut session, now);
    assert_eq!(wanted[0].offset, EARLIEST);
    assert!(ask(&mut session, now).is_empty(), "one fetch at a time");
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    assert_eq!(ask(&mut session, now)[0].offset, 3);
    let fetched = session.next_fetched().unwrap();
    assert_eq!((fetched.from, fetched.batch.record_count()), (0, 3));
}

#[test]
fn a_bucket_that_is_behind_does_not_share_a_fetch_with_one_that_waits_for_news() {
    let (mut session, now) = (session(), Instant::now());
    for number in 0..2 {
        session.subscribe(bucket(number), table(), Some(0));
    }
    let wanted = ask(&mut session, now);
    let more = PbFetchLogRespForBucket {
        high_watermark: Some(9),
        ..three_rows()
    };
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    session.on_answer(&wanted[1], Some(more), &server(), now);
    let (mut fetches, _) = session.fetches(now, |_| Some(server()), |_, _| false);
    fetches.sort_by_key(|fetch| fetch.waits);
    let buckets: Vec<_> = fetches
        .iter()
        .map(|fetch| (fetch.waits, fetch.buckets[0].bucket))
        .collect();
    assert_eq!(buckets, [(false, wanted[1].bucket), (true, wanted[0].bucket)]);
}

#[test]
fn records_before_the_start_are_marked_and_batches_before_it_left_out() {
    let (mut session, now) = (session(), Instant::now());
    for (start, expected) in [(2, Some(2)), (3, None)] {
        session.subscribe(bucket(0), table(), Some(start));
        let wanted = ask(&mut session, now);
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
        assert_eq!(session.next_fetched().map(|fetched| fetched.from), expected);
    }
}

#[test]
fn an_answer_to_a_former_subscription_is_dropped() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(0));
    let former = ask(&mut session, now);
    session.subscribe(bucket(0), table(), Some(1));
    session.on_answer(&former[0], Some(three_rows()), &server(), now);
    assert!(!session.has_fetched());
    assert_eq!(ask(&mut session, now)[0].offset, 1);
}

#[test]
fn a_moved_bucket_rests_and_one_out_of_range_fails_every_poll() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(9));
    let wanted = ask(&mut session, now);
    let moved = refusal(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(
        session.on_answer(&wanted[0], Some(moved), &server(), now),
        "the leader is looked for"
    );
    assert!(ask(&mut session, now).is_empty());
    let rested = session.next_wake(now).unwrap();
    let wanted = ask(&mut session, rested);
    let out_of_range = refusal(ErrorCode::LOG_OFFSET_OUT_OF_RANGE);
    assert!(!session.on_answer(&wanted[0], Some(out_of_range), &server(), rested));
    for _ in 0..2 {
        let error = session.error(rested, TIMEOUT).unwrap();
        assert_eq!(error.code(), Some(ErrorCode::LOG_OFFSET_OUT_OF_RANGE));
    }
}

#[test]
fn a_server_that_does_not_know_yet_how_far_its_log_reaches_is_asked_again_and_told_of_if_it_goes_on_so() {
    let (mut session, mut now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), None);
    let wanted = ask(&mut session, now);
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    let mut fail = |session: &mut Session| {
        let wanted = ask(session, now);
        let out_of_range = refusal(ErrorCode::LOG_OFFSET_OUT_OF_RANGE);
        assert!(session.on_answer(&wanted[0], Some(out_of_range), &server(), now));
        now = session.next_wake(now).unwrap();
        session.error(now, TIMEOUT)
    };
    for _ in 0..5 {
        assert!(fail(&mut session).is_none());
    }
    let code = fail(&mut session).unwrap().code();
    assert_eq!(code, Some(ErrorCode::LOG_OFFSET_OUT_OF_RANGE));
    let wanted = ask(&mut session, now);
    let nothing_more = PbFetchLogRespForBucket {
        high_watermark: Some(3),
        ..Default::default()
    };
    session.on_answer(&wanted[0], Some(nothing_more), &server(), now);
    assert!(session.error(now, TIMEOUT).is_none());
}

#[test]
fn a_server_that_does_not_say_why_it_failed_is_asked_again_and_told_of_if_it_goes_on_so() {
    let (mut session, mut now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(0));
    let mut fail = |session: &mut Session| {
        let wanted = ask(session, now);
        let failure = refusal(ErrorCode::UNKNOWN_SERVER_ERROR);
        assert!(session.on_answer(&wanted[0], Some(failure), &server(), now));
        now = session.next_wake(now).unwrap();
        session.error(now, TIMEOUT)
    };
    for _ in 0..5 {
        assert!(fail(&mut session).is_none());
    }
    for _ in 0..2 {
        let code = fail(&mut session).unwrap().code();
        assert_eq!(code, Some(ErrorCode::UNKNOWN_SERVER_ERROR));
    }
    let wanted = ask(&mut session, now);
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    assert!(session.error(now, TIMEOUT).is_none());
    assert!(session.has_fetched());
}

#[test]
fn a_dropped_partition_ends_after_what_was_fetched_of_it() {
    let (mut session, now) = (session(), Instant::now());
    let dropped = TableBucket::in_partition(TableId(1), fluss_core::id::PartitionId(3), BucketId(0));
    session.subscribe(dropped, table(), None);
    let wanted = ask(&mut session, now);
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    session.end(|bucket| *bucket == dropped);
    assert!(ask(&mut session, now).is_empty());
    assert_eq!(
        (session.next_wake(now), session.next_timeout(TIMEOUT)),
        (None, None)
    );
    assert_eq!(session.next_fetched().unwrap().batch.record_count(), 3);
    assert!(session.error(now + TIMEOUT, TIMEOUT).is_none());
}

#[test]
fn a_bucket_stands_at_the_first_record_that_was_not_handed_over() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), None);
    let position = |session: &Session| session.positions()[&bucket(0)];
    assert_eq!(position(&session), None);
    let wanted = ask(&mut session, now);
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
    assert_eq!(position(&session), Some(0), "what is only fetched is not passed");
    let fetched = session.next_fetched().unwrap();
    assert_eq!(position(&session), Some(3));
    let error = Context::new("poll").error(DecodeError::new("log batch", "damaged"));
    session.refuse(&fetched, error);
    assert_eq!(position(&session), Some(0), "nor is what cannot be decoded");
    session.clear();
    assert!(session.positions().is_empty());
}

#[test]
fn partitions_to_come_are_those_that_are_not_known() {
    let mut session = session();
    let ids = |ids: &[i64]| ids.iter().copied().map(PartitionId).collect::<Vec<_>>();
    assert_eq!(session.discover(ids(&[1]).into_iter()), []);
    session.follow(Some(ids(&[1, 2]).into_iter().collect()));
    assert_eq!(session.discover(ids(&[1, 2, 3]).into_iter()), ids(&[3]));
    assert_eq!(session.discover(ids(&[2, 3]).into_iter()), []);
}

#[test]
fn a_bucket_is_read_no_further_than_to_its_stop() {
    let (mut session, now) = (session(), Instant::now());
    for number in 0..2 {
        session.subscribe(bucket(number), table(), Some(0));
    }
    session.stop_at(&bucket(0), 2);
    session.stop_at(&bucket(1), 3);
    let wanted = ask(&mut session, now);
    let first = wanted.iter().find(|wanted| wanted.bucket == bucket(0)).unwrap();
    session.on_answer(first, Some(three_rows()), &server(), now);
    assert_eq!(session.next_fetched().map(|fetched| fetched.to), Some(2));
    assert!(!session.has_stopped() && ask(&mut session, now).is_empty());
    session.end(|ended| *ended == bucket(1));
    assert!(session.has_stopped(), "what is dropped comes no further");
}

#[test]
fn a_log_that_was_emptied_is_passed() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), None);
    session.stop_at(&bucket(0), 7);
    let wanted = ask(&mut session, now);
    let emptied = PbFetchLogRespForBucket {
        log_start_offset: Some(7),
        high_watermark: Some(7),
        ..Default::default()
    };
    session.on_answer(&wanted[0], Some(emptied), &server(), now);
    assert!(session.has_stopped(), "all records before the stop are gone");
}

#[test]
fn silence_is_told_once_for_each_span_of_time() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(0));
    let wanted = ask(&mut session, now);
    assert!(session.error(now, TIMEOUT).is_none());
    assert_eq!(session.next_timeout(TIMEOUT), Some(now + TIMEOUT));
    let error = session.error(now + TIMEOUT, TIMEOUT).unwrap();
    assert_eq!(error.to_string(), "poll d.t bucket 0 at h:1: no answer within 2s");
    assert!(session.error(now + TIMEOUT, TIMEOUT).is_none());
    session.on_answer(&wanted[0], Some(three_rows()), &server(), now + TIMEOUT);
    assert_eq!(session.next_timeout(TIMEOUT), None);
}

/// Asks again and again, and is answered the same, until a poll has to raise it. Returns how long that took.
fn answer_for_ever(answer: &PbFetchLogRespForBucket, start: Option<Offset>) -> (Error, Duration) {
    let (mut session, begun) = (session(), Instant::now());
    let mut now = begun;
    session.subscribe(bucket(0), table(), start);
    loop {
        for wanted in ask(&mut session, now) {
            session.on_answer(&wanted, Some(answer.clone()), &server(), now);
        }
        if let Some(error) = session.error(now, TIMEOUT) {
            return (error, now - begun);
        }
        // A server that is to wait for news does so for half a second.
        let rested = session.next_wake(now).unwrap_or(now + Duration::from_millis(500));
        now = rested.min(session.next_timeout(TIMEOUT).unwrap_or(rested));
        assert!(now - begun < 10 * TIMEOUT, "no error ever");
    }
}

#[test]
fn what_is_refused_for_ever_is_told_in_the_words_of_the_server() {
    for code in [
        ErrorCode::LOG_STORAGE_EXCEPTION,
        ErrorCode::STORAGE_EXCEPTION,
        ErrorCode::REQUEST_TIME_OUT,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TABLE_OR_BUCKET,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::FENCED_LEADER_EPOCH,
    ] {
        let answer = PbFetchLogRespForBucket {
            error_message: Some("its disk is broken".to_owned()),
            ..refusal(code)
        };
        let (error, after) = answer_for_ever(&answer, Some(0));
        assert_eq!((error.code(), after), (Some(code), TIMEOUT));
        assert!(error.to_string().contains("its disk is broken"), "{error}");
        assert_eq!(error.context().server, Some(server()));
    }
}

#[test]
fn what_waiting_does_not_change_is_told_after_a_few_attempts() {
    for code in [ErrorCode::CORRUPT_RECORD, ErrorCode::CORRUPT_MESSAGE] {
        let (error, after) = answer_for_ever(&refusal(code), Some(0));
        assert_eq!(error.code(), Some(code));
        assert!(!error.is_retriable());
        assert!(after < TIMEOUT, "{after:?}");
    }
}

#[test]
fn a_batch_that_comes_again_and_again_is_told() {
    let answer = PbFetchLogRespForBucket {
        high_watermark: Some(9),
        ..three_rows()
    };
    let (error, after) = answer_for_ever(&answer, Some(5));
    let expected =
        "answer to a fetch: none of the batches reaches offset 5, from which on they were asked for";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(after < TIMEOUT, "{after:?}");
    // A part of a batch brings nobody further either.
    let cut = three_rows().records.map(|records| records.slice(..20));
    let answer = PbFetchLogRespForBucket {
        records: cut,
        ..answer
    };
    let (error, _) = answer_for_ever(&answer, Some(5));
    assert!(error.to_string().contains("reaches offset 5"), "{error}");
}

#[test]
fn records_that_are_withheld_are_told_in_time() {
    let nothing = PbFetchLogRespForBucket {
        high_watermark: Some(9),
        ..Default::default()
    };
    let (error, after) = answer_for_ever(&nothing, Some(5));
    let expected = "it has no records from offset 5 on, though there are some up to 9";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(after, TIMEOUT);
}

#[test]
fn a_read_to_an_end_is_told_that_its_end_does_not_come() {
    let (mut session, begun) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(5));
    session.stop_at(&bucket(0), 9);
    let wanted = ask(&mut session, begun);
    // The log has been cut since its end was asked for.
    let nothing = PbFetchLogRespForBucket {
        high_watermark: Some(5),
        ..Default::default()
    };
    session.on_answer(&wanted[0], Some(nothing), &server(), begun);
    let error = session.error(begun + TIMEOUT, TIMEOUT).unwrap();
    assert!(error.to_string().contains("some up to 9"), "{error}");
}

#[test]
fn who_waits_for_news_is_not_stalled() {
    let (mut session, mut now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(5));
    let nothing = PbFetchLogRespForBucket {
        high_watermark: Some(5),
        ..Default::default()
    };
    for _ in 0..100 {
        let wanted = ask(&mut session, now);
        now += Duration::from_millis(500);
        session.on_answer(&wanted[0], Some(nothing.clone()), &server(), now);
        assert!(session.error(now, TIMEOUT).is_none());
    }
}

#[test]
fn a_bucket_that_is_missing_in_every_answer_is_told() {
    let (mut session, mut now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(0));
    let error = loop {
        for wanted in ask(&mut session, now) {
            assert!(
                session.on_answer(&wanted, None, &server(), now),
                "the leader is looked for"
            );
        }
        if let Some(error) = session.error(now, TIMEOUT) {
            break error;
        }
        now = session.next_wake(now).unwrap();
    };
    let expected = "poll d.t bucket 0 at h:1: malformed answer to a fetch: the bucket is missing";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_bucket_without_leader_is_told_as_such() {
    let (mut session, mut now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), Some(0));
    let error = loop {
        let (_, lost) = session.fetches(now, |_| None, |_, _| false);
        if !lost.is_empty() {
            session.rest_lost(now, |_| false, TIMEOUT);
        }
        if let Some(error) = session.error(now, TIMEOUT) {
            break error;
        }
        let rested = session.next_wake(now).unwrap();
        now = rested.min(session.next_timeout(TIMEOUT).unwrap());
    };
    assert!(matches!(error.kind(), ErrorKind::NoLeader(_)), "{error}");
}

#[test]
fn a_dropped_table_fails_every_poll_after_what_was_fetched_of_it() {
    let (mut session, now) = (session(), Instant::now());
    session.subscribe(bucket(0), table(), None);
    session.subscribe(bucket(1), table(), Some(0));
    session.stop_at(&bucket(1), 3);
    for wanted in ask(&mut session, now) {
        session.on_answer(&wanted, Some(three_rows()), &server(), now);
    }
    let dropped = ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, None);
    session.drop_table(&table().table, &dropped);
    assert!(ask(&mut session, now).is_empty());
    assert_eq!(std::iter::from_fn(|| session.next_fetched()).count(), 2);
    for _ in 0..2 {
        let error = session.error(now, TIMEOUT).unwrap();
        assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST));
        assert!(!error.is_retriable());
    }
    session.unsubscribe(bucket(0));
    assert!(session.has_stopped(), "all was read of the other before");
    assert!(session.error(now, TIMEOUT).is_none());
}

#[test]
fn a_dropped_table_whose_partitions_are_gone_is_told_too() {
    let (mut session, now) = (session(), Instant::now());
    session.follow(Some(BTreeSet::new()));
    let dropped = TableBucket::in_partition(TableId(1), PartitionId(3), BucketId(0));
    session.subscribe(dropped, table(), Some(0));
    session.stop_at(&dropped, 3);
    session.end(|_| true);
    session.drop_table(
        &table().table,
        &ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, None),
    );
    assert!(!session.has_stopped());
    for _ in 0..2 {
        let code = session.error(now, TIMEOUT).unwrap().code();
        assert_eq!(code, Some(ErrorCode::TABLE_NOT_EXIST));
    }
}

#[test]
fn a_poll_without_any_subscription_is_an_error() {
    let (mut session, now) = (session(), Instant::now());
    let refused = |session: &mut Session| {
        let error = session.error(now, TIMEOUT)?;
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
        Some(error.to_string())
    };
    let expected = "poll: nothing is subscribed: subscribe to buckets, or to all of them, first";
    assert_eq!(refused(&mut session).as_deref(), Some(expected));
    session.subscribe(bucket(0), table(), None);
    assert_eq!(refused(&mut session), None);
    session.unsubscribe(bucket(0));
    assert!(refused(&mut session).is_some());
    session.follow(Some(BTreeSet::new()));
    assert_eq!(refused(&mut session), None, "partitions may come");
    session.clear();
    assert_eq!(refused(&mut session), None, "nothing is left of what was saved");
}

//! Streams: what is appended under which expectations, and what is read of it.

mod model;
pub mod race;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fluss_client::types::{DataType, Schema, TablePath};
use fluss_client::{Acks, Connection, Positions};
use fluss_cluster::Spec;
use fluss_streams::{
    CurrentVersion, Error, NewEvent, Notice, ReadStream, RecordedEvent, StartFrom, StreamState, Streams,
    StreamsOptions, Subscription, Wanted,
};
use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::{
    Backend, EVERYWHERE, PATIENCE, Place, Shared, connect, create_with_leaders, options, run, tests,
};
use model::{Model, Refusal, number};

tests! {
    EVERYWHERE => [
        streams_are_as_a_model_of_them_foretells,
        an_append_that_is_tried_again_is_stored_once,
        a_stream_is_read_from_anywhere,
        followers_are_told_of_every_event,
        what_is_no_table_of_streams_is_refused,
    ],
}

fn shared(backend: Backend) -> Arc<Place> {
    static PLACES: Shared = Shared::new();
    PLACES.start(backend, Spec::new().tablet_servers(3))
}

/// Creates a table of streams under a name of its own.
pub(super) async fn create(connection: &Connection, buckets: i32) -> TablePath {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = TablePath::new("fluss", format!("streams_{number}"));
    create_with_leaders(connection, &path, &Streams::descriptor(buckets).unwrap()).await;
    path
}

pub(super) async fn open(connection: &Connection, path: &TablePath) -> Streams {
    Streams::open(connection, path, StreamsOptions::default())
        .await
        .unwrap()
}

pub(super) fn event(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, format!("{{\"type\": \"{event_type}\"}}"))
}

async fn read(streams: &Streams, stream: &str, read: ReadStream) -> Result<Vec<RecordedEvent>, Error> {
    streams.read_stream(stream, read).try_collect().await
}

/// What is done to a stream.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Delete,
    End,
    Read,
}

fn steps() -> impl Strategy<Value = Vec<(Step, u8, bool, StreamState)>> {
    let step = prop_oneof![
        8 => (1..5_usize).prop_map(Step::Append),
        1 => Just(Step::Delete),
        2 => Just(Step::Read),
    ];
    // Ends are drawn apart, for nothing comes behind them.
    let step = prop_oneof![30 => step, 1 => Just(Step::End)];
    let expected = prop_oneof![
        2 => Just(StreamState::NoStream),
        2 => Just(StreamState::Exists),
        2 => Just(StreamState::Any),
        4 => (-1..12_i64).prop_map(StreamState::Version),
    ];
    proptest::collection::vec((step, 0..4_u8, any::<bool>(), expected), 80)
}

fn streams_are_as_a_model_of_them_foretells(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let path = create(&connection, 2).await;
        // The other one appends too, so that what each remembers is out of date.
        let both = [open(&connection, &path).await, open(&connection, &path).await];
        let mut model = Model::default();
        let drawn = steps()
            .new_tree(&mut TestRunner::deterministic())
            .unwrap()
            .current();
        for (step, stream, by, expected) in drawn {
            let (streams, stream) = (&both[usize::from(by)], format!("stream {stream}"));
            let at = format!("{step:?} of {stream}, {expected:?}");
            match step {
                Step::Append(count) => {
                    let events: Vec<_> = (0..count).map(|number| event(&format!("T{number}"))).collect();
                    let foretold = model.append(&stream, &events, expected);
                    let done = streams.append(&stream, events, expected).await;
                    let done = done.map(|appended| appended.version);
                    assert_eq!(done.map_err(|error| Refusal::of(&error)), foretold, "{at}");
                }
                Step::Delete => {
                    let foretold = model.delete(&stream, expected);
                    let done = streams
                        .delete(&stream, expected)
                        .await
                        .map(|appended| appended.version);
                    assert_eq!(done.map_err(|error| Refusal::of(&error)), foretold, "{at}");
                }
                Step::End => {
                    let foretold = model.end(&stream, expected);
                    let done = streams
                        .tombstone(&stream, expected)
                        .await
                        .map(|appended| appended.version);
                    assert_eq!(done.map_err(|error| Refusal::of(&error)), foretold, "{at}");
                }
                Step::Read => {
                    let version = streams.current_version(&stream).await.unwrap();
                    assert_eq!(version, model.version(&stream), "{at}");
                    let found = read(streams, &stream, ReadStream::default()).await;
                    let found = found.map(|events| {
                        events
                            .iter()
                            .map(|event| (event.version, event.event.id))
                            .collect::<Vec<_>>()
                    });
                    assert_eq!(
                        found.map_err(|error| Refusal::of(&error)),
                        model.read(&stream),
                        "{at}"
                    );
                }
            }
        }
        connection.shut_down().await.unwrap();
    });
}

fn an_append_that_is_tried_again_is_stored_once(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let path = create(&connection, 2).await;
        let streams = open(&connection, &path).await;
        let first = vec![event("A"), event("B")];
        let second = vec![event("C")];
        let appended = streams
            .append("s", first.clone(), StreamState::NoStream)
            .await
            .unwrap();
        assert_eq!(appended.version, 1);
        assert!(appended.position.is_some_and(|(_, offset)| offset >= 1));
        streams
            .append("s", second.clone(), StreamState::Version(1))
            .await
            .unwrap();
        streams
            .append("s", vec![event("D")], StreamState::Any)
            .await
            .unwrap();
        // By a program that does not know of it.
        for expected in [StreamState::Version(1), StreamState::Any, StreamState::Exists] {
            let other = open(&connection, &path).await;
            let again = other.append("s", second.clone(), expected).await.unwrap();
            assert_eq!(again.version, 2, "{expected}");
            assert!(again.position.is_some(), "{expected}");
        }
        // Also by the one that does.
        assert_eq!(
            streams
                .append("s", second, StreamState::Version(1))
                .await
                .unwrap()
                .version,
            2
        );
        let again = streams
            .append("s", first.clone(), StreamState::NoStream)
            .await
            .unwrap();
        assert_eq!(again.version, 1);
        // One event of it is no append.
        let part = streams
            .append("s", first[..1].to_vec(), StreamState::NoStream)
            .await
            .unwrap_err();
        assert_eq!(
            Refusal::of(&part),
            Refusal::WrongVersion(CurrentVersion::Version(3))
        );
        let events = read(&streams, "s", ReadStream::default()).await.unwrap();
        let types: Vec<&str> = events
            .iter()
            .map(|event| event.event.event_type.as_str())
            .collect();
        assert_eq!(types, ["A", "B", "C", "D"]);

        let twice = event("twice");
        for (events, name) in [
            (vec![], "s"),
            (vec![twice.clone(), twice], "s"),
            (vec![event("A")], ""),
        ] {
            let refused = streams.append(name, events, StreamState::Any).await.unwrap_err();
            assert!(matches!(refused, Error::InvalidArgument(_)), "{refused}");
        }
        connection.shut_down().await.unwrap();
    });
}

fn a_stream_is_read_from_anywhere(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let path = create(&connection, 1).await;
        let streams = open(&connection, &path).await;
        let mut expected = Vec::new();
        for number in 0..60_usize {
            let events: Vec<_> = (0..=number % 4).map(|_| event("E").with_metadata("m")).collect();
            expected.extend(events.clone());
            streams.append("s", events, StreamState::Any).await.unwrap();
        }
        // Whoever opens it anew has to look where everything is.
        let streams = open(&connection, &path).await;
        let versions = number(expected.len());
        assert_eq!(
            streams.current_version("s").await.unwrap(),
            CurrentVersion::Version(versions - 1)
        );
        for from_version in [
            None,
            Some(0),
            Some(1),
            Some(73),
            Some(versions - 1),
            Some(versions),
            Some(-1),
        ] {
            for backwards in [false, true] {
                for limit in [None, Some(0), Some(1), Some(40)] {
                    let mut wanted = ReadStream::default();
                    (wanted.from_version, wanted.backwards, wanted.limit) = (from_version, backwards, limit);
                    let found = read(&streams, "s", wanted).await.unwrap();
                    let is_read = |version: i64| match (from_version, backwards) {
                        (None, _) => true,
                        (Some(from), false) => version >= from,
                        (Some(from), true) => version <= from,
                    };
                    let mut versions: Vec<i64> = (0..versions).filter(|version| is_read(*version)).collect();
                    if backwards {
                        versions.reverse();
                    }
                    versions.truncate(limit.unwrap_or(usize::MAX));
                    let read: Vec<i64> = found.iter().map(|event| event.version).collect();
                    assert_eq!(read, versions, "{wanted:?}");
                    for event in found {
                        assert_eq!(event.event, expected[event.version as usize]);
                        assert_eq!(&*event.stream, "s");
                        assert!(event.recorded_at.millis() > 0);
                    }
                }
            }
        }
        let nothing = read(&streams, "other", ReadStream::default()).await.unwrap_err();
        assert_eq!(Refusal::of(&nothing), Refusal::NotFound);
        connection.shut_down().await.unwrap();
    });
}

/// The events until a subscription has caught up.
async fn until_caught_up(subscription: &mut Subscription) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    loop {
        match next(subscription).await {
            Some(Notice::Event(event)) => events.push(event),
            _ => return events,
        }
    }
}

async fn next(subscription: &mut Subscription) -> Option<Notice> {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .unwrap()
        .unwrap()
}

async fn next_event(subscription: &mut Subscription) -> RecordedEvent {
    match next(subscription).await {
        Some(Notice::Event(event)) => event,
        other => panic!("an event, not {other:?}"),
    }
}

fn names(events: &[RecordedEvent]) -> Vec<String> {
    let name =
        |event: &RecordedEvent| format!("{}@{} {}", event.stream, event.version, event.event.event_type);
    events.iter().map(name).collect()
}

fn followers_are_told_of_every_event(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let path = create(&connection, 1).await;
        let streams = open(&connection, &path).await;
        // Before there is anything.
        let mut early = streams.subscribe_to_stream("order:1", 0).await.unwrap();
        let mut from_end = streams
            .subscribe_to_all(StartFrom::End, Wanted::default())
            .await
            .unwrap();
        for subscription in [&mut early, &mut from_end] {
            assert_eq!(until_caught_up(subscription).await, []);
        }
        streams
            .append("order:1", vec![event("A"), event("B")], StreamState::Any)
            .await
            .unwrap();
        streams
            .append("user:1", vec![event("A")], StreamState::Any)
            .await
            .unwrap();
        streams
            .append("order:2", vec![event("C")], StreamState::Any)
            .await
            .unwrap();
        streams
            .append("order:1", vec![event("D")], StreamState::Any)
            .await
            .unwrap();

        let all = [
            "order:1@0 A",
            "order:1@1 B",
            "user:1@0 A",
            "order:2@0 C",
            "order:1@2 D",
        ];
        let mut wanted = Wanted::default();
        let mut whole = streams.read_all(StartFrom::Start, wanted.clone()).await.unwrap();
        assert_eq!(names(&until_caught_up(&mut whole).await), all);
        assert_eq!(next(&mut whole).await, None);
        wanted.stream_prefixes = vec!["order:".to_owned()];
        wanted.event_types = vec!["A".to_owned(), "D".to_owned()];
        let mut some = streams.read_all(StartFrom::Start, wanted.clone()).await.unwrap();
        assert_eq!(
            names(&until_caught_up(&mut some).await),
            ["order:1@0 A", "order:1@2 D"]
        );

        let mut following = streams
            .subscribe_to_all(StartFrom::Start, Wanted::default())
            .await
            .unwrap();
        // In the middle of an append: it comes again.
        assert_eq!(names(&[next_event(&mut following).await]), all[..1]);
        let positions = following.positions().unwrap().to_json();
        let positions = Positions::from_json(&positions).unwrap();
        let mut again = streams
            .subscribe_to_all(StartFrom::Positions(positions), Wanted::default())
            .await
            .unwrap();
        assert_eq!(names(&until_caught_up(&mut again).await), all);
        assert_eq!(names(&until_caught_up(&mut following).await), all[1..]);
        assert!(following.has_caught_up());
        let positions = following.positions().unwrap();

        let mut of_one = streams.subscribe_to_stream("order:1", 1).await.unwrap();
        assert_eq!(names(&until_caught_up(&mut of_one).await), [all[1], all[4]]);
        streams
            .append("order:1", vec![event("E")], StreamState::Version(2))
            .await
            .unwrap();
        for subscription in [&mut following, &mut of_one] {
            assert_eq!(names(&[next_event(subscription).await]), ["order:1@3 E"]);
        }
        let mut later = streams
            .subscribe_to_all(StartFrom::Positions(positions), Wanted::default())
            .await
            .unwrap();
        assert_eq!(names(&[next_event(&mut later).await]), ["order:1@3 E"]);
        for expected in [all[0], all[1], all[4], "order:1@3 E"] {
            assert_eq!(names(&[next_event(&mut early).await]), [expected]);
        }
        let last = next_event(&mut from_end).await;
        assert_eq!(names(std::slice::from_ref(&last)), all[..1]);
        assert!(last.place.is_some());

        // A deletion is no event.
        streams.delete("order:1", StreamState::Any).await.unwrap();
        streams
            .append("order:1", vec![event("F")], StreamState::NoStream)
            .await
            .unwrap();
        assert_eq!(names(&[next_event(&mut following).await]), ["order:1@4 F"]);
        // Nobody waits for long for what does not come.
        let nothing = tokio::time::timeout(Duration::from_millis(50), following.next()).await;
        assert!(nothing.is_err());
        streams
            .append("order:9", vec![event("G")], StreamState::NoStream)
            .await
            .unwrap();
        assert_eq!(names(&[next_event(&mut following).await]), ["order:9@0 G"]);
        connection.shut_down().await.unwrap();
    });
}

fn what_is_no_table_of_streams_is_refused(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let schema = Schema::builder()
            .column("stream", DataType::string())
            .column("commit_number", DataType::big_int())
            .primary_key(["stream", "commit_number"])
            .build()
            .unwrap();
        let other = crate::create(&connection, schema, 1, &[]).await;
        let path = other.info().path.clone();
        let refused = Streams::open(&connection, &path, StreamsOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::WrongTable { .. }), "{refused}");

        let mut options = options(&place);
        options.writer.acks = Acks::Leader;
        options.writer.idempotence = false;
        let hasty = Connection::open(options).await.unwrap();
        let refused = Streams::open(&hasty, &path, StreamsOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::InvalidArgument(_)), "{refused}");
        hasty.shut_down().await.unwrap();
        connection.shut_down().await.unwrap();
    });
}

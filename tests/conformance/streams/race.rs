//! Writers that append to the same streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluss_client::types::TablePath;
use fluss_client::{Connection, Table};
use fluss_cluster::Spec;
use fluss_streams::{CurrentVersion, Error, NewEvent, ReadStream, StreamState, Streams, Uuid};
use futures::TryStreamExt;
use futures::future::join_all;
use tokio::time::Instant;

use super::model::number;
use super::{create, event, open, shared};
use crate::faults::{leader, restart};
use crate::{Backend, CLUSTER, EVERYWHERE, PATIENCE, Place, SERVE, connect, run, start_alone, tests};

tests! {
    EVERYWHERE => [writers_that_race_never_share_a_version],
    SERVE => [appends_outlive_a_process_that_is_killed],
    CLUSTER => [appends_outlive_a_leader_that_is_killed],
}

const WRITERS: usize = 8;

/// What writers were told: the last version of each append, by the ids of its events.
type Told = Vec<(String, Vec<Uuid>, i64)>;

/// Appends to one stream after another, each time to the version that it saw last, until told to stop; and tries again
/// what nobody knows of.
async fn race(streams: Streams, names: Vec<String>, is_over: impl Fn(usize) -> bool) -> Told {
    let mut told = Vec::new();
    let mut round = 0;
    while !is_over(round) {
        for name in &names {
            let events: Vec<NewEvent> = (0..=round % 3).map(|_| event("E")).collect();
            let ids = events.iter().map(|event| event.id).collect();
            let version = if round % 4 == 3 {
                append(&streams, name, events, StreamState::Any).await.unwrap()
            } else {
                append_somewhere(&streams, name, events).await
            };
            told.push((name.clone(), ids, version));
        }
        round += 1;
    }
    told
}

/// Appends behind whatever version the stream has, by expecting it.
async fn append_somewhere(streams: &Streams, name: &str, events: Vec<NewEvent>) -> i64 {
    let mut current = CurrentVersion::NoStream;
    loop {
        let expected = current
            .version()
            .map_or(StreamState::NoStream, StreamState::Version);
        match append(streams, name, events.clone(), expected).await {
            Ok(version) => return version,
            Err(actual) => current = actual,
        }
    }
}

async fn append(
    streams: &Streams,
    name: &str,
    events: Vec<NewEvent>,
    expected: StreamState,
) -> Result<i64, CurrentVersion> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match streams.append(name, events.clone(), expected).await {
            Ok(appended) => return Ok(appended.version),
            Err(Error::WrongCurrentVersion { actual, .. }) => return Err(actual),
            Err(error @ (Error::OutcomeUnknown { .. } | Error::Client(_))) => {
                assert!(Instant::now() < deadline, "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Every append that succeeded is there once, where it was told; nothing else is there, and versions have no gap.
async fn check(connection: &Connection, path: &TablePath, told: &Told) {
    let streams = open(connection, path).await;
    let names: BTreeSet<&String> = told.iter().map(|(name, ..)| name).collect();
    for name in names {
        let found: Vec<_> = streams
            .read_stream(name, ReadStream::default())
            .try_collect()
            .await
            .unwrap();
        let versions: Vec<i64> = found.iter().map(|event| event.version).collect();
        assert_eq!(versions, (0..number(found.len())).collect::<Vec<_>>(), "{name}");
        let mut by_version: BTreeMap<i64, Uuid> = BTreeMap::new();
        for (_, ids, last) in told.iter().filter(|(of, ..)| of == name) {
            for (id, version) in ids.iter().rev().zip((0..=*last).rev()) {
                assert_eq!(
                    by_version.insert(version, *id),
                    None,
                    "two appends share {version} of {name}"
                );
            }
        }
        let read: BTreeMap<i64, Uuid> = found
            .iter()
            .map(|event| (event.version, event.event.id))
            .collect();
        assert_eq!(read, by_version, "{name}");
    }
}

fn writers_that_race_never_share_a_version(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let path = create(&connection, 2).await;
        let names: Vec<String> = (0..3).map(|number| format!("s{number}")).collect();
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let streams = open(&connect(&place).await, &path).await;
            let race = race(streams, names.clone(), |round| round == 8);
            writers.push(tokio::spawn(race));
        }
        let told: Told = join_all(writers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(told.len(), WRITERS * names.len() * 8);
        check(&connection, &path, &told).await;
        connection.shut_down().await.unwrap();
    });
}

fn appends_outlive_a_leader_that_is_killed(backend: Backend) {
    let place = start_alone(backend, Spec::new().tablet_servers(3));
    run(race_beside(&place, async |table| {
        let cluster = place.cluster();
        let server = leader(cluster, table.info(), 0);
        server.kill().unwrap();
        restart(cluster, server);
    }));
}

fn appends_outlive_a_process_that_is_killed(backend: Backend) {
    let place = start_alone(backend, Spec::new());
    run(race_beside(&place, async |_| {
        for _ in 0..3 {
            place.served().kill().unwrap();
            place.served().restart(PATIENCE).unwrap();
        }
    }));
}

/// Has writers race while something happens to the servers, and checks what they were told.
async fn race_beside(place: &Place, happen: impl AsyncFnOnce(&Table)) {
    let connection = connect(place).await;
    let path = create(&connection, 3).await;
    let table = connection.table(&path).await.unwrap();
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..4 {
        let stop = stop.clone();
        let is_over = move |_| stop.load(Ordering::Relaxed);
        // Before anything happens.
        let streams = open(&connect(place).await, &path).await.with_timeout(PATIENCE);
        let race = race(streams, names.clone(), is_over);
        writers.push(tokio::spawn(race));
    }
    happen(&table).await;
    stop.store(true, Ordering::Relaxed);
    let told: Told = join_all(writers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    assert!(!told.is_empty());
    check(&connection, &path, &told).await;
    connection.shut_down().await.unwrap();
}

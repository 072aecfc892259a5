//! Upserts and look-ups while servers stop and die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use fluss_client::types::{DataType, Datum, OwnedRow, Schema};
use fluss_client::{Connection, Error, ErrorKind, Lookuper, Table, UpsertWriter, WriteHandle};
use fluss_cluster::{Server, Spec};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{RECOVERY, ROUNDS, leader, restart};
use crate::{
    Backend, CLUSTER, PATIENCE, Place, SESSION, connect, create, note, options, run, start_alone, tests,
};

tests! {
    CLUSTER => [
        a_killed_leader_costs_no_upsert_and_no_look_up_ten_times_in_a_row,
        look_ups_and_upserts_tell_of_a_stopped_server_and_work_on_once_it_does,
    ],
}

const KEYS: i32 = 60;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

fn versions() -> Schema {
    Schema::builder()
        .column("id", DataType::int())
        .column("version", DataType::big_int())
        .primary_key(["id"])
        .build()
        .unwrap()
}

/// The value of a key.
fn number(key: usize) -> i32 {
    i32::try_from(key).unwrap()
}

fn version(row: Option<&OwnedRow>) -> i64 {
    match row.map(Vec::as_slice) {
        None => 0,
        Some([_, Datum::BigInt(version)]) => *version,
        Some(row) => panic!("{row:?}"),
    }
}

/// What is known of a key.
#[derive(Default)]
struct Known {
    sent: AtomicI64,
    acknowledged: AtomicI64,
}

/// A table of versions by key, and what was written to it.
#[derive(Clone)]
struct Versions {
    writer: UpsertWriter,
    lookuper: Lookuper,
    known: Arc<[Known]>,
}

impl Versions {
    fn new(table: &Table) -> Self {
        Self {
            writer: table.upsert().writer().unwrap(),
            lookuper: table.lookup().lookuper().unwrap(),
            known: (0..KEYS).map(|_| Known::default()).collect(),
        }
    }

    /// Writes the next version of a key.
    async fn upsert(&self, key: usize) -> (i64, WriteHandle) {
        let version = self.known[key].sent.fetch_add(1, Ordering::SeqCst) + 1;
        let row = [Datum::Int(number(key)), Datum::BigInt(version)];
        (version, self.writer.upsert(&row).await.unwrap())
    }

    /// Writes the next version of a key, and waits for what becomes of it.
    async fn upsert_and_wait(&self, key: usize) -> Result<(), Error> {
        let (version, handle) = self.upsert(key).await;
        handle.wait().await?;
        self.known[key].acknowledged.fetch_max(version, Ordering::SeqCst);
        Ok(())
    }

    /// Writes the next version of all keys, and waits for the acknowledgements.
    async fn upsert_all(&self) -> Result<(), Error> {
        let mut handles = Vec::new();
        for key in 0..self.known.len() {
            handles.push((key, self.upsert(key).await));
        }
        self.writer.flush().await?;
        for (key, (version, _)) in handles {
            self.known[key].acknowledged.fetch_max(version, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Looks a key up: what was acknowledged before, or written since, is there.
    async fn lookup(&self, key: usize) -> Result<(), Error> {
        let known = &self.known[key];
        let least = known.acknowledged.load(Ordering::SeqCst);
        let row = self.lookuper.lookup(&[Datum::Int(number(key))]).await?;
        let most = known.sent.load(Ordering::SeqCst);
        let found = version(row.as_ref());
        assert!(
            (least..=most).contains(&found),
            "key {key}: {found} is not in {least}..={most}"
        );
        Ok(())
    }

    /// Looks all keys up at once: each has its last version.
    async fn check_last(&self) {
        let keys: Vec<_> = (0..KEYS).map(|key| [Datum::Int(key)]).collect();
        let rows = self.lookuper.lookup_many(&keys).await.unwrap();
        for (key, row) in rows.iter().enumerate() {
            assert_eq!(
                version(row.as_ref()),
                self.known[key].sent.load(Ordering::SeqCst),
                "key {key}"
            );
        }
    }

    /// Looks up and writes until nothing fails; at first it may, of a server that was stopped or is new.
    async fn work(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !look_up_all(self).await.is_empty() || self.upsert_all().await.is_err() {
            assert!(Instant::now() < deadline, "writer and look-ups work");
        }
        self.check_last().await;
    }

    /// Looks keys up until told to stop, and returns how often. None may fail.
    async fn keep_looking(self, stop: Arc<AtomicBool>) -> usize {
        let mut count = 0;
        while !stop.load(Ordering::SeqCst) {
            self.lookup(count % self.known.len()).await.unwrap();
            count += 1;
        }
        count
    }
}

fn a_killed_leader_costs_no_upsert_and_no_look_up_ten_times_in_a_row(backend: Backend) {
    const UPDATES: usize = 30;
    let place = start_alone(backend, Spec::new().tablet_servers(3));
    let cluster = place.cluster();
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, versions(), 3, &[]).await;
        let versions = Versions::new(&table);
        versions.upsert_all().await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut looking = JoinSet::new();
        for _ in 0..4 {
            looking.spawn(versions.clone().keep_looking(stop.clone()));
        }
        for round in 0..ROUNDS {
            let server = leader(cluster, table.info(), round);
            server.kill().unwrap();
            let killed = Instant::now();
            for key in (0..versions.known.len())
                .cycle()
                .take(UPDATES * versions.known.len())
            {
                versions.upsert(key).await;
            }
            versions.upsert_all().await.unwrap();
            versions.check_last().await;
            let recovered = killed.elapsed();
            note(&format_args!(
                "kill {round}: all is written and found after {recovered:.1?}"
            ));
            assert!(
                recovered < RECOVERY,
                "writer and look-ups go on within {RECOVERY:?}"
            );
            restart(cluster, server);
        }
        stop.store(true, Ordering::SeqCst);
        let counts = looking.join_all().await;
        note(&format_args!("{counts:?} look-ups"));
        assert!(counts.iter().all(|count| *count > 0));
    });
}

/// A failure names what was tried, and the stopped server if it is a look-up's.
fn expect_timeout(error: &Error, table: &Table, operation: &str) {
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
    let context = error.context();
    assert_eq!(context.operation, operation);
    let named = context.table.as_ref().map(|table| &table.table);
    assert_eq!(named, Some(&table.info().path), "{error}");
    assert!(context.bucket.is_some() && context.server.is_some(), "{error}");
}

fn is_at(error: &Error, server: &Server) -> bool {
    let asked = error.context().server.as_ref();
    asked.is_some_and(|asked| asked.port == server.address().port())
}

/// The failures of looking all keys up one by one, at once.
async fn look_up_all(versions: &Versions) -> Vec<Error> {
    let mut looking = JoinSet::new();
    for key in 0..versions.known.len() {
        let versions = versions.clone();
        looking.spawn(async move { versions.lookup(key).await });
    }
    let found = looking.join_all().await;
    found.into_iter().filter_map(Result::err).collect()
}

async fn impatient(place: &Place) -> Connection {
    let mut options = options(place);
    options.request_timeout = REQUEST_TIMEOUT;
    options.writer.delivery_timeout = REQUEST_TIMEOUT;
    Connection::open(options).await.unwrap()
}

fn look_ups_and_upserts_tell_of_a_stopped_server_and_work_on_once_it_does(backend: Backend) {
    let spec = Spec::new().tablet_servers(3);
    let place = start_alone(backend, spec.property(SESSION, "60 s"));
    let cluster = place.cluster();
    run(async {
        let connection = impatient(&place).await;
        let table = create(&connection, versions(), 3, &[]).await;
        let versions = Versions::new(&table);
        versions.work().await;

        let server = leader(cluster, table.info(), 0);
        server.stop().unwrap();
        let failures = look_up_all(&versions).await;
        let late = failures.len();
        assert!(
            (1..versions.known.len()).contains(&late),
            "{late} look-ups failed"
        );
        let keys: Vec<_> = (0..KEYS).map(|key| [Datum::Int(key)]).collect();
        let many = versions.lookuper.lookup_many(&keys).await.unwrap_err();
        for error in failures.iter().chain([&many]) {
            expect_timeout(error, &table, "look up");
            assert!(is_at(error, server), "{error}");
        }
        // The other leaders wait for their replicas on the stopped server.
        let mut told = false;
        for key in 0..versions.known.len() {
            if let Err(error) = versions.upsert_and_wait(key).await {
                expect_timeout(&error, &table, "upsert");
                told |= is_at(&error, server);
            }
            if told {
                break;
            }
        }
        assert!(told, "no upsert failed at the stopped server");

        server.resume().unwrap();
        versions.work().await;
    });
}

//! Servers that stop and die.

pub mod answers;
mod between;
pub mod keys;
pub mod moves;
pub mod pressure;
pub mod serve;
pub mod stand_by;
pub mod streams;

use std::collections::BTreeSet;
use std::time::Duration;

use fluss_client::types::{DataType, Datum, Schema, TableInfo};
use fluss_client::{AppendWriter, BucketAssigner, Connection, ErrorKind, LogScanner, StartOffset};
use fluss_cluster::{Cluster, Server, Spec};
use tokio::time::Instant;

use crate::{Backend, CLUSTER, PATIENCE, SESSION, connect, create, note, options, run, start_alone, tests};

tests! {
    CLUSTER => [
        a_stopped_server_is_told_within_the_deadline_and_nothing_acknowledged_is_lost,
        one_stopped_server_of_three_is_told_too,
        a_killed_leader_is_replaced_under_load_ten_times_in_a_row_and_every_row_is_there_once,
    ],
}

/// How many leaders are killed in a row.
const ROUNDS: usize = 10;
/// How soon everything goes on when a leader was killed.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) fn numbers() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .build()
        .unwrap()
}

/// What was read of a table of numbers.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) ids: BTreeSet<i64>,
    count: usize,
}

impl Found {
    /// Polls until all of `wanted` were read, and insists that nothing came twice. Failures of polls are passed over.
    pub(crate) async fn read_all(&mut self, scanner: &LogScanner, wanted: &BTreeSet<i64>) {
        let deadline = Instant::now() + PATIENCE;
        let mut failed = None;
        while !wanted.is_subset(&self.ids) {
            let count = self.count;
            assert!(
                Instant::now() < deadline,
                "{count} of {} records came; the last failure: {failed:?}",
                wanted.len()
            );
            let records = match scanner.poll(Duration::from_millis(500)).await {
                Ok(records) => records,
                Err(error) => {
                    failed = Some(error.to_string());
                    continue;
                }
            };
            for (_, record) in records.iter() {
                self.ids.insert(record.row.get(0).unwrap().unwrap());
                self.count += 1;
            }
        }
        assert_eq!(self.count, self.ids.len(), "nothing is there twice");
    }
}

/// The leader of a bucket, another one in each round if others lead, once every bucket has replicas to take its place.
pub(crate) fn leader<'c>(cluster: &'c Cluster, table: &TableInfo, round: usize) -> &'c Server {
    let leaders = cluster.wait_in_sync(table.id.get(), PATIENCE).unwrap();
    cluster.tablet_server(leaders[round % leaders.len()]).unwrap()
}

/// Starts a server again and waits until the others have seen it.
pub(crate) fn restart(cluster: &Cluster, server: &Server) {
    server.restart().unwrap();
    cluster.wait_ready(PATIENCE).unwrap();
}

/// Appends a row and waits for what becomes of it.
async fn append(writer: &AppendWriter, id: i64) -> fluss_client::Result<Option<i64>> {
    writer.append(&[Datum::BigInt(id)]).await.unwrap().wait().await
}

/// Appends from this number on until ten more are acknowledged; the first may fail, of a server that was stopped or is new.
async fn work(writer: &AppendWriter, first: i64, acknowledged: &mut BTreeSet<i64>) {
    let deadline = Instant::now() + PATIENCE;
    let wanted = acknowledged.len() + 10;
    for id in first.. {
        if acknowledged.len() == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "the writer works");
        if append(writer, id).await.is_ok() {
            acknowledged.insert(id);
        }
    }
}

/// Stops a server for longer than the calls' deadlines and shorter than its session, and looks at what writer and
/// scanner say meanwhile, and do afterwards.
fn a_stopped_server(backend: Backend, servers: u16) {
    let spec = Spec::new().tablet_servers(servers.into());
    let place = start_alone(backend, spec.property(SESSION, "60 s"));
    let cluster = place.cluster();
    run(async {
        let mut options = options(&place);
        options.request_timeout = Duration::from_secs(2);
        options.writer.delivery_timeout = Duration::from_secs(2);
        // Some rows for every leader.
        options.writer.bucket_assigner = BucketAssigner::RoundRobin;
        let connection = Connection::open(options).await.unwrap();
        let table = create(&connection, numbers(), servers.into(), &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        work(&writer, 0, &mut acknowledged).await;
        found.read_all(&scanner, &acknowledged).await;

        let server = leader(cluster, table.info(), 0);
        server.stop().unwrap();
        expect_failed_append(&writer, table.info(), server).await;
        expect_failed_poll(&scanner, server).await;

        server.resume().unwrap();
        work(&writer, 1_000, &mut acknowledged).await;
        found.read_all(&scanner, &acknowledged).await;
    });
}

/// Appends to every bucket at once, right after a server was stopped: what was sent to it may be stored.
async fn expect_failed_append(writer: &AppendWriter, table: &TableInfo, server: &Server) {
    let mut handles = Vec::new();
    for id in 100..200 {
        handles.push(writer.append(&[Datum::BigInt(id)]).await.unwrap());
    }
    writer.flush().await.unwrap_err();
    let mut may_be_stored = 0;
    for handle in handles {
        let Err(error) = handle.wait().await else {
            continue;
        };
        let ErrorKind::Timeout { outcome_unknown, .. } = error.kind() else {
            panic!("{error}");
        };
        let context = error.context();
        assert_eq!(context.operation, "append");
        assert_eq!(
            context.table.as_ref().map(|table| &table.table),
            Some(&table.path)
        );
        assert!(context.bucket.is_some(), "{error}");
        // Else another leader, which waits for its replica on the stopped server.
        let port = context.server.as_ref().unwrap_or_else(|| panic!("{error}")).port;
        may_be_stored += usize::from(port == server.address().port() && *outcome_unknown);
    }
    assert!(may_be_stored > 0, "a write was on its way to the stopped server");
}

async fn expect_failed_poll(scanner: &LogScanner, server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(
            Instant::now() < deadline,
            "poll says nothing of a server that does not answer"
        );
        match scanner.poll(Duration::from_millis(500)).await {
            // What other servers have acknowledged, or not.
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
                let asked = error.context().server.as_ref().map(|server| server.port);
                assert_eq!(asked, Some(server.address().port()), "{error}");
                return;
            }
        }
    }
}

fn a_stopped_server_is_told_within_the_deadline_and_nothing_acknowledged_is_lost(backend: Backend) {
    a_stopped_server(backend, 1);
}

fn one_stopped_server_of_three_is_told_too(backend: Backend) {
    a_stopped_server(backend, 3);
}

fn a_killed_leader_is_replaced_under_load_ten_times_in_a_row_and_every_row_is_there_once(backend: Backend) {
    const ROWS: usize = 2_000;
    let place = start_alone(backend, Spec::new().tablet_servers(3));
    let cluster = place.cluster();
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        let mut ids = 0..;
        for round in 0..ROUNDS {
            let server = leader(cluster, table.info(), round);
            for id in ids.by_ref().take(ROWS) {
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            server.kill().unwrap();
            let killed = Instant::now();
            for id in ids.by_ref().take(ROWS) {
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            writer.flush().await.unwrap();
            let written = killed.elapsed();
            found.read_all(&scanner, &acknowledged).await;
            let read = killed.elapsed();
            note(&format_args!(
                "kill {round}: acknowledged after {written:.1?}, read after {read:.1?}"
            ));
            assert!(read < RECOVERY, "writer and scanner go on within {RECOVERY:?}");
            restart(cluster, server);
        }
        assert_eq!(found.count, 2 * ROWS * ROUNDS);
    });
}

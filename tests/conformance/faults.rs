//! Servers that stop and die.

mod keys;

use std::collections::BTreeSet;
use std::time::Duration;

use fluss_client::types::{DataType, Datum, Schema, TableInfo};
use fluss_client::{AppendWriter, Connection, ErrorKind, LogScanner, StartOffset};
use fluss_cluster::{Cluster, Server, Spec};
use fluss_rpc::net::{self, ServerAddress};
use fluss_rpc::proto;
use tokio::time::Instant;

use crate::{PATIENCE, connect, create, options, run, start_alone};

/// How soon everything goes on when a leader was killed.
const RECOVERY: Duration = Duration::from_secs(10);

fn numbers() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .build()
        .unwrap()
}

/// What was read of a table of numbers.
#[derive(Default)]
struct Found {
    ids: BTreeSet<i64>,
    count: usize,
}

impl Found {
    /// Polls until all of `wanted` were read, and insists that nothing came twice. Failures of polls are passed over.
    async fn read_all(&mut self, scanner: &LogScanner, wanted: &BTreeSet<i64>) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted.is_subset(&self.ids) {
            let count = self.count;
            assert!(
                Instant::now() < deadline,
                "{count} of {} records came",
                wanted.len()
            );
            let Ok(records) = scanner.poll(Duration::from_millis(500)).await else {
                continue;
            };
            for (_, record) in records.iter() {
                self.ids.insert(record.row.get(0).unwrap().unwrap());
                self.count += 1;
            }
        }
        assert_eq!(self.count, self.ids.len(), "nothing is there twice");
    }
}

/// The leaders of a table's buckets, asked for until each bucket has one, other than a server that was killed. Nothing
/// if that does not happen in time.
async fn leaders(
    cluster: &Cluster,
    table: &TableInfo,
    killed: Option<u32>,
    patience: Duration,
) -> Option<BTreeSet<u32>> {
    let any: ServerAddress = cluster.bootstrap().split(',').next().unwrap().parse().unwrap();
    let options = net::ConnectOptions::default();
    let connection = net::Connection::connect(&any, &options).await.unwrap();
    let request = proto::MetadataRequest {
        table_path: vec![proto::PbTablePath {
            database_name: table.path.database().to_owned(),
            table_name: table.path.table().to_owned(),
        }],
        ..Default::default()
    };
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let answer = connection.request(&request).await.unwrap();
        let buckets = &answer.table_metadata[0].bucket_metadata;
        let leader = |id: i32| u32::try_from(id).ok().filter(|id| Some(*id) != killed);
        let leaders: Option<_> = buckets.iter().map(|bucket| leader(bucket.leader_id?)).collect();
        if leaders.is_some() {
            return leaders;
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Which servers were killed, in that order.
#[derive(Default)]
struct Killed(Vec<u32>);

impl Killed {
    /// The leader that has had the most time to catch up since it was killed itself.
    async fn next<'c>(&mut self, cluster: &'c Cluster, table: &TableInfo) -> &'c Server {
        let last_killed = |id: &u32| self.0.iter().rposition(|killed| killed == id);
        let leaders = leaders(cluster, table, None, PATIENCE).await.unwrap();
        let id = leaders.into_iter().min_by_key(last_killed).expect("a leader");
        self.0.push(id);
        cluster.tablet_server(id).unwrap()
    }

    /// Waits until others lead in place of the server that was killed last. Where none of them has caught up, nobody can:
    /// then it is started again, and this kill says nothing of the client.
    async fn is_replaced(&self, cluster: &Cluster, table: &TableInfo) -> bool {
        let killed = self.0.last().copied();
        let replaced = leaders(cluster, table, killed, RECOVERY).await.is_some();
        if !replaced {
            cluster.tablet_server(killed.unwrap()).unwrap().restart().unwrap();
            cluster.wait_ready(PATIENCE).unwrap();
        }
        replaced
    }
}

/// Appends a row and waits for what becomes of it.
async fn append(writer: &AppendWriter, id: i64) -> fluss_client::Result<Option<i64>> {
    writer.append(&[Datum::BigInt(id)]).await.unwrap().wait().await
}

/// Stops a server for longer than the calls' deadlines and shorter than its session, and looks at what writer and
/// scanner say meanwhile, and do afterwards.
fn a_stopped_server(servers: u16) {
    let spec = Spec::new().tablet_servers(servers.into());
    let cluster = start_alone(spec.property("zookeeper.client.session-timeout", "60 s"));
    run(async {
        let mut options = options(&cluster);
        options.request_timeout = Duration::from_secs(2);
        options.writer.delivery_timeout = Duration::from_secs(2);
        let connection = Connection::open(options).await.unwrap();
        // Each server leads a bucket.
        let table = create(&connection, numbers(), servers.into(), &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        for id in 0..10 {
            append(&writer, id).await.unwrap();
            acknowledged.insert(id);
        }
        found.read_all(&scanner, &acknowledged).await;

        let server = cluster.tablet_server(0).unwrap();
        server.stop().unwrap();
        expect_failed_append(&writer, table.info(), server).await;
        expect_failed_poll(&scanner, server).await;

        server.resume().unwrap();
        let deadline = Instant::now() + PATIENCE;
        for id in 1_000.. {
            assert!(Instant::now() < deadline, "the writer works on");
            if append(&writer, id).await.is_ok() {
                acknowledged.insert(id);
            }
            if acknowledged.len() == 30 {
                break;
            }
        }
        found.read_all(&scanner, &acknowledged).await;
    });
}

/// Appends until a write goes to the stopped server.
async fn expect_failed_append(writer: &AppendWriter, table: &TableInfo, server: &Server) {
    for id in 100..200 {
        let Err(error) = append(writer, id).await else {
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
        let port = context.server.as_ref().unwrap_or_else(|| panic!("{error}")).port;
        if port == server.address().port() {
            assert!(outcome_unknown, "{error}");
            return;
        }
        // Another leader, which waits for its replica on the stopped server; or what waits behind such a write, unsent.
    }
    panic!("every append was acknowledged while a server was stopped");
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

#[test]
fn a_stopped_server_is_told_within_the_deadline_and_nothing_acknowledged_is_lost() {
    a_stopped_server(1);
}

#[test]
fn one_stopped_server_of_three_is_told_too() {
    a_stopped_server(3);
}

#[test]
fn a_killed_leader_is_replaced_under_load_ten_times_in_a_row_and_every_row_is_there_once() {
    const ROUNDS: u32 = 10;
    const ROWS: i64 = 2_000;
    let cluster = start_alone(Spec::new().tablet_servers(3));
    run(async {
        let connection = connect(&cluster).await;
        let table = create(&connection, numbers(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        let mut killed_before = Killed::default();
        let (mut round, mut recovered) = (0, 0);
        while recovered < ROUNDS {
            assert!(round < 2 * ROUNDS, "the cluster replaces no leaders");
            let server = killed_before.next(&cluster, table.info()).await;
            let first = i64::from(round) * 2 * ROWS;
            let mut killed = Instant::now();
            for id in first..first + 2 * ROWS {
                if id == first + ROWS {
                    server.kill().unwrap();
                    killed = Instant::now();
                }
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            let replaced = killed_before.is_replaced(&cluster, table.info()).await;
            writer.flush().await.unwrap();
            let written = killed.elapsed();
            found.read_all(&scanner, &acknowledged).await;
            let read = killed.elapsed();
            println!("kill {round}: acknowledged after {written:.1?}, read after {read:.1?}");
            round += 1;
            if replaced {
                recovered += 1;
                assert!(read < RECOVERY, "writer and scanner go on within {RECOVERY:?}");
                server.restart().unwrap();
                cluster.wait_ready(PATIENCE).unwrap();
            }
        }
        assert_eq!(i64::try_from(found.count).unwrap(), i64::from(round) * 2 * ROWS);
    });
}

//! `fluss serve` is killed again and again, in the middle of whatever it does, and started again on the same directory;
//! its clients go on. Everything that was acknowledged is there, nothing of it twice, and rows agree with their changelog.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its seed"
)]

mod events;
mod rows;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fluss_client::id::BucketId;
use fluss_client::types::{Schema, TableDescriptor, TablePath};
use fluss_client::{ClientOptions, Connection, LogScanner, OffsetSpec, StartOffset, Table};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::events::Events;
use self::rows::Rows;
use self::server::Server;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the server is killed between two looks at what it has.
const KILLS: usize = 9;
const ROUNDS: usize = 4;

/// The most that passes between the first acknowledgement after a start and the kill.
const TRAFFIC: Duration = Duration::from_millis(40);

/// What writers and the killer tell each other.
#[derive(Debug, Default)]
struct Traffic {
    stop: AtomicBool,
    acknowledged: AtomicU64,
}

impl Traffic {
    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Waits until so many more writes were acknowledged.
    async fn more(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        let enough = self.acknowledged.load(Ordering::SeqCst) + count;
        while self.acknowledged.load(Ordering::SeqCst) < enough {
            assert!(Instant::now() < deadline, "writes are acknowledged again");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn create(connection: &Connection, name: &str, schema: Schema) -> Table {
    let path = TablePath::new("fluss", name);
    let descriptor = TableDescriptor::builder(schema).distributed_by(3, Vec::<String>::new());
    let descriptor = descriptor.build().unwrap();
    connection
        .admin()
        .create_table(&path, &descriptor, false)
        .await
        .unwrap();
    connection.table(&path).await.unwrap()
}

/// How many records there are in the log of a table.
async fn stored(connection: &Connection, table: &Table) -> usize {
    let buckets: Vec<_> = (0..3).map(BucketId).collect();
    let path = &table.info().path;
    let admin = connection.admin();
    let ends = admin
        .list_offsets(path, &buckets, OffsetSpec::Latest)
        .await
        .unwrap();
    ends.into_values().map(|end| usize::try_from(end).unwrap()).sum()
}

async fn from_the_start(table: &Table) -> LogScanner {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    scanner
}

async fn kill_under_load(sync: &str) {
    let seed = fastrand::u64(..);
    println!("sync = {sync}, seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut server = Server::start(sync);
    let mut options = ClientOptions::new([server.address()]);
    options.writer.linger = Duration::from_millis(1);
    let connection = Connection::open(options).await.unwrap();
    let mut events = Events::create(&connection).await;
    let mut rows = Rows::create(&connection).await;
    for round in 0..ROUNDS {
        let traffic = Arc::new(Traffic::default());
        let mut writers = JoinSet::new();
        events.write(&traffic, &mut writers);
        rows.write(&traffic, &mut writers, &mut dice);
        for _ in 0..KILLS {
            traffic.more(10).await;
            tokio::time::sleep(TRAFFIC.mul_f64(dice.f64())).await;
            server.kill();
            server.restart();
        }
        traffic.more(10).await;
        traffic.stop.store(true, Ordering::SeqCst);
        writers.join_all().await;
        let (appended, changed) = (events.check(&connection).await, rows.check(&connection).await);
        println!("round {round}: {appended} rows appended, {changed} changes of rows, all as they should be");
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_stored_twice_when_the_process_is_killed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for sync in ["always", "20 ms", "never"] {
        runtime.block_on(kill_under_load(sync));
    }
}

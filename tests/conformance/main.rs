//! What the client promises, on a real cluster of three tablet servers.

mod errors;
mod extremes;
mod faults;
mod java;
mod key_tables;
mod log_tables;
mod look_ups;
mod partitions;

use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fluss_client::types::{Schema, TableDescriptor, TableDescriptorBuilder, TablePath};
use fluss_client::{ClientOptions, Connection, Credentials, LogScanner, Table};
use fluss_cluster::{Cluster, Spec};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of its own.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// A cluster, and its share of the machine.
struct Running {
    cluster: Cluster,
    _share: SemaphorePermit<'static>,
}

impl Deref for Running {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Starts a cluster beside those of other tests.
fn start(spec: Spec) -> Running {
    start_with(spec, 1)
}

/// Starts a cluster that has the machine to itself: for tests of what servers that stop and die cost, in seconds.
fn start_alone(spec: Spec) -> Running {
    start_with(spec, SHARES)
}

const SHARES: u32 = 1_000;

fn start_with(spec: Spec, shares: u32) -> Running {
    static MACHINE: Semaphore = Semaphore::const_new(SHARES as usize);
    let share = run(MACHINE.acquire_many(shares)).unwrap();
    let cluster = Cluster::start(spec).unwrap();
    Running {
        cluster,
        _share: share,
    }
}

/// The default options for a cluster; as its super user, if it wants to know who comes.
fn options(cluster: &Cluster) -> ClientOptions {
    let target = fluss_client::Target::of_bootstrap(&cluster.bootstrap()).unwrap();
    let fluss_client::Target::Servers(servers) = target else {
        unreachable!("a cluster is had by its servers");
    };
    let mut options = ClientOptions::new(servers);
    let root = cluster.users().first();
    options.credentials = root.map(|user| Credentials::plain(user.name, user.password));
    options
}

async fn connect(cluster: &Cluster) -> Connection {
    Connection::open(options(cluster)).await.unwrap()
}

/// Creates a table under a name of its own.
async fn create(connection: &Connection, schema: Schema, buckets: i32, properties: &[(&str, &str)]) -> Table {
    create_by(connection, schema, (buckets, &[]), properties).await
}

/// Creates a table of so many buckets by these columns.
async fn create_by(
    connection: &Connection,
    schema: Schema,
    (buckets, bucket_key): (i32, &[&str]),
    properties: &[(&str, &str)],
) -> Table {
    let descriptor = properties
        .iter()
        .fold(TableDescriptor::builder(schema), |builder, (key, value)| {
            builder.property(*key, *value)
        })
        .distributed_by(buckets, bucket_key.iter().copied());
    create_described(connection, descriptor).await
}

async fn create_described(connection: &Connection, descriptor: TableDescriptorBuilder) -> Table {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = TablePath::new("fluss", format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let admin = connection.admin();
    let descriptor = descriptor.build().unwrap();
    admin.create_table(&path, &descriptor, false).await.unwrap();
    connection.table(&path).await.unwrap()
}

/// Polls until there are so many records, and hands each over.
async fn read(
    scanner: &LogScanner,
    count: usize,
    mut take: impl FnMut(i32, i64, Vec<fluss_client::types::Datum<'static>>),
) {
    use fluss_client::types::Row;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut read = 0;
    while read < count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{read} of {count} records came"
        );
        let records = scanner.poll(Duration::from_secs(1)).await.unwrap();
        read += records.len();
        for (bucket, record) in records.iter() {
            take(bucket.bucket.get(), record.offset, record.row.to_owned_row());
        }
    }
    assert_eq!(read, count);
}

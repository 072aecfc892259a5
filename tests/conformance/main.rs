//! What is promised, on every backend: the same functions, and a table of what came of them.

mod admin;
mod calls;
mod errors;
mod evolution;
mod extremes;
mod faults;
mod filters;
mod java;
mod key_tables;
mod log_tables;
mod look_ups;
mod names;
mod observability;
mod open_files;
mod partitions;
mod place;
mod positions;
mod reads;
mod replica;
mod rescale;
mod streams;
mod suite;
mod tiered;
mod tls;
mod versions;

use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fluss_client::types::{DataType, Schema, TableDescriptor, TableDescriptorBuilder, TablePath};
use fluss_client::{Connection, LogScanner, OffsetSpec, Table};

use place::{Backend, Place, SESSION, Shared, connect, options, start, start_alone};
use suite::{CLUSTER, DIRECTORIES, EVERYWHERE, JAVA, NODES, ONCE, SERVE, SERVERS, note, tests};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    let told = tiered::reader::read_if_told().or_else(replica::deaths::follow_if_told);
    told.unwrap_or_else(run_all)
}

fn run_all() -> ExitCode {
    observability::listen();
    suite::run(&[
        admin::TESTS,
        calls::TESTS,
        admin::operators::TESTS,
        admin::rights::TESTS,
        admin::users::TESTS,
        errors::TESTS,
        errors::gone::TESTS,
        log_tables::TESTS,
        key_tables::TESTS,
        key_tables::inserts::TESTS,
        look_ups::TESTS,
        names::TESTS,
        observability::TESTS,
        open_files::TESTS,
        partitions::TESTS,
        evolution::TESTS,
        evolution::running::TESTS,
        evolution::keys::TESTS,
        evolution::properties::TESTS,
        evolution::restart::TESTS,
        evolution::java::TESTS,
        filters::TESTS,
        positions::TESTS,
        reads::TESTS,
        replica::TESTS,
        replica::deaths::TESTS,
        rescale::TESTS,
        streams::TESTS,
        streams::race::TESTS,
        java::TESTS,
        faults::TESTS,
        faults::answers::TESTS,
        faults::keys::TESTS,
        faults::moves::TESTS,
        faults::pressure::TESTS,
        faults::serve::TESTS,
        faults::stand_by::TESTS,
        faults::streams::TESTS,
        tiered::TESTS,
        tiered::parts::TESTS,
        tiered::changelogs::TESTS,
        tls::TESTS,
        versions::TESTS,
    ])
}

/// Runs a test on a runtime of its own.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
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
    let descriptor = descriptor.build().unwrap();
    create_table(connection, &path, &descriptor).await;
    connection.table(&path).await.unwrap()
}

/// Creates a table. One with partitions is known to the coordinator from then on: a cluster 0.9.1 gives no bucket a leader
/// any more if a partition is created before that (`docs/differences.md`).
async fn create_table(connection: &Connection, path: &TablePath, descriptor: &TableDescriptor) {
    if descriptor.partition_keys().is_empty() {
        return create_with_leaders(connection, path, descriptor).await;
    }
    let admin = connection.admin();
    admin.create_table(path, descriptor, false).await.unwrap();
    let later = TablePath::new(path.database(), format!("{}_and_later", path.table()));
    let schema = Schema::builder().column("c", DataType::int()).build().unwrap();
    let one_bucket = TableDescriptor::builder(schema).distributed_by(1, Vec::<String>::new());
    // Whoever is created later has a leader later.
    create_with_leaders(connection, &later, &one_bucket.build().unwrap()).await;
    admin.drop_table(&later, false).await.unwrap();
}

/// Creates a table without partitions. Of many that a cluster 0.9.1 creates, now and then one never gets leaders
/// (`docs/differences.md`): then there is another one in its place.
async fn create_with_leaders(connection: &Connection, path: &TablePath, descriptor: &TableDescriptor) {
    let admin = connection.admin();
    for _ in 0..3 {
        admin.create_table(path, descriptor, false).await.unwrap();
        match admin.list_table_offsets(path, OffsetSpec::Earliest).await {
            Ok(_) => return,
            Err(error) if error.is_retriable() => eprintln!("{path} is created again: {error}"),
            Err(error) => panic!("{path}: {error}"),
        }
        admin.drop_table(path, false).await.unwrap();
    }
    panic!("no table gets leaders");
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

//! What is promised, on every backend: the same functions, and a table of what came of them.

mod admin;
mod errors;
mod evolution;
mod extremes;
mod faults;
mod filters;
mod java;
mod key_tables;
mod log_tables;
mod look_ups;
mod partitions;
mod place;
mod positions;
mod reads;
mod suite;

use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fluss_client::types::{Schema, TableDescriptor, TableDescriptorBuilder, TablePath};
use fluss_client::{Connection, LogScanner, Table};

use place::{Backend, Place, connect, options, start, start_alone};
use suite::{CLUSTER, EVERYWHERE, JAVA, ONCE, SERVE, SERVERS, note, tests};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    suite::run(&[
        admin::TESTS,
        admin::operators::TESTS,
        admin::rights::TESTS,
        errors::TESTS,
        log_tables::TESTS,
        key_tables::TESTS,
        key_tables::inserts::TESTS,
        look_ups::TESTS,
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
        java::TESTS,
        faults::TESTS,
        faults::keys::TESTS,
        faults::serve::TESTS,
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

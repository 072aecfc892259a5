//! A table that is dropped, or dropped and created again, under those who use it: they are told at once, and for good.

use std::time::Duration;

use fluss_client::types::{DataType, Datum, Schema, TableDescriptor};
use fluss_client::{AsOf, Connection, Error, ErrorCode, StartOffset, Table};
use fluss_cluster::Spec;
use tokio::time::Instant;

use crate::{
    Backend, EVERYWHERE, connect, create, create_described, create_table, options, read, run, start, tests,
};

tests! {
    EVERYWHERE => [
        who_uses_a_dropped_table_is_told,
        who_uses_a_table_that_was_created_again_is_told,
        who_follows_the_partitions_of_a_dropped_table_is_told,
    ],
}

/// How long it takes at most to find out that a table is gone: less than any deadline of those who use it.
const SOON: Duration = Duration::from_secs(20);

fn numbers(keyed: bool) -> Schema {
    let schema = Schema::builder().column("id", DataType::big_int().not_null());
    let schema = if keyed { schema.primary_key(["id"]) } else { schema };
    schema.build().unwrap()
}

fn assert_gone(error: &Error, table: &Table) {
    assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST), "{error}");
    assert!(!error.is_retriable(), "{error}");
    let text = error.to_string();
    let path = table.info().path.to_string();
    assert!(
        text.contains(&path) && text.contains("the table was dropped"),
        "{text}"
    );
}

/// The error of whatever is called again and again until it fails.
async fn failure<T, F: Future<Output = fluss_client::Result<T>>>(call: impl Fn() -> F) -> Error {
    let begun = Instant::now();
    loop {
        if let Err(error) = call().await {
            assert!(begun.elapsed() < SOON, "it took {:?}: {error}", begun.elapsed());
            return error;
        }
        assert!(begun.elapsed() < SOON, "nothing was told");
    }
}

/// Uses a log table and a primary-key table, has something done with them, and expects to be told.
async fn told_of(connection: &Connection, again: bool) {
    let log = create(connection, numbers(false), 2, &[]).await;
    let keyed = create(connection, numbers(true), 2, &[]).await;
    let writer = log.append_writer().unwrap();
    writer.append(&[Datum::BigInt(1)]).await.unwrap();
    writer.close().await.unwrap();
    let scanner = log.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    read(&scanner, 1, |_, _, _| ()).await;
    let lookuper = keyed.lookup().lookuper().unwrap();
    assert!(lookuper.lookup(&[Datum::BigInt(1)]).await.unwrap().is_none());

    let admin = connection.admin();
    for table in [&log, &keyed] {
        admin.drop_table(&table.info().path, false).await.unwrap();
    }
    if again {
        let descriptor =
            |keyed| TableDescriptor::builder(numbers(keyed)).distributed_by(2, Vec::<String>::new());
        let of_log = descriptor(false).build().unwrap();
        let of_keyed = descriptor(true).build().unwrap();
        create_table(connection, &log.info().path, &of_log).await;
        create_table(connection, &keyed.info().path, &of_keyed).await;
    }

    for _ in 0..2 {
        let error = failure(|| scanner.poll(Duration::from_millis(100))).await;
        assert_gone(&error, &log);
    }
    let keys = [[Datum::BigInt(1)], [Datum::BigInt(2)]];
    assert_gone(&failure(|| lookuper.lookup(&keys[0])).await, &keyed);
    assert_gone(&failure(|| lookuper.lookup_many(&keys)).await, &keyed);
    assert_gone(&failure(|| log.scan().take_rows(3)).await, &log);
    for table in [&log, &keyed] {
        assert_gone(&failure(|| table.scan().snapshot(AsOf::Latest)).await, table);
    }
    let later = failure(|| async {
        let scanner = log.scan().log_scanner()?;
        scanner.subscribe_all(StartOffset::Latest).await?;
        scanner.poll(Duration::from_millis(100)).await
    });
    assert_gone(&later.await, &log);
}

fn who_uses_a_dropped_table_is_told(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async { told_of(&connect(&place).await, false).await });
}

fn who_uses_a_table_that_was_created_again_is_told(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async { told_of(&connect(&place).await, true).await });
}

fn who_follows_the_partitions_of_a_dropped_table_is_told(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.scanner.partition_discovery = Duration::from_millis(200);
        let connection = Connection::open(options).await.unwrap();
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("day", DataType::string().not_null())
            .build()
            .unwrap();
        let descriptor = TableDescriptor::builder(schema)
            .distributed_by(1, Vec::<String>::new())
            .partitioned_by(["day"]);
        let table = create_described(&connection, descriptor).await;
        let writer = table.append_writer().unwrap();
        for day in ["a", "b"] {
            let handle = writer.append(&[Datum::BigInt(1), day.into()]).await.unwrap();
            writer.flush().await.unwrap();
            handle.wait().await.unwrap();
        }
        writer.close().await.unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        read(&scanner, 2, |_, _, _| ()).await;
        connection
            .admin()
            .drop_table(&table.info().path, false)
            .await
            .unwrap();
        for _ in 0..2 {
            let error = failure(|| scanner.poll(Duration::from_millis(100))).await;
            assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST), "{error}");
            assert!(!error.is_retriable(), "{error}");
        }
    });
}

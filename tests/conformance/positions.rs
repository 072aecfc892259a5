//! Saved positions: a scanner goes on exactly where another stood.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluss_client::id::PartitionId;
use fluss_client::types::{DataType, Datum, Row, Schema, TableDescriptor};
use fluss_client::{Bounds, Connection, ErrorKind, LogScanner, Positions, ScanBatch, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_core::arrow::ArrowRows;
use futures::StreamExt;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tokio::time::timeout;

use crate::{Backend, EVERYWHERE, PATIENCE, create_described, create_table, options, run, start, tests};

tests! {
    EVERYWHERE => [
        a_scanner_that_is_stopped_100_times_gives_every_row_once,
        positions_are_of_one_table,
        reads_that_are_dropped_lose_nothing,
        a_closed_scanner_or_connection_ends_what_waits,
    ],
}

const STOPS: usize = 100;
/// Rows of one partition, before the next one begins.
const ROWS: i64 = 300;
const PARTITIONS: i64 = 20;

fn id(row: &impl Row) -> i64 {
    let Datum::BigInt(id) = row.datum(0) else {
        panic!("the first column is the number")
    };
    id
}

async fn partitioned(connection: &Connection) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("part", DataType::string())
        .build()
        .unwrap();
    let descriptor = TableDescriptor::builder(schema)
        .partitioned_by(["part"])
        .distributed_by(2, ["id"]);
    create_described(connection, descriptor).await
}

/// Appends rows, numbered from 0 on, to more and more partitions, until it is told to stop. Returns how many.
async fn write(table: Table, stop: Arc<AtomicBool>) -> i64 {
    let writer = table.append_writer().unwrap();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let part = (next / ROWS % PARTITIONS).to_string();
            let row = [Datum::BigInt(next), Datum::from(part.as_str())];
            writer.append(&row).await.unwrap();
            next += 1;
        }
        writer.flush().await.unwrap();
    }
    writer.close().await.unwrap();
    next
}

/// Begins where another scanner stood, or at the first rows that there are.
pub(crate) async fn go_on(scanner: &LogScanner, saved: Option<&str>) {
    match saved {
        None => scanner.subscribe_all(StartOffset::Earliest).await.unwrap(),
        Some(text) => {
            let positions = Positions::from_json(text).unwrap();
            scanner.subscribe_positions(&positions).await.unwrap();
        }
    }
}

/// What a poll of either kind returns.
async fn poll(scanner: &LogScanner, arrow: bool) -> Vec<i64> {
    let timeout = Duration::from_millis(20);
    if !arrow {
        let records = scanner.poll(timeout).await.unwrap();
        return records.iter().map(|(_, record)| id(&record.row)).collect();
    }
    let mut ids = Vec::new();
    for scanned in scanner.poll_arrow(timeout).await.unwrap() {
        let rows = ArrowRows::new(scanned.batch, scanner.table().row_type()).unwrap();
        ids.extend((0..rows.len()).map(|index| id(&rows.row(index))));
    }
    ids
}

fn a_scanner_that_is_stopped_100_times_gives_every_row_once(backend: Backend) {
    let place = start(backend, Spec::new());
    let mut runner = TestRunner::deterministic();
    let mut draw = |most: usize| (0..=most).new_tree(&mut runner).unwrap().current();
    run(async {
        let mut options = options(&place);
        options.scanner.partition_discovery = Duration::from_millis(50);
        options.scanner.max_poll_records = 7;
        let connection = Connection::open(options).await.unwrap();
        let table = partitioned(&connection).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writing = tokio::spawn(write(table.clone(), stop.clone()));

        let deadline = tokio::time::Instant::now() + PATIENCE;
        let (mut found, mut saved, mut stops, mut rows) = (BTreeSet::new(), None::<String>, 0, i64::MAX);
        let mut writing = Some(writing);
        while i64::try_from(found.len()).unwrap() < rows {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {rows} rows after {stops} stops",
                found.len()
            );
            let scanner = table.scan().log_scanner().unwrap();
            go_on(&scanner, saved.as_deref()).await;
            for _ in 0..draw(4) {
                for id in poll(&scanner, draw(4) == 0).await {
                    assert!(found.insert(id), "row {id} came twice");
                }
            }
            saved = Some(scanner.positions().unwrap().to_json());
            stops += 1;
            if stops >= STOPS
                && let Some(writing) = writing.take()
            {
                stop.store(true, Ordering::Relaxed);
                rows = writing.await.unwrap();
            }
        }
        assert!(stops >= STOPS && found.into_iter().eq(0..rows));
    });
}

fn positions_are_of_one_table(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = crate::connect(&place).await;
        let (table, other) = (partitioned(&connection).await, partitioned(&connection).await);
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let positions = scanner.positions().unwrap();
        assert!(positions.follows_partitions());
        assert_eq!(positions.table(), &table.info().path);

        let path = table.info().path.clone();
        let descriptor = table.info().descriptor.clone();
        connection.admin().drop_table(&path, false).await.unwrap();
        create_table(&connection, &path, &descriptor).await;
        let again = connection.table(&path).await.unwrap();
        for (table, expected) in [
            (other, format!("the positions are in table {path}")),
            (again, "the table was dropped and created again since".to_owned()),
        ] {
            let scanner = table.scan().log_scanner().unwrap();
            let error = scanner.subscribe_positions(&positions).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    });
}

/// The numbers of the rows of a batch.
fn ids(scanner: &LogScanner, batch: ScanBatch) -> Vec<i64> {
    let rows = ArrowRows::new(batch.batch, scanner.table().row_type()).unwrap();
    (0..rows.len()).map(|index| id(&rows.row(index))).collect()
}

/// Reads by every call that there is, each dropped at random: before it has an outcome, or with the lease that it came to.
/// Every row comes once, in its order, and after every call the positions are those of what was returned.
#[expect(clippy::too_many_lines, reason = "each way to read is a case of one choice")]
fn reads_that_are_dropped_lose_nothing(backend: Backend) {
    let place = start(backend, Spec::new());
    let mut runner = TestRunner::deterministic();
    let mut draw = |most: usize| (0..=most).new_tree(&mut runner).unwrap().current();
    run(async {
        let mut options = options(&place);
        options.scanner.max_poll_records = 7;
        options.writer.batch_bytes = 1 << 10;
        let connection = Connection::open(options).await.unwrap();
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .build()
            .unwrap();
        let table = create_described(
            &connection,
            TableDescriptor::builder(schema).distributed_by(1, Vec::<String>::new()),
        )
        .await;
        let rows = 2_000_i64;
        let writing = tokio::spawn({
            let table = table.clone();
            async move {
                let writer = table.append_writer().unwrap();
                for next in 0..rows {
                    writer.append(&[Datum::BigInt(next)]).await.unwrap();
                    if next % 50 == 0 {
                        writer.flush().await.unwrap();
                    }
                }
                writer.close().await.unwrap();
            }
        });
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut found = Vec::new();
        while i64::try_from(found.len()).unwrap() < rows {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {rows} rows",
                found.len()
            );
            let patience = Duration::from_micros(draw(2_000) as u64);
            let is_taken = draw(1) == 0;
            let long = Duration::from_secs(1);
            match draw(5) {
                0 => {
                    let polled = timeout(patience, scanner.poll(long)).await;
                    let records = polled.map(|polled| polled.unwrap()).unwrap_or_default();
                    found.extend(records.iter().map(|(_, record)| id(&record.row)));
                }
                1 => {
                    let polled = timeout(patience, scanner.poll_arrow(long)).await;
                    let batches = polled.map(|polled| polled.unwrap()).unwrap_or_default();
                    found.extend(batches.into_iter().flat_map(|batch| ids(&scanner, batch)));
                }
                2 => {
                    let lease = timeout(patience, scanner.lease_records(long)).await;
                    if let (Ok(lease), true) = (lease, is_taken) {
                        let records = lease.unwrap().take();
                        found.extend(records.iter().map(|(_, record)| id(&record.row)));
                    }
                }
                3 => {
                    let lease = timeout(patience, scanner.lease_batches(long)).await;
                    if let (Ok(lease), true) = (lease, is_taken) {
                        let batches = lease.unwrap().take();
                        found.extend(batches.into_iter().flat_map(|batch| ids(&scanner, batch)));
                    }
                }
                4 => {
                    let stream = scanner.clone().into_stream();
                    tokio::pin!(stream);
                    if let Ok(Some(batch)) = timeout(patience, stream.next()).await {
                        found.extend(ids(&scanner, batch.unwrap()));
                    }
                }
                _ => {
                    drop(timeout(patience, scanner.fetch_ahead(long)).await);
                    if let Some(ahead) = scanner.ahead().unwrap() {
                        for _ in 0..draw(3) {
                            let Some(index) = ahead.pass() else { break };
                            let bucket = &ahead.records().buckets()[0];
                            found.push(id(&bucket.get(index).unwrap().row));
                        }
                    }
                }
            }
            assert!(
                found.iter().copied().eq(0..i64::try_from(found.len()).unwrap()),
                "{found:?}"
            );
            let next = scanner
                .positions()
                .unwrap()
                .buckets()
                .next()
                .map(|(_, start)| start);
            let passed = i64::try_from(found.len()).unwrap();
            assert!(
                next == Some(StartOffset::At(passed)) || (passed == 0 && next == Some(StartOffset::Earliest))
            );
        }
        writing.await.unwrap();

        let mut reader = table.scan().read(Bounds::default()).await.unwrap();
        let mut found = Vec::new();
        let mut done = false;
        while !done {
            let patience = Duration::from_micros(draw(2_000) as u64);
            if draw(9) == 0 {
                if let Ok(batches) = timeout(patience, reader.collect()).await {
                    let batches = batches.unwrap();
                    reader.put_back(batches);
                }
            } else if let Ok(batch) = timeout(patience, reader.next_batch()).await {
                let batch = batch.unwrap();
                done = batch.is_none();
                found.extend(batch.into_iter().flat_map(|batch| ids(&scanner, batch)));
            }
        }
        assert!(found.into_iter().eq(0..rows));
    });
}

fn a_closed_scanner_or_connection_ends_what_waits(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let closed =
            |error: fluss_client::Error| assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
        for of_connection in [false, true] {
            let connection = crate::connect(&place).await;
            let table = partitioned(&connection).await;
            let scanner = table.scan().log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let polling = tokio::spawn({
                let scanner = scanner.clone();
                async move { scanner.poll(PATIENCE * 2).await }
            });
            let streaming = tokio::spawn(scanner.clone().into_stream().collect::<Vec<_>>());
            assert!(scanner.poll(Duration::ZERO).await.unwrap().is_empty());
            if of_connection {
                connection.close();
            } else {
                scanner.close();
            }
            closed(timeout(PATIENCE, polling).await.unwrap().unwrap().unwrap_err());
            let last = timeout(PATIENCE, streaming)
                .await
                .unwrap()
                .unwrap()
                .pop()
                .unwrap();
            closed(last.unwrap_err());
            closed(scanner.poll(Duration::ZERO).await.unwrap_err());
            closed(scanner.poll_arrow(Duration::ZERO).await.unwrap_err());
            closed(scanner.fetch_ahead(Duration::ZERO).await.unwrap_err());
            closed(scanner.subscribe_all(StartOffset::Earliest).await.unwrap_err());
            closed(scanner.positions().unwrap_err());
            closed(scanner.unsubscribe_partition(PartitionId(0)).unwrap_err());
            assert!(scanner.ahead().is_err());
            if of_connection {
                closed(connection.admin().list_databases().await.unwrap_err());
                closed(table.scan().read(Bounds::default()).await.unwrap_err());
                closed(connection.table(&table.info().path).await.unwrap_err());
            }
        }
    });
}

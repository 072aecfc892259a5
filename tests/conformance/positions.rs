//! Saved positions: a scanner goes on exactly where another stood.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluss_client::arrow::ArrowRows;
use fluss_client::types::{DataType, Datum, Row, Schema, TableDescriptor};
use fluss_client::{Connection, ErrorKind, LogScanner, Positions, StartOffset, Table};
use fluss_cluster::Spec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::{Backend, EVERYWHERE, PATIENCE, create_described, create_table, options, run, start, tests};

tests! {
    EVERYWHERE => [
        a_scanner_that_is_stopped_100_times_gives_every_row_once,
        positions_are_of_one_table,
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
            saved = Some(scanner.positions().await.to_json());
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
        let positions = scanner.positions().await;
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

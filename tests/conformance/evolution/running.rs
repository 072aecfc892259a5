//! Columns are added while writers and scanners run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluss_client::types::{DataType, Datum, OwnedRow, Row, Schema};
use fluss_client::{Connection, LogScanner, StartOffset, Table};
use fluss_cluster::Spec;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{FORMAT, FORMATS, alter, column};
use crate::{Backend, EVERYWHERE, PATIENCE, connect, create, run, start, tests};

tests! {
    EVERYWHERE => [a_column_is_added_while_writers_and_scanners_run],
}

/// Writes rows until it is told to stop. Column `n` of the row of an id holds `id * n`.
struct Writer {
    stop: Arc<AtomicBool>,
    written: watch::Receiver<i64>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Writes rows from this id on, in the columns that the table has.
    fn start(table: &Table, from: i64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (count, written) = watch::channel(0);
        let (writer, until) = (table.append_writer().unwrap(), stop.clone());
        let task = tokio::spawn(async move {
            let columns = i64::try_from(writer.table().row_type().len()).unwrap();
            let mut ids = from..;
            while !until.load(Ordering::Relaxed) {
                for id in ids.by_ref().take(5) {
                    let row: OwnedRow = (1..=columns).map(|n| Datum::BigInt(id * n)).collect();
                    writer.append(&row).await.unwrap();
                }
                writer.flush().await.unwrap();
                count.send_modify(|count| *count += 5);
            }
            writer.close().await.unwrap();
        });
        Self { stop, written, task }
    }

    fn written(&self) -> i64 {
        *self.written.borrow()
    }

    /// Waits until so many rows are written.
    async fn reach(&mut self, count: i64) {
        let reached = self.written.wait_for(|written| *written >= count);
        timeout(PATIENCE, reached).await.unwrap().unwrap();
    }

    /// The number of rows that were written in all.
    async fn end(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        *self.written.borrow()
    }
}

/// The rows that a scanner has seen, by their ids.
type Seen = BTreeMap<i64, OwnedRow>;

/// Reads until there are as many rows as is said in the end.
fn follow(scanner: LogScanner, goal: watch::Receiver<Option<usize>>) -> JoinHandle<Seen> {
    tokio::spawn(async move {
        let mut seen = Seen::new();
        let mut silent = Instant::now();
        while goal.borrow().is_none_or(|goal| seen.len() < goal) {
            assert!(silent.elapsed() < PATIENCE, "{} rows came", seen.len());
            let records = scanner.poll(Duration::from_millis(100)).await.unwrap();
            for (_, record) in records.iter() {
                silent = Instant::now();
                let row = record.row.to_owned_row();
                let Datum::BigInt(id) = row[0] else {
                    panic!("{row:?}")
                };
                assert_eq!(seen.insert(id, row), None, "{id} came twice");
            }
        }
        seen
    })
}

/// A scanner of the columns at these positions, the first of which is the id.
async fn scanner(table: &Table, columns: &[usize]) -> LogScanner {
    let fields = table.info().row_type().fields();
    let names = columns.iter().map(|column| fields[*column].name.clone());
    let scanner = table.scan().project(names).log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    scanner
}

/// Ids of each writer begin at a million times its number of columns.
const MILLION: i64 = 1_000_000;

fn expected(columns: &[usize], written: &[(i64, i64)]) -> Seen {
    let row = |id: i64, width: i64| -> OwnedRow {
        let value = |column: &usize| match i64::try_from(*column).unwrap() {
            column if column < width => Datum::BigInt(id * (column + 1)),
            _ => Datum::Null,
        };
        columns.iter().map(value).collect()
    };
    let rows = written.iter().flat_map(|(width, count)| {
        let from = width * MILLION;
        (from..from + count).map(move |id| (id, row(id, *width)))
    });
    rows.collect()
}

async fn evolve(connection: &Connection, format: &str) {
    const STEP: i64 = 100;
    let schema = Schema::builder().column("id", DataType::big_int().not_null());
    let schema = schema.column("two", DataType::big_int()).build().unwrap();
    let first = create(connection, schema, 3, &[(FORMAT, format)]).await;
    let (goal, told) = watch::channel(None);
    let mut oldest = Writer::start(&first, 2 * MILLION);
    let mut watched = vec![(vec![0, 1], follow(scanner(&first, &[0, 1]).await, told.clone()))];
    oldest.reach(STEP).await;
    let second = alter(connection, &first, &[column("three", "BIGINT")]).await;
    let mut newer = Writer::start(&second, 3 * MILLION);
    for columns in [vec![0, 2], vec![0, 2, 1]] {
        watched.push((
            columns.clone(),
            follow(scanner(&second, &columns).await, told.clone()),
        ));
    }
    newer.reach(STEP).await;
    let third = alter(connection, &second, &[column("four", "BIGINT")]).await;
    let mut newest = Writer::start(&third, 4 * MILLION);
    watched.push((vec![0, 3], follow(scanner(&third, &[0, 3]).await, told.clone())));
    newest.reach(STEP).await;
    let before = oldest.written();
    oldest.reach(before + STEP).await;
    let written = [
        (2, oldest.end().await),
        (3, newer.end().await),
        (4, newest.end().await),
    ];
    let count: i64 = written.iter().map(|(_, count)| count).sum();
    goal.send(Some(count as usize)).unwrap();
    for (columns, watching) in watched {
        let seen = watching.await.unwrap();
        assert!(seen == expected(&columns, &written), "{format} {columns:?}");
    }
}

fn a_column_is_added_while_writers_and_scanners_run(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for format in FORMATS {
            evolve(&connection, format).await;
        }
    });
}

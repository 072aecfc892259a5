//! A node has far more buckets than descriptors.

use std::collections::BTreeMap;
use std::fs;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::array::types::{Int32Type, Int64Type};
use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{AsOf, Bounds, Connection, Table};
use fluss_cluster::Spec;
use tokio::time::timeout;

use crate::{Backend, DIRECTORIES, PATIENCE, Place, SERVE, connect, create_by, run, start, tests};

tests! {
    DIRECTORIES => [idle_files_of_buckets_make_way_for_others],
    SERVE => [
        few_descriptors_are_enough_for_many_buckets,
        missing_descriptors_are_taken_from_idle_files,
    ],
}

/// So many rows come to every bucket, of 300 too.
const ROWS: i32 = 6_000;

fn schema(keyed: bool) -> Schema {
    let schema = Schema::builder()
        .column("k", DataType::int().not_null())
        .column("n", DataType::big_int());
    let schema = if keyed { schema.primary_key(["k"]) } else { schema };
    schema.build().unwrap()
}

/// What each key has.
type Rows = BTreeMap<i32, i64>;

/// The rows of a round.
fn rows(round: i64) -> Rows {
    (0..ROWS)
        .map(|key| (key, round * 1_000_000 + i64::from(key)))
        .collect()
}

fn read<'b>(batches: impl IntoIterator<Item = &'b RecordBatch>) -> Vec<(i32, i64)> {
    let mut found = Vec::new();
    for batch in batches {
        let keys = batch.column_by_name("k").unwrap().as_primitive::<Int32Type>();
        let numbers = batch.column_by_name("n").unwrap().as_primitive::<Int64Type>();
        let rows = keys.values().iter().zip(numbers.values());
        found.extend(rows.map(|(key, number)| (*key, *number)));
    }
    found.sort_unstable();
    found
}

/// A table of each kind, with what was written to it.
struct Tables {
    logged: Table,
    keyed: Table,
    rounds: i64,
}

impl Tables {
    async fn create(connection: &Connection, buckets: i32) -> Self {
        Self {
            logged: create_by(connection, schema(false), (buckets, &["k"]), &[]).await,
            keyed: create_by(connection, schema(true), (buckets, &["k"]), &[]).await,
            rounds: 0,
        }
    }

    /// Writes to every bucket, and comes back to some of them now and then.
    async fn write(&mut self) {
        let (appends, upserts) = (
            self.logged.append_writer().unwrap(),
            self.keyed.upsert_writer().unwrap(),
        );
        for (key, number) in rows(self.rounds) {
            let row = [Datum::Int(key), Datum::BigInt(number)];
            appends.append(&row).await.unwrap();
            upserts.upsert(&row).await.unwrap();
            if key % 1_000 == 0 {
                appends.flush().await.unwrap();
                upserts.flush().await.unwrap();
            }
        }
        appends.close().await.unwrap();
        upserts.close().await.unwrap();
        self.rounds += 1;
    }

    async fn look_up(&self) {
        let lookuper = self.keyed.lookup().lookuper().unwrap();
        let expected = rows(self.rounds - 1);
        let keys: Vec<_> = expected.keys().map(|key| [Datum::Int(*key)]).collect();
        let found = lookuper.lookup_many(&keys).await.unwrap();
        for (found, (key, number)) in found.iter().zip(&expected) {
            let row = found.as_ref().unwrap_or_else(|| panic!("key {key} is there"));
            assert_eq!(row[..], [Datum::Int(*key), Datum::BigInt(*number)]);
        }
        // One by one too, each from another bucket.
        for (key, number) in expected.iter().take(400) {
            let row = lookuper.lookup(&[Datum::Int(*key)]).await.unwrap().unwrap();
            assert_eq!(row[1], Datum::BigInt(*number));
        }
    }

    async fn scan(&self) {
        let expected: Vec<_> = rows(self.rounds - 1).into_iter().collect();
        let snapshot = timeout(PATIENCE, self.keyed.scan().snapshot(AsOf::Latest));
        let snapshot = snapshot.await.unwrap().unwrap();
        assert_eq!(read(snapshot.batches().map(|(_, batch)| batch)), expected);
        let few = self.keyed.scan().take_rows(ROWS as usize).await.unwrap();
        assert_eq!(read([&few]), expected);
    }

    /// Reads all logs from their beginning.
    async fn read(&self) {
        let mut expected: Vec<_> = (0..self.rounds).flat_map(rows).collect();
        expected.sort_unstable();
        let mut reader = self.logged.scan().read(Bounds::default()).await.unwrap();
        let batches = timeout(PATIENCE, reader.collect()).await.unwrap().unwrap();
        let found = read(batches.iter().map(|scanned| &scanned.batch));
        assert!(found == expected, "{} of {} rows", found.len(), expected.len());
    }
}

/// How many descriptors the files of the buckets have.
fn open_files(place: &Place) -> usize {
    let (directory, process) = place.directory();
    let buckets = directory.canonicalize().unwrap().join("buckets");
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    // One that is closed meanwhile leads nowhere.
    let files = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    files.filter(|file| file.starts_with(&buckets)).count()
}

fn idle_files_of_buckets_make_way_for_others(backend: Backend) {
    const MOST: usize = 40;
    let spec = Spec::new().property("max.open-files", MOST.to_string());
    // Nothing but requests opens files then.
    let place = start(backend, spec.property("sync", "never"));
    run(async {
        let connection = connect(&place).await;
        let mut tables = Tables::create(&connection, 60).await;
        let check = |what: &str| {
            let open = open_files(&place);
            assert!((1..=MOST).contains(&open), "{open} files are open after {what}");
        };
        for _ in 0..3 {
            tables.write().await;
            check("writes");
            tables.look_up().await;
            check("look-ups");
            tables.scan().await;
            // What a scan has in use may be over the budget, until the next file is opened.
            tables.look_up().await;
            check("scans");
            tables.read().await;
            check("reads");
        }
    });
}

/// Does everything with 600 buckets.
fn work(place: &Place) {
    run(async {
        let connection = connect(place).await;
        let mut tables = Tables::create(&connection, 300).await;
        for _ in 0..2 {
            tables.write().await;
            tables.look_up().await;
            tables.scan().await;
            tables.read().await;
        }
    });
}

fn few_descriptors_are_enough_for_many_buckets(backend: Backend) {
    let place = start(backend, Spec::new().descriptors(256));
    work(&place);
    let open = open_files(&place);
    assert!(open <= 128, "{open} files are open");
}

fn missing_descriptors_are_taken_from_idle_files(backend: Backend) {
    // More than there are: that there are no more is only seen when they are used up.
    let spec = Spec::new().descriptors(256);
    let place = start(backend, spec.property("max.open-files", "1000000"));
    work(&place);
    // Whoever comes then is let in, again and again.
    let before = open_files(&place);
    run(async {
        let mut connections = Vec::new();
        for _ in 0..40 {
            connections.push(connect(&place).await);
        }
    });
    let after = open_files(&place);
    assert!(before > 128, "{before} files are open");
    assert!(after < before, "{after} files are open, {before} were");
}

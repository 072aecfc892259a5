//! Reads that end: parts of logs, a few rows, and tables as they are and were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use fluss_client::embedded::{self, Node, NodeOptions, Storage};
use fluss_client::filter::col;
use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, Timestamp};
use fluss_client::{
    AsOf, Bounds, BucketRead, ClientOptions, Connection, ErrorCode, ErrorKind, OffsetSpec, RowStream,
    ScanBatch, Snapshot, StartOffset, StopOffset, Table, TableRead,
};
use fluss_cluster::Spec;
use futures::TryStreamExt;
use tokio::time::timeout;

use crate::{
    Backend, EVERYWHERE, ONCE, PATIENCE, connect, create, create_by, create_described, run, start, tests,
};

tests! {
    EVERYWHERE => [
        a_log_is_read_to_where_it_ended,
        a_log_is_read_between_offsets_and_times,
        a_reader_is_collected_once,
        a_changelog_that_ends_without_records_is_read_to_its_end,
        a_few_rows_are_read_of_all_buckets,
        a_table_is_what_its_changes_made_of_it_now_and_then,
        a_table_is_read_while_it_is_written,
        the_partitions_of_a_table_are_read_as_one,
        a_plan_is_read_bucket_by_bucket_and_as_one,
        a_log_is_planned_once_and_read_as_it_was,
        streams_that_are_dropped_stop,
        writes_tell_where_they_landed,
        a_filter_is_for_the_rows_that_are_read,
    ],
    ONCE => [what_a_changelog_has_lost_is_told],
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// The time now, once it has passed: what is stored from now on is stored later.
pub(crate) async fn moment() -> i64 {
    let moment = now_ms();
    while now_ms() <= moment {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    moment
}

fn numbers() -> Schema {
    let schema = Schema::builder().column("n", DataType::big_int());
    schema.column("text", DataType::string()).build().unwrap()
}

async fn append(table: &Table, numbers: std::ops::Range<i64>) {
    let writer = table.append_writer().unwrap();
    for number in numbers {
        let text = format!("text {number}");
        writer
            .append(&[Datum::BigInt(number), Datum::from(text.as_str())])
            .await
            .unwrap();
    }
    writer.close().await.unwrap();
}

/// The numbers in a column, in the order of the batches.
fn column<'b>(batches: impl IntoIterator<Item = &'b RecordBatch>, name: &str) -> Vec<i64> {
    let values = batches.into_iter().flat_map(|batch| {
        let column = batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
        column.values().to_vec()
    });
    values.collect()
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}

async fn read(table: &Table, bounds: Bounds) -> Vec<ScanBatch> {
    let mut reader = table.scan().read(bounds).await.unwrap();
    timeout(PATIENCE, reader.collect())
        .await
        .expect("a read ends")
        .unwrap()
}

async fn read_numbers(table: &Table, start: StartOffset, stop: StopOffset) -> Vec<i64> {
    let batches = read(table, Bounds::Table { start, stop }).await;
    sorted(column(batches.iter().map(|scanned| &scanned.batch), "n"))
}

fn a_log_is_read_to_where_it_ended(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for format in ["ARROW", "INDEXED", "COMPACTED"] {
            let table = create(&connection, numbers(), 3, &[("table.log.format", format)]).await;
            assert_eq!(read(&table, Bounds::default()).await.len(), 0);
            append(&table, 0..500).await;
            let reader = table
                .scan()
                .project(["text", "n"])
                .read(Bounds::default())
                .await
                .unwrap();
            let ends = reader.ends().clone();
            append(&table, 500..800).await;
            let batches: Vec<ScanBatch> = timeout(PATIENCE, reader.into_stream().try_collect())
                .await
                .unwrap()
                .unwrap();
            let columns = batches.iter().map(|scanned| &scanned.batch);
            assert_eq!(
                sorted(column(columns, "n")),
                (0..500).collect::<Vec<_>>(),
                "{format}"
            );
            assert_eq!(ends.len(), 3);
            assert_eq!(ends.values().sum::<Offset>(), 500);
            let admin = connection.admin();
            let latest = admin.list_table_offsets(&table.info().path, OffsetSpec::Latest);
            assert_eq!(latest.await.unwrap().values().sum::<Offset>(), 800);
        }
    });
}

fn a_reader_is_collected_once(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 2, &[]).await;
        for rows in [0, 100] {
            append(&table, 0..rows).await;
            for by_batches in [true, false] {
                let mut reader = table.scan().read(Bounds::default()).await.unwrap();
                let mut batches = Vec::new();
                if by_batches {
                    while let Some(batch) = reader.next_batch().await.unwrap() {
                        assert!(!reader.has_ended());
                        batches.push(batch);
                    }
                } else {
                    batches = reader.collect().await.unwrap();
                }
                let found = column(batches.iter().map(|scanned| &scanned.batch), "n");
                assert_eq!(sorted(found), (0..rows).collect::<Vec<_>>());
                assert!(reader.has_ended());
                assert!(reader.next_batch().await.unwrap().is_none(), "the end stays");
                let error = reader.collect().await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
                // What nobody has taken is read again, and so is its end.
                reader.put_back(batches);
                assert_eq!(reader.collect().await.unwrap().is_empty(), rows == 0);
            }
        }
    });
}

fn a_log_is_read_between_offsets_and_times(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 1, &[]).await;
        append(&table, 0..100).await;
        let middle = moment().await;
        append(&table, 100..200).await;
        let all: Vec<i64> = (0..200).collect();
        let read = async |start, stop| read_numbers(&table, start, stop).await;
        assert_eq!(read(StartOffset::At(7), StopOffset::At(133)).await, all[7..133]);
        assert_eq!(read(StartOffset::At(133), StopOffset::At(133)).await, all[..0]);
        assert_eq!(read(StartOffset::Latest, StopOffset::Latest).await, all[..0]);
        let later = middle + 1;
        assert_eq!(
            read(
                StartOffset::Earliest,
                StopOffset::Before(Timestamp::from_millis(later))
            )
            .await,
            all[..100]
        );
        assert_eq!(
            read(
                StartOffset::Timestamp(Timestamp::from_millis(later)),
                StopOffset::Latest
            )
            .await,
            all[100..]
        );
        assert_eq!(
            read(
                StartOffset::Earliest,
                StopOffset::AsOf(Timestamp::from_millis(middle))
            )
            .await,
            all[..100]
        );
        let now = now_ms();
        assert_eq!(
            read(
                StartOffset::Earliest,
                StopOffset::AsOf(Timestamp::from_millis(now))
            )
            .await,
            all
        );

        let bucket = TableBucket::new(table.info().id, 0.into());
        let refused = async |stop| {
            let bounds = Bounds::Buckets([(bucket, (StartOffset::Earliest, stop))].into());
            table.scan().read(bounds).await.unwrap_err()
        };
        let error = refused(StopOffset::At(201)).await;
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
        let future = StopOffset::AsOf(Timestamp::from_millis(now_ms() + 3_600_000));
        assert_eq!(refused(future).await.code(), Some(ErrorCode::INVALID_TIMESTAMP));
    });
}

fn keyed() -> Schema {
    let schema = Schema::builder()
        .column("text", DataType::string())
        .column("k", DataType::int())
        .column("n", DataType::big_int());
    schema.primary_key(["k"]).build().unwrap()
}

fn a_changelog_that_ends_without_records_is_read_to_its_end(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, keyed(), 1, &[]).await;
        let writer = table.upsert_writer().unwrap();
        writer
            .upsert(&[Datum::Null, Datum::Int(1), Datum::BigInt(1)])
            .await
            .unwrap();
        writer.flush().await.unwrap();
        for missing in 2..5 {
            writer.delete(&[Datum::Int(missing)]).await.unwrap();
            writer.flush().await.unwrap();
        }
        let mut reader = table.scan().read(Bounds::default()).await.unwrap();
        assert_eq!(
            reader.ends().values().collect::<Vec<_>>(),
            [&4],
            "each of them takes an offset"
        );
        let batches = timeout(PATIENCE, reader.collect()).await.unwrap().unwrap();
        assert_eq!(
            batches
                .iter()
                .map(|scanned| scanned.batch.num_rows())
                .sum::<usize>(),
            1
        );
        assert_eq!(snapshot(&table, AsOf::Latest).await.num_rows(), 1);
    });
}

fn a_few_rows_are_read_of_all_buckets(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let logged = create(&connection, numbers(), 3, &[]).await;
        for number in 0..30 {
            append(&logged, number * 10..number * 10 + 10).await;
            moment().await;
        }
        for rows in [0, 1, 10, 37, 1_000] {
            let found = logged.scan().project(["n"]).take_rows(rows).await.unwrap();
            let last = 300 - i64::try_from(rows.min(300)).unwrap();
            assert_eq!(found.num_columns(), 1);
            if rows % 10 == 0 {
                assert_eq!(sorted(column([&found], "n")), (last..300).collect::<Vec<_>>());
            }
            assert_eq!(found.num_rows(), rows.min(300));
        }

        let keyed = create(&connection, keyed(), 4, &[]).await;
        let writer = keyed.upsert_writer().unwrap();
        for key in 0..50 {
            let row = [Datum::Null, Datum::Int(key), Datum::BigInt(key.into())];
            writer.upsert(&row).await.unwrap();
        }
        writer.close().await.unwrap();
        for rows in [0, 1, 20, 1_000] {
            let found = keyed.scan().project(["n", "k"]).take_rows(rows).await.unwrap();
            assert_eq!(found.num_rows(), rows.min(50));
            let keys = found.column(1).as_primitive::<Int32Type>();
            let distinct: std::collections::BTreeSet<_> = keys.values().iter().collect();
            assert_eq!(distinct.len(), found.num_rows());
            assert!(
                keys.values()
                    .iter()
                    .zip(column([&found], "n"))
                    .all(|(k, n)| i64::from(*k) == n)
            );
        }
        let whole = keyed.scan().take_rows(1_000).await.unwrap();
        assert_eq!(whole.schema().field(1).name(), "k");
        assert!(!whole.schema().field(1).is_nullable());
    });
}

/// What each key has.
type Rows = BTreeMap<i32, i64>;

fn rows<'b>(batches: impl IntoIterator<Item = &'b RecordBatch>) -> Rows {
    let mut found = Rows::new();
    for batch in batches {
        let keys = batch.column_by_name("k").unwrap().as_primitive::<Int32Type>();
        let numbers = batch.column_by_name("n").unwrap().as_primitive::<Int64Type>();
        for (key, number) in keys.values().iter().zip(numbers.values()) {
            assert_eq!(found.insert(*key, *number), None, "key {key} is there twice");
        }
    }
    found
}

async fn snapshot(table: &Table, as_of: AsOf) -> Snapshot {
    timeout(PATIENCE, table.scan().snapshot(as_of))
        .await
        .expect("a read ends")
        .unwrap()
}

async fn rows_as_of(table: &Table, as_of: AsOf) -> Rows {
    let snapshot = snapshot(table, as_of).await;
    rows(snapshot.batches().map(|(_, batch)| batch))
}

/// Writes so many changes of so many keys, and keeps the model.
async fn change(table: &Table, model: &mut Rows, changes: std::ops::Range<i64>, keys: i64) {
    let writer = table.upsert_writer().unwrap();
    for number in changes {
        // Some order that comes to every key.
        let key = (number * 7_919 % keys) as i32;
        if number % 5 == 4 {
            writer.delete(&[Datum::Int(key)]).await.unwrap();
            model.remove(&key);
        } else {
            let text = format!("change {number}");
            let row = [Datum::from(text.as_str()), Datum::Int(key), Datum::BigInt(number)];
            writer.upsert(&row).await.unwrap();
            model.insert(key, number);
        }
    }
    writer.close().await.unwrap();
}

/// As `assert_eq`, but says only what differs first.
fn assert_same(found: &Rows, expected: &Rows) {
    let differs = |key: &&i32| found.get(key) != expected.get(key);
    let first = found.keys().chain(expected.keys()).find(differs);
    let of = |rows: &Rows| first.and_then(|key| rows.get(key).copied());
    assert_eq!(first, None, "{:?} instead of {:?}", of(found), of(expected));
}

fn a_table_is_what_its_changes_made_of_it_now_and_then(backend: Backend) {
    const KEYS: i64 = 20_000;
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, keyed(), 4, &[]).await;
        assert_eq!(snapshot(&table, AsOf::Latest).await.num_rows(), 0);
        let (mut model, mut past) = (Rows::new(), Vec::new());
        for phase in 0..4 {
            change(&table, &mut model, phase * 15_000..(phase + 1) * 15_000, KEYS).await;
            let offsets = snapshot(&table, AsOf::Latest).await.offsets().clone();
            past.push((moment().await, offsets, model.clone()));
        }
        assert_same(&rows_as_of(&table, AsOf::Latest).await, &model);
        for (time, offsets, model) in past {
            assert_same(
                &rows_as_of(&table, AsOf::Timestamp(Timestamp::from_millis(time))).await,
                &model,
            );
            let then = snapshot(&table, AsOf::Offsets(offsets.clone())).await;
            assert_eq!(then.offsets(), &offsets);
            assert_same(&rows(then.batches().map(|(_, batch)| batch)), &model);
        }
        // The key is read even if it is not shown.
        let shown = table.scan().project(["n"]).snapshot(AsOf::Latest).await.unwrap();
        assert_eq!(shown.schema().fields().len(), 1);
        let values = column(shown.batches().map(|(_, batch)| batch), "n");
        assert_eq!(sorted(values), sorted(model.into_values().collect()));
    });
}

/// The rows of each bucket at these offsets, by reading the log as anyone does.
async fn replayed(table: &Table, ends: &BTreeMap<TableBucket, Offset>) -> BTreeMap<TableBucket, Rows> {
    use fluss_client::ChangeType;
    use fluss_client::types::Row;
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let mut left: HashMap<_, _> = ends.iter().filter(|(_, end)| **end > 0).collect();
    let mut found: BTreeMap<TableBucket, Rows> = ends.keys().map(|bucket| (*bucket, Rows::new())).collect();
    while !left.is_empty() {
        let records = timeout(PATIENCE, scanner.poll(PATIENCE)).await.unwrap().unwrap();
        for (bucket, record) in records.iter() {
            let Some(end) = left.get(&bucket) else { continue };
            let (Datum::Int(key), Datum::BigInt(number)) = (record.row.datum(1), record.row.datum(2)) else {
                panic!("two numbers")
            };
            let rows = found.get_mut(&bucket).unwrap();
            match record.change_type {
                _ if record.offset >= **end => {}
                ChangeType::UpdateBefore => {}
                ChangeType::Delete => drop(rows.remove(&key)),
                _ => drop(rows.insert(key, number)),
            }
            if record.offset + 1 >= **end {
                left.remove(&bucket);
            }
        }
    }
    found
}

fn a_table_is_read_while_it_is_written(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, keyed(), 3, &[]).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writing = tokio::spawn({
            let (table, stop) = (table.clone(), stop.clone());
            async move {
                let mut model = Rows::new();
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // No deletes of what is not there, which a record would not tell of.
                    let writer = table.upsert_writer().unwrap();
                    for number in turn * 100..turn * 100 + 100 {
                        let key = (number % 1_000) as i32;
                        let row = [Datum::Null, Datum::Int(key), Datum::BigInt(number)];
                        writer.upsert(&row).await.unwrap();
                        model.insert(key, number);
                    }
                    writer.close().await.unwrap();
                }
                model
            }
        });
        for _ in 0..5 {
            let snapshot = snapshot(&table, AsOf::Latest).await;
            let expected = replayed(&table, snapshot.offsets()).await;
            for (bucket, expected) in expected {
                let batches = snapshot.batches().filter(|(of, _)| *of == bucket);
                assert_same(&rows(batches.map(|(_, batch)| batch)), &expected);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let model = writing.await.unwrap();
        assert_same(&rows_as_of(&table, AsOf::Latest).await, &model);
    });
}

async fn partitioned(connection: &Connection, key: &[&str]) -> Table {
    let schema = Schema::builder()
        .column("k", DataType::int())
        .column("part", DataType::string())
        .column("n", DataType::big_int());
    let schema = if key.is_empty() {
        schema
    } else {
        schema.primary_key(key.iter().copied())
    };
    let descriptor = TableDescriptor::builder(schema.build().unwrap())
        .partitioned_by(["part"])
        .distributed_by(2, ["k"]);
    create_described(connection, descriptor).await
}

fn the_partitions_of_a_table_are_read_as_one(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let (logged, keyed) = (
            partitioned(&connection, &[]).await,
            partitioned(&connection, &["k", "part"]).await,
        );
        let (writer, upserts) = (logged.append_writer().unwrap(), keyed.upsert_writer().unwrap());
        let mut model = Rows::new();
        for number in 0..400_i64 {
            let key = (number % 150) as i32;
            let part = format!("p{}", key % 5);
            let row = [Datum::Int(key), Datum::from(part.as_str()), Datum::BigInt(number)];
            writer.append(&row).await.unwrap();
            upserts.upsert(&row).await.unwrap();
            model.insert(key, number);
        }
        writer.close().await.unwrap();
        upserts.close().await.unwrap();

        let (start, stop) = (StartOffset::Earliest, StopOffset::Latest);
        assert_eq!(
            read_numbers(&logged, start, stop).await,
            (0..400).collect::<Vec<_>>()
        );
        assert_eq!(snapshot(&logged, AsOf::Latest).await.num_rows(), 400);
        assert_eq!(logged.scan().take_rows(123).await.unwrap().num_rows(), 123);
        assert_same(&rows_as_of(&keyed, AsOf::Latest).await, &model);
        assert_eq!(keyed.scan().take_rows(123).await.unwrap().num_rows(), 123);
        let found = snapshot(&keyed, AsOf::Latest).await;
        assert_eq!(found.offsets().len(), 10);
        assert_eq!(
            found.batches().map(|(_, batch)| batch.num_rows()).sum::<usize>(),
            150
        );
    });
}

/// All batches of a stream.
async fn drained(stream: &mut RowStream) -> Vec<RecordBatch> {
    let batches = timeout(PATIENCE, stream.try_collect());
    batches.await.expect("a read ends").unwrap()
}

async fn planned(table: &Table, as_of: AsOf) -> TableRead {
    table.scan().plan(as_of).await.unwrap()
}

/// A log table and a primary-key table with the same rows, in partitions of two buckets.
async fn alike(connection: &Connection, count: i64) -> [Table; 2] {
    let logged = partitioned(connection, &[]).await;
    let keyed = partitioned(connection, &["k", "part"]).await;
    let (writer, upserts) = (logged.append_writer().unwrap(), keyed.upsert_writer().unwrap());
    for number in 0..count {
        let key = number as i32;
        let part = format!("p{}", key % 3);
        let row = [Datum::Int(key), Datum::from(part.as_str()), Datum::BigInt(number)];
        writer.append(&row).await.unwrap();
        upserts.upsert(&row).await.unwrap();
    }
    writer.close().await.unwrap();
    upserts.close().await.unwrap();
    [logged, keyed]
}

fn a_plan_is_read_bucket_by_bucket_and_as_one(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let tables = alike(&connection, 300).await;
        let model: Rows = (0..300).map(|number| (number as i32, number)).collect();
        let after = moment().await;
        for table in &tables {
            for as_of in [AsOf::Latest, AsOf::Timestamp(Timestamp::from_millis(after))] {
                let read = planned(table, as_of.clone()).await;
                assert_eq!(read.buckets().len(), 6);
                let buckets: Vec<BucketRead> = read.buckets().to_vec();
                let mut all = read.into_stream();
                assert_same(&rows(&drained(&mut all).await), &model);
                assert!(all.has_ended());

                let whole = snapshot(table, as_of).await;
                assert_eq!(&all.offsets(), whole.offsets());
                let mut found = Rows::new();
                for read in buckets {
                    let of_bucket = whole.batches().filter(|(bucket, _)| *bucket == read.bucket());
                    let expected = rows(of_bucket.map(|(_, batch)| batch));
                    // A clone reads the same again.
                    for read in [read.clone(), read.clone()] {
                        let mut stream = read.into_stream();
                        let batches = drained(&mut stream).await;
                        assert!(batches.iter().all(|batch| batch.schema() == *stream.schema()));
                        assert_same(&rows(&batches), &expected);
                    }
                    assert_eq!(read.end_offset(), whole.offsets().get(&read.bucket()).copied());
                    found.extend(expected);
                }
                assert_same(&found, &model);
            }
        }
    });
}

fn a_log_is_planned_once_and_read_as_it_was(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create_by(&connection, numbers(), (3, &["n"]), &[]).await;
        append(&table, 0..300).await;
        let planned = table
            .scan()
            .project(["n"])
            .plan_log(Bounds::default())
            .await
            .unwrap();
        append(&table, 300..500).await;
        assert_eq!(planned.record_count().await.unwrap(), 300);
        assert_eq!(planned.schema().fields().len(), 1);
        // A clone reads the same again.
        for planned in [planned.clone(), planned] {
            let mut found = Vec::new();
            for part in planned.into_parts() {
                let (bucket, mut next) = (part.bucket(), part.start().unwrap_or(0));
                let end = part.end();
                let batches: Vec<ScanBatch> = part.into_stream().try_collect().await.unwrap();
                for scanned in &batches {
                    assert_eq!((scanned.bucket, scanned.base_offset), (bucket, next));
                    next += Offset::try_from(scanned.batch.num_rows()).unwrap();
                }
                assert_eq!(next, end, "{bucket}");
                found.extend(column(batches.iter().map(|scanned| &scanned.batch), "n"));
            }
            assert_eq!(sorted(found), (0..300).collect::<Vec<_>>());
        }
        let first = Bounds::Table {
            start: StartOffset::Earliest,
            stop: StopOffset::At(1),
        };
        let first = table.scan().plan_log(first).await.unwrap();
        assert_eq!(first.record_count().await.unwrap(), 3);
    });
}

/// How many rows a table has, and the numbers in them, as of these ends.
async fn as_of_ends(table: &Table, ends: &BTreeMap<TableBucket, Option<Offset>>) -> Vec<i64> {
    let ends = ends.iter().map(|(bucket, end)| (*bucket, end.unwrap()));
    let then = snapshot(table, AsOf::Offsets(ends.collect())).await;
    sorted(column(then.batches().map(|(_, batch)| batch), "n"))
}

fn writes_tell_where_they_landed(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let [logged, keyed] = alike(&connection, 20).await;
        let (writer, upserts) = (logged.append_writer().unwrap(), keyed.upsert_writer().unwrap());
        for number in 100..110_i64 {
            let row = [
                Datum::Int(number as i32),
                Datum::from("p1"),
                Datum::BigInt(number),
            ];
            for (table, handle) in [
                (&logged, writer.append(&row).await.unwrap()),
                (&keyed, upserts.upsert(&row).await.unwrap()),
            ] {
                assert!(handle.ends().is_empty() || handle.is_settled());
                let offset = handle.wait().await.unwrap();
                let ends = handle.ends();
                assert_eq!(ends.len(), 1);
                if !table.info().has_primary_key() {
                    assert_eq!(
                        ends.values().copied().next().unwrap(),
                        offset.map(|offset| offset + 1)
                    );
                }
                // Who has read to there has seen it, and who has not, has not.
                let found = as_of_ends(table, &ends).await;
                assert!(found.contains(&number), "{number} is not in {found:?}");
                let before = ends.iter().map(|(bucket, end)| (*bucket, end.map(|end| end - 1)));
                let found = as_of_ends(table, &before.collect()).await;
                assert!(!found.contains(&number), "{number} is in {found:?}");
            }
        }
        // Arrow data lands in more buckets than one.
        let batches = logged.append_writer().unwrap();
        let whole = snapshot(&logged, AsOf::Latest).await;
        let batch = whole
            .batches()
            .map(|(_, batch)| batch.clone())
            .collect::<Vec<_>>();
        let batch = arrow::compute::concat_batches(whole.schema(), &batch).unwrap();
        let handle = batches.append_arrow(&batch).await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), None);
        let ends = handle.ends();
        assert_eq!(
            ends.keys().collect::<Vec<_>>(),
            whole.offsets().keys().collect::<Vec<_>>()
        );
        assert_eq!(as_of_ends(&logged, &ends).await.len(), 2 * batch.num_rows());
    });
}

/// A server has room for eight scans of a bucket (`v1_0.md`), so those that were dropped must be over.
fn streams_that_are_dropped_stop(backend: Backend) {
    const ROWS: i64 = 60_000;
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for table in [
            create(&connection, numbers(), 1, &[]).await,
            create(&connection, keyed(), 1, &[]).await,
        ] {
            if table.info().has_primary_key() {
                change(&table, &mut Rows::new(), 0..ROWS, ROWS).await;
            } else {
                append(&table, 0..ROWS).await;
            }
            let whole = snapshot(&table, AsOf::Latest).await.num_rows();
            for _ in 0..20 {
                let mut stream = planned(&table, AsOf::Latest).await.into_stream();
                let first = timeout(PATIENCE, stream.try_next()).await.unwrap().unwrap();
                let first = first.expect("there are rows");
                let rows = first.num_rows();
                // What is put back comes again.
                stream.put_back([first]);
                let again = timeout(PATIENCE, stream.try_next()).await.unwrap().unwrap();
                assert_eq!(again.map(|batch| batch.num_rows()), Some(rows));
            }
            let mut stream = planned(&table, AsOf::Latest).await.into_stream();
            let rows = drained(&mut stream)
                .await
                .iter()
                .map(RecordBatch::num_rows)
                .sum::<usize>();
            assert_eq!(rows, whole);
        }
    });
}

fn a_filter_is_for_the_rows_that_are_read(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, keyed(), 2, &[]).await;
        let mut model = Rows::new();
        // Rows come to hold the condition, and hold it no more.
        change(&table, &mut model, 0..400, 90).await;
        model.retain(|_, number| (300..390).contains(number));
        let filtered = || {
            table
                .scan()
                .project(["k"])
                .filter(col("n").ge(300_i64) & col("n").lt(390_i64))
        };
        for as_of in [
            AsOf::Latest,
            AsOf::Timestamp(Timestamp::from_millis(moment().await)),
        ] {
            let found = filtered().snapshot(as_of).await.unwrap();
            let keys = found.batches().flat_map(|(_, batch)| {
                assert_eq!(batch.num_columns(), 1);
                batch.column(0).as_primitive::<Int32Type>().values().to_vec()
            });
            let keys: std::collections::BTreeSet<i32> = keys.collect();
            assert!(keys.iter().eq(model.keys()), "{keys:?}");
        }
        let error = filtered().take_rows(7).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");

        let logged = partitioned(&connection, &[]).await;
        let writer = logged.append_writer().unwrap();
        for number in 0..300_i64 {
            let part = format!("p{}", number % 3);
            let row = [Datum::Int(0), Datum::from(part.as_str()), Datum::BigInt(number)];
            writer.append(&row).await.unwrap();
        }
        writer.close().await.unwrap();
        let scan = logged.scan().filter(col("part").eq("p1") & col("n").ge(100_i64));
        let mut reader = scan.clone().read(Bounds::default()).await.unwrap();
        assert_eq!(reader.ends().len(), 2, "other partitions are not read");
        let batches = timeout(PATIENCE, reader.collect()).await.unwrap().unwrap();
        let expected: Vec<i64> = (100..300).filter(|number| number % 3 == 1).collect();
        assert_eq!(
            sorted(column(batches.iter().map(|scanned| &scanned.batch), "n")),
            expected
        );
        let whole = scan.snapshot(AsOf::Latest).await.unwrap();
        assert_eq!(
            sorted(column(whole.batches().map(|(_, batch)| batch), "n")),
            expected
        );
    });
}

/// A node that keeps hardly anything of a log.
fn forgetful() -> ClientOptions {
    let mut options = NodeOptions::new(Storage::Memory);
    options.housekeeping = Duration::from_millis(20);
    options.segment_bytes = 1 << 10;
    let mut leading = ClientOptions::new([]);
    embedded::lead(&mut leading, Node::open(options).unwrap());
    leading
}

fn what_a_changelog_has_lost_is_told(_: Backend) {
    run(async {
        let connection = Connection::open(forgetful()).await.unwrap();
        let table = create(&connection, keyed(), 1, &[("table.log.ttl", "1 ms")]).await;
        let (admin, path) = (connection.admin(), &table.info().path);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut model = Rows::new();
        for turn in 0.. {
            change(&table, &mut model, turn * 50..turn * 50 + 50, 20).await;
            let starts = admin
                .list_table_offsets(path, OffsetSpec::Earliest)
                .await
                .unwrap();
            if starts.values().all(|start| *start > 0) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "the log is kept");
        }
        let error = table
            .scan()
            .snapshot(AsOf::Timestamp(Timestamp::from_millis(moment().await)))
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Expired { start } if *start > 0),
            "{error}"
        );
        // The server has the rows all the same.
        assert_same(&rows_as_of(&table, AsOf::Latest).await, &model);
    });
}

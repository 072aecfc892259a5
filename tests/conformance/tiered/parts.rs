//! Parts of logs of which most is in remote storage: by offset and time, from saved positions, under conditions, under
//! schemas of different ages, by partition.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use fluss_client::filter::{Predicate, col};
use fluss_client::id::{BucketId, Offset, TableBucket};
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor};
use fluss_client::{
    Bounds, Connection, LogScanner, ScanBatch, ScanBuilder, StartOffset, StopOffset, Table, TableChange,
};
use tokio::time::timeout;

use super::disk::{local_start, wait_tiered};
use super::{KEEP_ONE, append, connect, half, ids, offset, projected, schema, shared, text, tiered_table};
use crate::place::Place;
use crate::positions::go_on;
use crate::reads::moment;
use crate::{Backend, CLUSTER, PATIENCE, create, create_described, options, run, tests};

tests! {
    CLUSTER => [
        what_is_read_may_begin_and_end_in_remote_storage,
        a_scanner_goes_on_within_a_tiered_segment,
        only_rows_of_tiered_segments_that_hold_a_condition_come,
        tiered_rows_of_before_a_column_was_added_lack_it,
        the_partitions_of_a_tiered_table_are_read_as_one,
    ],
}

const ROWS: i64 = 6_000;
const HALF: i64 = ROWS / 2;

/// The offset and the number of each row.
fn numbers(batches: &[ScanBatch]) -> Vec<(Offset, i64)> {
    let numbers = batches.iter().flat_map(|scanned| {
        let ids = scanned.batch.column_by_name("id").unwrap();
        let ids = ids.as_primitive::<Int64Type>().values().to_vec();
        scanned.offsets().values().to_vec().into_iter().zip(ids)
    });
    numbers.collect()
}

/// The rows of these numbers in a log of one bucket, in which every row has its number for an offset.
fn all(ids: impl IntoIterator<Item = i64>) -> Vec<(Offset, i64)> {
    ids.into_iter().map(|id| (id, id)).collect()
}

async fn read(scan: ScanBuilder, bounds: Bounds) -> Vec<ScanBatch> {
    let mut reader = scan.read(bounds).await.unwrap();
    timeout(PATIENCE, reader.collect()).await.unwrap().unwrap()
}

fn what_is_read_may_begin_and_end_in_remote_storage(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, schema(), 1, &[KEEP_ONE]).await;
        append(&table, 0..HALF).await;
        let middle = moment().await;
        append(&table, HALF..ROWS).await;
        wait_tiered(&place, &table, ROWS).await;
        let bucket = TableBucket::new(table.info().id, BucketId(0));
        let (earliest, latest) = (StartOffset::Earliest, StopOffset::Latest);
        for (start, stop, expected) in [
            (StartOffset::At(1_007), StopOffset::At(2_533), 1_007..2_533),
            (StartOffset::At(7), latest, 7..ROWS),
            (
                StartOffset::Timestamp(fluss_client::types::Timestamp::from_millis(middle + 1)),
                latest,
                HALF..ROWS,
            ),
            (
                earliest,
                StopOffset::Before(fluss_client::types::Timestamp::from_millis(middle + 1)),
                0..HALF,
            ),
            (
                earliest,
                StopOffset::AsOf(fluss_client::types::Timestamp::from_millis(middle)),
                0..HALF,
            ),
        ] {
            let bounds = Bounds::Buckets([(bucket, (start, stop))].into());
            let found = numbers(&read(table.scan(), bounds).await);
            let ends = (found.first(), found.last());
            assert!(found == all(expected), "{start:?} to {stop:?}: {ends:?}");
        }
    });
}

/// What a poll returns, of rows or of columns.
async fn poll(scanner: &LogScanner, arrow: bool) -> Vec<(TableBucket, Offset, i64)> {
    if !arrow {
        let records = scanner.poll(PATIENCE).await.unwrap();
        let record = records.iter();
        return record
            .map(|(bucket, record)| (bucket, record.offset, record.row.get(0).unwrap().unwrap()))
            .collect();
    }
    let batches = scanner.poll_arrow(PATIENCE).await.unwrap();
    let rows = batches.iter().flat_map(|scanned| {
        let numbers = numbers(std::slice::from_ref(scanned)).into_iter();
        numbers.map(|(offset, id)| (scanned.bucket, offset, id))
    });
    rows.collect()
}

/// A connection that writes, fetches and returns little at a time.
async fn frugal(place: &Place) -> Connection {
    let mut options = options(place);
    options.writer.batch_bytes = 4 << 10;
    options.scanner.max_poll_records = 77;
    options.scanner.fetch_max_bytes_per_bucket = 8 << 10;
    Connection::open(options).await.unwrap()
}

/// The rows that scanners return, each of which goes on where another stood after two polls.
async fn read_in_turns(table: &Table, count: i64) -> Vec<(TableBucket, Offset, i64)> {
    let (mut found, mut saved) = (Vec::new(), None::<String>);
    while offset(found.len()) < count {
        let scanner = table.scan().log_scanner().unwrap();
        go_on(&scanner, saved.as_deref()).await;
        let arrow = found.len() % 2 == 0;
        found.extend(poll(&scanner, arrow).await);
        found.extend(poll(&scanner, false).await);
        saved = Some(scanner.positions().unwrap().to_json());
    }
    found
}

fn a_scanner_goes_on_within_a_tiered_segment(backend: Backend) {
    let place = shared(backend);
    run(async {
        let (table, _) = tiered_table(&place, &frugal(&place).await, ROWS).await;
        let found = read_in_turns(&table, ROWS).await;
        let found: Vec<_> = found.into_iter().map(|(_, offset, id)| (offset, id)).collect();
        assert!(found == all(0..ROWS), "{} rows", found.len());
    });
}

fn only_rows_of_tiered_segments_that_hold_a_condition_come(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        for format in ["ARROW", "COMPACTED"] {
            let table = create(
                &connection,
                schema(),
                1,
                &[KEEP_ONE, ("table.log.format", format)],
            )
            .await;
            append(&table, 0..ROWS).await;
            wait_tiered(&place, &table, ROWS).await;
            let local = local_start(&place, &table, 0);
            // What it looks at is not shown.
            let condition = || col("half").ge(half(601)) & col("half").lt(half(1_802)) | last(local);
            let expected = all((601..1_802).chain([local - 1, local]));
            let scan = || table.scan().project(["id"]).filter(condition());
            assert!(numbers(&read(scan(), Bounds::default()).await) == expected);
            let scanner = scan().log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let mut found = Vec::new();
            while found.len() < expected.len() {
                let rows = poll(&scanner, false).await;
                found.extend(rows.into_iter().map(|(_, offset, id)| (offset, id)));
            }
            assert!(found == expected, "{} rows", found.len());
        }
    });
}

/// The last row in remote storage, and the first on the server's disk.
fn last(local: Offset) -> Predicate {
    col("half").is_in([half(local - 1), half(local)])
}

fn tiered_rows_of_before_a_column_was_added_lack_it(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let old = create(&connection, schema(), 1, &[KEEP_ONE]).await;
        append(&old, 0..HALF).await;
        let path = &old.info().path;
        let added = TableChange::add_column("score", DataType::int());
        connection
            .admin()
            .alter_table(path, &[added], false)
            .await
            .unwrap();
        let new = connection.table(path).await.unwrap();
        let writer = new.append_writer().unwrap();
        for id in HALF..ROWS {
            let text = text(id);
            let [score, text] = [Datum::Int(id as i32), Datum::from(text.as_str())];
            let row = [Datum::BigInt(id), text, Datum::Double(half(id)), score];
            writer.append(&row).await.unwrap();
        }
        writer.close().await.unwrap();
        wait_tiered(&place, &old, ROWS).await;

        for table in [&old, &new] {
            let scanner = table.scan().log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let found = ids(&scanner, BTreeMap::new(), ROWS as usize).await;
            assert!(found.into_iter().eq(0..ROWS));
            let scanner = table.scan().project(["text", "id"]).log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let found = projected(&scanner, ROWS as usize).await;
            assert!(found.into_iter().eq((0..ROWS).map(|id| (text(id), id))));
        }
        // Of batches of the first schema no column is wanted that they have.
        let mut scores = Vec::new();
        for scanned in read(new.scan().project(["score"]), Bounds::default()).await {
            scores.extend(scanned.batch.column(0).as_primitive::<Int32Type>().iter());
        }
        let score = |id| (HALF <= id).then_some(id as i32);
        assert!(scores.into_iter().eq((0..ROWS).map(score)));
    });
}

fn the_partitions_of_a_tiered_table_are_read_as_one(backend: Backend) {
    const PARTS: [&str; 2] = ["even", "odd"];
    const ROWS: i64 = 10_000;
    const HALF: i64 = ROWS / 2;
    let place = shared(backend);
    run(async {
        let connection = frugal(&place).await;
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("text", DataType::string())
            .column("part", DataType::string());
        let descriptor = TableDescriptor::builder(schema.build().unwrap())
            .property(KEEP_ONE.0, KEEP_ONE.1)
            .partitioned_by(["part"])
            .distributed_by(1, std::iter::empty::<&str>());
        let table = create_described(&connection, descriptor).await;
        let writer = table.append_writer().unwrap();
        for id in 0..ROWS {
            let (text, part) = (text(id), PARTS[(id % 2) as usize]);
            let row = [Datum::BigInt(id), Datum::from(text.as_str()), Datum::from(part)];
            writer.append(&row).await.unwrap();
        }
        writer.close().await.unwrap();
        wait_tiered(&place, &table, ROWS).await;

        let mut found: BTreeMap<TableBucket, Vec<(Offset, i64)>> = BTreeMap::new();
        for (bucket, offset, id) in read_in_turns(&table, ROWS).await {
            found.entry(bucket).or_default().push((offset, id));
        }
        let of_part = |part: i64| -> Vec<(Offset, i64)> {
            (0..HALF).map(|offset| (offset, 2 * offset + part)).collect()
        };
        let mut parts: Vec<_> = found.into_values().collect();
        parts.sort_unstable();
        assert!(parts == [of_part(0), of_part(1)]);
        let odd = table.scan().project(["id"]).filter(col("part").eq("odd"));
        assert!(numbers(&read(odd, Bounds::default()).await) == of_part(1));
    });
}

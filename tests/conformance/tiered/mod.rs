//! Logs of which most is in remote storage.

pub mod changelogs;
mod disk;
pub mod parts;
pub mod reader;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fluss_client::id::{BucketId, Offset, TableBucket};
use fluss_client::types::{DataType, Datum, Row, Schema};
use fluss_client::{
    BucketAssigner, Connection, ErrorKind, LogScanner, OffsetSpec, ScanBatch, StartOffset, StorageError,
    Table,
};
use fluss_cluster::Spec;
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};
use tokio::time::Instant;

use crate::place::Place;
use crate::{Backend, CLUSTER, PATIENCE, Shared, create, options, run, start, tests};
use disk::{local_start, remote_files, start_of, wait_tiered};

tests! {
    CLUSTER => [
        a_tiered_log_of_every_format_is_read_as_any_other,
        a_segment_that_is_away_is_told_by_name_and_read_when_it_is_back,
        a_damaged_segment_is_told_by_name,
        a_table_larger_than_memory_may_be_is_read_while_it_is_written,
    ],
}

/// A cluster that moves segments of this size to remote storage as soon as they are full.
fn tiering(segment: &str) -> Spec {
    Spec::new()
        .property("log.segment.file-size", segment)
        .property("remote.log.task-interval-duration", "1 s")
        // A changelog stays on the disk until the rows that it led to are kept elsewhere.
        .property("kv.snapshot.interval", "1 s")
}

/// One with small segments, which the tests here share that run at the same time.
fn shared(backend: Backend) -> Arc<Place> {
    static PLACES: Shared = Shared::new();
    PLACES.start(backend, tiering("16kb"))
}

const KEEP_ONE: (&str, &str) = ("table.log.tiered.local-segments", "1");

/// A connection that writes small batches, to all buckets in turn.
async fn connect(place: &Place) -> Connection {
    let mut options = options(place);
    options.request_timeout = Duration::from_secs(3);
    options.writer.batch_bytes = 4 << 10;
    options.writer.bucket_assigner = BucketAssigner::RoundRobin;
    Connection::open(options).await.unwrap()
}

fn schema() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .column("text", DataType::string())
        .column("half", DataType::double())
        .build()
        .unwrap()
}

fn text(id: i64) -> String {
    format!("{id} {}", "abc".repeat(usize::try_from(id % 60).unwrap()))
}

fn half(id: i64) -> f64 {
    f64::from(i32::try_from(id).unwrap()) / 2.0
}

fn offset(count: usize) -> Offset {
    count.try_into().unwrap()
}

async fn append(table: &Table, ids: std::ops::Range<i64>) {
    let writer = table.append_writer().unwrap();
    for id in ids {
        let text = text(id);
        let row = [
            Datum::BigInt(id),
            Datum::from(text.as_str()),
            Datum::Double(half(id)),
        ];
        writer.append(&row).await.unwrap();
    }
    writer.close().await.unwrap();
}

/// The ids of each bucket's rows from these offsets on. The offsets have no gaps.
async fn ids(scanner: &LogScanner, mut next: BTreeMap<i32, Offset>, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while ids.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} rows came", ids.len());
        let records = scanner.poll(Duration::from_secs(1)).await.unwrap();
        for (bucket, record) in records.iter() {
            let next = next.entry(bucket.bucket.get()).or_default();
            assert_eq!(record.offset, *next);
            *next += 1;
            let id: i64 = record.row.get(0).unwrap().unwrap();
            assert_eq!(record.row.datum(1), Datum::from(text(id).as_str()));
            assert_eq!(record.row.datum(2), Datum::Double(half(id)));
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids
}

async fn end(connection: &Connection, table: &Table, bucket: i32) -> Offset {
    let (admin, bucket) = (connection.admin(), BucketId(bucket));
    let ends = admin
        .list_offsets(&table.info().path, &[bucket], OffsetSpec::Latest)
        .await;
    ends.unwrap()[&bucket]
}

/// The rows of every batch of text and number, in the order of a projection that asks for these.
async fn projected(scanner: &LogScanner, count: usize) -> Vec<(String, i64)> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let mut rows = Vec::new();
    let mut next: BTreeMap<TableBucket, Offset> = BTreeMap::new();
    while rows.len() < count {
        for ScanBatch {
            bucket,
            base_offset,
            batch,
            ..
        } in scanner.poll_arrow(PATIENCE).await.unwrap()
        {
            let next = next.entry(bucket).or_default();
            assert_eq!(base_offset, *next);
            *next += offset(batch.num_rows());
            let texts = batch
                .column(0)
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned);
            rows.extend(
                texts.zip(
                    batch
                        .column(1)
                        .as_primitive::<Int64Type>()
                        .values()
                        .iter()
                        .copied(),
                ),
            );
        }
    }
    rows.sort_unstable_by_key(|(_, id)| *id);
    rows
}

fn a_tiered_log_of_every_format_is_read_as_any_other(backend: Backend) {
    const ROWS: i64 = 4_000;
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        for format in ["ARROW", "INDEXED", "COMPACTED"] {
            let properties = [KEEP_ONE, ("table.log.format", format)];
            let table = create(&connection, schema(), 2, &properties).await;
            append(&table, 0..ROWS).await;
            wait_tiered(&place, &table, ROWS).await;

            let scanner = table.scan().log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let read = ids(&scanner, BTreeMap::new(), ROWS as usize).await;
            assert_eq!(read, (0..ROWS).collect::<Vec<_>>());

            let scanner = table.scan().project(["text", "id"]).log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::At(0)).await.unwrap();
            let read = projected(&scanner, ROWS as usize).await;
            assert_eq!(read, (0..ROWS).map(|id| (text(id), id)).collect::<Vec<_>>());

            // Somewhere in a segment, and there somewhere in a batch.
            let middle = local_start(&place, &table, 1) / 2 + 7;
            let scanner = table.scan().log_scanner().unwrap();
            scanner
                .subscribe(BucketId(1), StartOffset::At(middle))
                .await
                .unwrap();
            let end = end(&connection, &table, 1).await;
            let read = ids(&scanner, BTreeMap::from([(1, middle)]), (end - middle) as usize).await;
            assert_eq!(offset(read.len()), end - middle);
        }
    });
}

/// A table of one bucket of which most is tiered, and its tiered segments.
async fn tiered_table(place: &Place, connection: &Connection, rows: i64) -> (Table, Vec<PathBuf>) {
    let table = create(connection, schema(), 1, &[KEEP_ONE]).await;
    append(&table, 0..rows).await;
    wait_tiered(place, &table, rows).await;
    let files = remote_files(place, &table);
    (table, files)
}

/// Polls until it fails; what came before is dropped.
async fn failure(scanner: &LogScanner) -> (fluss_client::Error, usize) {
    let mut read = 0;
    loop {
        match scanner.poll(Duration::from_secs(30)).await {
            Ok(records) => {
                assert!(!records.is_empty());
                read += records.len();
            }
            Err(error) => return (error, read),
        }
    }
}

fn a_segment_that_is_away_is_told_by_name_and_read_when_it_is_back(backend: Backend) {
    const ROWS: i64 = 10_000;
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let (table, files) = tiered_table(&place, &connection, ROWS).await;
        let (second, away) = (&files[1], files[1].with_extension("away"));
        fs::rename(second, &away).unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (error, read) = failure(&scanner).await;
        assert_eq!(offset(read), start_of(second), "what precedes it is read");
        let told = error.to_string();
        let name = second.display().to_string();
        assert!(
            told.contains("bucket 0") && told.contains(&name) && told.ends_with("is not there"),
            "{told}"
        );
        assert!(error.is_retriable());
        fs::rename(&away, second).unwrap();
        let left = (ROWS - start_of(second)) as usize;
        let read = ids(&scanner, BTreeMap::from([(0, start_of(second))]), left).await;
        assert_eq!(read, (start_of(second)..ROWS).collect::<Vec<_>>());
    });
}

fn a_damaged_segment_is_told_by_name(backend: Backend) {
    const ROWS: i64 = 10_000;
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let (table, files) = tiered_table(&place, &connection, ROWS).await;
        let mut bytes = fs::read(&files[1]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&files[1], &bytes).unwrap();
        // The checksum is that of the whole batch, whatever is wanted of it.
        for scan in [table.scan(), table.scan().project(["id"])] {
            let scanner = scan.log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let (error, read) = failure(&scanner).await;
            assert!(offset(read) > start_of(&files[1]));
            let ErrorKind::Storage(fault) = error.kind() else {
                panic!("{error}");
            };
            assert!(matches!(**fault, StorageError::Damaged { .. }), "{error}");
            assert_eq!(fault.file(), files[1].display().to_string());
        }
    });
}

/// How many bytes the text of a row has in the large table, which nothing compresses.
const TEXT_BYTES: usize = 1_000;
/// What a client may take while it reads the large table, in KiB.
const MEMORY_KIB: u64 = 200 << 10;

/// Appends rows with large texts, as one batch for each thousand.
async fn append_large(table: &Table, ids: std::ops::Range<i64>) {
    let writer = table.append_writer().unwrap();
    let ids: Vec<i64> = ids.collect();
    for ids in ids.chunks(1_000) {
        let mut columns = ColumnsBuilder::new(table.info().row_type(), ids.len());
        for id in ids {
            let text = reader::text(*id, TEXT_BYTES);
            columns
                .append(&[Datum::BigInt(*id), Datum::from(text.as_str())])
                .unwrap();
        }
        let batch = with_schema(&columns.finish().unwrap(), &user_schema(table.info().row_type())).unwrap();
        writer.append_arrow(&batch).await.unwrap();
    }
    writer.close().await.unwrap();
}

fn a_table_larger_than_memory_may_be_is_read_while_it_is_written(backend: Backend) {
    const BEFORE: i64 = 240_000;
    const MEANWHILE: i64 = 20_000;
    let place = start(backend, tiering("4mb"));
    run(async {
        let mut options = options(&place);
        options.writer.bucket_assigner = BucketAssigner::RoundRobin;
        let connection = Connection::open(options).await.unwrap();
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("text", DataType::string());
        let properties = [KEEP_ONE, ("table.log.arrow.compression.type", "NONE")];
        let table = create(&connection, schema.build().unwrap(), 3, &properties).await;
        append_large(&table, 0..BEFORE).await;
        wait_tiered(&place, &table, BEFORE).await;
        let readers: Vec<_> = [reader::Face::Rows, reader::Face::Arrow]
            .into_iter()
            .map(|face| reader::Reader {
                bootstrap: place.bootstrap(),
                table: table.info().path.clone(),
                face,
                rows: BEFORE + MEANWHILE,
                text_bytes: TEXT_BYTES,
            })
            .map(|reader| tokio::task::spawn_blocking(move || reader.run_apart()))
            .collect();
        append_large(&table, BEFORE..BEFORE + MEANWHILE).await;
        for reader in readers {
            let peak = reader.await.unwrap();
            println!("a client that read {} MB had at most {} MiB", 260, peak >> 10);
            assert!(peak < MEMORY_KIB, "{peak} KiB");
        }
    });
}

//! A scan with a filter gives exactly the rows that hold it.

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_client::ChangeType;
use fluss_client::filter::{Predicate, col};
use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::{DataType, Datum, OwnedRow, Row, Schema, TableDescriptor};
use fluss_client::{Connection, LogScanner, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_core::arrow::ArrowRows;

use crate::observability::sum;
use crate::{
    Backend, EVERYWHERE, NODES, PATIENCE, connect, create, create_described, options, read, run, start, tests,
};

tests! {
    EVERYWHERE => [
        exactly_the_rows_that_hold_a_condition_come_in_every_format,
        each_side_of_a_change_is_tested_by_itself,
        only_partitions_that_can_match_are_followed,
        a_condition_that_does_not_fit_the_table_is_refused,
    ],
    NODES => [batches_that_hold_nothing_of_a_condition_are_not_fetched],
}

const ROWS: i32 = 600;

fn schema() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int().not_null())
        .column("name", DataType::string())
        .column("x", DataType::double())
        .column("flag", DataType::boolean())
        .build()
        .unwrap()
}

fn row(id: i32) -> OwnedRow {
    vec![
        i64::from(id).into(),
        (id % 7 != 0).then(|| format!("name-{}", id % 50)).into(),
        (f64::from(id) / 4.0).into(),
        (id % 3 == 0).into(),
    ]
}

/// A condition, and what it means.
type Case = (Predicate, fn(i64) -> bool);

fn cases() -> Vec<Case> {
    vec![
        (col("id").ge(200), |id| id >= 200),
        (col("id").lt(3_i64) | col("id").eq(599), |id| id < 3 || id == 599),
        (col("x").gt(100.0) & col("flag").eq(true), |id| {
            id > 400 && id % 3 == 0
        }),
        (col("name").is_null(), |id| id % 7 == 0),
        (col("name").eq("name-8"), |id| id % 7 != 0 && id % 50 == 8),
        (!col("name").eq("name-8"), |id| id % 7 != 0 && id % 50 != 8),
        (col("name").ends_with("-11"), |id| id % 7 != 0 && id % 50 == 11),
        (col("name").contains("e-4"), |id| {
            id % 7 != 0 && (id % 50 == 4 || id % 50 >= 40)
        }),
        (col("name").starts_with("x"), |_| false),
        (col("id").is_in([1_i64, 5, 700]), |id| id == 1 || id == 5),
        (col("name").is_not_null(), |id| id % 7 != 0),
    ]
}

async fn fill(table: &Table) {
    let writer = table.append_writer().unwrap();
    for id in 0..ROWS {
        writer.append(&row(id)).await.unwrap();
        if id % 100 == 99 {
            writer.flush().await.unwrap();
        }
    }
    writer.close().await.unwrap();
}

fn id_of(row: &(impl Row + ?Sized)) -> i64 {
    let Datum::BigInt(id) = row.datum(0) else {
        panic!("{:?}", row.to_owned_row())
    };
    id
}

/// Where each row is.
type Places = BTreeMap<i64, (TableBucket, Offset)>;

async fn scanner(table: &Table, predicate: Option<Predicate>) -> LogScanner {
    let mut scan = table.scan().project(["id"]);
    if let Some(predicate) = predicate {
        scan = scan.filter(predicate);
    }
    let scanner = scan.log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    scanner
}

/// So many rows, polled as rows and as batches in turns; and nothing behind them.
async fn places(scanner: &LogScanner, count: usize) -> Places {
    let mut places = Places::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while places.len() < count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {count} came",
            places.len()
        );
        for (bucket, record) in scanner.poll(Duration::from_millis(500)).await.unwrap().iter() {
            assert!(
                places
                    .insert(id_of(&record.row), (bucket, record.offset))
                    .is_none()
            );
        }
        for batch in scanner.poll_arrow(Duration::ZERO).await.unwrap() {
            let rows = ArrowRows::new(batch.batch.clone(), &schema().row_type().project(&[0])).unwrap();
            for row in 0..rows.len() {
                assert_eq!(batch.offset(row), batch.offsets().value(row));
                let place = (batch.bucket, batch.offset(row));
                assert!(places.insert(id_of(&rows.row(row)), place).is_none());
            }
        }
    }
    assert!(scanner.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    places
}

fn exactly_the_rows_that_hold_a_condition_come_in_every_format(backend: Backend) {
    let place = start(backend, Spec::default());
    run(async {
        let connection = connect(&place).await;
        for format in ["ARROW", "INDEXED", "COMPACTED"] {
            let table = create(&connection, schema(), 3, &[("table.log.format", format)]).await;
            fill(&table).await;
            let all = places(&scanner(&table, None).await, ROWS as usize).await;
            for (predicate, meaning) in cases() {
                let mut expected = all.clone();
                expected.retain(|id, _| meaning(*id));
                let found = places(&scanner(&table, Some(predicate.clone())).await, expected.len()).await;
                assert_eq!(found, expected, "{format} {predicate:?}");
            }
        }
    });
}

/// Batches whose statistics show that no row holds (`v1_0.md` §4): a server of 1.0 leaves them out, and positions move on.
fn batches_that_hold_nothing_of_a_condition_are_not_fetched(backend: Backend) {
    const BATCHES: i64 = 200;
    const BATCH: i64 = 50;
    let place = start(backend, Spec::default());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, schema(), 1, &[("table.statistics.columns", "*")]).await;
        let writer = table.append_writer().unwrap();
        for id in 0..BATCHES * BATCH {
            writer.append(&row(id as i32)).await.unwrap();
            if id % BATCH == BATCH - 1 {
                writer.flush().await.unwrap();
            }
        }
        writer.close().await.unwrap();
        let path = table.info().path.to_string();
        let fetched = || sum("fluss_client_scanner_bytes_total", &path);
        let all = places(&scanner(&table, None).await, (BATCHES * BATCH) as usize).await;
        let bytes_of_all = fetched();
        let conditions: [Case; 3] = [
            (col("id").ge(5_850) & col("id").lt(5_950), |id| {
                (5_850..5_950).contains(&id)
            }),
            (col("x").eq(1_000.0) | col("id").is_in([9_999_i64]), |id| {
                id == 4_000 || id == 9_999
            }),
            (col("name").starts_with("x"), |_| false),
        ];
        for (condition, meaning) in conditions {
            let before = fetched();
            let mut expected = all.clone();
            expected.retain(|id, _| meaning(*id));
            let filtered = scanner(&table, Some(condition.clone())).await;
            assert_eq!(places(&filtered, expected.len()).await, expected, "{condition:?}");
            let bytes = fetched() - before;
            assert!(
                bytes * 10 <= bytes_of_all,
                "{bytes} of {bytes_of_all} for {condition:?}"
            );
            // It stands behind the batches that were left out, and would not ask for them again.
            let positions = filtered.positions().unwrap();
            let ends: Vec<_> = positions.buckets().map(|(_, offset)| offset).collect();
            assert_eq!(ends, [StartOffset::At(BATCHES * BATCH)], "{condition:?}");
        }
    });
}

fn each_side_of_a_change_is_tested_by_itself(backend: Backend) {
    let place = start(backend, Spec::default());
    run(async {
        let connection = connect(&place).await;
        let schema = Schema::builder()
            .column("id", DataType::int())
            .column("n", DataType::int())
            .primary_key(["id"]);
        let table = create(&connection, schema.build().unwrap(), 1, &[]).await;
        let writer = table.upsert_writer().unwrap();
        for n in [1, 5, 2, 7] {
            writer.upsert(&[Datum::Int(1), Datum::Int(n)]).await.unwrap();
        }
        writer.delete(&[Datum::Int(1)]).await.unwrap();
        writer.close().await.unwrap();
        let scanner = table.scan().filter(col("n").gt(3)).log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let mut changes = Vec::new();
        while changes.len() < 4 {
            for batch in scanner.poll_arrow(PATIENCE).await.unwrap() {
                let rows = ArrowRows::new(batch.batch.clone(), table.info().row_type()).unwrap();
                let types = batch.change_types.clone().unwrap();
                changes.extend((0..rows.len()).map(|row| (types[row], rows.row(row).datum(1).into_owned())));
            }
        }
        let expected = [
            (ChangeType::UpdateAfter, Datum::Int(5)),
            (ChangeType::UpdateBefore, Datum::Int(5)),
            (ChangeType::UpdateAfter, Datum::Int(7)),
            (ChangeType::Delete, Datum::Int(7)),
        ];
        assert_eq!(changes, expected);
    });
}

fn only_partitions_that_can_match_are_followed(backend: Backend) {
    let place = start(backend, Spec::default());
    run(async {
        let mut options = options(&place);
        options.scanner.partition_discovery = Duration::from_millis(100);
        let connection = Connection::open(options).await.unwrap();
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("region", DataType::string())
            .build()
            .unwrap();
        let descriptor = TableDescriptor::builder(schema).partitioned_by(["region"]);
        let table = create_described(&connection, descriptor).await;
        let writer = table.append_writer().unwrap();
        let append = async |id: i64, region: &'static str| {
            writer.append(&[id.into(), region.into()]).await.unwrap();
            writer.flush().await.unwrap();
        };
        append(1, "eu").await;
        append(2, "us").await;
        let of_europe = col("region").starts_with("eu") & col("id").ne(3);
        let scanner = table
            .scan()
            .project(["id"])
            .filter(of_europe)
            .log_scanner()
            .unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        for (id, region) in [(3, "eu"), (4, "asia"), (5, "eu-north"), (6, "us")] {
            append(id, region).await;
        }
        let mut ids = Vec::new();
        read(&scanner, 2, |_, _, row| ids.push(id_of(&row))).await;
        ids.sort_unstable();
        assert_eq!(ids, [1, 5]);
    });
}

fn a_condition_that_does_not_fit_the_table_is_refused(backend: Backend) {
    let place = start(backend, Spec::default());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, schema(), 1, &[]).await;
        let fault = |predicate: Predicate| {
            let error = table.scan().filter(predicate).log_scanner().unwrap_err();
            assert_eq!(
                error.context().table.as_ref().map(|place| &place.table),
                Some(&table.info().path)
            );
            error.to_string()
        };
        assert!(fault(col("z").eq(1)).contains("column 'z': there is no such column"));
        assert!(fault(col("id").eq("1")).contains("column 'id'"));
        assert!(fault(col("x").starts_with("1")).contains("column 'x'"));
    });
}

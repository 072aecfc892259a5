//! Partitioned tables: rows find their partitions, which come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fluss_client::id::{BucketId, PartitionId, TableBucket};
use fluss_client::types::{
    DataType, Datum, OwnedRow, PartitionName, PartitionSpec, Row, Schema, TableDescriptor, TablePath,
};
use fluss_client::{AppendWriter, Connection, ErrorCode, LogScanner, OffsetSpec, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};

use crate::{Backend, EVERYWHERE, PATIENCE, Place, connect, create_table, options, run, start, tests};

tests! {
    EVERYWHERE => [
        rows_and_batches_find_partitions_of_every_kind,
        every_row_is_read_once_while_partitions_appear,
        many_writers_of_one_new_partition_agree_on_it,
        a_partition_that_is_refused_fails_only_its_rows,
        without_creation_a_missing_partition_is_an_error_until_it_is_there,
        a_partition_that_is_dropped_and_created_again_is_written_and_read_as_a_new_one,
        partitions_are_subscribed_by_id_and_their_offsets_listed_by_name,
        what_the_clock_creates_is_written_like_any_other,
        rows_of_a_primary_key_table_find_their_partitions,
    ],
}

/// A connection that looks for new partitions often.
async fn attentive(place: &Place) -> Connection {
    let mut options = options(place);
    options.scanner.partition_discovery = Duration::from_millis(100);
    Connection::open(options).await.unwrap()
}

/// A table of a number and of columns `p0`, `p1` and so on, by which it is partitioned.
async fn partitioned(connection: &Connection, types: &[&str], properties: &[(&str, &str)]) -> Table {
    let columns = types.iter().enumerate();
    let columns = columns.map(|(index, text)| (format!("p{index}"), text.parse::<DataType>().unwrap()));
    let columns: Vec<_> = columns.collect();
    let keys: Vec<_> = columns.iter().map(|(name, _)| name.clone()).collect();
    let schema = columns.into_iter().fold(
        Schema::builder().column("id", DataType::big_int()),
        |builder, (name, data_type)| builder.column(name, data_type),
    );
    create(connection, schema.build().unwrap(), &keys, &["id"], properties).await
}

async fn create(
    connection: &Connection,
    schema: Schema,
    partition_keys: &[String],
    bucket_keys: &[&str],
    properties: &[(&str, &str)],
) -> Table {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = TablePath::new("fluss", format!("p{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let descriptor = TableDescriptor::builder(schema)
        .partitioned_by(partition_keys.iter().cloned())
        .distributed_by(2, bucket_keys.iter().copied());
    let descriptor = properties.iter().fold(descriptor, |descriptor, (key, value)| {
        descriptor.property(*key, *value)
    });
    create_table(connection, &path, &descriptor.build().unwrap()).await;
    connection.table(&path).await.unwrap()
}

fn row(id: i64, partition: &str) -> [Datum<'_>; 2] {
    [Datum::BigInt(id), Datum::from(partition)]
}

fn spec(value: &str) -> PartitionSpec {
    PartitionSpec::new([("p0", value)])
}

fn id(row: &impl Row) -> i64 {
    let Datum::BigInt(id) = row.datum(0) else {
        panic!("the first column is the number")
    };
    id
}

async fn names(table: &Table) -> HashMap<PartitionId, String> {
    let admin = table.connection().admin();
    let partitions = admin.list_partitions(&table.info().path, None).await.unwrap();
    partitions
        .iter()
        .map(|partition| (partition.id, partition.name().to_string()))
        .collect()
}

/// The ids of so many rows, by the name of their partition. Each row comes once.
async fn read(scanner: &LogScanner, count: usize) -> BTreeMap<PartitionId, BTreeSet<i64>> {
    let mut found: BTreeMap<PartitionId, BTreeSet<i64>> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut left = count;
    while left > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{left} of {count} rows are missing"
        );
        let records = scanner.poll(Duration::from_secs(1)).await.unwrap();
        left = left.checked_sub(records.len()).expect("no row comes twice");
        for (bucket, record) in records.iter() {
            let ids = found.entry(bucket.partition.unwrap()).or_default();
            assert!(ids.insert(id(&record.row)), "row {} came twice", id(&record.row));
        }
    }
    found
}

async fn read_all(table: &Table, count: usize) -> BTreeMap<PartitionId, BTreeSet<i64>> {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    read(&scanner, count).await
}

async fn append_batch(writer: &AppendWriter, rows: &[OwnedRow]) {
    let row_type = writer.table().row_type();
    let mut columns = ColumnsBuilder::new(row_type, rows.len());
    for row in rows {
        columns.append(row).unwrap();
    }
    let batch = with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap();
    writer.append_arrow(&batch).await.unwrap();
}

/// The rows and batches of a table that mix partitions end in their partitions.
async fn mixed(
    connection: &Connection,
    types: &[&str],
    values: &[(Vec<Datum<'static>>, &str)],
    format: &str,
) {
    let table = partitioned(connection, types, &[("table.log.format", format)]).await;
    let writer = table.append_writer().unwrap();
    let numbered = (0_i64..60).map(|id| {
        let (partition, _) = &values[id as usize % values.len()];
        std::iter::once(Datum::BigInt(id))
            .chain(partition.clone())
            .collect::<OwnedRow>()
    });
    let rows: Vec<OwnedRow> = numbered.collect();
    let (single, batch) = rows.split_at(30);
    let handles = single.iter().map(|row| writer.append(row));
    let handles = futures_of(handles).await;
    append_batch(&writer, batch).await;
    writer.flush().await.unwrap();
    assert!(handles.iter().all(fluss_client::WriteHandle::is_settled));

    let names = names(&table).await;
    let found = read_all(&table, rows.len()).await;
    let found: BTreeMap<&str, &BTreeSet<i64>> = found
        .iter()
        .map(|(id, rows)| (names[id].as_str(), rows))
        .collect();
    let mut expected: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for id in 0..60 {
        let (_, name) = &values[id as usize % values.len()];
        expected.entry(name).or_default().insert(id);
    }
    let expected: BTreeMap<&str, &BTreeSet<i64>> = expected.iter().map(|(name, ids)| (*name, ids)).collect();
    assert_eq!(found, expected, "{types:?}");
}

async fn futures_of<T, E: std::fmt::Debug>(
    futures: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
) -> Vec<T> {
    let mut all = Vec::new();
    for future in futures {
        all.push(future.await.unwrap());
    }
    all
}

fn rows_and_batches_find_partitions_of_every_kind(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let text = |text: &'static str| Datum::from(text);
        let strings = [(vec![text("eu")], "eu"), (vec![text("us")], "us")];
        for format in ["ARROW", "INDEXED", "COMPACTED"] {
            mixed(&connection, &["STRING"], &strings, format).await;
        }
        let numbers = [(vec![Datum::Int(-1)], "-1"), (vec![Datum::Int(20)], "20")];
        mixed(&connection, &["INT"], &numbers, "ARROW").await;
        let days = [
            (vec![Datum::Date(0)], "1970-01-01"),
            (vec![Datum::Date(19_756)], "2024-02-03"),
        ];
        mixed(&connection, &["DATE"], &days, "ARROW").await;
        let several = [
            (
                vec![Datum::Date(0), text("eu"), Datum::Boolean(true)],
                "1970-01-01$eu$true",
            ),
            (
                vec![Datum::Date(0), text("us"), Datum::Boolean(true)],
                "1970-01-01$us$true",
            ),
            (
                vec![Datum::Date(1), text("eu"), Datum::Boolean(false)],
                "1970-01-02$eu$false",
            ),
        ];
        mixed(&connection, &["DATE", "STRING", "BOOLEAN"], &several, "ARROW").await;
    });
}

fn every_row_is_read_once_while_partitions_appear(backend: Backend) {
    const PARTITIONS: i64 = 20;
    const ROWS: i64 = 50;
    let place = start(backend, Spec::new());
    run(async {
        let connection = attentive(&place).await;
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let writer = table.append_writer().unwrap();
        let write = async {
            for partition in 0..PARTITIONS {
                let name = format!("n{partition}");
                for number in 0..ROWS {
                    writer
                        .append(&row(partition * ROWS + number, &name))
                        .await
                        .unwrap();
                }
                writer.flush().await.unwrap();
            }
        };
        let (found, ()) = tokio::join!(read(&scanner, (PARTITIONS * ROWS) as usize), write);
        assert_eq!(found.len(), PARTITIONS as usize);
        assert!(found.values().all(|ids| ids.len() == ROWS as usize));
        assert_eq!(
            table
                .connection()
                .admin()
                .row_count(&table.info().path)
                .await
                .unwrap(),
            PARTITIONS * ROWS
        );
    });
}

fn many_writers_of_one_new_partition_agree_on_it(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let writers: Vec<_> = (0..8).map(|_| table.append_writer().unwrap()).collect();
        for (id, writer) in (0..).zip(&writers) {
            writer.append(&row(id, "new")).await.unwrap();
        }
        for writer in &writers {
            writer.flush().await.unwrap();
        }
        let found = read_all(&table, writers.len()).await;
        assert_eq!(found.len(), 1);
    });
}

fn a_partition_that_is_refused_fails_only_its_rows(backend: Backend) {
    let place = start(backend, Spec::new().property("max.partition.num", "2"));
    run(async {
        let connection = connect(&place).await;
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let writer = table.append_writer().unwrap();
        writer.append(&row(0, "a")).await.unwrap();
        writer.append(&row(1, "b")).await.unwrap();
        writer.flush().await.unwrap();

        let refused = writer.append(&row(2, "c")).await.unwrap();
        let taken = writer.append(&row(3, "a")).await.unwrap();
        taken.wait().await.unwrap();
        let error = refused.wait().await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::PARTITION_MAX_NUM), "{error}");
        let physical = error.context().table.clone().unwrap();
        assert_eq!(physical.table, table.info().path);
        assert_eq!(physical.partition, Some(PartitionName::from("c".to_owned())));
        assert_eq!(
            writer.flush().await.unwrap_err().code(),
            Some(ErrorCode::PARTITION_MAX_NUM)
        );

        for bad in ["", "a/b", "a$b", "__x"] {
            let error = writer.append(&row(4, bad)).await.unwrap_err();
            assert!(error.to_string().contains("column 'p0'"), "{error}");
        }
        let error = writer.append(&[Datum::BigInt(4), Datum::Null]).await.unwrap_err();
        assert!(error.to_string().contains("a partition value is null"), "{error}");
        writer.append(&row(4, "b")).await.unwrap();
        writer.flush().await.unwrap();
        let found = read_all(&table, 4).await;
        assert_eq!(found.len(), 2);
    });
}

fn without_creation_a_missing_partition_is_an_error_until_it_is_there(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.create_partitions = false;
        let connection = Connection::open(options).await.unwrap();
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let writer = table.append_writer().unwrap();
        let error = writer
            .append(&row(0, "a"))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::PARTITION_NOT_EXISTS));
        assert!(error.to_string().contains(" partition a"), "{error}");
        assert!(writer.flush().await.is_err());

        let admin = connection.admin();
        admin
            .create_partition(&table.info().path, &spec("a"), false)
            .await
            .unwrap();
        writer.append(&row(0, "a")).await.unwrap();
        writer.flush().await.unwrap();
        read_all(&table, 1).await;
    });
}

/// Waits until the leaders of a partition, which `scanner` knows, have dropped it. Until then they acknowledge writes
/// that go with it.
async fn wait_for_drop(scanner: &LogScanner, partition: PartitionId) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Ok(()) = scanner.subscribe_partition(partition, StartOffset::Latest).await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the partition is still there"
        );
    }
}

fn a_partition_that_is_dropped_and_created_again_is_written_and_read_as_a_new_one(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = attentive(&place).await;
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let (admin, path) = (connection.admin(), &table.info().path);
        let other = connect(&place).await.table(path).await.unwrap();
        let watch = other.scan().log_scanner().unwrap();
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let mut seen = BTreeSet::new();
        for round in 0..3 {
            for id in 0..10 {
                writer.append(&row(round * 10 + id, "a")).await.unwrap();
            }
            writer.flush().await.unwrap();
            let found = read(&scanner, 10).await;
            let ids: Vec<_> = found.values().flatten().copied().collect();
            assert!(ids.into_iter().eq(round * 10..round * 10 + 10));
            let partition = *found.keys().next().unwrap();
            assert!(found.len() == 1 && seen.insert(partition), "the partition is new");

            watch
                .subscribe_partition(partition, StartOffset::Latest)
                .await
                .unwrap();
            admin.drop_partition(path, &spec("a"), false).await.unwrap();
            if round == 0 {
                // The next time there is nobody to create it but the writer.
                admin.create_partition(path, &spec("a"), false).await.unwrap();
            }
            wait_for_drop(&watch, partition).await;
        }
        assert!(scanner.poll(Duration::from_millis(200)).await.unwrap().is_empty());
    });
}

fn partitions_are_subscribed_by_id_and_their_offsets_listed_by_name(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = partitioned(&connection, &["STRING"], &[]).await;
        let writer = table.append_writer().unwrap();
        for id in 0..40 {
            writer
                .append(&row(id, ["a", "b"][id as usize % 2]))
                .await
                .unwrap();
        }
        writer.flush().await.unwrap();
        let (admin, path) = (connection.admin(), &table.info().path);
        let buckets = [BucketId(0), BucketId(1)];
        let a = PartitionName::from("a".to_owned());
        let ends = admin
            .list_partition_offsets(path, &a, &buckets, OffsetSpec::Latest)
            .await
            .unwrap();
        assert_eq!(ends.values().sum::<i64>(), 20);

        let ids: HashMap<String, PartitionId> = names(&table)
            .await
            .into_iter()
            .map(|(id, name)| (name, id))
            .collect();
        let scanner = table.scan().log_scanner().unwrap();
        scanner
            .subscribe_partition(ids["a"], StartOffset::Earliest)
            .await
            .unwrap();
        let found = read(&scanner, 20).await;
        assert_eq!(found[&ids["a"]], (0..40).step_by(2).collect());
        scanner.unsubscribe_partition(ids["a"]).unwrap();

        let bucket = |number| TableBucket::in_partition(table.info().id, ids["a"], BucketId(number));
        let from = ends[&BucketId(1)] - 1;
        scanner
            .subscribe_buckets(&[(bucket(1), StartOffset::At(from))])
            .await
            .unwrap();
        read(&scanner, 1).await;

        let missing = scanner
            .subscribe_partition(PartitionId(9_999), StartOffset::Earliest)
            .await;
        assert_eq!(missing.unwrap_err().code(), Some(ErrorCode::PARTITION_NOT_EXISTS));
        assert!(
            scanner
                .subscribe(BucketId(0), StartOffset::Earliest)
                .await
                .is_err()
        );
        let missing = PartitionName::from("z".to_owned());
        let missing = admin
            .list_partition_offsets(path, &missing, &buckets, OffsetSpec::Latest)
            .await;
        assert_eq!(missing.unwrap_err().code(), Some(ErrorCode::PARTITION_NOT_EXISTS));
    });
}

fn what_the_clock_creates_is_written_like_any_other(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = attentive(&place).await;
        let properties = [
            ("table.auto-partition.enabled", "true"),
            ("table.auto-partition.time-unit", "YEAR"),
            ("table.auto-partition.num-precreate", "2"),
        ];
        let table = partitioned(&connection, &["STRING"], &properties).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let years = loop {
            let names: BTreeSet<String> = names(&table).await.into_values().collect();
            if names.len() == 2 {
                break names;
            }
            assert!(tokio::time::Instant::now() < deadline, "there are {names:?}");
            tokio::task::yield_now().await;
        };
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Latest).await.unwrap();
        let writer = table.append_writer().unwrap();
        for (id, year) in (0..).zip(years.iter().map(String::as_str).chain(["2020"])) {
            writer.append(&row(id, year)).await.unwrap();
        }
        writer.flush().await.unwrap();
        assert_eq!(
            read(&scanner, 3).await.len(),
            3,
            "old partitions can be created by hand"
        );
    });
}

fn rows_of_a_primary_key_table_find_their_partitions(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("p0", DataType::string())
            .primary_key(["id", "p0"])
            .build()
            .unwrap();
        let table = create(&connection, schema, &["p0".to_owned()], &["id"], &[]).await;
        let writer = table.upsert_writer().unwrap();
        for id in 0..20 {
            writer.upsert(&row(id, "a")).await.unwrap();
            writer.upsert(&row(id, "b")).await.unwrap();
        }
        writer.delete(&row(0, "a")).await.unwrap();
        let row_type = table.info().row_type();
        let mut columns = ColumnsBuilder::new(row_type, 20);
        for id in 20..40 {
            columns.append(&row(id, ["a", "c"][id as usize % 2])).unwrap();
        }
        let batch = with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap();
        writer.upsert_arrow(&batch).await.unwrap();
        writer.flush().await.unwrap();
        let rows = connection.admin().row_count(&table.info().path).await.unwrap();
        assert_eq!(rows, 40 - 1 + 20);
        let expected: BTreeSet<_> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(
            names(&table).await.into_values().collect::<BTreeSet<_>>(),
            expected
        );
    });
}

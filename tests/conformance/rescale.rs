//! A table whose bucket count changes while it is written, read and looked up (`v1_0.md` §5): partitions keep the buckets that
//! they were made with, and everybody finds every row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};
use fluss_client::{AsOf, Connection, ErrorCode, LogScanner, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};

use crate::{Backend, NODES, PATIENCE, connect, create_table, options, run, start, tests};

tests! {
    NODES => [
        rows_find_their_buckets_whatever_becomes_of_their_number,
        logs_are_read_whole_and_in_order_whatever_becomes_of_their_buckets,
        a_partition_that_is_created_again_has_buckets_of_its_own,
        a_bucket_count_that_makes_no_sense_is_refused,
    ],
}

const PARTITIONS: [(&str, i32); 4] = [("a", 1), ("b", 4), ("c", 2), ("d", 8)];

async fn create(connection: &Connection, is_keyed: bool, format: &str, bucket_key: &[&str]) -> Table {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = TablePath::new(
        "fluss",
        format!("rescaled{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
    );
    let schema = Schema::builder()
        .column("id", DataType::int().not_null())
        .column("p", DataType::string().not_null())
        .column("v", DataType::string());
    let schema = if is_keyed {
        schema.primary_key(["id", "p"])
    } else {
        schema
    };
    let descriptor = TableDescriptor::builder(schema.build().unwrap())
        .partitioned_by(["p"])
        .distributed_by(1, bucket_key.iter().copied())
        .property("table.log.format", format);
    create_table(connection, &path, &descriptor.build().unwrap()).await;
    connection.table(&path).await.unwrap()
}

fn row<'v>(id: i32, partition: &'v str, value: &'v str) -> [Datum<'v>; 3] {
    [Datum::Int(id), Datum::from(partition), Datum::from(value)]
}

fn batch(table: &Table, rows: impl Iterator<Item = (i32, &'static str, String)>) -> RecordBatch {
    let row_type = table.info().row_type().clone();
    let mut columns = ColumnsBuilder::new(&row_type, 0);
    for (id, partition, value) in rows {
        columns.append(&row(id, partition, &value)).unwrap();
    }
    with_schema(&columns.finish().unwrap(), &user_schema(&row_type)).unwrap()
}

/// How many buckets each partition has.
async fn counts(connection: &Connection, path: &TablePath) -> BTreeMap<String, i32> {
    let partitions = connection.admin().list_partitions(path, None).await.unwrap();
    partitions
        .iter()
        .map(|partition| (partition.name().to_string(), partition.bucket_count))
        .collect()
}

fn rows_find_their_buckets_whatever_becomes_of_their_number(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let table = create(&connection, true, "ARROW", &["id"]).await;
        let path = &table.info().path;
        let writer = table.upsert_writer().unwrap();
        let lookuper = table.lookup().lookuper().unwrap();
        let mut handles = Vec::new();
        for (partition, count) in PARTITIONS {
            admin.set_bucket_count(path, count).await.unwrap();
            // The writer knows nothing of the partition yet, nor of the count.
            for round in 0..3 {
                for id in 0..60 {
                    let value = format!("{partition}{id}.{round}");
                    handles.push(writer.upsert(&row(id, partition, &value)).await.unwrap());
                }
            }
            for id in 50..60 {
                handles.push(
                    writer
                        .delete(&[Datum::Int(id), Datum::from(partition)])
                        .await
                        .unwrap(),
                );
            }
            let more = (100..160).map(|id| (id, partition, format!("{partition}{id}")));
            writer.upsert_arrow(&batch(&table, more)).await.unwrap();
            writer.flush().await.unwrap();
        }
        assert!(handles.iter().all(fluss_client::WriteHandle::is_settled));
        for handle in &handles {
            handle.wait().await.unwrap();
            assert_eq!(handle.ends().len(), 1);
        }
        let expected = PARTITIONS.map(|(partition, count)| (partition.to_owned(), count));
        assert_eq!(counts(&connection, path).await, BTreeMap::from(expected));
        let info = admin.table_info(path).await.unwrap();
        assert_eq!((info.bucket_count, info.bucket_count_epoch), (8, 4));

        let fresh = connect(&place).await;
        let fresh_lookuper = fresh.table(path).await.unwrap().lookup().lookuper().unwrap();
        for (partition, _) in PARTITIONS {
            for id in (0..60).chain(100..160) {
                let key = [Datum::Int(id), Datum::from(partition)];
                let expected = match id {
                    0..50 => Some(format!("{partition}{id}.2")),
                    50..60 => None,
                    _ => Some(format!("{partition}{id}")),
                };
                for lookuper in [&lookuper, &fresh_lookuper] {
                    let found = lookuper.lookup(&key).await.unwrap();
                    let value = found.map(|row| match fluss_client::types::Row::datum(&row, 2) {
                        Datum::String(value) => value.into_owned(),
                        other => panic!("{other:?}"),
                    });
                    assert_eq!(value, expected, "{partition} {id}");
                }
            }
        }
        let whole = table.scan().snapshot(AsOf::Latest).await.unwrap();
        assert_eq!(whole.num_rows(), PARTITIONS.len() * 110);
        assert_eq!(
            admin.row_count(path).await.unwrap(),
            i64::try_from(PARTITIONS.len() * 110).unwrap()
        );
        let buckets: BTreeSet<_> = admin
            .list_table_offsets(path, fluss_client::OffsetSpec::Latest)
            .await
            .unwrap()
            .into_iter()
            .filter(|(_, offset)| *offset > 0)
            .map(|(bucket, _)| bucket)
            .collect();
        // Each has rows: nobody goes by a smaller number of them.
        assert_eq!(buckets.len(), 1 + 4 + 2 + 8);
    });
}

/// The values by id, in the order in which they came, until there are so many.
async fn read(scanner: &LogScanner, count: usize) -> BTreeMap<(String, i32), Vec<String>> {
    let mut read: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut came = 0;
    while came < count {
        assert!(tokio::time::Instant::now() < deadline, "{came} of {count} came");
        for (_, record) in scanner.poll(Duration::from_millis(200)).await.unwrap().iter() {
            let values: Vec<_> = (0..3)
                .map(|column| fluss_client::types::Row::datum(&record.row, column).into_owned())
                .collect();
            let [Datum::Int(id), Datum::String(partition), Datum::String(value)] = values.as_slice() else {
                panic!("{values:?}");
            };
            read.entry((partition.to_string(), *id))
                .or_default()
                .push(value.to_string());
            came += 1;
        }
    }
    read
}

fn logs_are_read_whole_and_in_order_whatever_becomes_of_their_buckets(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.scanner.partition_discovery = Duration::from_millis(100);
        let connection = Connection::open(options).await.unwrap();
        let admin = connection.admin();
        for (format, bucket_key) in [
            ("ARROW", &["id"][..]),
            ("INDEXED", &["id"]),
            ("COMPACTED", &["id"]),
            ("ARROW", &[]),
        ] {
            let table = create(&connection, false, format, bucket_key).await;
            let path = &table.info().path;
            let scanner = table.scan().log_scanner().unwrap();
            scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
            let writer = table.append_writer().unwrap();
            let mut expected: BTreeMap<(String, i32), Vec<String>> = BTreeMap::new();
            let mut note = |id: i32, partition: &str, value: &str| {
                expected
                    .entry((partition.to_owned(), id))
                    .or_default()
                    .push(value.to_owned());
            };
            for (partition, count) in PARTITIONS {
                admin.set_bucket_count(path, count).await.unwrap();
                for round in 0..3 {
                    for id in 0..40 {
                        let value = format!("{round}");
                        writer.append(&row(id, partition, &value)).await.unwrap();
                        note(id, partition, &value);
                    }
                    let rows = (0..40).map(|id| (id, partition, format!("arrow {round}")));
                    writer.append_arrow(&batch(&table, rows)).await.unwrap();
                    (0..40).for_each(|id| note(id, partition, &format!("arrow {round}")));
                }
                writer.flush().await.unwrap();
            }
            let mut came = read(&scanner, PARTITIONS.len() * 240).await;
            if bucket_key.is_empty() {
                // Nobody says which bucket an id goes to: the order is that of each bucket alone.
                for values in came.values_mut().chain(expected.values_mut()) {
                    values.sort_unstable();
                }
            }
            assert_eq!(came, expected, "{format} {bucket_key:?}");
            let more = scanner.poll(Duration::from_millis(50)).await.unwrap();
            assert!(more.is_empty());
            let whole = table.scan().snapshot(AsOf::Latest).await.unwrap();
            assert_eq!(whole.num_rows(), PARTITIONS.len() * 240);
        }
    });
}

fn a_partition_that_is_created_again_has_buckets_of_its_own(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let table = create(&connection, true, "ARROW", &["id"]).await;
        let path = &table.info().path;
        let (writer, lookuper) = (table.upsert_writer().unwrap(), table.lookup().lookuper().unwrap());
        let spec = fluss_client::types::PartitionSpec::new([("p", "a")]);
        for (round, count) in [1, 4, 2, 8].into_iter().enumerate() {
            admin.set_bucket_count(path, count).await.unwrap();
            admin.drop_partition(path, &spec, true).await.unwrap();
            for id in 0..40 {
                writer
                    .upsert(&row(id, "a", &format!("{round}.{id}")))
                    .await
                    .unwrap();
            }
            writer.flush().await.unwrap();
            assert_eq!(
                counts(&connection, path).await,
                BTreeMap::from([("a".to_owned(), count)])
            );
            for id in 0..40 {
                let found = lookuper
                    .lookup(&[Datum::Int(id), Datum::from("a")])
                    .await
                    .unwrap();
                let found = found.unwrap_or_else(|| panic!("{id} of round {round}"));
                assert_eq!(
                    fluss_client::types::Row::datum(&found, 2),
                    Datum::from(format!("{round}.{id}"))
                );
            }
        }
    });
}

fn a_bucket_count_that_makes_no_sense_is_refused(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let table = create(&connection, true, "ARROW", &["id"]).await;
        let path = &table.info().path;
        let code =
            async |path: &TablePath, count| admin.set_bucket_count(path, count).await.unwrap_err().code();
        assert_eq!(code(path, 0).await, Some(ErrorCode::INVALID_ALTER_TABLE));
        assert_eq!(code(path, 4_097).await, Some(ErrorCode::BUCKET_MAX_NUM));
        let plain = crate::create(&connection, table.info().schema().clone(), 1, &[]).await;
        assert_eq!(
            code(&plain.info().path, 2).await,
            Some(ErrorCode::INVALID_ALTER_TABLE)
        );
    });
}

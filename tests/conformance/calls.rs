//! What a call that writes does as a whole.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{AsOf, BatchWrite, Connection, ErrorCode, ErrorKind, OffsetSpec, Table};
use fluss_cluster::Spec;
use tokio::time::Instant;

use crate::{Backend, EVERYWHERE, PATIENCE, SERVE, connect, create_by, options, run, start, tests};

tests! {
    EVERYWHERE => [
        the_batches_of_a_call_are_written_together_or_not_at_all,
        of_more_rows_than_the_buffer_the_error_tells_how_many_were_taken,
        who_waits_for_a_write_has_it_sent,
        a_writer_to_a_table_that_is_dropped_fails_at_once,
    ],
    SERVE => [a_write_fails_by_its_own_deadline_although_requests_have_longer],
}

const BUCKETS: i32 = 4;

fn schema(keyed: bool) -> Schema {
    let schema = Schema::builder()
        .column("k", DataType::int().not_null())
        .column("v", DataType::char(2).unwrap());
    let schema = if keyed { schema.primary_key(["k"]) } else { schema };
    schema.build().unwrap()
}

/// Tables in every format.
async fn tables(connection: &Connection) -> Vec<Table> {
    let mut tables = Vec::new();
    for (keyed, key, format) in [
        (false, "table.log.format", "ARROW"),
        (false, "table.log.format", "INDEXED"),
        (false, "table.log.format", "COMPACTED"),
        (true, "table.kv.format", "COMPACTED"),
        (true, "table.kv.format", "INDEXED"),
    ] {
        let properties = [(key, format)];
        tables.push(create_by(connection, schema(keyed), (BUCKETS, &["k"]), &properties).await);
    }
    tables
}

fn batch(keys: impl IntoIterator<Item = Option<i32>>, value: &str) -> RecordBatch {
    let keys: ArrayRef = Arc::new(Int32Array::from_iter(keys));
    let values: ArrayRef = Arc::new(StringArray::from(vec![value; keys.len()]));
    RecordBatch::try_from_iter_with_nullable([("k", keys, true), ("v", values, true)]).unwrap()
}

/// Begins to write to a table of either kind.
fn begin(table: &Table) -> BatchWrite {
    if table.info().has_primary_key() {
        table.upsert().writer().unwrap().upsert_batches()
    } else {
        table.append_writer().unwrap().append_batches()
    }
}

/// Waits for something that happens soon.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Flushes a writer to the table.
async fn flush(table: &Table) {
    if table.info().has_primary_key() {
        table.upsert().writer().unwrap().flush().await.unwrap();
    } else {
        table.append_writer().unwrap().flush().await.unwrap();
    }
}

/// How many records the logs of a table have.
async fn records(connection: &Connection, table: &Table) -> i64 {
    let admin = connection.admin();
    let latest = admin.list_table_offsets(&table.info().path, OffsetSpec::Latest);
    latest.await.unwrap().values().sum()
}

fn the_batches_of_a_call_are_written_together_or_not_at_all(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for table in tables(&connection).await {
            let path = table.info().path.clone();
            let mut write = begin(&table);
            write.add(&batch((0..40).map(Some), "a")).await.unwrap();
            let bad = batch((40..50).map(|key| (key != 45).then_some(key)), "a");
            let error = write.add(&bad).await.unwrap_err().to_string();
            assert!(error.contains("column 'k': row 45 is null"), "{path}: {error}");
            // Dropped, it writes nothing; nor does one of which not all rows fit.
            drop(write);
            flush(&table).await;
            assert_eq!(records(&connection, &table).await, 0, "{path}");

            let mut write = begin(&table);
            for keys in [0..40, 40..50] {
                write.add(&batch(keys.map(Some), "a")).await.unwrap();
            }
            write.finish().await.unwrap().wait().await.unwrap();
            assert_eq!(records(&connection, &table).await, 50, "{path}");
        }
        // Two characters, and more bytes than an indexed row has for them.
        let properties = [("table.log.format", "INDEXED")];
        let table = create_by(&connection, schema(false), (BUCKETS, &["k"]), &properties).await;
        let writer = table.append_writer().unwrap();
        let values = (0..40).map(|row| if row == 27 { "\u{1F600}" } else { "a" });
        let keys: ArrayRef = Arc::new(Int32Array::from_iter_values(0..40));
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        let batch = RecordBatch::try_from_iter([("k", keys), ("v", values)]).unwrap();
        let error = writer.append_arrow(&batch).await.unwrap_err().to_string();
        assert!(error.contains("column 'v': row 27"), "{error}");
        writer.flush().await.unwrap();
        assert_eq!(records(&connection, &table).await, 0);
    });
}

fn of_more_rows_than_the_buffer_the_error_tells_how_many_were_taken(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.buffer_bytes = 64 << 10;
        let connection = Connection::open(options).await.unwrap();
        for table in tables(&connection).await {
            let path = table.info().path.clone();
            let mut write = begin(&table);
            let mut rows = 0;
            while write.rows_taken() == 0 {
                write
                    .add(&batch((rows..rows + 1_000).map(Some), "a"))
                    .await
                    .unwrap();
                rows += 1_000;
            }
            let bad = write.add(&batch([Some(rows), None], "a")).await.unwrap_err();
            let (text, taken) = (bad.to_string(), bad.context().rows_taken);
            assert!(
                text.contains(&format!("after {taken} rows were taken")),
                "{path}: {text}"
            );
            assert!(
                text.contains(&format!("row {} is null", rows + 1)),
                "{path}: {text}"
            );
            assert!(taken > 0 && taken == write.rows_taken(), "{path}: {taken}");
            write.finish().await.unwrap().wait().await.unwrap();
            let stored = records(&connection, &table).await;
            assert_eq!(
                stored,
                i64::from(rows),
                "{path}: what was added before is written"
            );
        }
    });
}

fn who_waits_for_a_write_has_it_sent(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.linger = 2 * PATIENCE;
        let connection = Connection::open(options).await.unwrap();
        let [log, .., keyed] = &tables(&connection).await[..] else {
            panic!("there are five")
        };
        let row = [Datum::Int(1), "a".into()];
        let appends = log.append_writer().unwrap();
        let handle = appends.append(&row).await.unwrap();
        assert_eq!(soon(handle.wait()).await.unwrap(), Some(0));
        let upserts = keyed.upsert().writer().unwrap();
        for _ in 0..2 {
            upserts.upsert(&row).await.unwrap();
            soon(upserts.flush()).await.unwrap();
        }
        let handle = upserts.delete(&row[..1]).await.unwrap();
        soon(handle.wait()).await.unwrap();
        let all = keyed.scan().snapshot(AsOf::Latest).await.unwrap();
        assert_eq!(all.num_rows(), 0);
    });
}

fn a_writer_to_a_table_that_is_dropped_fails_at_once(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for table in tables(&connection).await {
            let path = &table.info().path;
            let row = [Datum::Int(1), "a".into()];
            let (appends, upserts);
            let write: &dyn Fn() -> _ = if table.info().has_primary_key() {
                upserts = table.upsert().writer().unwrap();
                &|| upserts.try_upsert(&row)
            } else {
                appends = table.append_writer().unwrap();
                &|| appends.try_append(&row)
            };
            write().unwrap().unwrap().wait().await.unwrap();
            connection.admin().drop_table(path, false).await.unwrap();
            let deadline = Instant::now() + PATIENCE;
            let error = loop {
                assert!(Instant::now() < deadline, "{path}");
                match write() {
                    Ok(handle) => match handle.unwrap().wait().await {
                        // Servers go on for a moment.
                        Ok(_) => {}
                        Err(error) => break error,
                    },
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST), "{error}");
            assert!(error.to_string().contains(&path.to_string()), "{error}");
        }
    });
}

fn a_write_fails_by_its_own_deadline_although_requests_have_longer(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.delivery_timeout = Duration::from_secs(2);
        let longer = options.request_timeout;
        let connection = Connection::open(options).await.unwrap();
        let table = create_by(&connection, schema(true), (BUCKETS, &["k"]), &[]).await;
        let writer = table.upsert().writer().unwrap();
        place.served().stop().unwrap();
        let begun = Instant::now();
        let mut handles = Vec::new();
        for key in 0..100 {
            handles.push(writer.upsert(&[Datum::Int(key), "a".into()]).await.unwrap());
        }
        for handle in handles {
            let error = handle.wait().await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Timeout { .. } | ErrorKind::NoLeader(_)),
                "{error}"
            );
        }
        let took = begun.elapsed();
        place.served().resume().unwrap();
        assert!(took < longer / 2, "{took:?}");
    });
}

//! Changelogs of primary-key tables of which most is in remote storage.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeFrom;
use std::path::PathBuf;
use std::time::Duration;

use fluss_client::ChangeType;
use fluss_client::id::{BucketId, Offset, TableBucket};
use fluss_client::types::{DataType, Datum, OwnedRow, Schema};
use fluss_client::{AsOf, Connection, Error, OffsetSpec, Snapshot, SnapshotFile, Table};
use fluss_core::arrow::ArrowRows;
use tokio::time::{Instant, sleep, timeout};

use super::disk::{local_start, remote_files, wait_tiered};
use super::{KEEP_ONE, connect, shared, text};
use crate::key_tables::changelog::{Change, Changes, read, read_arrow};
use crate::reads::moment;
use crate::{Backend, CLUSTER, PATIENCE, create, run, tests};

tests! {
    CLUSTER => [
        a_tiered_changelog_tells_every_change_and_what_the_table_was,
        a_changelog_that_is_away_is_not_missed_behind_a_snapshot,
    ],
}

const KEYS: i64 = 6_000;
/// The keys that are updated, and those that are deleted after that.
const UPDATED: i64 = 3;
const DELETED: i64 = 5;

/// The rows of a table, by key.
type Rows = BTreeMap<i64, OwnedRow>;

fn key(row: &[Datum<'static>]) -> i64 {
    let Datum::BigInt(key) = row[0] else {
        panic!("the first column is the key")
    };
    key
}

fn schema() -> Schema {
    let columns = Schema::builder()
        .column("id", DataType::big_int())
        .column("text", DataType::string())
        .column("seed", DataType::big_int());
    columns.primary_key(["id"]).build().unwrap()
}

fn row(key: i64, seed: i64) -> OwnedRow {
    vec![Datum::BigInt(key), Datum::from(text(seed)), Datum::BigInt(seed)]
}

/// Upserts keys, each with the next seed.
async fn upsert(table: &Table, model: &mut Rows, keys: impl Iterator<Item = i64>, seeds: RangeFrom<i64>) {
    let writer = table.upsert_writer().unwrap();
    for (key, seed) in keys.zip(seeds) {
        writer.upsert(&row(key, seed)).await.unwrap();
        model.insert(key, row(key, seed));
    }
    writer.close().await.unwrap();
}

async fn delete(table: &Table, model: &mut Rows, keys: impl Iterator<Item = i64>) {
    let writer = table.upsert_writer().unwrap();
    for key in keys {
        writer.delete(&[Datum::BigInt(key)]).await.unwrap();
        model.remove(&key);
    }
    writer.close().await.unwrap();
}

/// Updates and deletes some of the keys, which are all there, and returns the number of records of the changelog by then.
async fn update(table: &Table, model: &mut Rows) -> i64 {
    let every = |nth| (0..KEYS).filter(move |key| key % nth == 0);
    upsert(table, model, every(UPDATED), KEYS..).await;
    delete(table, model, every(DELETED)).await;
    KEYS + 2 * (KEYS / UPDATED) + KEYS / DELETED
}

/// The rows that changes lead to, each of which has to fit those before it.
fn replay<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Rows {
    let mut rows = Rows::new();
    for Change {
        record: (change, row),
        offset,
        ..
    } in changes
    {
        let (expected, found) = match change {
            // Between an update's two sides the key has no row.
            ChangeType::Insert | ChangeType::UpdateAfter => (None, rows.insert(key(row), row.clone())),
            ChangeType::UpdateBefore | ChangeType::Delete => (Some(row.clone()), rows.remove(&key(row))),
            ChangeType::AppendOnly => panic!("nothing is appended"),
        };
        assert_eq!(found, expected, "{change:?} at offset {offset}");
    }
    rows
}

async fn snapshot(table: &Table, as_of: AsOf) -> Rows {
    rows(&try_snapshot(table, as_of).await.unwrap(), table)
}

async fn try_snapshot(table: &Table, as_of: AsOf) -> Result<Snapshot, Error> {
    timeout(PATIENCE, table.scan().snapshot(as_of)).await.unwrap()
}

fn rows(snapshot: &Snapshot, table: &Table) -> Rows {
    use fluss_client::types::Row;
    let rows = snapshot.batches().flat_map(|(_, batch)| {
        let rows = ArrowRows::new(batch.clone(), table.info().row_type()).unwrap();
        let rows: Vec<_> = (0..rows.len())
            .map(|index| rows.row(index).to_owned_row())
            .collect();
        rows
    });
    rows.map(|row| (key(&row), row)).collect()
}

fn a_tiered_changelog_tells_every_change_and_what_the_table_was(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, schema(), 2, &[KEEP_ONE]).await;
        let mut model = Rows::new();
        upsert(&table, &mut model, 0..KEYS, 0..).await;
        let (inserted, after_that) = (model.clone(), moment().await);
        let records = update(&table, &mut model).await;
        wait_tiered(&place, &table, records).await;

        let changes = read(&table, records as usize).await;
        assert_eq!(changes.values().map(Vec::len).sum::<usize>(), records as usize);
        assert!(replay(changes.values().flatten()) == model);
        let columns = read_arrow(&table, records as usize).await;
        assert!(all(&columns).eq(all(&changes)), "columns tell the same");
        assert!(snapshot(&table, AsOf::Latest).await == model);
        assert!(
            snapshot(
                &table,
                AsOf::Timestamp(fluss_client::types::Timestamp::from_millis(after_that))
            )
            .await
                == inserted
        );

        let ends = changes.keys().map(|bucket| {
            let local = local_start(&place, &table, bucket.bucket.get());
            (*bucket, local / 2 + 3)
        });
        let ends: BTreeMap<_, _> = ends.collect();
        let before = changes
            .iter()
            .flat_map(|(bucket, changes)| changes.iter().filter(|change| change.offset < ends[bucket]));
        let expected = replay(before);
        assert!(snapshot(&table, AsOf::Offsets(ends)).await == expected);
    });
}

/// Waits until the cluster keeps a snapshot of every bucket that says what all of its changes led to.
async fn wait_snapshots(connection: &Connection, table: &Table) -> Vec<SnapshotFile> {
    let (admin, path) = (connection.admin(), &table.info().path);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshots = admin.latest_kv_snapshots(path, None).await.unwrap();
        let buckets: Vec<_> = snapshots.buckets.keys().copied().collect();
        let ends = admin
            .list_offsets(path, &buckets, OffsetSpec::Latest)
            .await
            .unwrap();
        let mut files = Vec::new();
        for (bucket, end) in ends {
            let of_bucket = snapshots.buckets[&bucket].filter(|snapshot| snapshot.log_offset == end);
            if let Some(snapshot) = of_bucket {
                let bucket = TableBucket::new(table.info().id, bucket);
                let metadata = admin.kv_snapshot_metadata(bucket, snapshot.id).await.unwrap();
                files.push(metadata.files);
            }
        }
        if files.len() == buckets.len() {
            return files.concat();
        }
        assert!(Instant::now() < deadline, "{snapshots:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn move_all(files: &[PathBuf], from: &str, to: &str) {
    for file in files {
        fs::rename(file.with_extension(from), file.with_extension(to)).unwrap();
    }
}

fn a_changelog_that_is_away_is_not_missed_behind_a_snapshot(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, schema(), 2, &[KEEP_ONE]).await;
        let mut model = Rows::new();
        upsert(&table, &mut model, 0..KEYS, 0..).await;
        let records = update(&table, &mut model).await;
        wait_tiered(&place, &table, records).await;
        let snapshots = wait_snapshots(&connection, &table).await;

        let segments = remote_files(&place, &table);
        move_all(&segments, "log", "away");
        assert!(snapshot(&table, AsOf::Latest).await == model);
        // What the table was before that only the changelog tells.
        let early = [0, 1].map(|bucket| (TableBucket::new(table.info().id, BucketId(bucket)), 10));
        let error = try_snapshot(&table, AsOf::Offsets(early.into()))
            .await
            .unwrap_err();
        assert!(error.to_string().ends_with("is not there"), "{error}");

        // A snapshot that is damaged is no reason to give up as long as the changelog tells it all.
        for file in snapshots.iter().filter(|file| file.is_table()) {
            let path = file.remote_path.trim_start_matches("file:");
            let mut bytes = fs::read(path).unwrap();
            bytes[10] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        let error = try_snapshot(&table, AsOf::Latest).await.unwrap_err();
        assert!(error.to_string().ends_with("is not there"), "{error}");
        move_all(&segments, "away", "log");
        assert!(snapshot(&table, AsOf::Latest).await == model);
    });
}

fn all(changes: &Changes) -> impl Iterator<Item = (Offset, i64, &(ChangeType, OwnedRow))> {
    let changes = changes.values().flatten();
    changes.map(|change| (change.offset, change.timestamp, &change.record))
}

//! What changelogs tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use fluss_client::ChangeType;
use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::{Row, RowType};
use fluss_client::{LogScanner, ScanBatch, StartOffset, Table};
use fluss_core::arrow::ArrowRows;

use super::compare::{assert_same, mask};
use super::model::{Model, Record};
use crate::PATIENCE;

/// How long nothing more may come of a changelog that is read to its end.
const QUIET: Duration = Duration::from_millis(100);

/// A record, and where and when it was stored.
#[derive(Clone, Debug)]
pub struct Change {
    pub offset: Offset,
    /// In milliseconds since the epoch.
    pub timestamp: i64,
    pub record: Record,
}

/// The changes in each bucket.
pub type Changes = BTreeMap<TableBucket, Vec<Change>>;

/// The records of all buckets: so many, or as many as there are.
pub async fn read(table: &Table, count: usize) -> Changes {
    let scanner = scanner(table).await;
    let mut found = Changes::new();
    loop {
        let records = scanner.poll(patience(&found, count)).await.unwrap();
        if records.is_empty() {
            return found;
        }
        for (bucket, record) in records.iter() {
            let change = Change {
                offset: record.offset,
                timestamp: record.timestamp.millis(),
                record: (record.change_type, record.row.to_owned_row()),
            };
            add(&mut found, bucket, change);
        }
    }
}

/// The same as [`read`], read as columns.
pub async fn read_arrow(table: &Table, count: usize) -> Changes {
    let scanner = scanner(table).await;
    let mut found = Changes::new();
    loop {
        let batches = scanner.poll_arrow(patience(&found, count)).await.unwrap();
        if batches.is_empty() {
            return found;
        }
        for batch in batches {
            for change in changes(&batch, table.info().row_type()) {
                add(&mut found, batch.bucket, change);
            }
        }
    }
}

async fn scanner(table: &Table) -> LogScanner {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    scanner
}

fn patience(found: &Changes, count: usize) -> Duration {
    let read: usize = found.values().map(Vec::len).sum();
    if read < count { PATIENCE / 6 } else { QUIET }
}

/// The rows of a batch, and what its columns of changes say.
fn changes(batch: &ScanBatch, row_type: &RowType) -> Vec<Change> {
    let batch = batch.changelog().unwrap();
    let columns: Vec<usize> = (0..row_type.len()).collect();
    let rows = ArrowRows::new(batch.project(&columns).unwrap(), row_type).unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let types = column("_change_type").as_string::<i32>();
    let offsets = column("_offset").as_primitive::<Int64Type>();
    let timestamps = column("_timestamp").as_primitive::<TimestampMillisecondType>();
    let change = |index| Change {
        offset: offsets.value(index),
        timestamp: timestamps.value(index),
        record: (change_type(types.value(index)), rows.row(index).to_owned_row()),
    };
    (0..rows.len()).map(change).collect()
}

/// The change type of a short form.
pub fn change_type(short: &str) -> ChangeType {
    let mut all = (0..).map(|code| ChangeType::from_code(code).unwrap());
    all.find(|change| change.short() == short).unwrap()
}

/// Adds the next change of a bucket.
pub fn add(changes: &mut Changes, bucket: TableBucket, change: Change) {
    let changes = changes.entry(bucket).or_default();
    if let Some(last) = changes.last() {
        assert!(last.offset < change.offset, "offsets grow");
        assert!(last.timestamp <= change.timestamp, "time goes on");
    }
    changes.push(change);
}

/// In each bucket are the changes of its keys in their order.
pub fn check(found: &Changes, model: &Model) {
    let mut homes = BTreeMap::new();
    for (bucket, changes) in found {
        for Change { record: (_, row), .. } in changes {
            let home = *homes.entry(format!("{:?}", model.key(row))).or_insert(*bucket);
            assert_eq!(home, *bucket, "a key has one bucket");
        }
    }
    check_numbers(found.values().flatten().map(|change| &change.record), model);
    for (bucket, changes) in found {
        let is_here = |(_, row): &&Record| homes.get(&format!("{:?}", model.key(row))) == Some(bucket);
        let expected: Vec<_> = model.changes().iter().filter(is_here).cloned().collect();
        let masked = |Change {
                          record: (change, row),
                          ..
                      }: &Change| (*change, mask(row.clone(), model));
        let records: Vec<_> = changes.iter().map(masked).collect();
        assert_same(&records, &expected);
    }
    let is_found = |(_, row): &Record| homes.contains_key(&format!("{:?}", model.key(row)));
    assert!(model.changes().iter().all(is_found), "a key is missing");
}

/// A row keeps its number, which no other has.
fn check_numbers<'r>(records: impl Iterator<Item = &'r Record>, model: &Model) {
    let Some(counter) = model.counter() else { return };
    let (mut all, mut current) = (BTreeSet::new(), BTreeMap::new());
    for (change, row) in records {
        let (key, number) = (format!("{:?}", model.key(row)), format!("{:?}", row[counter]));
        if *change == ChangeType::Insert {
            assert!(all.insert(number.clone()), "{number} is there twice");
            current.insert(key, number);
        } else {
            assert_eq!(current.get(&key), Some(&number));
        }
    }
}

//! A primary-key table whose rows are written whole and in part, and deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluss_client::ChangeType;
use fluss_client::types::{DataType, Datum, OwnedRow, Row, Schema};
use fluss_client::{Connection, Table};
use fluss_rpc::sync::Mutex;
use tokio::task::JoinSet;

use super::{PATIENCE, Traffic, create, from_the_start};

const WRITERS: i32 = 3;
const KEYS_EACH: i32 = 20;

/// How long nothing more may come of a changelog that is read to its end.
const QUIET: Duration = Duration::from_millis(100);

type Columns = (Option<i64>, Option<i64>);

/// What becomes of a key: its row, or nothing any more.
type Change = Option<Columns>;

pub(crate) struct Rows {
    table: Table,
    /// All changes of each key, in order. A key has one writer.
    history: Arc<Mutex<BTreeMap<i32, Vec<Change>>>>,
}

#[derive(Clone, Copy)]
enum Write {
    Whole(i64),
    Part(i64),
    Delete,
}

/// What a write makes of a row; nothing if it changes nothing.
fn change(write: Write, before: Change) -> Option<Change> {
    match write {
        Write::Whole(value) => Some(Some((Some(value), Some(-value)))),
        Write::Part(value) => Some(Some((before.and_then(|(a, _)| a), Some(value)))),
        Write::Delete => before.map(|_| None),
    }
}

fn random(dice: &mut fastrand::Rng) -> Write {
    match dice.u8(..10) {
        0 | 1 => Write::Delete,
        2..6 => Write::Part(dice.i64(..)),
        _ => Write::Whole(dice.i64(1..)),
    }
}

impl Rows {
    pub(crate) async fn create(connection: &Connection) -> Self {
        let schema = Schema::builder()
            .column("id", DataType::int())
            .column("a", DataType::big_int())
            .column("b", DataType::big_int())
            .primary_key(["id"]);
        Self {
            table: create(connection, "rows", schema.build().unwrap()).await,
            history: Arc::default(),
        }
    }

    pub(crate) fn write(&self, traffic: &Arc<Traffic>, writers: &mut JoinSet<()>, dice: &mut fastrand::Rng) {
        for writer in 0..WRITERS {
            let (table, traffic, history) = (self.table.clone(), traffic.clone(), self.history.clone());
            let dice = dice.fork();
            writers.spawn(keep_writing(table, writer, traffic, history, dice));
        }
    }

    /// The changelog tells all changes, each once and in order; the rows are what it comes to.
    pub(crate) async fn check(&mut self, connection: &Connection) -> usize {
        let history = self.history.lock().clone();
        let told = self
            .changelog(history.values().map(|changes| records(changes)).sum())
            .await;
        for (key, expected) in &history {
            let told = told.get(key).map_or(&[][..], Vec::as_slice);
            assert_eq!(told, expected.as_slice(), "key {key}");
        }
        let keys: Vec<_> = (0..WRITERS * KEYS_EACH).map(|key| [Datum::Int(key)]).collect();
        let found = self
            .table
            .lookup()
            .lookuper()
            .unwrap()
            .lookup_many(&keys)
            .await
            .unwrap();
        for (key, found) in found.iter().enumerate() {
            let expected = history
                .get(&(key as i32))
                .and_then(|changes| changes.last())
                .copied();
            let found = found.as_ref().map(columns);
            assert_eq!(found, expected.flatten(), "key {key}");
        }
        let there = history
            .values()
            .filter(|changes| changes.last().is_some_and(Option::is_some));
        let counted = connection
            .admin()
            .row_count(&self.table.info().path)
            .await
            .unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), there.count());
        told.values().map(Vec::len).sum()
    }

    async fn changelog(&self, expected: usize) -> BTreeMap<i32, Vec<Change>> {
        let mut told: BTreeMap<i32, Vec<Change>> = BTreeMap::new();
        let scanner = from_the_start(&self.table).await;
        let mut read = 0;
        loop {
            let wait = if read < expected { PATIENCE } else { QUIET };
            let records = scanner.poll(wait).await.unwrap();
            if records.is_empty() {
                break;
            }
            read += records.len();
            for (_, record) in records.iter() {
                let row = record.row.to_owned_row();
                let [Datum::Int(key), ..] = row[..] else {
                    panic!("{row:?}")
                };
                let changes = told.entry(key).or_default();
                let before = changes.last().copied().flatten();
                match record.change_type {
                    ChangeType::Insert => {
                        assert_eq!(before, None, "key {key} is inserted where it is");
                        changes.push(Some(columns(&row)));
                    }
                    ChangeType::UpdateAfter => changes.push(Some(columns(&row))),
                    ChangeType::UpdateBefore => assert_eq!(before, Some(columns(&row)), "key {key}"),
                    ChangeType::Delete => {
                        assert_eq!(before, Some(columns(&row)), "key {key}");
                        changes.push(None);
                    }
                    ChangeType::AppendOnly => panic!("key {key} is appended"),
                }
            }
        }
        assert_eq!(read, expected);
        told
    }
}

/// How many records tell of changes: one of a row that comes or goes, two of a row that becomes another.
fn records(changes: &[Change]) -> usize {
    let before = [None].into_iter().chain(changes.iter().copied());
    let told = before
        .zip(changes)
        .map(|(before, after)| usize::from(before.is_some()) + usize::from(after.is_some()));
    told.sum()
}

fn columns(row: &OwnedRow) -> Columns {
    let number = |datum: &Datum<'_>| match datum {
        Datum::Null => None,
        Datum::BigInt(number) => Some(*number),
        _ => panic!("{datum:?}"),
    };
    (number(&row[1]), number(&row[2]))
}

/// Writes to all keys of a writer, waits for the acknowledgements, and so on.
async fn keep_writing(
    table: Table,
    writer: i32,
    traffic: Arc<Traffic>,
    history: Arc<Mutex<BTreeMap<i32, Vec<Change>>>>,
    mut dice: fastrand::Rng,
) {
    let whole = table.upsert().writer().unwrap();
    let part = table.upsert().columns(["id", "b"]).writer().unwrap();
    while traffic.goes_on() {
        let mut handles = Vec::new();
        for key in writer * KEYS_EACH..(writer + 1) * KEYS_EACH {
            let write = random(&mut dice);
            let id = Datum::Int(key);
            let handle = match write {
                Write::Whole(value) => {
                    let row = [id, Datum::BigInt(value), Datum::BigInt(-value)];
                    whole.upsert(&row).await
                }
                Write::Part(value) => part.upsert(&[id, Datum::BigInt(value)]).await,
                Write::Delete => whole.delete(&[id]).await,
            };
            handles.push(handle.unwrap());
            let mut history = history.lock();
            let changes = history.entry(key).or_default();
            let before = changes.last().copied().flatten();
            changes.extend(change(write, before));
        }
        for handle in handles {
            handle.wait().await.unwrap();
            traffic.acknowledge();
        }
    }
}

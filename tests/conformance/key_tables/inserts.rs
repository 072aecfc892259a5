//! Look-ups that insert what they do not find (`behaviour.md` §5.2).

use std::collections::{BTreeMap, BTreeSet};

use fluss_client::ChangeType;
use fluss_client::types::{DataType, Datum, OwnedRow};
use fluss_client::{Connection, Table};

use super::column::Column;
use super::trial::Trial;
use super::{LAST_ROW, changelog, int, shared};
use crate::{Backend, EVERYWHERE, connect, options, run, tests};

tests! {
    EVERYWHERE => [
        a_row_is_inserted_once_however_many_look_for_it,
    ],
}

const KEYS: i32 = 40;
const TASKS: i32 = 8;

/// The rows of all keys, from another one on, and found one by one or all at once.
async fn find(table: Table, task: i32) -> Vec<OwnedRow> {
    let lookuper = table.lookup().insert_if_not_exists().lookuper().unwrap();
    let keys = (0..KEYS).map(|index| [Datum::Int((index + task * 5) % KEYS)]);
    if task % 2 == 0 {
        let keys: Vec<_> = keys.collect();
        let rows = lookuper.lookup_many(&keys).await.unwrap();
        return rows.into_iter().map(Option::unwrap).collect();
    }
    let mut rows = Vec::new();
    for key in keys {
        rows.push(lookuper.lookup(&key).await.unwrap().unwrap());
    }
    rows
}

/// A table of rows that are numbered, some of which are there.
async fn table(connection: &Connection, there: std::ops::Range<i32>) -> Table {
    let number = Column::any("number", DataType::big_int());
    let trial = Trial::new([number, int("k"), int("a")], ["k"], LAST_ROW).counter("number");
    let table = trial.create(connection).await;
    let writer = table.upsert().writer().unwrap();
    for key in there {
        writer.upsert(&[Datum::Int(key), Datum::Int(1)]).await.unwrap();
    }
    writer.close().await.unwrap();
    table
}

fn a_row_is_inserted_once_however_many_look_for_it(backend: Backend) {
    const THERE: std::ops::Range<i32> = 10..20;
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let table = table(&connection, THERE).await;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let connection = Connection::open(options(&place)).await.unwrap();
            let table = connection.table(&table.info().path).await.unwrap();
            tasks.spawn(find(table, task));
        }
        let mut rows: BTreeMap<String, OwnedRow> = BTreeMap::new();
        while let Some(found) = tasks.join_next().await {
            for row in found.unwrap() {
                let first = rows.entry(format!("{:?}", row[1])).or_insert_with(|| row.clone());
                assert_eq!(*first, row, "everyone finds the same row");
            }
        }
        let numbers: BTreeSet<_> = rows.values().map(|row| format!("{:?}", row[0])).collect();
        assert_eq!(i32::try_from(numbers.len()), Ok(KEYS));
        for row in rows.values() {
            let Datum::Int(key) = row[1] else {
                panic!("{row:?}")
            };
            assert_eq!(row[2].is_null(), !THERE.contains(&key), "{row:?}");
        }
        let changes = changelog::read(&table, rows.len()).await.into_values().flatten();
        let mut changes: Vec<_> = changes.map(|change| change.record).collect();
        assert!(
            changes.iter().all(|(change, _)| *change == ChangeType::Insert),
            "{changes:?}"
        );
        changes.sort_by_key(|(_, row)| format!("{:?}", row[1]));
        let inserted: Vec<_> = changes.into_iter().map(|(_, row)| row).collect();
        assert_eq!(inserted, rows.into_values().collect::<Vec<_>>());
    });
}

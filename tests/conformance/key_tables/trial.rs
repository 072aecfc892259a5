//! A random sequence of writes to a table and to the model of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use fluss_client::arrow::{ArrowRows, ColumnsBuilder, user_schema, with_schema};
use fluss_client::record::log::ChangeType;
use fluss_client::types::{Datum, OwnedRow, Row, RowType, Schema};
use fluss_client::{Connection, Lookuper, StartOffset, Table, UpsertWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::column::Column;
use super::model::{Mode, Model, Record, Rules};
use crate::{PATIENCE, create_by};

/// So few keys that they are written again and again.
const KEYS: usize = 8;
const STEPS: usize = 80;
/// Steps between two looks at the table.
const STRIDE: usize = 20;
/// How long nothing more may come of a changelog that is read to its end.
const QUIET: Duration = Duration::from_millis(100);

/// A table to try, and how it is written.
#[derive(Debug)]
pub struct Trial {
    columns: Vec<Column>,
    key: Vec<&'static str>,
    counter: Option<&'static str>,
    bucket_key: Vec<&'static str>,
    properties: Vec<(&'static str, &'static str)>,
    buckets: i32,
    rules: Rules,
    modes: Vec<Mode>,
}

/// What is done at once by one writer.
#[derive(Clone, Debug)]
struct Step {
    mode: usize,
    delete: bool,
    arrow: bool,
    rows: Vec<OwnedRow>,
}

impl Trial {
    pub fn new(
        columns: impl IntoIterator<Item = Column>,
        key: impl IntoIterator<Item = &'static str>,
        rules: Rules,
    ) -> Self {
        let key: Vec<_> = key.into_iter().collect();
        let mut columns: Vec<_> = columns.into_iter().collect();
        for column in &mut columns {
            if key.contains(&column.name.as_str()) {
                let values = column.values.clone();
                column.values = values.prop_filter("null", |value| !value.is_null()).boxed();
            }
        }
        Self {
            columns,
            key,
            counter: None,
            bucket_key: Vec::new(),
            // Nobody waits for replicas.
            properties: vec![("table.replication.factor", "1")],
            buckets: 3,
            rules,
            modes: vec![Mode::default()],
        }
    }

    /// The column whose values the server counts up.
    pub fn counter(mut self, name: &'static str) -> Self {
        self.counter = Some(name);
        self
    }

    pub fn property(mut self, name: &'static str, value: &'static str) -> Self {
        self.properties.push((name, value));
        self
    }

    pub fn buckets(mut self, buckets: i32) -> Self {
        self.buckets = buckets;
        self
    }

    /// A beginning of the key, by which rows are looked up too.
    pub fn bucket_key(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.bucket_key = columns.into_iter().collect();
        self
    }

    /// The writers.
    pub fn modes(mut self, modes: impl IntoIterator<Item = Mode>) -> Self {
        self.modes = modes.into_iter().collect();
        self
    }

    /// Writes to a new table, and compares what it holds and tells with the model, under way and at the end.
    pub async fn run(&self, connection: &Connection, runner: &mut TestRunner) {
        let table = self.create(connection).await;
        let mut model = Model::new(table.info().schema(), self.rules.clone());
        let (keys, steps) = self.steps().new_tree(runner).unwrap().current();
        let keys: Vec<OwnedRow> = keys.iter().map(|row| model.key(row)).collect();
        let writers: Vec<_> = self.modes.iter().map(|mode| self.writer(&table, mode)).collect();
        let lookuper = table.lookup().lookuper().unwrap();
        let mut last = 0;
        for (number, step) in (1..).zip(&steps) {
            if step.mode != last {
                writers[last].flush().await.unwrap();
                last = step.mode;
            }
            let mode = &self.modes[step.mode];
            step.write(&writers[step.mode], mode, &model).await;
            step.apply(mode, &mut model);
            if number % STRIDE == 0 {
                writers[last].flush().await.unwrap();
                check_lookups(&lookuper, &keys, &model).await;
                self.check_prefixes(&table, &keys, &model).await;
            }
        }
        check_changelog(&table, &model).await;
        for writer in &writers {
            writer.close().await.unwrap();
        }
    }

    /// A table that is empty.
    pub async fn create(&self, connection: &Connection) -> Table {
        let buckets = (self.buckets, self.bucket_key.as_slice());
        create_by(connection, self.schema(), buckets, &self.properties).await
    }

    async fn check_prefixes(&self, table: &Table, keys: &[OwnedRow], model: &Model) {
        if self.bucket_key.is_empty() {
            return;
        }
        let lookuper = table.lookup().prefix_lookuper(&self.bucket_key).unwrap();
        for key in keys {
            let prefix = &key[..self.bucket_key.len()];
            let begins = |row: &&OwnedRow| model.key(row).starts_with(prefix);
            let mut expected: Vec<_> = model
                .rows()
                .filter(begins)
                .map(|row| format!("{row:?}"))
                .collect();
            let found = lookuper.lookup(prefix).await.unwrap().into_iter();
            let mut found: Vec<_> = found.map(|row| format!("{:?}", mask(row, model))).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected);
        }
    }

    fn schema(&self) -> Schema {
        let mut schema = Schema::builder();
        for column in &self.columns {
            schema = schema.column(&column.name, column.data_type.clone());
            if let Some(function) = column.declared {
                schema = schema.aggregate(function.declaration());
            }
        }
        if let Some(counter) = self.counter {
            schema = schema.auto_increment(counter);
        }
        schema.primary_key(self.key.clone()).build().unwrap()
    }

    fn writer(&self, table: &Table, mode: &Mode) -> UpsertWriter {
        let mut builder = table.upsert();
        if let Some(columns) = &mode.columns {
            builder = builder.columns(columns.iter().map(|column| &self.columns[*column].name));
        }
        if mode.overwrite {
            builder = builder.overwrite();
        }
        builder.writer().unwrap()
    }

    /// Rows with the keys that are written, and what is done with them.
    fn steps(&self) -> BoxedStrategy<(Vec<OwnedRow>, Vec<Step>)> {
        let row: Vec<_> = self.columns.iter().map(|column| column.values.clone()).collect();
        let row = row.boxed();
        let is_key = |column: &Column| self.key.contains(&column.name.as_str());
        let key: Vec<bool> = self.columns.iter().map(is_key).collect();
        let modes = self.modes.len();
        vec(row.clone(), KEYS)
            .prop_flat_map(move |keys| {
                let key = key.clone();
                let with_key = move |(row, keyed): (OwnedRow, OwnedRow)| {
                    let values = row.into_iter().zip(keyed).zip(&key);
                    values
                        .map(|((value, keyed), is_key)| if *is_key { keyed } else { value })
                        .collect()
                };
                let rows = (row.clone(), select(keys.clone())).prop_map(with_key);
                let step = (
                    0..modes,
                    prop::bool::weighted(0.2),
                    any::<bool>(),
                    vec(rows, 1..=6),
                );
                let step = step.prop_map(|(mode, delete, arrow, rows)| Step {
                    mode,
                    delete,
                    arrow,
                    rows,
                });
                (Just(keys), vec(step, STEPS))
            })
            .boxed()
    }
}

impl Step {
    async fn write(&self, writer: &UpsertWriter, mode: &Mode, model: &Model) {
        let rows: Vec<OwnedRow> = self.rows.iter().map(|row| self.given(row, mode, model)).collect();
        match (self.arrow, self.delete) {
            (true, true) => {
                let keys = batch(writer.key_type(), &rows);
                writer.delete_arrow(&keys).await.unwrap();
            }
            (true, false) => {
                let rows = batch(writer.row_type(), &rows);
                writer.upsert_arrow(&rows).await.unwrap();
            }
            (false, true) => {
                for key in &rows {
                    writer.delete(key).await.unwrap();
                }
            }
            (false, false) => {
                for row in &rows {
                    writer.upsert(row).await.unwrap();
                }
            }
        }
    }

    /// What the writer is given of a row.
    fn given(&self, row: &OwnedRow, mode: &Mode, model: &Model) -> OwnedRow {
        match &mode.columns {
            _ if self.delete => model.key(row),
            Some(columns) => columns.iter().map(|column| row[*column].clone()).collect(),
            None => row.clone(),
        }
    }

    fn apply(&self, mode: &Mode, model: &mut Model) {
        for row in &self.rows {
            if self.delete {
                model.delete(mode, &model.key(row));
            } else {
                model.upsert(mode, row);
            }
        }
    }
}

/// Rows as columns.
fn batch(row_type: &RowType, rows: &[OwnedRow]) -> RecordBatch {
    let mut columns = ColumnsBuilder::new(row_type, rows.len());
    for row in rows {
        columns.append(row).unwrap();
    }
    with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap()
}

/// Looks all keys up in every way.
async fn check_lookups(lookuper: &Lookuper, keys: &[OwnedRow], model: &Model) {
    let expected: Vec<_> = keys.iter().map(|key| model.row(key).cloned()).collect();
    let masked = |row: Option<OwnedRow>| row.map(|row| mask(row, model));
    let many = lookuper.lookup_many(keys).await.unwrap();
    assert_same(&many.into_iter().map(masked).collect::<Vec<_>>(), &expected);

    let mut singly = Vec::new();
    for key in keys {
        singly.push(masked(lookuper.lookup(key).await.unwrap()));
    }
    assert_same(&singly, &expected);

    let found = lookuper
        .lookup_arrow(&batch(lookuper.key_type(), keys))
        .await
        .unwrap();
    let fields = lookuper.table().row_type().fields().iter().cloned();
    let nullable = RowType::new(fields.map(|mut field| {
        field.data_type = field.data_type.with_nullable(true);
        field
    }));
    let found = ArrowRows::new(found, &nullable).unwrap();
    let row = |index| {
        let row = found.row(index).to_owned_row();
        (!row.iter().all(Datum::is_null)).then_some(row)
    };
    let found: Vec<_> = (0..found.len()).map(row).map(masked).collect();
    assert_same(&found, &expected);
}

/// A row without what only the server knows.
fn mask(mut row: OwnedRow, model: &Model) -> OwnedRow {
    if let Some(counter) = model.counter()
        && !row[counter].is_null()
    {
        row[counter] = Model::COUNTED;
    }
    row
}

fn assert_same<T: std::fmt::Debug>(found: &[T], expected: &[T]) {
    for (index, pair) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (format!("{:?}", pair.0), format!("{:?}", pair.1));
        assert_eq!(found, expected, "number {index}");
    }
    assert_eq!(found.len(), expected.len());
}

/// In each bucket, the changes of its keys in their order.
async fn check_changelog(table: &Table, model: &Model) {
    let found = changelog(table, model.changes().len()).await;
    let mut homes = BTreeMap::new();
    for (bucket, records) in &found {
        for (_, row) in records {
            let home = *homes.entry(format!("{:?}", model.key(row))).or_insert(*bucket);
            assert_eq!(home, *bucket, "a key has one bucket");
        }
    }
    check_numbers(found.values().flatten(), model);
    for (bucket, records) in found {
        let is_here = |(_, row): &&Record| homes.get(&format!("{:?}", model.key(row))) == Some(&bucket);
        let expected: Vec<_> = model.changes().iter().filter(is_here).cloned().collect();
        let records: Vec<_> = records
            .into_iter()
            .map(|(change, row)| (change, mask(row, model)))
            .collect();
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

/// The records of all buckets: so many, or as many as there are.
pub async fn changelog(table: &Table, count: usize) -> BTreeMap<i32, Vec<Record>> {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let mut found: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    loop {
        let read: usize = found.values().map(Vec::len).sum();
        let patience = if read < count { PATIENCE / 6 } else { QUIET };
        let records = scanner.poll(patience).await.unwrap();
        if records.is_empty() {
            return found;
        }
        for (bucket, record) in records.iter() {
            let bucket = bucket.bucket.get();
            let end = ends.insert(bucket, record.offset);
            assert!(end < Some(record.offset), "offsets grow");
            let record = (record.change_type, record.row.to_owned_row());
            found.entry(bucket).or_default().push(record);
        }
    }
}

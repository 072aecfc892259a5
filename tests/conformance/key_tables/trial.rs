//! A random sequence of writes to a table and to the model of it.

use std::fmt;

use arrow::record_batch::RecordBatch;
use fluss_client::types::{Datum, OwnedRow, RowType, Schema, TableDescriptor};
use fluss_client::{AsOf, Connection, Table, UpsertWriter};
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::changelog;
use super::column::Column;
use super::compare::{assert_same, check_lookups, mask, rows, sorted};
use super::model::{Mode, Model, Rules};
use crate::create_described;

/// So few keys that they are written again and again.
const KEYS: usize = 8;
/// Steps between two looks at the table.
const STRIDE: usize = 20;

/// A table to try, and how it is written.
#[derive(Debug)]
pub struct Trial {
    columns: Vec<Column>,
    key: Vec<&'static str>,
    counter: Option<&'static str>,
    bucket_key: Vec<&'static str>,
    partition_key: Vec<&'static str>,
    properties: Vec<(&'static str, &'static str)>,
    buckets: i32,
    rules: Rules,
    modes: Vec<Mode>,
    steps: usize,
}

/// What is done at once by one writer.
#[derive(Clone, Debug)]
pub struct Step {
    /// The number of the writer.
    pub mode: usize,
    pub delete: bool,
    /// Whether the rows are given as columns.
    arrow: bool,
    /// Whole rows, whatever of them is written.
    pub rows: Vec<OwnedRow>,
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
            partition_key: Vec::new(),
            // Nobody waits for replicas.
            properties: vec![("table.replication.factor", "1")],
            buckets: 3,
            rules,
            modes: vec![Mode::default()],
            steps: 80,
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

    /// Part of the key. If it is the beginning, rows are looked up by it too.
    pub fn bucket_key(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.bucket_key = columns.into_iter().collect();
        self
    }

    /// Part of the key, each of whose values are a partition.
    pub fn partitioned_by(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.partition_key = columns.into_iter().collect();
        self
    }

    /// The writers.
    pub fn modes(mut self, modes: impl IntoIterator<Item = Mode>) -> Self {
        self.modes = modes.into_iter().collect();
        self
    }

    /// How many times something is written.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Writes to a new table, and compares what it holds and tells with the model, under way and at the end.
    pub async fn run(&self, connection: &Connection, runner: &mut TestRunner) {
        let table = self.create(connection).await;
        let mut model = self.model(&table);
        let (keys, steps) = self.draw(&model, runner);
        let writers = self.writers(&table);
        let lookuper = table.lookup().lookuper().unwrap();
        let mut last = 0;
        for (number, step) in (1..).zip(&steps) {
            if step.mode != last {
                writers[last].flush().await.unwrap();
                last = step.mode;
            }
            let mode = self.mode(step);
            step.write(&writers[step.mode], mode, &model).await;
            step.apply(mode, &mut model);
            if number % STRIDE == 0 {
                writers[last].flush().await.unwrap();
                check_lookups(&lookuper, &keys, &model).await;
                self.check_prefixes(&table, &keys, &model).await;
            }
        }
        self.check_whole(&table, &model).await;
        changelog::check(&changelog::read(&table, model.changes().len()).await, &model);
        for writer in &writers {
            writer.close().await.unwrap();
        }
    }

    /// The whole table is what the model holds.
    async fn check_whole(&self, table: &Table, model: &Model) {
        let whole = table.scan().snapshot(AsOf::Latest).await.unwrap();
        let mut found = Vec::new();
        for (_, batch) in whole.batches() {
            found.extend(rows(batch.clone(), table.info().row_type(), model));
        }
        assert_same(&sorted(found), &sorted(model.rows().cloned().collect()));
    }

    /// A table that is empty.
    pub async fn create(&self, connection: &Connection) -> Table {
        let descriptor = TableDescriptor::builder(self.schema())
            .partitioned_by(self.partition_key.iter().copied())
            .distributed_by(self.buckets, self.bucket_key.iter().copied());
        let properties = self.properties.iter();
        let descriptor = properties.fold(descriptor, |descriptor, (key, value)| {
            descriptor.property(*key, *value)
        });
        create_described(connection, descriptor).await
    }

    /// What is to be in a table that is empty.
    pub fn model(&self, table: &Table) -> Model {
        Model::new(table.info().schema(), self.rules.clone())
    }

    /// The columns that rows are looked up by of which there may be several.
    pub fn prefix(&self) -> Option<Vec<&'static str>> {
        let stored = self.key.iter().filter(|name| !self.partition_key.contains(name));
        let stored: Vec<_> = stored.copied().collect();
        let is_proper = !self.bucket_key.is_empty() && self.bucket_key.len() < stored.len();
        let columns = || [self.partition_key.as_slice(), &self.bucket_key].concat();
        (is_proper && stored.starts_with(&self.bucket_key)).then(columns)
    }

    /// These values of a key.
    pub fn part_of(&self, key: &[Datum<'static>], columns: &[&str]) -> OwnedRow {
        let position = |name: &&str| self.key.iter().position(|column| column == name).unwrap();
        columns.iter().map(|name| key[position(name)].clone()).collect()
    }

    /// The rows that have these values in their keys.
    pub fn having(&self, columns: &[&str], values: &[Datum<'static>], model: &Model) -> Vec<OwnedRow> {
        let has = |row: &&OwnedRow| self.part_of(&model.key(row), columns) == values;
        model.rows().filter(has).cloned().collect()
    }

    pub async fn check_prefixes(&self, table: &Table, keys: &[OwnedRow], model: &Model) {
        let Some(columns) = self.prefix() else { return };
        let lookuper = table.lookup().prefix_lookuper(&columns).unwrap();
        for key in keys {
            let prefix = self.part_of(key, &columns);
            let expected = sorted(self.having(&columns, &prefix, model));
            let found = lookuper.lookup(&prefix).await.unwrap().into_iter();
            let found = found.map(|row| mask(row, model)).collect();
            assert_same(&sorted(found), &expected);
            let prefixes = batch(lookuper.key_type(), &[prefix]);
            let found = lookuper.lookup_arrow(&prefixes, None).await.unwrap();
            assert_same(&sorted(rows(found, table.info().row_type(), model)), &expected);
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
        if let Some(columns) = self.targets(mode) {
            builder = builder.columns(columns);
        }
        if mode.overwrite {
            builder = builder.overwrite();
        }
        builder.writer().unwrap()
    }

    /// The writer of each mode.
    pub fn writers(&self, table: &Table) -> Vec<UpsertWriter> {
        self.modes.iter().map(|mode| self.writer(table, mode)).collect()
    }

    pub fn mode(&self, step: &Step) -> &Mode {
        &self.modes[step.mode]
    }

    /// The names of the columns of a partial update.
    pub fn targets(&self, mode: &Mode) -> Option<Vec<&str>> {
        let columns = mode.columns.as_ref()?.iter();
        Some(
            columns
                .map(|column| self.columns[*column].name.as_str())
                .collect(),
        )
    }

    /// The keys that are written, and what is done with them.
    pub fn draw(&self, model: &Model, runner: &mut TestRunner) -> (Vec<OwnedRow>, Vec<Step>) {
        let (rows, steps) = self.rows_and_steps().new_tree(runner).unwrap().current();
        (rows.iter().map(|row| model.key(row)).collect(), steps)
    }

    /// Rows with the keys that are written, and what is done with them.
    fn rows_and_steps(&self) -> BoxedStrategy<(Vec<OwnedRow>, Vec<Step>)> {
        let row: Vec<_> = self.columns.iter().map(|column| column.values.clone()).collect();
        let row = row.boxed();
        let is_key = |column: &Column| self.key.contains(&column.name.as_str());
        let key: Vec<bool> = self.columns.iter().map(is_key).collect();
        let (modes, steps) = (self.modes.len(), self.steps);
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
                (Just(keys), vec(step, steps))
            })
            .boxed()
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for column in &self.columns {
            write!(f, "{} {}, ", column.name, column.data_type)?;
        }
        write!(
            f,
            "key {:?}, {} buckets by {:?}",
            self.key, self.buckets, self.bucket_key
        )?;
        write!(
            f,
            ", partitions by {:?}, {:?}",
            self.partition_key, self.properties
        )
    }
}

impl Step {
    pub async fn write(&self, writer: &UpsertWriter, mode: &Mode, model: &Model) {
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

    pub fn apply(&self, mode: &Mode, model: &mut Model) {
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
pub fn batch(row_type: &RowType, rows: &[OwnedRow]) -> RecordBatch {
    let mut columns = ColumnsBuilder::new(row_type, rows.len());
    for row in rows {
        columns.append(row).unwrap();
    }
    with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap()
}

//! What a primary-key table is to hold, and what its changelog is to tell, after a sequence of writes
//! (`behaviour.md` §3.2 to §3.5).

use std::collections::BTreeMap;

use fluss_client::ChangeType;
use fluss_client::types::{Datum, OwnedRow, Schema};

use super::aggregates::{Function, order};

/// How the rows of a key are merged.
#[derive(Clone, Debug)]
pub enum Engine {
    /// The last one stays.
    None,
    FirstRow,
    /// By the version in this column.
    Versioned(usize),
    /// By the function of each column.
    Aggregation(Vec<Function>),
}

/// What a table does with what is written.
#[derive(Clone, Debug)]
pub struct Rules {
    pub engine: Engine,
    /// Whether deletes are obeyed, or passed over. Those of a writer that overwrites always are.
    pub deletes: bool,
    /// Whether the changelog lacks what updates replace.
    pub wal: bool,
}

/// What a writer writes.
#[derive(Clone, Default, Debug)]
pub struct Mode {
    /// The columns, for a partial update.
    pub columns: Option<Vec<usize>>,
    /// Whether the merge engine is passed over.
    pub overwrite: bool,
}

/// A record of a changelog.
pub type Record = (ChangeType, OwnedRow);

/// A table in memory.
///
/// The value of an auto-increment column is not foretold: here it is [`Model::COUNTED`].
#[derive(Debug)]
pub struct Model {
    rules: Rules,
    key: Vec<usize>,
    counter: Option<usize>,
    width: usize,
    rows: BTreeMap<String, OwnedRow>,
    changes: Vec<Record>,
}

impl Model {
    pub const COUNTED: Datum<'static> = Datum::BigInt(1);

    pub fn new(schema: &Schema, rules: Rules) -> Self {
        let position = |name: &str| schema.row_type().index_of(name).unwrap();
        Self {
            rules,
            key: schema.primary_key().iter().map(|name| position(name)).collect(),
            counter: schema.auto_increment().map(position),
            width: schema.columns().len(),
            rows: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// The position of the auto-increment column.
    pub const fn counter(&self) -> Option<usize> {
        self.counter
    }

    /// The key of a row.
    pub fn key(&self, row: &[Datum<'static>]) -> OwnedRow {
        self.key.iter().map(|column| row[*column].clone()).collect()
    }

    /// The row of a key.
    pub fn row(&self, key: &[Datum<'static>]) -> Option<&OwnedRow> {
        self.rows.get(&format!("{key:?}"))
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &OwnedRow> {
        self.rows.values()
    }

    /// All changes in their order.
    pub fn changes(&self) -> &[Record] {
        &self.changes
    }

    /// Writes a row, of which the columns that the writer does not write are passed over.
    pub fn upsert(&mut self, mode: &Mode, row: &[Datum<'static>]) {
        let key = self.key(row);
        let Some(old) = self.row(&key).cloned() else {
            return self.insert(mode, row);
        };
        if let Some(new) = self.merge(mode, &old, row) {
            self.update(old, new);
        }
    }

    /// Deletes the row of a key.
    pub fn delete(&mut self, mode: &Mode, key: &[Datum<'static>]) {
        let obeyed = self.rules.deletes || mode.overwrite;
        let Some(old) = self.row(key).filter(|_| obeyed).cloned() else {
            return;
        };
        let stays = |column: &usize| self.key.contains(column) || !self.is_written(mode, *column);
        let left: OwnedRow = self.pick(&old, stays);
        let beside_key = |column: usize| !self.key.contains(&column) && !left[column].is_null();
        if (0..self.width).any(beside_key) {
            return self.update(old, left);
        }
        self.rows.remove(&format!("{key:?}"));
        self.changes.push((ChangeType::Delete, old));
    }

    fn insert(&mut self, mode: &Mode, row: &[Datum<'static>]) {
        let mut new = self.pick(row, |column| self.is_written(mode, *column));
        if let Some(counter) = self.counter {
            new[counter] = Self::COUNTED;
        }
        // Nobody looks for an old row if nothing depends on it.
        let blind = self.rules.wal && self.replaces(mode) && mode.columns.is_none();
        let change = if blind {
            ChangeType::UpdateAfter
        } else {
            ChangeType::Insert
        };
        self.put(change, new);
    }

    /// A row with nulls in all columns but these.
    fn pick(&self, row: &[Datum<'static>], columns: impl Fn(&usize) -> bool) -> OwnedRow {
        let value = |column| {
            if columns(&column) {
                row[column].clone()
            } else {
                Datum::Null
            }
        };
        (0..self.width).map(value).collect()
    }

    fn update(&mut self, old: OwnedRow, new: OwnedRow) {
        if !self.rules.wal {
            self.changes.push((ChangeType::UpdateBefore, old));
        }
        self.put(ChangeType::UpdateAfter, new);
    }

    fn put(&mut self, change: ChangeType, row: OwnedRow) {
        self.rows.insert(format!("{:?}", self.key(&row)), row.clone());
        self.changes.push((change, row));
    }

    /// What becomes of a row when another is written; nothing if it stays as if nothing had been.
    fn merge(&self, mode: &Mode, old: &[Datum<'static>], row: &[Datum<'static>]) -> Option<OwnedRow> {
        let stays = match &self.rules.engine {
            _ if self.replaces(mode) => mode
                .columns
                .as_ref()
                .is_some_and(|columns| columns.iter().all(|column| self.key.contains(column))),
            Engine::Versioned(version) => is_older(&row[*version], &old[*version]),
            Engine::FirstRow => true,
            Engine::None | Engine::Aggregation(_) => false,
        };
        let column = |column: usize| self.merge_column(mode, column, &old[column], &row[column]);
        (!stays).then(|| (0..self.width).map(column).collect())
    }

    fn merge_column(
        &self,
        mode: &Mode,
        column: usize,
        old: &Datum<'static>,
        new: &Datum<'static>,
    ) -> Datum<'static> {
        match &self.rules.engine {
            _ if !self.is_written(mode, column) => old.clone(),
            Engine::Aggregation(functions) if !mode.overwrite && !self.key.contains(&column) => {
                functions[column].merge(old, new)
            }
            _ => new.clone(),
        }
    }

    /// Whether what is written takes the place of what was there.
    fn replaces(&self, mode: &Mode) -> bool {
        mode.overwrite || matches!(self.rules.engine, Engine::None)
    }

    fn is_written(&self, mode: &Mode, column: usize) -> bool {
        let columns = mode.columns.as_deref();
        self.counter != Some(column) && columns.is_none_or(|columns| columns.contains(&column))
    }
}

/// No version is the oldest.
fn is_older(new: &Datum<'_>, old: &Datum<'_>) -> bool {
    match (new.is_null(), old.is_null()) {
        (false, false) => order(new, old).is_lt(),
        (new, old) => new && !old,
    }
}

//! What a table is to hold, and what its changelog is to tell: the rules once more, without bytes.

use std::collections::{BTreeMap, VecDeque};

use fluss_core::record::log::ChangeType;
use fluss_core::types::{Datum, OwnedRow};

use super::world::Write;
use crate::kv::WriteMode;

/// How the rows of a key are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    LastRow,
    FirstRow,
    /// By the `INT` in this column.
    Versioned(usize),
    /// `INT`s are added up; of other columns the last value stays that is not null.
    Aggregation,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) engine: Engine,
    pub(super) deletes: bool,
    pub(super) wal: bool,
    pub(super) key: Vec<usize>,
    pub(super) counter: Option<usize>,
}

pub(super) type Record = (ChangeType, OwnedRow);

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) rules: Rules,
    pub(super) rows: BTreeMap<Vec<u8>, OwnedRow>,
    /// The numbers that new rows were given, which are not foretold: some are lost with a state.
    numbers: VecDeque<i64>,
    last_number: i64,
    changes: Vec<Record>,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            rows: BTreeMap::new(),
            numbers: VecDeque::new(),
            last_number: 0,
            changes: Vec::new(),
        }
    }

    /// Applies writes of keys, and gives the changes. `told` is what the changelog has of them, and all that is believed of
    /// it are the numbers, as long as they grow.
    pub(super) fn write(
        &mut self,
        mode: &WriteMode,
        writes: &[(Vec<u8>, Write)],
        told: &[Record],
    ) -> Vec<Record> {
        self.hear(told);
        for (key, write) in writes {
            match write {
                Write::Upsert(row) => self.upsert(mode, key, row),
                Write::Delete(_) => self.delete(mode, key),
            }
        }
        std::mem::take(&mut self.changes)
    }

    fn hear(&mut self, told: &[Record]) {
        let Some(counter) = self.rules.counter else {
            return;
        };
        for (_, row) in told.iter().filter(|(change, _)| *change == ChangeType::Insert) {
            let Datum::BigInt(number) = row[counter] else {
                panic!("{row:?} has no number")
            };
            assert!(number > self.last_number, "{number} after {}", self.last_number);
            self.last_number = number;
            self.numbers.push_back(number);
        }
    }

    fn upsert(&mut self, mode: &WriteMode, key: &[u8], row: &OwnedRow) {
        let Some(old) = self.rows.get(key).cloned() else {
            let mut new: OwnedRow = (0..row.len())
                .map(|column| {
                    if is_written(mode, column) {
                        row[column].clone()
                    } else {
                        Datum::Null
                    }
                })
                .collect();
            if let Some(counter) = self.rules.counter {
                new[counter] = self.numbers.pop_front().map_or(Datum::Null, Datum::BigInt);
            }
            let blind = self.rules.wal && self.replaces(mode) && mode.columns.is_none();
            let change = if blind {
                ChangeType::UpdateAfter
            } else {
                ChangeType::Insert
            };
            return self.put(key, change, new);
        };
        let only_key = mode
            .columns
            .as_ref()
            .is_some_and(|columns| columns.iter().all(|c| self.is_key(*c)));
        let stays = match self.rules.engine {
            _ if self.replaces(mode) => only_key,
            Engine::FirstRow => true,
            Engine::Versioned(column) => version(&row[column]) < version(&old[column]),
            Engine::LastRow | Engine::Aggregation => false,
        };
        if !stays {
            let merged = (0..row.len()).map(|column| self.merged(mode, column, &old[column], &row[column]));
            let new = merged.collect();
            self.update(key, old, new);
        }
    }

    fn merged(
        &self,
        mode: &WriteMode,
        column: usize,
        old: &Datum<'static>,
        new: &Datum<'static>,
    ) -> Datum<'static> {
        let aggregates = self.rules.engine == Engine::Aggregation && !mode.overwrite && !self.is_key(column);
        match (old, new) {
            _ if !is_written(mode, column) => old.clone(),
            _ if !aggregates => new.clone(),
            (Datum::Int(old), Datum::Int(new)) => Datum::Int(old.wrapping_add(*new)),
            (old, Datum::Null) => old.clone(),
            (_, new) => new.clone(),
        }
    }

    fn delete(&mut self, mode: &WriteMode, key: &[u8]) {
        let Some(old) = self
            .rows
            .get(key)
            .filter(|_| self.rules.deletes || mode.overwrite)
            .cloned()
        else {
            return;
        };
        let left: OwnedRow = (0..old.len())
            .map(|column| {
                let stays = self.is_key(column) || !is_written(mode, column);
                if stays { old[column].clone() } else { Datum::Null }
            })
            .collect();
        if (0..left.len()).any(|column| !self.is_key(column) && !left[column].is_null()) {
            return self.update(key, old, left);
        }
        self.rows.remove(key);
        self.changes.push((ChangeType::Delete, old));
    }

    fn update(&mut self, key: &[u8], old: OwnedRow, new: OwnedRow) {
        if !self.rules.wal {
            self.changes.push((ChangeType::UpdateBefore, old));
        }
        self.put(key, ChangeType::UpdateAfter, new);
    }

    fn put(&mut self, key: &[u8], change: ChangeType, row: OwnedRow) {
        self.rows.insert(key.to_vec(), row.clone());
        self.changes.push((change, row));
    }

    fn replaces(&self, mode: &WriteMode) -> bool {
        mode.overwrite || self.rules.engine == Engine::LastRow
    }

    fn is_key(&self, column: usize) -> bool {
        self.rules.key.contains(&column)
    }
}

fn is_written(mode: &WriteMode, column: usize) -> bool {
    mode.columns
        .as_ref()
        .is_none_or(|columns| columns.contains(&column))
}

fn version(datum: &Datum<'_>) -> i32 {
    match datum {
        Datum::Int(version) => *version,
        _ => i32::MIN,
    }
}

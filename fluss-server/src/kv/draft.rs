//! Writes on their way: merged with the rows that are there, told in a changelog, not yet stored.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::id::{Offset, SchemaId};
use fluss_core::record::kv::{KvBatch, KvRecord};
use fluss_core::record::log::ChangeType;
use fluss_core::record::value::StoredValue;
use fluss_core::types::Datum;
use fluss_core::{DecodeError, ValueError};
use fluss_rpc::code::ErrorCode;

use super::changelog::Changelog;
use super::mode::{Mode, WriteMode};
use super::rules::{Counter, Deletes};
use super::slots::Slots;
use super::state::{About, Change, Snapshot, State};
use super::table::Table;
use crate::Failure;

/// The longest key: far more than any that was meant as one.
const KEY_BYTES: usize = 64 << 10;

/// Sets numbers of an auto-increment column aside for a bucket (`behaviour.md` §3.5).
pub(crate) type Reserve<'r> = &'r mut dyn FnMut() -> Result<Range<i64>, Failure>;

/// What one or more batches will have changed once it is committed. Dropped instead, it changes nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    table: Arc<Table>,
    /// Where the state stood that the batches were merged with.
    pub(super) base: Offset,
    pub(super) changes: Vec<Change>,
    pub(super) numbers: Range<i64>,
}

impl Draft {
    pub(super) fn new(table: Arc<Table>, about: About) -> Self {
        Self {
            table,
            base: about.applied,
            changes: Vec::new(),
            numbers: about.numbers,
        }
    }

    /// Merges a batch with the rows that are there and with the batches before it in this draft. Returns the batch of the
    /// changelog, sealed with the writer's stamp, which is to be appended before the draft is committed.
    ///
    /// # Errors
    ///
    /// The batch is refused as a whole, and the draft stays as it was: `CORRUPT_RECORD` for a wrong checksum,
    /// `SCHEMA_NOT_EXIST`, `INVALID_TARGET_COLUMN`, `DELETION_DISABLED`, `RECORD_TOO_LARGE` for a key of more than
    /// 64 KiB, `KV_STORAGE_EXCEPTION`, what `reserve` says, `UNKNOWN_SERVER_ERROR` for records that cannot be read or
    /// merged.
    pub(super) fn add(
        &mut self,
        state: &dyn State,
        batch: &KvBatch,
        asked: &WriteMode,
        reserve: Reserve<'_>,
    ) -> Result<Bytes, Failure> {
        let table = self.table.clone();
        let records = records(&table, batch)?;
        let mode = Mode::new(&table, batch.schema_id, asked)?;
        let snapshot = state.snapshot().map_err(Failure::kv_storage)?;
        let looks = !mode.is_blind() || records.iter().any(|record| record.row.is_none());
        let rows = looks.then_some::<&dyn Snapshot>(&*snapshot);
        let mut work = Work {
            table: &table,
            schema: batch.schema_id,
            slots: Slots::new(&records, &self.changes, rows).map_err(Failure::kv_storage)?,
            changelog: Changelog::new(&table, 2 * records.len()),
            numbers: self.numbers.clone(),
            reserve,
            scratch: Vec::new(),
            mode,
        };
        for (index, record) in records.iter().enumerate() {
            match record.row {
                Some(row) => work.upsert(index, row)?,
                None => work.delete(index)?,
            }
        }
        let log = work
            .changelog
            .finish(batch.stamp)
            .map_err(|error| bad_row(&error))?;
        self.numbers = work.numbers;
        let changes = work.slots.into_changes();
        drop(snapshot);
        merge(&mut self.changes, changes);
        Ok(log)
    }
}

/// The records of a batch that is in order.
fn records<'b>(table: &Table, batch: &'b KvBatch) -> Result<Vec<KvRecord<'b>>, Failure> {
    let corrupt = |error: DecodeError| Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string());
    batch.verify_checksum().map_err(corrupt)?;
    if table.shape(batch.schema_id).is_none() {
        let reason = format!("the table has no schema {}", batch.schema_id);
        return Err(Failure::new(ErrorCode::SCHEMA_NOT_EXIST, reason));
    }
    let records: Result<Vec<_>, _> = batch.records().collect();
    let records = records.map_err(|error| unreadable(&error))?;
    match records.iter().find(|record| record.key.len() > KEY_BYTES) {
        None => Ok(records),
        Some(record) => {
            let reason = format!(
                "a key of {} bytes; at most {KEY_BYTES} are stored",
                record.key.len()
            );
            Err(Failure::new(ErrorCode::RECORD_TOO_LARGE, reason))
        }
    }
}

/// Changes with later ones on top; both are sorted by key.
fn merge(earlier: &mut Vec<Change>, later: Vec<Change>) {
    if earlier.is_empty() {
        *earlier = later;
        return;
    }
    let mut merged = Vec::with_capacity(earlier.len() + later.len());
    let mut before = std::mem::take(earlier).into_iter().peekable();
    for change in later {
        merged.extend(std::iter::from_fn(|| {
            before.next_if(|other| other.key < change.key)
        }));
        before.next_if(|other| other.key == change.key);
        merged.push(change);
    }
    merged.extend(before);
    *earlier = merged;
}

/// A batch being merged.
struct Work<'w, 's> {
    table: &'w Table,
    mode: Mode<'w>,
    /// The schema of the batch's rows.
    schema: SchemaId,
    slots: Slots<'s>,
    changelog: Changelog<'w>,
    numbers: Range<i64>,
    reserve: Reserve<'w>,
    /// Where merged rows are encoded.
    scratch: Vec<u8>,
}

impl Work<'_, '_> {
    fn upsert(&mut self, record: usize, row: &[u8]) -> Result<(), Failure> {
        let schema_id = self.schema;
        let new = self
            .table
            .read(StoredValue { schema_id, row })
            .map_err(|error| unreadable(&error))?;
        self.table.check(&new).map_err(|error| bad_row(&error))?;
        let Some(old) = self.slots.value(record) else {
            return self.insert(record, new, row);
        };
        let old = read(self.table, old)?;
        if self.mode.keeps(&old, &new) {
            return Ok(());
        }
        let whole = self.mode.takes_whole();
        if !self.mode.rules.wal {
            tell(&mut self.changelog, ChangeType::UpdateBefore, &old)?;
        }
        if whole {
            tell(&mut self.changelog, ChangeType::UpdateAfter, &new)?;
            self.put_as_it_is(record, row);
            return Ok(());
        }
        let merged = self.mode.merge(old, new)?;
        tell(&mut self.changelog, ChangeType::UpdateAfter, &merged)?;
        encode(self.table, &merged, &mut self.scratch)?;
        self.put_merged(record);
        Ok(())
    }

    fn insert(&mut self, record: usize, new: Vec<Datum<'_>>, row: &[u8]) -> Result<(), Failure> {
        // Nobody has looked for an old row.
        let change = if self.mode.is_blind() {
            ChangeType::UpdateAfter
        } else {
            ChangeType::Insert
        };
        if self.mode.written.is_none() {
            tell(&mut self.changelog, change, &new)?;
            self.put_as_it_is(record, row);
            return Ok(());
        }
        let counter = self.mode.rules.counter;
        let number = counter.map(|counter| self.number(counter)).transpose()?;
        let first = self.mode.first(new, number);
        tell(&mut self.changelog, change, &first)?;
        encode(self.table, &first, &mut self.scratch)?;
        self.put_merged(record);
        Ok(())
    }

    fn delete(&mut self, record: usize) -> Result<(), Failure> {
        match self.mode.deletes() {
            Deletes::Allow => {}
            Deletes::Ignore => return Ok(()),
            Deletes::Disable => {
                let reason = "the table does not allow deletes";
                return Err(Failure::new(ErrorCode::DELETION_DISABLED, reason));
            }
        }
        let Some(old) = self.slots.value(record) else {
            return Ok(());
        };
        let old = read(self.table, old)?;
        let Some(left) = self.mode.remains(&old) else {
            tell(&mut self.changelog, ChangeType::Delete, &old)?;
            self.slots.remove(record);
            return Ok(());
        };
        if !self.mode.rules.wal {
            tell(&mut self.changelog, ChangeType::UpdateBefore, &old)?;
        }
        tell(&mut self.changelog, ChangeType::UpdateAfter, &left)?;
        encode(self.table, &left, &mut self.scratch)?;
        self.put_merged(record);
        Ok(())
    }

    /// Stores the row that was written, under the schema of its writer.
    fn put_as_it_is(&mut self, record: usize, row: &[u8]) {
        self.slots.put(record, [&self.schema.get().to_le_bytes(), row]);
    }

    /// Stores the row that was encoded last, which is of the latest schema.
    fn put_merged(&mut self, record: usize) {
        let schema = self.table.latest().get().to_le_bytes();
        self.slots.put(record, [&schema, &self.scratch]);
    }

    /// The next number of the auto-increment column.
    fn number(&mut self, counter: Counter) -> Result<Datum<'static>, Failure> {
        if self.numbers.is_empty() {
            self.numbers = (self.reserve)()?;
        }
        let number = self.numbers.next().filter(|number| *number <= counter.most);
        let number = number.ok_or_else(|| {
            let reason = "the auto-increment column has no more numbers";
            Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason)
        })?;
        // An INT column has numbers of 32 bits.
        let narrow = i32::try_from(counter.most).is_ok();
        Ok(if narrow {
            Datum::Int(number as i32)
        } else {
            Datum::BigInt(number)
        })
    }
}

/// A stored value as a row of the latest schema.
fn read<'v>(table: &Table, value: &'v [u8]) -> Result<Vec<Datum<'v>>, Failure> {
    let row = StoredValue::decode(value).and_then(|value| table.read(value));
    row.map_err(Failure::kv_storage)
}

fn encode(table: &Table, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Failure> {
    out.clear();
    let written = table.format.encode(table.row_type(), row, out);
    written.map_err(|error| bad_row(&error))
}

fn tell(changelog: &mut Changelog<'_>, change: ChangeType, row: &[Datum<'_>]) -> Result<(), Failure> {
    changelog.append(change, row).map_err(|error| bad_row(&error))
}

/// Trying again does not help: the checksum says that the writer meant it so.
fn unreadable(error: &DecodeError) -> Failure {
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())
}

fn bad_row(error: &ValueError) -> Failure {
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())
}

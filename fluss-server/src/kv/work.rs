//! A batch being merged, record by record.

use std::ops::Range;

use bytes::Bytes;
use fluss_core::id::SchemaId;
use fluss_core::record::kv::{KvBatch, KvRecord};
use fluss_core::record::log::ChangeType;
use fluss_core::record::value::StoredValue;
use fluss_core::types::Datum;
use fluss_core::{DecodeError, ValueError};
use fluss_store::state::Change;

use super::Take;
use super::changelog::Changelog;
use super::error::Error;
use super::merge::Values;
use super::mode::Mode;
use super::rules::{Counter, Deletes};
use super::slots::Slots;
use super::table::Table;
use crate::Failure;

/// Sets numbers of an auto-increment column aside for a bucket (`behaviour.md` §3.5).
pub(crate) type Reserve<'r> = &'r mut dyn FnMut() -> Result<Range<i64>, Failure>;

/// A batch, with the rows that it changes.
pub(super) struct Work<'w, 's> {
    /// The schema of the batch's rows.
    schema: SchemaId,
    slots: Slots<'s>,
    merger: Merger<'w>,
    /// The memory of rows that are done with.
    spare: [Values<'static>; 2],
}

/// What a batch comes to.
pub(super) struct Done {
    /// The batch of the changelog.
    pub(super) log: Bytes,
    pub(super) changes: Vec<Change>,
    pub(super) numbers: Range<i64>,
}

/// What is stored for a record.
enum Kept {
    Nothing,
    /// The row that was written, under the schema of its writer.
    Whole,
    /// The row that was encoded last, under the latest schema.
    Merged,
}

impl<'w, 's> Work<'w, 's> {
    pub(super) fn new(
        table: &'w Table,
        mode: Mode<'w>,
        schema: SchemaId,
        slots: Slots<'s>,
        numbers: Range<i64>,
        (reserve, take): (Reserve<'w>, Take<'w>),
    ) -> Self {
        Self {
            schema,
            merger: Merger {
                table,
                mode,
                changelog: Changelog::new(table, 2 * slots.records()),
                numbers,
                reserve,
                take,
                scratch: Vec::new(),
            },
            slots,
            spare: Default::default(),
        }
    }

    /// Merges the next record of the batch; `index` is its place there.
    pub(super) fn write(&mut self, index: usize, record: &KvRecord<'_>) -> Result<(), Error> {
        let [mut new, mut old] = std::mem::take(&mut self.spare).map(recycled);
        let kept = match record.row {
            Some(row) => {
                let schema_id = self.schema;
                let value = StoredValue { schema_id, row };
                self.merger
                    .upsert(self.slots.value(index), value, [&mut old, &mut new])?
            }
            None => self.merger.delete(self.slots.value(index), &mut old)?,
        };
        self.spare = [recycled(new), recycled(old)];
        let latest = self.merger.table.latest().get().to_le_bytes();
        match (kept, record.row) {
            (None, _) => self.slots.remove(index),
            (Some(Kept::Merged), _) => self.slots.put(index, [&latest, &self.merger.scratch]),
            (Some(Kept::Whole), Some(row)) => self.slots.put(index, [&self.schema.get().to_le_bytes(), row]),
            (Some(Kept::Nothing | Kept::Whole), _) => {}
        }
        Ok(())
    }

    /// What the batch comes to.
    pub(super) fn finish(self, batch: &KvBatch) -> Result<Done, Error> {
        let log = self.merger.changelog.finish(batch.stamp);
        Ok(Done {
            log: log.map_err(|error| bad_row(&error))?,
            changes: self.slots.into_changes(),
            numbers: self.merger.numbers,
        })
    }
}

/// Merges rows, and tells of it in the changelog.
struct Merger<'w> {
    table: &'w Table,
    mode: Mode<'w>,
    changelog: Changelog<'w>,
    numbers: Range<i64>,
    reserve: Reserve<'w>,
    /// Is asked for memory for the changelog.
    take: Take<'w>,
    /// Where merged rows are encoded.
    scratch: Vec<u8>,
}

impl Merger<'_> {
    /// Sees to it that there is room for another row in the changelog, which takes so many bytes encoded.
    fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        /// What a column takes at least, whatever its value is.
        const COLUMN_BYTES: usize = 16;
        let columns = self.table.row_type().len();
        (self.take)(bytes + columns * COLUMN_BYTES)?;
        Ok(())
    }

    /// What is kept of a row that is written over the value of its key. The rows are read into `old` and `new`.
    fn upsert<'v>(
        &mut self,
        stored: Option<&'v [u8]>,
        written: StoredValue<'v>,
        [old, new]: [&mut Values<'v>; 2],
    ) -> Result<Option<Kept>, Error> {
        let read = self.table.read_into(written, new);
        read.map_err(|error| unreadable(&error))?;
        self.table.check(new).map_err(|error| bad_row(&error))?;
        let Some(stored) = stored else {
            return self.insert(new, written.row.len()).map(Some);
        };
        read_stored(self.table, stored, old)?;
        let bytes = (stored.len(), written.row.len());
        self.update(old, new, bytes).map(Some)
    }

    fn update<'v>(
        &mut self,
        old: &mut Values<'v>,
        new: &mut Values<'v>,
        (old_bytes, new_bytes): (usize, usize),
    ) -> Result<Kept, Error> {
        if self.mode.keeps(old, new) {
            return Ok(Kept::Nothing);
        }
        if !self.mode.rules.wal {
            self.make_room(old_bytes)?;
        }
        if self.mode.takes_whole() {
            self.make_room(new_bytes)?;
            if !self.mode.rules.wal {
                tell_values(&mut self.changelog, ChangeType::UpdateBefore, old)?;
            }
            tell_values(&mut self.changelog, ChangeType::UpdateAfter, new)?;
            return Ok(Kept::Whole);
        }
        if !self.mode.rules.wal {
            tell(&mut self.changelog, ChangeType::UpdateBefore, old)?;
        }
        let merged = self.mode.merge(std::mem::take(old), std::mem::take(new))?;
        self.keep_merged(ChangeType::UpdateAfter, merged)
    }

    fn insert(&mut self, new: &mut Values<'_>, bytes: usize) -> Result<Kept, Error> {
        if self.mode.written.is_none() {
            self.make_room(bytes)?;
            // Where nobody looks for old rows, none is known to be new.
            let change = if self.mode.is_blind() {
                ChangeType::UpdateAfter
            } else {
                ChangeType::Insert
            };
            tell_values(&mut self.changelog, change, new)?;
            return Ok(Kept::Whole);
        }
        let counter = self.mode.rules.counter;
        let number = counter.map(|counter| self.number(counter)).transpose()?;
        let first = self.mode.first(std::mem::take(new), number);
        self.keep_merged(ChangeType::Insert, first)
    }

    fn keep_merged(&mut self, change: ChangeType, mut row: Values<'_>) -> Result<Kept, Error> {
        encode(self.table, &row, &mut self.scratch)?;
        self.make_room(self.scratch.len())?;
        tell_values(&mut self.changelog, change, &mut row)?;
        Ok(Kept::Merged)
    }

    /// What is kept of the value of a key that is deleted; nothing at all if its row goes.
    fn delete<'v>(&mut self, stored: Option<&'v [u8]>, old: &mut Values<'v>) -> Result<Option<Kept>, Error> {
        match (self.mode.deletes(), stored) {
            (Deletes::Disable, _) => Err(Error::DeletesDisabled),
            (Deletes::Ignore, _) | (Deletes::Allow, None) => Ok(Some(Kept::Nothing)),
            (Deletes::Allow, Some(stored)) => self.remove(stored, old),
        }
    }

    fn remove<'v>(&mut self, stored: &'v [u8], old: &mut Values<'v>) -> Result<Option<Kept>, Error> {
        read_stored(self.table, stored, old)?;
        self.make_room(stored.len())?;
        let Some(left) = self.mode.remains(old) else {
            tell_values(&mut self.changelog, ChangeType::Delete, old)?;
            return Ok(None);
        };
        if !self.mode.rules.wal {
            tell_values(&mut self.changelog, ChangeType::UpdateBefore, old)?;
        }
        self.keep_merged(ChangeType::UpdateAfter, left).map(Some)
    }

    /// The next number of the auto-increment column.
    fn number(&mut self, counter: Counter) -> Result<Datum<'static>, Error> {
        if self.numbers.is_empty() {
            self.numbers = (self.reserve)().map_err(Error::Numbers)?;
        }
        let number = self.numbers.next().filter(|number| *number <= counter.most);
        let number = number.ok_or_else(|| {
            let reason = "the auto-increment column has no more numbers";
            Error::BadRecord(reason.to_owned())
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

/// Reads a stored value as a row of the latest schema.
fn read_stored<'v>(table: &Table, value: &'v [u8], row: &mut Values<'v>) -> Result<(), Error> {
    let read = StoredValue::decode(value).and_then(|value| table.read_into(value, row));
    read.map_err(Error::BadValue)
}

/// The memory of a row, for another.
fn recycled<'v>(mut row: Values<'_>) -> Values<'v> {
    row.clear();
    row.into_iter().map_while(|_| None).collect()
}

fn encode(table: &Table, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Error> {
    out.clear();
    let written = table.format.encode(table.row_type(), row, out);
    written.map_err(|error| bad_row(&error))
}

fn tell(changelog: &mut Changelog<'_>, change: ChangeType, row: &[Datum<'_>]) -> Result<(), Error> {
    changelog.append(change, row).map_err(|error| bad_row(&error))
}

/// As [`tell`], taking the values out of the row.
fn tell_values(changelog: &mut Changelog<'_>, change: ChangeType, row: &mut Values<'_>) -> Result<(), Error> {
    changelog
        .append_values(change, row)
        .map_err(|error| bad_row(&error))
}

/// Trying again does not help: the checksum says that the writer meant it so.
pub(super) fn unreadable(error: &DecodeError) -> Error {
    Error::BadRecord(error.to_string())
}

fn bad_row(error: &ValueError) -> Error {
    Error::BadRecord(error.to_string())
}

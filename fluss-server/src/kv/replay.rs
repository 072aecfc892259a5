//! A state from its changelog: batches applied as they stand (`behaviour.md` §3.2).

use std::ops::Range;

use bytes::Bytes;
use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::record::log::{ChangeType, LogBatch, decode_arrow, decode_rows};
use fluss_core::row::{RowFormat, pad};
use fluss_core::types::{Datum, LogFormat, Row};
use fluss_core::{DecodeError, ValueError};
use fluss_store::state::{About, Change};

use super::error::ReplayError;
use super::table::{Shape, Table};

/// Changes that batches of a changelog come to.
#[derive(Debug)]
pub(super) struct Replay<'t> {
    table: &'t Table,
    pub(super) about: About,
    /// In the order of the log.
    changes: Vec<Change>,
}

impl<'t> Replay<'t> {
    /// A replay that goes on from where a state stands.
    pub(super) const fn new(table: &'t Table, about: About) -> Self {
        Self {
            table,
            about,
            changes: Vec::new(),
        }
    }

    /// Adds the next batch. One that was applied in part or whole is applied again, which changes nothing.
    pub(super) fn add(&mut self, batch: &LogBatch) -> Result<(), ReplayError> {
        let (applied, found) = (self.about.applied, batch.base_offset());
        if found > applied {
            return Err(ReplayError::Gap { applied, found });
        }
        if batch.next_offset() <= applied {
            return Ok(());
        }
        let malformed = |source| ReplayError::Malformed { at: found, source };
        self.add_records(batch).map_err(malformed)?;
        self.about.applied = batch.next_offset();
        Ok(())
    }

    /// What is to be committed: the last change of each key, in the order of the keys.
    pub(super) fn finish(self) -> (Vec<Change>, About) {
        let mut changes = self.changes;
        // The sort is stable, so the last of each key is the latest.
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        changes.reverse();
        changes.dedup_by(|a, b| a.key == b.key);
        changes.reverse();
        (changes, self.about)
    }

    fn add_records(&mut self, batch: &LogBatch) -> Result<(), DecodeError> {
        let schema = batch.schema_id();
        let unknown = || DecodeError::new("changelog batch", format!("unknown schema {schema}"));
        let shape = self.table.shape(schema).ok_or_else(unknown)?;
        let format = match self.table.info.properties.log_format {
            LogFormat::Arrow => return self.add_columns(batch, shape),
            LogFormat::Indexed => RowFormat::Indexed,
            LogFormat::Compacted => RowFormat::Compacted,
        };
        for record in decode_rows(batch, format, &shape.row_type) {
            let (change, mut row) = record?;
            pad(&shape.row_type, &mut row);
            self.add_record(batch, shape, change, &row)?;
        }
        Ok(())
    }

    fn add_columns(&mut self, batch: &LogBatch, shape: &Shape) -> Result<(), DecodeError> {
        let columns = decode_arrow(batch, &arrow_schema(&shape.row_type))?;
        let rows = ArrowRows::new(columns, &shape.row_type).map_err(|error| misfit(&error))?;
        let Some(changes) = batch.change_types()? else {
            return Err(DecodeError::new("changelog batch", "it is append-only"));
        };
        for (index, change) in changes.iter().enumerate() {
            self.add_record(batch, shape, *change, &rows.row(index))?;
        }
        Ok(())
    }

    fn add_record(
        &mut self,
        batch: &LogBatch,
        shape: &Shape,
        change: ChangeType,
        row: &impl Row,
    ) -> Result<(), DecodeError> {
        let stays = match change {
            ChangeType::UpdateBefore => return Ok(()),
            ChangeType::Insert | ChangeType::UpdateAfter => true,
            ChangeType::Delete => false,
            ChangeType::AppendOnly => {
                return Err(DecodeError::new("changelog batch", "a record without key"));
            }
        };
        let mut bytes = Vec::new();
        shape
            .key
            .encode(row, &mut bytes)
            .map_err(|error| misfit(&error))?;
        let key_bytes = bytes.len();
        if stays {
            bytes.extend_from_slice(&batch.schema_id().get().to_le_bytes());
            let written = self.table.format.encode(&shape.row_type, row, &mut bytes);
            written.map_err(|error| misfit(&error))?;
            self.pass_over(row);
        }
        let mut key = Bytes::from(bytes);
        let value = key.split_off(key_bytes);
        self.changes.push(Change {
            key,
            value: stays.then_some(value),
        });
        Ok(())
    }

    /// Takes the number of a row out of those that are set aside: it was given out.
    fn pass_over(&mut self, row: &impl Row) {
        let Some(counter) = self.table.rules.counter else {
            return;
        };
        let number = match row.datum(counter.column) {
            Datum::Int(number) => number.into(),
            Datum::BigInt(number) => number,
            _ => return,
        };
        self.about.numbers = without(self.about.numbers.clone(), number);
    }
}

/// The numbers that are left once this one was given out. Numbers are given out in order: one beyond the range says that
/// the range was used up, and that the rest of the next one is not known.
fn without(numbers: Range<i64>, given: i64) -> Range<i64> {
    if given < numbers.start {
        numbers
    } else {
        (given + 1).min(numbers.end)..numbers.end
    }
}

fn misfit(error: &ValueError) -> DecodeError {
    DecodeError::new("changelog batch", error.to_string())
}

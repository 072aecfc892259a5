//! Writes on their way: merged with the rows that are there, written to a changelog, not yet stored.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::kv::{KvBatch, KvRecord};
use fluss_store::state::{About, Change, Snapshot, State};

use super::Take;
use super::error::Error;
use super::mode::{Mode, WriteMode};
use super::slots::Slots;
use super::table::Table;
use super::work::{Done, Reserve, Work, unreadable};

/// The longest key: far more than any that was meant as one.
const KEY_BYTES: usize = 64 << 10;

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
    /// The batch is refused as a whole, and the draft stays as it was: what the second helper says, which is asked for memory
    /// for each row of the changelog; what the first helper says; any other [`Error`] but those of a table.
    pub(super) fn add(
        &mut self,
        state: &dyn State,
        batch: &KvBatch,
        asked: &WriteMode,
        (reserve, take): (Reserve<'_>, Take<'_>),
    ) -> Result<Bytes, Error> {
        let table = self.table.clone();
        let records = records(&table, batch)?;
        let mode = Mode::new(&table, batch.schema_id, asked)?;
        let snapshot = state.snapshot()?;
        let looks = !mode.is_blind() || records.iter().any(|record| record.row.is_none());
        let rows = looks.then_some::<&dyn Snapshot>(&*snapshot);
        let slots = Slots::new(&records, &self.changes, rows)?;
        let mut work = Work::new(
            &table,
            mode,
            batch.schema_id,
            slots,
            self.numbers.clone(),
            (reserve, take),
        );
        for (index, record) in records.iter().enumerate() {
            work.write(index, record)?;
        }
        let Done {
            log,
            changes,
            numbers,
        } = work.finish(batch)?;
        drop(snapshot);
        self.numbers = numbers;
        merge(&mut self.changes, changes);
        Ok(log)
    }
}

/// The records of a batch that is in order.
fn records<'b>(table: &Table, batch: &'b KvBatch) -> Result<Vec<KvRecord<'b>>, Error> {
    batch.verify_checksum().map_err(Error::Corrupt)?;
    if table.shape(batch.schema_id).is_none() {
        return Err(Error::UnknownSchema(batch.schema_id));
    }
    let records: Result<Vec<_>, _> = batch.records().collect();
    let records = records.map_err(|error| unreadable(&error))?;
    // No row has one: of a single column it has a byte at least.
    if let Some(index) = records.iter().position(|record| record.key.is_empty()) {
        return Err(unreadable(&DecodeError::new(
            "KV batch",
            format!("record {index} has an empty key"),
        )));
    }
    match records.iter().find(|record| record.key.len() > KEY_BYTES) {
        None => Ok(records),
        Some(record) => Err(Error::KeyTooLong {
            bytes: record.key.len(),
            most: KEY_BYTES,
        }),
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

//! Changes of rows on their way into a copy, as bytes.

use fluss_client::arrow::record_batch::RecordBatch;
use fluss_client::filter::Filter;
use fluss_client::types::Row;
use fluss_client::{ArrowRows, ChangeType, DecodeError, ScanBatch, ValueError};
use fluss_store::copy::Batch;

use crate::shape::Shape;

/// Changes of rows, each a key with its value or without one: all in one run of bytes.
#[derive(Default, Debug)]
pub(crate) struct Changes {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where a key and its value are.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    key_end: usize,
    /// The end of the value; nothing if the key is removed.
    end: Option<usize>,
}

/// How the rows of batches become those of a copy.
#[derive(Debug)]
pub(crate) struct Held<'s> {
    shape: &'s Shape,
    /// Which rows are held; nothing for all. On the columns of batches.
    filter: Option<&'s Filter>,
}

impl<'s> Held<'s> {
    pub(crate) const fn new(shape: &'s Shape, filter: Option<&'s Filter>) -> Self {
        Self { shape, filter }
    }

    /// The rows of a batch: its first columns are those that are held.
    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<ArrowRows, DecodeError> {
        let places: Vec<usize> = (0..self.shape.row_type.len()).collect();
        let fault = |error: ValueError| DecodeError::value("record batch", error);
        let columns = batch.project(&places);
        let columns = columns.map_err(|error| DecodeError::new("record batch", error.to_string()))?;
        ArrowRows::new(columns, &self.shape.row_type).map_err(fault)
    }
}

impl Changes {
    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds what a changelog says.
    pub(crate) fn add_changes(&mut self, held: &Held<'_>, scanned: &ScanBatch) -> Result<(), DecodeError> {
        let rows = held.rows(&scanned.batch)?;
        let matches = held
            .filter
            .map(|filter| filter.matches(&scanned.batch))
            .transpose();
        let matches = matches.map_err(|error| DecodeError::new("record batch", error.to_string()))?;
        for index in 0..rows.len() {
            let row = rows.row(index);
            let change = scanned.change_types.as_ref().and_then(|types| types.get(index));
            let is_held = matches.as_ref().is_none_or(|matches| matches.value(index));
            match change {
                // What comes behind it says what has become of the row.
                Some(ChangeType::UpdateBefore) => {}
                Some(ChangeType::Insert | ChangeType::UpdateAfter) if is_held => {
                    self.put(held.shape, &row).map_err(fault)?;
                }
                _ => self.remove(held.shape, &row).map_err(fault)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, shape: &Shape, row: &impl Row) -> Result<(), ValueError> {
        let start = self.bytes.len();
        shape.encode_row_key(row, &mut self.bytes)?;
        let key_end = self.bytes.len();
        shape.encode_value(row, &mut self.bytes)?;
        let end = Some(self.bytes.len());
        self.entries.push(Entry { start, key_end, end });
        Ok(())
    }

    fn remove(&mut self, shape: &Shape, row: &impl Row) -> Result<(), ValueError> {
        let start = self.bytes.len();
        shape.encode_row_key(row, &mut self.bytes)?;
        let key_end = self.bytes.len();
        let end = None;
        self.entries.push(Entry { start, key_end, end });
        Ok(())
    }

    /// A key is to be removed.
    pub(crate) fn remove_key(&mut self, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        let end = None;
        self.entries.push(Entry { start, key_end, end });
    }

    /// Makes the changes, the last one of each key, in the order of the keys.
    pub(crate) fn make(&mut self, batch: &mut Batch<'_, '_>) -> std::io::Result<()> {
        let Self { bytes, entries } = self;
        let key = |entry: &Entry| bytes.get(entry.start..entry.key_end).unwrap_or_default();
        if !entries.is_sorted_by(|one, next| key(one) < key(next)) {
            entries.sort_by(|one, other| key(one).cmp(key(other)));
        }
        for (place, entry) in entries.iter().enumerate() {
            let next = entries.get(place + 1);
            if next.is_some_and(|next| key(next) == key(entry)) {
                continue;
            }
            match entry.end {
                Some(end) => batch.put(key(entry), bytes.get(entry.key_end..end).unwrap_or_default())?,
                None => batch.remove(key(entry))?,
            }
        }
        *self = Self::default();
        Ok(())
    }
}

fn fault(error: ValueError) -> DecodeError {
    DecodeError::value("record batch", error)
}

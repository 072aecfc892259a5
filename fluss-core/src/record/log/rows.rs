//! Batches in the INDEXED and COMPACTED formats: rows one behind the other (`records.md` §1.8).

use bytes::Bytes;

use super::LogBatch;
use super::encode::with_header;
use super::header::{ChangeType, HEADER_BYTES};
use crate::error::{DecodeError, ValueError};
use crate::id::SchemaId;
use crate::record::UnsealedBatch;
use crate::row::RowFormat;
use crate::types::{Datum, OwnedRow, Row, RowType};

const LENGTH_BYTES: usize = 4;

/// Collects rows into a batch.
#[derive(Clone, Debug)]
pub struct RowsBuilder {
    format: RowFormat,
    schema_id: SchemaId,
    bytes: Vec<u8>,
    records: usize,
    append_only: bool,
}

impl RowsBuilder {
    /// A batch without rows, of a table whose rows are only appended, or else of a changelog.
    pub fn new(format: RowFormat, schema_id: SchemaId, append_only: bool) -> Self {
        Self {
            format,
            schema_id,
            bytes: vec![0; HEADER_BYTES],
            records: 0,
            append_only,
        }
    }

    /// Adds a row, or leaves the batch as it was if the row does not fit the type.
    pub fn append(
        &mut self,
        row_type: &RowType,
        change_type: ChangeType,
        row: &(impl Row + ?Sized),
    ) -> Result<(), ValueError> {
        if self.append_only != (change_type == ChangeType::AppendOnly) {
            return Err(ValueError::row(format!(
                "a change of type {} in this batch",
                change_type.short()
            )));
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        self.bytes.push(change_type.code());
        let length = self.format.encode(row_type, row, &mut self.bytes).and_then(|()| {
            let length = self.bytes.len() - start - LENGTH_BYTES;
            i32::try_from(length)
                .map_err(|_| ValueError::row(format!("a row of {length} bytes is too large")))
        });
        match length {
            Ok(length) => {
                if let Some(place) = self.bytes.get_mut(start..start + LENGTH_BYTES) {
                    place.copy_from_slice(&length.to_le_bytes());
                }
                self.records += 1;
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// The size of the batch so far, in bytes.
    pub fn estimated_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The batch.
    pub fn finish(self) -> Result<UnsealedBatch, ValueError> {
        with_header(self.bytes, self.schema_id, self.append_only, self.records)
    }
}

/// The records of a batch in the INDEXED or COMPACTED format.
pub fn decode_rows<'a>(batch: &LogBatch, format: RowFormat, row_type: &'a RowType) -> Records<'a> {
    Records {
        rest: batch.payload(),
        left: batch.record_count(),
        format,
        row_type,
    }
}

/// The records of a batch, decoded as they are asked for.
#[derive(Debug)]
pub struct Records<'a> {
    rest: Bytes,
    left: usize,
    format: RowFormat,
    row_type: &'a RowType,
}

impl Records<'_> {
    /// The bytes that were not read yet.
    pub(super) fn rest(&self) -> usize {
        self.rest.len()
    }

    fn record(&mut self) -> Result<(ChangeType, OwnedRow), DecodeError> {
        let truncated = |needed, found| DecodeError::truncated("log record", needed, found);
        let length = self
            .rest
            .first_chunk()
            .ok_or_else(|| truncated(LENGTH_BYTES, self.rest.len()))?;
        let length = usize::try_from(i32::from_le_bytes(*length))
            .map_err(|_| DecodeError::new("log record", "a negative length"))?;
        if self.rest.len() - LENGTH_BYTES < length {
            return Err(truncated(length, self.rest.len() - LENGTH_BYTES));
        }
        let record = self.rest.split_to(LENGTH_BYTES + length).split_off(LENGTH_BYTES);
        let (code, row) = record.split_first().ok_or_else(|| truncated(1, 0))?;
        let row = self.format.decode(self.row_type, row)?;
        Ok((
            ChangeType::from_code(*code)?,
            row.into_iter().map(Datum::into_owned).collect(),
        ))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<(ChangeType, OwnedRow), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let record = self.record();
        self.left = if record.is_ok() { self.left - 1 } else { 0 };
        Some(record)
    }
}

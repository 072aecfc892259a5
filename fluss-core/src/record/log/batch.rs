use std::sync::Arc;

use bytes::Bytes;

use super::header::{ChangeType, HEADER_BYTES, LENGTH_AT, LENGTH_OVERHEAD, LogBatchHeader};
use super::statistics::{Statistics, check_whole};
use crate::error::DecodeError;
use crate::id::{Offset, SchemaId};
use crate::types::RowType;

/// One batch of a log: its header, read, and its bytes, shared with what it was fetched in.
#[derive(Clone, Debug)]
pub struct LogBatch {
    header: LogBatchHeader,
    bytes: Bytes,
}

impl LogBatch {
    /// The header.
    pub const fn header(&self) -> &LogBatchHeader {
        &self.header
    }

    /// The whole batch.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The size of the whole batch in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A batch has a header, and is never empty.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The offset of the first record.
    pub const fn base_offset(&self) -> Offset {
        self.header.base_offset
    }

    /// The offset of the record behind the batch. A batch without records takes one offset too.
    pub const fn next_offset(&self) -> Offset {
        self.header.next_offset()
    }

    /// When the leader stored the batch, in milliseconds since the epoch.
    pub const fn commit_timestamp(&self) -> i64 {
        self.header.commit_timestamp
    }

    /// The schema of the records.
    pub const fn schema_id(&self) -> SchemaId {
        self.header.schema_id
    }

    /// The number of records.
    pub const fn record_count(&self) -> usize {
        self.header.record_count
    }

    /// Compares the bytes with the checksum. That of a projected batch never matches (`records.md` §1.9).
    pub fn verify_checksum(&self) -> Result<(), DecodeError> {
        let actual = crc32c::crc32c(self.bytes.get(self.header.crc_from..).unwrap_or_default());
        if actual == self.header.crc {
            return Ok(());
        }
        let reason = format!("checksum {actual:08x}, the header says {:08x}", self.header.crc);
        Err(DecodeError::new("log batch", reason))
    }

    /// As [`verify_checksum`](Self::verify_checksum), for who stores batches: what the batch tells of its columns is whole too,
    /// and of the version that is known. Else a batch whose magic number was changed, which no checksum covers, would be taken
    /// for one with statistics.
    pub fn verify(&self) -> Result<(), DecodeError> {
        self.verify_checksum()?;
        check_whole(self.stored_statistics())
    }

    /// What is behind the header.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(self.header.payload_from.min(self.bytes.len())..)
    }

    /// What the batch tells of its columns; nothing if it does not, or in a version that is not known. `row_type` is that
    /// of its schema id.
    ///
    /// # Errors
    ///
    /// A section that is malformed. The records can be read all the same.
    pub fn statistics(&self, row_type: &RowType) -> Result<Option<Statistics>, DecodeError> {
        Statistics::decode(self.stored_statistics(), row_type)
    }

    fn stored_statistics(&self) -> &[u8] {
        let end = self.header.payload_from;
        let start = end.saturating_sub(self.header.statistics_bytes);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The change types of an ARROW batch that is not append-only (`records.md` §1.6).
    pub fn change_types(&self) -> Result<Option<Arc<[ChangeType]>>, DecodeError> {
        if self.header.append_only {
            return Ok(None);
        }
        let codes = self.change_type_codes()?.iter();
        codes
            .map(|code| ChangeType::from_code(*code))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The change types of an ARROW batch as they are stored: none in an append-only batch.
    pub(super) fn change_type_codes(&self) -> Result<&[u8], DecodeError> {
        let payload = self.bytes.get(self.header.payload_from..).unwrap_or_default();
        let count = if self.header.append_only {
            0
        } else {
            self.record_count()
        };
        payload
            .get(..count)
            .ok_or_else(|| DecodeError::truncated("change types", count, payload.len()))
    }

    /// The Arrow message of an ARROW batch, behind the change types.
    pub(super) fn arrow_message(&self) -> Result<Bytes, DecodeError> {
        let skip = self.change_type_codes()?.len();
        Ok(self.payload().slice(skip..))
    }
}

/// The batches in a stretch of a log, end to end. What is cut off at the end is left out (`records.md` §1.5).
#[derive(Clone, Debug)]
pub struct LogBatches {
    rest: Bytes,
}

impl LogBatches {
    /// The batches in `bytes`.
    pub const fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// The bytes behind the last whole batch that was returned: the beginning of a batch that is cut, or nothing.
    pub const fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Leaves the rest out.
    pub(super) fn clear(&mut self) {
        self.rest.clear();
    }

    fn take(&mut self) -> Result<Option<LogBatch>, DecodeError> {
        let Some(size) = batch_size(&self.rest)? else {
            return Ok(None);
        };
        if size > self.rest.len() {
            return Ok(None);
        }
        let bytes = self.rest.split_to(size);
        let header = LogBatchHeader::decode(&bytes, size)?;
        Ok(Some(LogBatch { header, bytes }))
    }
}

/// How many bytes of a batch tell its size (`records.md` §1.2).
pub const BATCH_SIZE_TOLD_BY: usize = LENGTH_OVERHEAD;

/// The size of the batch that these bytes begin with, of which there may be more or fewer; nothing if they are too few to
/// tell.
///
/// # Errors
///
/// A length that leaves no room for a header.
pub fn batch_size(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some(length) = bytes.get(LENGTH_AT..).and_then(|rest| rest.first_chunk()) else {
        return Ok(None);
    };
    let length = i32::from_le_bytes(*length);
    let size = usize::try_from(length)
        .ok()
        .map(|length| length + LENGTH_OVERHEAD)
        .filter(|size| *size >= HEADER_BYTES);
    let fault = || {
        DecodeError::new(
            "log batch",
            format!("a length of {length} has no room for a header"),
        )
    };
    size.map(Some).ok_or_else(fault)
}

impl Iterator for LogBatches {
    type Item = Result<LogBatch, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.take().transpose();
        if matches!(batch, Some(Err(_))) {
            self.clear();
        }
        batch
    }
}

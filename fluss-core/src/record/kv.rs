//! KV record batches: what a primary-key table is written with (`records.md` §2).

use bytes::Bytes;

use super::Take;
use super::unsealed::{Places, UnsealedBatch, patch};
use crate::error::{DecodeError, ValueError};
use crate::id::{BatchSequence, SchemaId, WriterId};

const WHAT: &str = "KV batch";
const HEADER_BYTES: usize = 28;
const LENGTH_BYTES: usize = 4;
const PLACES: Places = Places {
    writer: 12,
    sequence: 20,
    crc: 5,
    crc_from: 9,
};

/// Collects keys and rows into a batch.
#[derive(Clone, Debug)]
pub struct KvBatchBuilder {
    schema_id: SchemaId,
    bytes: Vec<u8>,
    records: usize,
}

impl KvBatchBuilder {
    /// A batch without records.
    pub fn new(schema_id: SchemaId) -> Self {
        Self {
            schema_id,
            bytes: vec![0; HEADER_BYTES],
            records: 0,
        }
    }

    /// Adds an encoded key with its encoded row, or without one to delete the key.
    ///
    /// # Errors
    ///
    /// A key and row of more than 2 GiB.
    pub fn append(&mut self, key: &[u8], row: Option<&[u8]>) -> Result<(), ValueError> {
        self.append_with(key, |out| {
            out.extend_from_slice(row.unwrap_or_default());
            Ok(())
        })
    }

    /// Adds an encoded key with the row that `write` appends; it appends nothing to delete the key. The batch stays as
    /// it was if that fails.
    ///
    /// # Errors
    ///
    /// Those of `write`; a key and row of more than 2 GiB.
    pub fn append_with(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        put_varint(key.len(), &mut self.bytes);
        self.bytes.extend_from_slice(key);
        let length = write(&mut self.bytes).and_then(|()| {
            let length = self.bytes.len() - start - LENGTH_BYTES;
            i32::try_from(length)
                .map_err(|_| ValueError::row(format!("a key and row of {length} bytes are too large")))
        });
        match length {
            Ok(length) => {
                patch(&mut self.bytes, start, &length.to_le_bytes());
                self.records += 1;
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// The number of records.
    pub const fn len(&self) -> usize {
        self.records
    }

    /// Whether there are no records.
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The size of the batch so far, in bytes.
    pub fn estimated_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The batch.
    ///
    /// # Errors
    ///
    /// More than 2 GiB.
    pub fn finish(mut self) -> Result<UnsealedBatch, ValueError> {
        let too_large = |_| ValueError::row("a batch of more than 2 GiB is too large");
        let length = i32::try_from(self.bytes.len() - LENGTH_BYTES).map_err(too_large)?;
        let records = i32::try_from(self.records).map_err(too_large)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&length.to_le_bytes());
        header.push(0);
        header.extend_from_slice(&0_u32.to_le_bytes());
        header.extend_from_slice(&self.schema_id.get().to_le_bytes());
        header.push(0);
        header.extend_from_slice(&(-1_i64).to_le_bytes());
        header.extend_from_slice(&(-1_i32).to_le_bytes());
        header.extend_from_slice(&records.to_le_bytes());
        patch(&mut self.bytes, 0, &header);
        Ok(UnsealedBatch::new(self.bytes, &PLACES))
    }
}

fn put_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A batch that was received.
#[derive(Clone, Debug)]
pub struct KvBatch {
    /// The schema of the rows.
    pub schema_id: SchemaId,
    /// The idempotent writer and the number of the batch, if there is one.
    pub stamp: Option<(WriterId, BatchSequence)>,
    /// The number of records.
    pub record_count: usize,
    crc: u32,
    bytes: Bytes,
}

/// A record of a batch: a key, and its row unless the key is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KvRecord<'a> {
    /// The encoded key.
    pub key: &'a [u8],
    /// The encoded row; nothing to delete the key.
    pub row: Option<&'a [u8]>,
}

impl KvBatch {
    /// Reads the header of the batch that `bytes` are.
    ///
    /// # Errors
    ///
    /// A size that is not that of the bytes, an unknown magic, or too few bytes for a header.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut take = Take::new(WHAT, &bytes);
        let length = take.count()?;
        if length != bytes.len() - LENGTH_BYTES {
            return Err(DecodeError::new(
                WHAT,
                format!("{} bytes, its length says {length}", bytes.len()),
            ));
        }
        let [magic] = take.array()?;
        if magic != 0 {
            return Err(DecodeError::new(WHAT, format!("unknown magic {magic}")));
        }
        let crc = u32::from_le_bytes(take.array()?);
        let schema_id = SchemaId(i16::from_le_bytes(take.array()?));
        let [_attributes] = take.array()?;
        let writer = i64::from_le_bytes(take.array()?);
        let sequence = take.i32()?;
        let record_count = take.count()?;
        let stamp = (writer >= 0).then_some((WriterId(writer), BatchSequence(sequence)));
        Ok(Self {
            schema_id,
            stamp,
            record_count,
            crc,
            bytes,
        })
    }

    /// Compares the bytes with the checksum. A 0.9.1 server does not.
    pub fn verify_checksum(&self) -> Result<(), DecodeError> {
        let actual = crc32c::crc32c(self.bytes.get(PLACES.crc_from..).unwrap_or_default());
        if actual == self.crc {
            return Ok(());
        }
        Err(DecodeError::new(
            WHAT,
            format!("checksum {actual:08x}, the header says {:08x}", self.crc),
        ))
    }

    /// The records, in order, and an error for bytes that are behind the last of them.
    pub fn records(&self) -> impl Iterator<Item = Result<KvRecord<'_>, DecodeError>> {
        let mut take = Take::new("KV record", self.bytes.get(HEADER_BYTES..).unwrap_or_default());
        let mut left = Some(self.record_count);
        std::iter::from_fn(move || {
            let record = match left? {
                0 if take.rest.is_empty() => return None,
                0 => Err(behind(take.rest.len())),
                _ => record(&mut take),
            };
            left = left.filter(|_| record.is_ok()).map(|left| left - 1);
            Some(record)
        })
    }
}

fn behind(bytes: usize) -> DecodeError {
    DecodeError::new(WHAT, format!("{bytes} bytes behind the last record"))
}

fn record<'a>(take: &mut Take<'a>) -> Result<KvRecord<'a>, DecodeError> {
    let length = take.count()?;
    let mut inner = Take::new("KV record", take.bytes(length)?);
    let key_length = inner.varint()?;
    let key = inner.bytes(key_length)?;
    Ok(KvRecord {
        key,
        row: (!inner.rest.is_empty()).then_some(inner.rest),
    })
}

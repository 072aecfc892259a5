//! KV record batches: what a primary-key table is written with (`records.md` §2).

use bytes::Bytes;

use super::Take;
use crate::error::{DecodeError, ValueError};
use crate::id::{BatchSequence, SchemaId, WriterId};

const WHAT: &str = "KV batch";
const HEADER_BYTES: usize = 28;
const LENGTH_BYTES: usize = 4;
const CRC_AT: usize = 5;
const CRC_FROM: usize = 9;

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
        let row = row.unwrap_or_default();
        let size = varint_bytes(key.len()) + key.len() + row.len();
        let length = i32::try_from(size)
            .map_err(|_| ValueError::row(format!("a key and row of {size} bytes are too large")))?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        put_varint(key.len(), &mut self.bytes);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        self.records += 1;
        Ok(())
    }

    /// The size of the batch so far, in bytes.
    pub fn estimated_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The batch, stamped with an idempotent writer and its number, or without.
    ///
    /// # Errors
    ///
    /// More than 2 GiB.
    pub fn finish(mut self, stamp: Option<(WriterId, BatchSequence)>) -> Result<Bytes, ValueError> {
        let too_large = |_| ValueError::row("a batch of more than 2 GiB is too large");
        let length = i32::try_from(self.bytes.len() - LENGTH_BYTES).map_err(too_large)?;
        let records = i32::try_from(self.records).map_err(too_large)?;
        let (writer, sequence) = stamp.map_or((-1, -1), |(writer, sequence)| (writer.get(), sequence.get()));
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&length.to_le_bytes());
        header.push(0);
        header.extend_from_slice(&0_u32.to_le_bytes());
        header.extend_from_slice(&self.schema_id.get().to_le_bytes());
        header.push(0);
        header.extend_from_slice(&writer.to_le_bytes());
        header.extend_from_slice(&sequence.to_le_bytes());
        header.extend_from_slice(&records.to_le_bytes());
        put(&mut self.bytes, 0, &header);
        let crc = crc32c::crc32c(self.bytes.get(CRC_FROM..).unwrap_or_default());
        put(&mut self.bytes, CRC_AT, &crc.to_le_bytes());
        Ok(self.bytes.into())
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn varint_bytes(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
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
        let actual = crc32c::crc32c(self.bytes.get(CRC_FROM..).unwrap_or_default());
        if actual == self.crc {
            return Ok(());
        }
        Err(DecodeError::new(
            WHAT,
            format!("checksum {actual:08x}, the header says {:08x}", self.crc),
        ))
    }

    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = Result<KvRecord<'_>, DecodeError>> {
        let mut take = Take::new("KV record", self.bytes.get(HEADER_BYTES..).unwrap_or_default());
        let mut left = self.record_count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let record = record(&mut take);
            if record.is_err() {
                left = 0;
            }
            Some(record)
        })
    }
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

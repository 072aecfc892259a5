//! Stored values: what look-ups and limit scans of primary-key tables return (`records.md` §3).

use std::ops::Range;

use bytes::Bytes;

use super::Take;
use crate::error::DecodeError;
use crate::id::SchemaId;

/// A stored value: an encoded row, and the schema that it was written under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredValue<'a> {
    /// The schema of the row.
    pub schema_id: SchemaId,
    /// The encoded row.
    pub row: &'a [u8],
}

impl<'a> StoredValue<'a> {
    /// Reads a stored value.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut take = Take::new("stored value", bytes);
        Ok(Self {
            schema_id: SchemaId(i16::from_le_bytes(take.array()?)),
            row: take.rest,
        })
    }

    /// Appends the stored value to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.schema_id.get().to_le_bytes());
        out.extend_from_slice(self.row);
    }
}

/// Takes the tag off a stored value of a table with `table.kv.ttl`, as the files of its snapshots hold it
/// (`v1_0.md` §11.3): the time of the row in milliseconds, and the stored value.
///
/// # Errors
///
/// Too few bytes.
pub fn split_tag(bytes: &[u8]) -> Result<(i64, &[u8]), DecodeError> {
    let mut take = Take::new("tagged value", bytes);
    Ok((i64::from_be_bytes(take.array()?), take.rest))
}

/// The values of a batch, as a limit scan returns them (`records.md` §3.2).
///
/// # Errors
///
/// A batch that is cut, of an unknown magic, or with values that reach beyond it.
pub fn decode_values(bytes: &[u8]) -> Result<Vec<StoredValue<'_>>, DecodeError> {
    encoded_values(bytes)?
        .into_iter()
        .map(StoredValue::decode)
        .collect()
}

/// As [`decode_values`], each value as it is encoded. They share the memory of the batch.
///
/// # Errors
///
/// As of [`decode_values`], but for what is in the values.
pub fn split_values(bytes: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let values = encoded_values(bytes)?;
    Ok(values.into_iter().map(|value| bytes.slice_ref(value)).collect())
}

/// As [`split_values`], borrowed.
///
/// # Errors
///
/// As of [`split_values`].
pub fn encoded_values(bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut take = Take::new("value batch", bytes);
    let length = take.count()?;
    let mut inner = Take::new("value batch", take.bytes(length)?);
    let [magic] = inner.array()?;
    if magic != 0 {
        return Err(DecodeError::new("value batch", format!("unknown magic {magic}")));
    }
    let count = inner.count()?;
    (0..count)
        .map(|_| {
            let length = inner.count()?;
            inner.bytes(length)
        })
        .collect()
}

/// As [`encoded_values`], where each value is in the batch.
///
/// # Errors
///
/// As of [`split_values`].
pub fn value_ranges(bytes: &[u8]) -> Result<Vec<Range<usize>>, DecodeError> {
    let values = encoded_values(bytes)?.into_iter();
    let range = |value: &[u8]| {
        let start = value.as_ptr().addr() - bytes.as_ptr().addr();
        start..start + value.len()
    };
    Ok(values.map(range).collect())
}

/// A batch of values.
pub fn encode_values(values: &[StoredValue<'_>]) -> Vec<u8> {
    let mut batch = ValuesBuilder::default();
    let mut encoded = Vec::new();
    for value in values {
        encoded.clear();
        value.encode(&mut encoded);
        batch.push(&encoded);
    }
    batch.finish()
}

/// Collects a batch of values that are encoded already.
#[derive(Clone, Debug)]
pub struct ValuesBuilder {
    batch: Vec<u8>,
    count: i32,
}

impl ValuesBuilder {
    /// The length of the batch, its magic number, and the number of values.
    const HEAD_BYTES: usize = 9;

    /// Adds an encoded value.
    pub fn push(&mut self, value: &[u8]) {
        self.count += 1;
        self.batch.extend_from_slice(&(value.len() as i32).to_le_bytes());
        self.batch.extend_from_slice(value);
    }

    /// Whether there is no value.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes that values take so far, each with its length.
    pub fn bytes(&self) -> usize {
        self.batch.len() - Self::HEAD_BYTES
    }

    /// The batch.
    pub fn finish(mut self) -> Vec<u8> {
        let length = (self.batch.len() - size_of::<i32>()) as i32;
        let head = [&length.to_le_bytes()[..], &[0], &self.count.to_le_bytes()].concat();
        for (place, byte) in self.batch.iter_mut().zip(head) {
            *place = byte;
        }
        self.batch
    }
}

impl Default for ValuesBuilder {
    fn default() -> Self {
        Self {
            batch: vec![0; Self::HEAD_BYTES],
            count: 0,
        }
    }
}

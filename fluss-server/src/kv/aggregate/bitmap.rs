//! Unions of serialised roaring bitmaps.

use std::collections::BTreeSet;

use fluss_core::types::Datum;
use roaring::RoaringBitmap;

use crate::kv::error::Error;

/// The width of the numbers in a bitmap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bits {
    B32,
    B64,
}

/// The bitmap of all that is in either. One that cannot be read is refused rather than taken for empty.
pub(super) fn union(bits: Bits, old: &Datum<'_>, new: &Datum<'_>) -> Result<Datum<'static>, Error> {
    let (old, new) = (bytes(old)?, bytes(new)?);
    match bits {
        Bits::B32 => union32(old, new),
        Bits::B64 => union64(old, new),
    }
    .map(Datum::from)
}

fn bytes<'v>(value: &'v Datum<'_>) -> Result<&'v [u8], Error> {
    match value {
        Datum::Bytes(bytes) => Ok(bytes),
        other => Err(refused(format!("{} is no bitmap", other.kind_name()))),
    }
}

/// The portable format, which all libraries share.
fn union32(old: &[u8], new: &[u8]) -> Result<Vec<u8>, Error> {
    let read = |mut bytes: &[u8]| {
        let bitmap = RoaringBitmap::deserialize_from(&mut bytes);
        let bitmap = bitmap.map_err(|error| refused(format!("a bitmap that cannot be read: {error}")))?;
        if bytes.is_empty() {
            Ok(bitmap)
        } else {
            Err(refused("bytes behind the end of a bitmap"))
        }
    };
    let all: RoaringBitmap = read(old)? | read(new)?;
    let mut out = Vec::with_capacity(all.serialized_size());
    all.serialize_into(&mut out)
        .map_err(|error| refused(error.to_string()))?;
    Ok(out)
}

/// What stands before and after the only container of a `Roaring64Bitmap` whose numbers are all below 65,536. Its format
/// is not the portable one, but the nodes of an adaptive radix tree.
const HEAD: [u8; 38] = [
    1, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xFE, 1, 0,
    0, 0, 1, ARRAY,
];
const TAIL: [u8; 16] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const EMPTY: [u8; 1] = [0];
/// The container that lists its numbers, and how many it does at most.
const ARRAY: u8 = 2;
const ARRAY_NUMBERS: usize = 4_096;

fn union64(old: &[u8], new: &[u8]) -> Result<Vec<u8>, Error> {
    if new == EMPTY {
        return numbers64(old).map(|_| old.to_vec());
    }
    let mut all = numbers64(old)?;
    all.append(&mut numbers64(new)?);
    if all.len() > ARRAY_NUMBERS {
        return Err(unsupported());
    }
    let mut out = HEAD.to_vec();
    out.extend_from_slice(&(all.len() as u32).to_le_bytes());
    out.extend(all.iter().flat_map(|number| number.to_le_bytes()));
    out.extend_from_slice(&TAIL);
    Ok(out)
}

fn numbers64(bytes: &[u8]) -> Result<BTreeSet<u16>, Error> {
    if bytes == EMPTY {
        return Ok(BTreeSet::new());
    }
    let inner = bytes
        .strip_prefix(&HEAD)
        .and_then(|rest| rest.strip_suffix(&TAIL));
    let (count, numbers) = inner
        .and_then(|inner| inner.split_first_chunk())
        .ok_or_else(unsupported)?;
    let (pairs, rest) = numbers.as_chunks();
    if !rest.is_empty() || u32::from_le_bytes(*count) as usize != pairs.len() {
        return Err(unsupported());
    }
    Ok(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
}

fn unsupported() -> Error {
    refused("64-bit bitmaps are merged only while they have at most 4096 numbers, all of them below 65536")
}

fn refused(reason: impl Into<String>) -> Error {
    Error::BadRecord(reason.into())
}

//! Slots of eight bytes, which hold a value or say where it is (`rows.md` §4.1).

use super::bytes::{pad_to_8, patch};
use super::physical::{self, Layout, Physical};
use super::{RowFormat, nested};
use crate::types::{DataType, Datum};
use crate::{DecodeError, ValueError};

/// Longer bytes do not fit into a slot beside their length.
const MAX_INLINE: usize = 7;

/// The top bit of a slot's last byte: bytes are in the slot itself, and the other bits are their length.
const INLINE: u8 = 0x80;

/// What a decimal takes up in the variable part, however short it is.
const DECIMAL_BYTES: usize = 16;

/// Where the slot of a value is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where the array or row begins, from which offsets count.
    pub(super) base: usize,
    /// Where the slot begins, or the element of an array whose elements are narrower.
    pub(super) at: usize,
}

/// Writes a value that is not null into a slot of zeros, and appends what does not fit there.
pub(super) fn write(
    format: RowFormat,
    place: Place,
    data_type: &DataType,
    datum: &Datum<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let at = place.at;
    match Physical::of(data_type, datum)? {
        Physical::Byte(value) => patch(out, at, &[value]),
        Physical::Short(value) => patch(out, at, &value.to_le_bytes()),
        Physical::Word(value) => patch(out, at, &value.to_le_bytes()),
        Physical::Float(value) => patch(out, at, &value.to_le_bytes()),
        Physical::Long(value) => patch(out, at, &value.to_le_bytes()),
        Physical::Double(value) => patch(out, at, &value.to_le_bytes()),
        Physical::Bytes(bytes) if bytes.len() <= MAX_INLINE => {
            patch(out, at, bytes);
            patch(out, at + MAX_INLINE, &[INLINE | bytes.len() as u8]);
        }
        Physical::Bytes(bytes) => append(place, out, |out| {
            out.extend_from_slice(bytes);
            Ok(())
        })?,
        Physical::Decimal(decimal) => {
            let start = out.len();
            append(place, out, |out| {
                out.extend_from_slice(decimal.as_slice());
                Ok(())
            })?;
            out.resize(start + DECIMAL_BYTES, 0);
        }
        Physical::Moment(moment) => {
            refer(place, out.len(), moment.nanos_of_milli(), out)?;
            out.extend_from_slice(&moment.millis().to_le_bytes());
        }
        Physical::Nested => append(place, out, |out| nested::write(format, data_type, datum, out))?,
    }
    Ok(())
}

/// Appends a value to the variable part and points the slot to it.
fn append(
    place: Place,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    let start = out.len();
    write(out)?;
    let length = nested::length(out.len() - start)?;
    refer(place, start, length as u32, out)?;
    pad_to_8(out, place.base);
    Ok(())
}

fn refer(place: Place, start: usize, low: u32, out: &mut [u8]) -> Result<(), ValueError> {
    let offset = nested::length(start - place.base)?;
    let slot = (i64::from(offset) << 32) | i64::from(low);
    patch(out, place.at, &slot.to_le_bytes());
    Ok(())
}

/// The bytes of an array or row, whose slots refer to places in it.
pub(super) struct Region<'a> {
    what: &'static str,
    bytes: &'a [u8],
    /// Where the variable part begins.
    variable: usize,
    /// How many bytes of the variable part nested values may still claim. Slots of an honest writer never share
    /// bytes; those of a hostile one could make a few bytes stand for many values.
    unclaimed: usize,
}

impl<'a> Region<'a> {
    /// The bytes of the structure named `what`, of which the first `fixed` are not the variable part.
    pub(super) fn new(what: &'static str, bytes: &'a [u8], fixed: usize) -> Result<Self, DecodeError> {
        let unclaimed = bytes
            .len()
            .checked_sub(fixed)
            .ok_or_else(|| DecodeError::truncated(what, fixed, bytes.len()))?;
        Ok(Self {
            what,
            bytes,
            variable: fixed,
            unclaimed,
        })
    }

    fn get(&self, at: usize, length: usize) -> Result<&'a [u8], DecodeError> {
        at.checked_add(length)
            .and_then(|end| self.bytes.get(at..end))
            .ok_or_else(|| {
                let reason = format!("{length} bytes at {at} wanted of {}", self.bytes.len());
                DecodeError::new(self.what, reason)
            })
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.get(at, N)?);
        Ok(array)
    }

    /// The two halves of a slot that is a reference: offset, and length or nanoseconds.
    fn reference(&self, at: usize) -> Result<(usize, u32), DecodeError> {
        let slot = u64::from_le_bytes(self.array(at)?);
        let offset = (slot >> 32) as usize;
        if offset < self.variable {
            let reason = format!("a slot refers to byte {offset} of the fixed part");
            return Err(DecodeError::new(self.what, reason));
        }
        Ok((offset, slot as u32))
    }

    fn referenced(&self, at: usize) -> Result<&'a [u8], DecodeError> {
        let (offset, length) = self.reference(at)?;
        self.get(offset, length as usize)
    }

    fn inline_or_referenced(&self, at: usize) -> Result<&'a [u8], DecodeError> {
        let [.., last] = self.array::<8>(at)?;
        match last & !INLINE {
            _ if last & INLINE == 0 => self.referenced(at),
            length @ 0..=7 => self.get(at, usize::from(length)),
            length => Err(DecodeError::new(self.what, format!("{length} bytes in a slot"))),
        }
    }

    fn claimed(&mut self, at: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.referenced(at)?;
        self.unclaimed = self
            .unclaimed
            .checked_sub(bytes.len())
            .ok_or_else(|| DecodeError::new(self.what, "nested values share bytes"))?;
        Ok(bytes)
    }
}

/// Reads a value that is not null from the slot, or narrower element, at `at`.
pub(super) fn read<'a>(
    format: RowFormat,
    region: &mut Region<'a>,
    at: usize,
    data_type: &DataType,
) -> Result<Datum<'a>, DecodeError> {
    let kind = data_type.kind();
    match Layout::of(kind) {
        Layout::Byte => physical::byte(kind, u8::from_le_bytes(region.array(at)?)),
        Layout::Short => Ok(Datum::SmallInt(i16::from_le_bytes(region.array(at)?))),
        Layout::Word => Ok(physical::word(kind, i32::from_le_bytes(region.array(at)?))),
        Layout::Float => Ok(Datum::Float(f32::from_le_bytes(region.array(at)?))),
        Layout::Long => Ok(physical::long(kind, i64::from_le_bytes(region.array(at)?))),
        Layout::Double => Ok(Datum::Double(f64::from_le_bytes(region.array(at)?))),
        Layout::Bytes => physical::bytes(kind, region.inline_or_referenced(at)?),
        Layout::Decimal => physical::decimal(kind, region.referenced(at)?),
        Layout::Moment => {
            let (offset, nanos) = region.reference(at)?;
            physical::moment(kind, i64::from_le_bytes(region.array(offset)?), nanos as i32)
        }
        Layout::Nested => nested::read(format, data_type, region.claimed(at)?),
    }
}

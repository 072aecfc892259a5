//! Arrays, maps and rows inside rows (`rows.md` §4.2, §4.3): the same in every format but for the rows in them.

use super::bytes::{Reader, has_bit, pad_to_8, patch, set_bit};
use super::physical::{self, Layout, Physical, mismatch};
use super::{RowFormat, check};
use crate::types::{DataType, Datum, Kind};
use crate::{DecodeError, ValueError};

const ARRAY: &str = "array";
const MAP: &str = "map";

/// The only NaNs that arrays hold (`rows.md` §1).
const FLOAT_NAN: Datum<'static> = Datum::Float(f32::from_bits(0x7fc0_0000));
const DOUBLE_NAN: Datum<'static> = Datum::Double(f64::from_bits(0x7ff8_0000_0000_0000));

/// A length or offset as the formats hold it.
///
/// # Errors
/// It is beyond the 2 GiB that they can express.
pub(super) fn length(length: usize) -> Result<i32, ValueError> {
    i32::try_from(length).map_err(|_| ValueError::row(format!("{length} bytes are more than a row can hold")))
}

/// Appends the bytes of an ARRAY, MAP or ROW, without their length.
pub(super) fn write(
    format: RowFormat,
    data_type: &DataType,
    datum: &Datum<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    match (data_type.kind(), datum) {
        (Kind::Array(element), Datum::Array(elements)) => write_array(format, element, elements.iter(), out),
        (Kind::Map(key, value), Datum::Map(entries)) => write_map(format, key, value, entries, out),
        (Kind::Row(row_type), Datum::Row(fields)) => {
            check::arity(row_type, fields, "its type", "fields")?;
            format.write(row_type, fields.as_slice(), out)
        }
        (kind, datum) => Err(mismatch(kind, datum)),
    }
}

/// The bytes of one element.
const fn width(element: &DataType) -> usize {
    match Layout::of(element.kind()) {
        Layout::Byte => 1,
        Layout::Short => 2,
        Layout::Word | Layout::Float => 4,
        _ => 8,
    }
}

/// The bytes of the element count and the null bits.
const fn array_header(count: usize) -> usize {
    4 + 4 * count.div_ceil(32)
}

fn write_array<'d>(
    format: RowFormat,
    element_type: &DataType,
    elements: impl ExactSizeIterator<Item = &'d Datum<'d>>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let base = out.len();
    let first = base + array_header(elements.len());
    out.extend_from_slice(&length(elements.len())?.to_le_bytes());
    out.resize(first + elements.len() * width(element_type), 0);
    pad_to_8(out, base);
    for (index, element) in elements.enumerate() {
        let at = first + index * width(element_type);
        let place = Place { base, at };
        let written = match element {
            Datum::Null => {
                set_bit(out, base + 4, index);
                continue;
            }
            Datum::Float(value) if value.is_nan() => write_slot(format, place, element_type, &FLOAT_NAN, out),
            Datum::Double(value) if value.is_nan() => {
                write_slot(format, place, element_type, &DOUBLE_NAN, out)
            }
            datum => write_slot(format, place, element_type, datum, out),
        };
        written.map_err(|error| error.within(&format!("[{index}]")))?;
    }
    pad_to_8(out, base);
    Ok(())
}

fn write_map(
    format: RowFormat,
    key_type: &DataType,
    value_type: &DataType,
    entries: &[(Datum<'_>, Datum<'_>)],
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write_array(format, key_type, entries.iter().map(|(key, _)| key), out)?;
    let keys = length(out.len() - start - 4)?;
    patch(out, start, &keys.to_le_bytes());
    write_array(format, value_type, entries.iter().map(|(_, value)| value), out)
}

/// Reads the ARRAY, MAP or ROW that `bytes` are.
pub(super) fn read<'a>(
    format: RowFormat,
    data_type: &DataType,
    bytes: &'a [u8],
) -> Result<Datum<'a>, DecodeError> {
    match data_type.kind() {
        Kind::Array(element) => read_array(format, element, bytes).map(Datum::Array),
        Kind::Map(key, value) => read_map(format, key, value, bytes).map(Datum::Map),
        Kind::Row(row_type) => format.decode(row_type, bytes).map(Datum::Row),
        kind => Err(DecodeError::new("nested value", format!("{kind} is not nested"))),
    }
}

fn read_array<'a>(
    format: RowFormat,
    element_type: &DataType,
    bytes: &'a [u8],
) -> Result<Vec<Datum<'a>>, DecodeError> {
    let mut reader = Reader::new(ARRAY, bytes);
    let count = i32::from_le_bytes(reader.array()?);
    let count = reader.length(count)?;
    let width = width(element_type);
    if count > bytes.len() / width {
        return Err(reader.error(format!("{count} elements in {} bytes", bytes.len())));
    }
    let first = array_header(count);
    let mut region = Region::new(ARRAY, bytes, (first + count * width).next_multiple_of(8))?;
    let nulls = reader.rest();
    let element = |index| {
        if has_bit(nulls, index) {
            Ok(Datum::Null)
        } else {
            read_slot(format, &mut region, first + index * width, element_type)
        }
    };
    (0..count).map(element).collect()
}

fn read_map<'a>(
    format: RowFormat,
    key_type: &DataType,
    value_type: &DataType,
    bytes: &'a [u8],
) -> Result<Vec<(Datum<'a>, Datum<'a>)>, DecodeError> {
    let mut reader = Reader::new(MAP, bytes);
    let key_bytes = i32::from_le_bytes(reader.array()?);
    let keys = reader.take(reader.length(key_bytes)?)?;
    let keys = read_array(format, key_type, keys)?;
    let values = read_array(format, value_type, reader.rest())?;
    if keys.len() != values.len() {
        let reason = format!("{} keys and {} values", keys.len(), values.len());
        return Err(DecodeError::new(MAP, reason));
    }
    if keys.iter().any(Datum::is_null) {
        return Err(DecodeError::new(MAP, "a key is null"));
    }
    Ok(keys.into_iter().zip(values).collect())
}

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
pub(super) fn write_slot(
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
        Physical::Nested => append(place, out, |out| write(format, data_type, datum, out))?,
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
    let length = length(out.len() - start)?;
    refer(place, start, length as u32, out)?;
    pad_to_8(out, place.base);
    Ok(())
}

fn refer(place: Place, start: usize, low: u32, out: &mut [u8]) -> Result<(), ValueError> {
    let offset = length(start - place.base)?;
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
pub(super) fn read_slot<'a>(
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
        Layout::Nested => read(format, data_type, region.claimed(at)?),
    }
}

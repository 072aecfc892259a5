//! Arrays, maps and rows inside rows (`rows.md` §4.2, §4.3): the same in every format but for the rows in them.

use super::bytes::{Reader, has_bit, pad_to_8, patch, set_bit};
use super::physical::{Layout, mismatch};
use super::slot::{self, Region};
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
        let place = slot::Place { base, at };
        let written = match element {
            Datum::Null => {
                set_bit(out, base + 4, index);
                continue;
            }
            Datum::Float(value) if value.is_nan() => {
                slot::write(format, place, element_type, &FLOAT_NAN, out)
            }
            Datum::Double(value) if value.is_nan() => {
                slot::write(format, place, element_type, &DOUBLE_NAN, out)
            }
            datum => slot::write(format, place, element_type, datum, out),
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
            slot::read(format, &mut region, first + index * width, element_type)
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

//! Compacted rows (`rows.md` §2): null bits, then the values without padding.

use super::bytes::{Reader, has_bit, put_varint32, put_varint64, set_bit};
use super::physical::{self, Layout, Physical};
use super::{RowFormat, nested};
use crate::types::{DataType, Datum, Kind, Row, RowType};
use crate::{DecodeError, ValueError};

const WHAT: &str = "compacted row";

pub(super) fn write(
    row_type: &RowType,
    row: &(impl Row + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let nulls = out.len();
    out.resize(nulls + row_type.len().div_ceil(8), 0);
    for (index, field) in row_type.fields().iter().enumerate() {
        match row.datum(index) {
            Datum::Null => set_bit(out, nulls, index),
            datum => write_value(&field.data_type, &datum, out).map_err(|error| error.within(&field.name))?,
        }
    }
    Ok(())
}

/// Appends one value that is not null; keys are made of these too.
pub(super) fn write_value(
    data_type: &DataType,
    datum: &Datum<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    match Physical::of(data_type, datum)? {
        Physical::Byte(value) => out.push(value),
        Physical::Short(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Word(value) => put_varint32(out, value),
        Physical::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Long(value) => put_varint64(out, value),
        Physical::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Bytes(bytes) => write_counted(bytes, out)?,
        Physical::Decimal(decimal) => write_counted(decimal.as_slice(), out)?,
        Physical::Moment(moment) => {
            put_varint64(out, moment.millis());
            put_varint32(out, moment.nanos_of_milli() as i32);
        }
        Physical::Nested => write_nested(data_type, datum, out)?,
    }
    Ok(())
}

fn write_counted(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    put_varint32(out, nested::length(bytes.len())?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// The length comes first, but is known last: the bytes are written and then moved to make room for it.
fn write_nested(data_type: &DataType, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let start = out.len();
    nested::write(RowFormat::Compacted, data_type, datum, out)?;
    let end = out.len();
    put_varint32(out, nested::length(end - start)?);
    let width = out.len() - end;
    if let Some(both) = out.get_mut(start..) {
        both.rotate_right(width);
    }
    Ok(())
}

/// Hands over the values of the row, of those columns that are wanted.
#[inline]
pub(super) fn visit<'a>(
    row_type: &RowType,
    bytes: &'a [u8],
    is_wanted: impl Fn(usize) -> bool,
    mut take: impl FnMut(usize, Datum<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(WHAT, bytes);
    let nulls = reader.take(row_type.len().div_ceil(8))?;
    for (index, field) in row_type.fields().iter().enumerate() {
        let is_null = has_bit(nulls, index);
        if !is_wanted(index) {
            if !is_null {
                pass_over(field.data_type.kind(), &mut reader).map_err(|error| error.within(&field.name))?;
            }
            continue;
        }
        let datum = if is_null {
            Datum::Null
        } else {
            read_value(&field.data_type, &mut reader).map_err(|error| error.within(&field.name))?
        };
        take(index, datum)?;
    }
    reader.finish()
}

/// Takes one value that is not null and that nobody wants.
fn pass_over(kind: &Kind, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match Layout::of(kind) {
        Layout::Byte => reader.take(1).map(drop),
        Layout::Short => reader.take(2).map(drop),
        Layout::Word => reader.varint32().map(drop),
        Layout::Float => reader.take(4).map(drop),
        Layout::Long => reader.varint64().map(drop),
        Layout::Double => reader.take(8).map(drop),
        Layout::Moment => reader.varint64().and_then(|_| reader.varint32()).map(drop),
        Layout::Bytes | Layout::Decimal | Layout::Nested => reader.counted().map(drop),
    }
}

/// Takes one value that is not null.
pub(super) fn read_value<'a>(
    data_type: &DataType,
    reader: &mut Reader<'a>,
) -> Result<Datum<'a>, DecodeError> {
    let kind = data_type.kind();
    match Layout::of(kind) {
        Layout::Byte => physical::byte(kind, reader.byte()?),
        Layout::Short => Ok(Datum::SmallInt(i16::from_le_bytes(reader.array()?))),
        Layout::Word => Ok(physical::word(kind, reader.varint32()?)),
        Layout::Float => Ok(Datum::Float(f32::from_le_bytes(reader.array()?))),
        Layout::Long => Ok(physical::long(kind, reader.varint64()?)),
        Layout::Double => Ok(Datum::Double(f64::from_le_bytes(reader.array()?))),
        Layout::Bytes => physical::bytes(kind, reader.counted()?),
        Layout::Decimal => physical::decimal(kind, reader.counted()?),
        Layout::Moment => physical::moment(kind, reader.varint64()?, reader.varint32()?),
        Layout::Nested => nested::read(RowFormat::Compacted, data_type, reader.counted()?),
    }
}

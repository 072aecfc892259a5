//! Indexed rows (`rows.md` §3): null bits, the lengths of variable fields, then the values without padding.

use super::bytes::{Reader, has_bit, patch, set_bit};
use super::physical::{self, Layout, Physical};
use super::{RowFormat, nested};
use crate::types::{DataType, Datum, Kind, Row, RowType};
use crate::{DecodeError, ValueError};

const WHAT: &str = "indexed row";

/// How many bytes the value has is for the row to say.
const fn is_variable(kind: &Kind) -> bool {
    match Layout::of(kind) {
        Layout::Bytes => matches!(kind, Kind::String | Kind::Bytes),
        Layout::Decimal | Layout::Nested => true,
        _ => false,
    }
}

/// The bytes of the list of lengths: one entry for each variable column, null or not.
fn length_list(row_type: &RowType) -> usize {
    let variable = row_type
        .fields()
        .iter()
        .filter(|field| is_variable(field.data_type.kind()));
    4 * variable.count()
}

pub(super) fn write(
    row_type: &RowType,
    row: &(impl Row + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let nulls = out.len();
    let mut next_length = nulls + row_type.len().div_ceil(8);
    out.resize(next_length + length_list(row_type), 0);
    for (index, field) in row_type.fields().iter().enumerate() {
        let datum = row.datum(index);
        if datum.is_null() {
            set_bit(out, nulls, index);
            continue;
        }
        let start = out.len();
        write_value(&field.data_type, &datum, out).map_err(|error| error.within(&field.name))?;
        if is_variable(field.data_type.kind()) {
            let length = nested::length(out.len() - start).map_err(|error| error.within(&field.name))?;
            patch(out, next_length, &length.to_le_bytes());
            next_length += 4;
        }
    }
    Ok(())
}

fn write_value(data_type: &DataType, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match Physical::of(data_type, datum)? {
        Physical::Byte(value) => out.push(value),
        Physical::Short(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Word(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Long(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Physical::Bytes(bytes) => write_bytes(data_type.kind(), bytes, out)?,
        Physical::Decimal(decimal) => out.extend_from_slice(decimal.as_slice()),
        Physical::Moment(moment) => {
            out.extend_from_slice(&moment.millis().to_le_bytes());
            out.extend_from_slice(&moment.nanos_of_milli().to_le_bytes());
        }
        Physical::Nested => nested::write(RowFormat::Indexed, data_type, datum, out)?,
    }
    Ok(())
}

/// CHAR(n) and BINARY(n) are filled up with zeros to n bytes.
fn write_bytes(kind: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    out.extend_from_slice(bytes);
    if let Kind::Char(width) | Kind::Binary(width) = kind {
        let padding = (*width as usize).checked_sub(bytes.len()).ok_or_else(|| {
            ValueError::row(format!(
                "{} bytes given, an indexed row holds {width} of a {kind}",
                bytes.len()
            ))
        })?;
        out.resize(out.len() + padding, 0);
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
    let mut values = Reader::new(WHAT, bytes);
    let nulls = values.take(row_type.len().div_ceil(8))?;
    let mut lengths = Reader::new(WHAT, values.take(length_list(row_type))?);
    for (index, field) in row_type.fields().iter().enumerate() {
        let is_null = has_bit(nulls, index);
        if !is_wanted(index) {
            if !is_null {
                let passed = pass_over(field.data_type.kind(), &mut lengths, &mut values);
                passed.map_err(|error| error.within(&field.name))?;
            }
            continue;
        }
        let datum = if is_null {
            Datum::Null
        } else {
            let read = read_value(&field.data_type, &mut lengths, &mut values);
            read.map_err(|error| error.within(&field.name))?
        };
        take(index, datum)?;
    }
    values.finish()
}

/// Takes one value that is not null and that nobody wants.
fn pass_over<'a>(kind: &Kind, lengths: &mut Reader<'a>, values: &mut Reader<'a>) -> Result<(), DecodeError> {
    match Layout::of(kind) {
        Layout::Byte => values.take(1),
        Layout::Short => values.take(2),
        Layout::Word | Layout::Float => values.take(4),
        Layout::Long | Layout::Double => values.take(8),
        Layout::Moment => values.take(12),
        Layout::Bytes => read_bytes(kind, lengths, values),
        Layout::Decimal | Layout::Nested => variable(lengths, values),
    }
    .map(drop)
}

fn read_value<'a>(
    data_type: &DataType,
    lengths: &mut Reader<'a>,
    values: &mut Reader<'a>,
) -> Result<Datum<'a>, DecodeError> {
    let kind = data_type.kind();
    match Layout::of(kind) {
        Layout::Byte => physical::byte(kind, values.byte()?),
        Layout::Short => Ok(Datum::SmallInt(i16::from_le_bytes(values.array()?))),
        Layout::Word => Ok(physical::word(kind, i32::from_le_bytes(values.array()?))),
        Layout::Float => Ok(Datum::Float(f32::from_le_bytes(values.array()?))),
        Layout::Long => Ok(physical::long(kind, i64::from_le_bytes(values.array()?))),
        Layout::Double => Ok(Datum::Double(f64::from_le_bytes(values.array()?))),
        Layout::Bytes => physical::bytes(kind, read_bytes(kind, lengths, values)?),
        Layout::Decimal => physical::decimal(kind, variable(lengths, values)?),
        Layout::Moment => {
            let millis = i64::from_le_bytes(values.array()?);
            physical::moment(kind, millis, i32::from_le_bytes(values.array()?))
        }
        Layout::Nested => nested::read(RowFormat::Indexed, data_type, variable(lengths, values)?),
    }
}

fn variable<'a>(lengths: &mut Reader<'a>, values: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = i32::from_le_bytes(lengths.array()?);
    values.take(values.length(length)?)
}

/// The zeros at the end of CHAR(n) and BINARY(n) are taken for padding, as every reader of the format does.
fn read_bytes<'a>(
    kind: &Kind,
    lengths: &mut Reader<'a>,
    values: &mut Reader<'a>,
) -> Result<&'a [u8], DecodeError> {
    let (Kind::Char(width) | Kind::Binary(width)) = kind else {
        return variable(lengths, values);
    };
    let padded = values.take(*width as usize)?;
    let end = padded
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    Ok(padded.get(..end).unwrap_or_default())
}

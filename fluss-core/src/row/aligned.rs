//! Aligned rows (`rows.md` §4.4): a header byte with the null bits, a slot of 8 bytes for each field, and a variable
//! part.

use super::RowFormat;
use super::bytes::{has_bit, pad_to_8, set_bit};
use super::nested::{self, Region};
use crate::types::{Datum, Row, RowType};
use crate::{DecodeError, ValueError};

const WHAT: &str = "aligned row";

/// The header byte comes before the null bits in the same region.
const HEADER_BITS: usize = 8;

const fn header_bytes(fields: usize) -> usize {
    8 * (fields + HEADER_BITS).div_ceil(64)
}

pub(super) fn write(
    row_type: &RowType,
    row: &(impl Row + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let base = out.len();
    let slots = base + header_bytes(row_type.len());
    out.resize(slots + 8 * row_type.len(), 0);
    for (index, field) in row_type.fields().iter().enumerate() {
        let place = nested::Place {
            base,
            at: slots + 8 * index,
        };
        match row.datum(index) {
            Datum::Null => set_bit(out, base, index + HEADER_BITS),
            datum => nested::write_slot(RowFormat::Aligned, place, &field.data_type, &datum, out)
                .map_err(|error| error.within(&field.name))?,
        }
    }
    pad_to_8(out, base);
    Ok(())
}

/// Hands over the values of the row, of those columns that are wanted.
pub(super) fn visit<'a>(
    row_type: &RowType,
    bytes: &'a [u8],
    is_wanted: impl Fn(usize) -> bool,
    mut take: impl FnMut(usize, Datum<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let slots = header_bytes(row_type.len());
    let mut region = Region::new(WHAT, bytes, slots + 8 * row_type.len())?;
    for (index, field) in row_type.fields().iter().enumerate() {
        if !is_wanted(index) {
            continue;
        }
        let datum = if has_bit(bytes, index + HEADER_BITS) {
            Datum::Null
        } else {
            nested::read_slot(
                RowFormat::Aligned,
                &mut region,
                slots + 8 * index,
                &field.data_type,
            )
            .map_err(|error| error.within(&field.name))?
        };
        take(index, datum)?;
    }
    Ok(())
}

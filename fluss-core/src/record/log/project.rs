//! Batches of some columns, as a server answers a projected fetch (`records.md` §1.9).

use std::ops::Range;

use arrow::datatypes::SchemaRef;
use arrow::ipc;
use bytes::Bytes;

use super::LogBatch;
use super::header::{LENGTH_AT, LENGTH_OVERHEAD};
use super::message::{Counts, Metadata, fault};
use crate::error::{DecodeError, ValueError};
use crate::record::unsealed::patch;

/// Which nodes and buffers of a schema's batches belong to the wanted columns. It serves all batches of the schema.
#[derive(Clone, Debug)]
pub struct Projection {
    columns: Vec<Range<Counts>>,
    /// What a batch of the whole schema has.
    all: Counts,
}

impl Projection {
    /// The projection of batches in `schema` (that of their schema id) to the columns at these positions.
    ///
    /// # Errors
    ///
    /// Positions that do not ascend, or that the schema does not have; a type that no table has.
    pub fn new(schema: &SchemaRef, columns: &[usize]) -> Result<Self, ValueError> {
        if !columns.is_sorted_by(|left, right| left < right) {
            return Err(ValueError::row("projected columns do not ascend"));
        }
        let mut all = Counts::default();
        let mut places = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let start = all;
            all = all.plus(Counts::of(field.data_type()).ok_or_else(|| {
                ValueError::column(field.name(), format!("type {} is not stored", field.data_type()))
            })?);
            places.push(start..all);
        }
        let place = |column: &usize| {
            let place = places.get(*column).cloned();
            place.ok_or_else(|| ValueError::row(format!("there is no column {column}")))
        };
        Ok(Self {
            columns: columns.iter().map(place).collect::<Result<_, _>>()?,
            all,
        })
    }

    /// The batch with the wanted columns only. Their buffers are copied as they are, compressed or not; a batch without
    /// records is shared. The checksum stays that of the whole batch, which readers know.
    ///
    /// # Errors
    ///
    /// A message that is malformed, of another schema, or whose buffers do not lie one behind the other in a body of a
    /// multiple of 8 bytes.
    pub fn apply(&self, batch: &LogBatch) -> Result<Bytes, DecodeError> {
        if batch.record_count() == 0 {
            return Ok(batch.bytes().clone());
        }
        let (original, body) = Metadata::read(&batch.arrow_message()?)?;
        let places = places(&original.buffers, body.len())?;
        if (original.nodes.len(), places.len()) != (self.all.nodes, self.all.buffers) {
            return Err(fault("other columns than the schema has"));
        }
        let wanted: Vec<_> = self.select(&places, |counts| counts.buffers).cloned().collect();
        let metadata = Metadata {
            nodes: self
                .select(&original.nodes, |counts| counts.nodes)
                .copied()
                .collect(),
            buffers: move_up(&wanted),
            ..original
        };
        let mut out = head(batch)?;
        out.extend_from_slice(&metadata.write(wanted.iter().map(|place| place.room.len()).sum()));
        for place in &wanted {
            out.extend_from_slice(body.get(place.room.clone()).unwrap_or_default());
        }
        with_length(out)
    }

    /// The items of the wanted columns.
    fn select<'a, T>(&self, items: &'a [T], count: fn(&Counts) -> usize) -> impl Iterator<Item = &'a T> {
        self.columns
            .iter()
            .filter_map(move |column| items.get(count(&column.start)..count(&column.end)))
            .flatten()
    }
}

/// Where a buffer is in a body.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its bytes and the padding behind them.
    room: Range<usize>,
    /// The number of its bytes.
    length: i64,
}

/// The places of all buffers: each has room up to the next.
pub(super) fn places(buffers: &[ipc::Buffer], body_bytes: usize) -> Result<Vec<Place>, DecodeError> {
    if !body_bytes.is_multiple_of(8) {
        return Err(fault(format!("a body of {body_bytes} bytes is not padded")));
    }
    let ends = buffers.iter().skip(1).map(ipc::Buffer::offset);
    let ends = ends.chain([body_bytes as i64]);
    let place = |(buffer, end): (&ipc::Buffer, i64)| {
        let room = usize::try_from(buffer.offset()).ok()?..usize::try_from(end).ok()?;
        let fits = room.start <= room.end && usize::try_from(buffer.length()).ok()? <= room.len();
        (fits && room.end <= body_bytes).then_some(Place {
            room,
            length: buffer.length(),
        })
    };
    let places: Option<_> = buffers.iter().zip(ends).map(place).collect();
    places.ok_or_else(|| fault("buffers do not lie one behind the other"))
}

/// The buffers of a body that has nothing but these places.
fn move_up(places: &[Place]) -> Vec<ipc::Buffer> {
    let mut start = 0;
    let buffer = |place: &Place| {
        let buffer = ipc::Buffer::new(start, place.length);
        start += place.room.len() as i64;
        buffer
    };
    places.iter().map(buffer).collect()
}

/// What precedes the message: the header, which says that there are no statistics, and the change types.
fn head(batch: &LogBatch) -> Result<Vec<u8>, DecodeError> {
    let header = batch.header();
    let mut head = batch
        .bytes()
        .get(..header.payload_from - header.statistics_bytes)
        .unwrap_or_default()
        .to_vec();
    if header.statistics_bytes > 0 {
        let at = head.len() - size_of::<i32>();
        patch(&mut head, at, &[0; size_of::<i32>()]);
    }
    head.extend_from_slice(batch.change_type_codes()?);
    Ok(head)
}

/// The batch with its length in the header.
fn with_length(mut batch: Vec<u8>) -> Result<Bytes, DecodeError> {
    let length = i32::try_from(batch.len() - LENGTH_OVERHEAD)
        .map_err(|_| fault(format!("{} bytes are too many for a batch", batch.len())))?;
    patch(&mut batch, LENGTH_AT, &length.to_le_bytes());
    Ok(batch.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(buffers: &[(i64, i64)], body_bytes: usize) -> Option<Vec<usize>> {
        let buffers: Vec<_> = buffers
            .iter()
            .map(|(offset, length)| ipc::Buffer::new(*offset, *length))
            .collect();
        let places = places(&buffers, body_bytes).ok()?;
        Some(places.iter().map(|place| place.room.len()).collect())
    }

    #[test]
    fn a_buffer_has_room_up_to_the_next() {
        assert_eq!(rooms(&[(0, 3), (8, 0), (8, 9)], 24), Some(vec![8, 0, 16]));
        assert_eq!(rooms(&[], 0), Some(vec![]));
    }

    /// Else a few bytes could be sent many times over.
    #[test]
    fn buffers_that_share_bytes_are_refused() {
        assert_eq!(rooms(&[(0, 8), (8, 8), (0, 8)], 16), None);
        assert_eq!(rooms(&[(0, 16), (8, 8)], 16), None);
        // A buffer without bytes would let the one behind it begin anew.
        assert_eq!(rooms(&[(0, 8), (16, 0), (0, 8)], 16), None);
    }

    #[test]
    fn buffers_outside_the_body_are_refused() {
        for buffer in [(-8, 8), (0, -8), (0, 24), (24, 0), (i64::MAX, 8), (8, i64::MAX)] {
            assert_eq!(rooms(&[buffer], 16), None, "{buffer:?}");
        }
        assert_eq!(rooms(&[(0, 8)], 12), None);
    }
}

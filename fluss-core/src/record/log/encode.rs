//! From columns to the bytes of a batch (`records.md` §1.2, §1.6).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ByteArrayType, DataType as ArrowType};
use arrow::ipc;
use arrow::record_batch::RecordBatch;

use super::compression::compress;
use super::header::{CRC_AT, CRC_FROM, ChangeType, HEADER_BYTES, LENGTH_OVERHEAD, SEQUENCE_AT, WRITER_AT};
use super::message::{Counts, Metadata};
use super::statistics::StatisticsColumns;
use crate::error::ValueError;
use crate::id::SchemaId;
use crate::record::unsealed::{Places, UnsealedBatch, patch};
use crate::types::Compression;

const PLACES: Places = Places {
    writer: WRITER_AT,
    sequence: SEQUENCE_AT,
    crc: CRC_AT,
    crc_from: CRC_FROM,
};

/// Writes the header in front of a payload that begins at [`HEADER_BYTES`].
pub(super) fn with_header(
    bytes: Vec<u8>,
    schema_id: SchemaId,
    append_only: bool,
    records: usize,
) -> Result<UnsealedBatch, ValueError> {
    seal_later(bytes, 0, schema_id, append_only, records)
}

fn seal_later(
    mut bytes: Vec<u8>,
    magic: u8,
    schema_id: SchemaId,
    append_only: bool,
    records: usize,
) -> Result<UnsealedBatch, ValueError> {
    let too_large = |_| ValueError::row(format!("a batch of {} bytes is too large", bytes.len()));
    let size = i32::try_from(bytes.len()).map_err(too_large)?;
    let records = i32::try_from(records).map_err(too_large)?;
    patch(
        &mut bytes,
        0,
        &header(size, magic, schema_id, append_only, records),
    );
    Ok(UnsealedBatch::new(bytes, &PLACES))
}

/// The header of a batch of so many bytes in all.
fn header(size: i32, magic: u8, schema_id: SchemaId, append_only: bool, records: i32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&0_i64.to_le_bytes());
    header.extend_from_slice(&(size - LENGTH_OVERHEAD as i32).to_le_bytes());
    header.push(magic);
    header.extend_from_slice(&0_i64.to_le_bytes());
    header.extend_from_slice(&0_u32.to_le_bytes());
    header.extend_from_slice(&schema_id.get().to_le_bytes());
    header.push(u8::from(append_only));
    header.extend_from_slice(&(records - 1).max(0).to_le_bytes());
    header.extend_from_slice(&(-1_i64).to_le_bytes());
    header.extend_from_slice(&(-1_i32).to_le_bytes());
    header.extend_from_slice(&records.to_le_bytes());
    header
}

/// A changelog's batch without records, which takes one offset: it records the number of a batch of writes that
/// changed nothing (`records.md` §1.5).
pub fn empty_batch(schema_id: SchemaId) -> UnsealedBatch {
    let header = header(HEADER_BYTES as i32, 0, schema_id, false, 0);
    UnsealedBatch::new(header, &PLACES)
}

/// A batch in the ARROW format. Without change types all records are appended.
///
/// # Errors
///
/// A type that no table has; more than 2 GiB; as many change types as there are not rows.
pub fn encode_arrow(
    batch: &RecordBatch,
    change_types: Option<&[ChangeType]>,
    compression: Compression,
    schema_id: SchemaId,
) -> Result<UnsealedBatch, ValueError> {
    let out = vec![0; HEADER_BYTES];
    encode_behind(out, 0, batch, change_types, (compression, schema_id))
}

/// As [`encode_arrow`], of magic 1: the batch tells of these columns what a filter can use (`v1_0.md` §7). Where that cannot
/// be told, the batch goes without.
///
/// # Errors
///
/// As of [`encode_arrow`].
pub fn encode_arrow_with_statistics(
    batch: &RecordBatch,
    change_types: Option<&[ChangeType]>,
    compression: Compression,
    schema_id: SchemaId,
    columns: &StatisticsColumns,
) -> Result<UnsealedBatch, ValueError> {
    let mut out = vec![0; HEADER_BYTES + size_of::<i32>()];
    let start = out.len();
    if batch.num_rows() > 0 && columns.collect(batch, &mut out).is_err() {
        out.truncate(start);
    }
    let length = (out.len() - start) as i32;
    patch(&mut out, HEADER_BYTES, &length.to_le_bytes());
    encode_behind(out, 1, batch, change_types, (compression, schema_id))
}

/// Writes a batch behind the room for its header.
fn encode_behind(
    mut out: Vec<u8>,
    magic: u8,
    batch: &RecordBatch,
    change_types: Option<&[ChangeType]>,
    (compression, schema_id): (Compression, SchemaId),
) -> Result<UnsealedBatch, ValueError> {
    out.reserve(batch.get_array_memory_size());
    if let Some(change_types) = change_types {
        if change_types.len() != batch.num_rows() {
            let reason = format!(
                "{} change types for {} rows",
                change_types.len(),
                batch.num_rows()
            );
            return Err(ValueError::row(reason));
        }
        out.extend(change_types.iter().map(|change_type| change_type.code()));
    }
    if batch.num_rows() > 0 {
        write_message(batch, compression, &mut out)?;
    }
    seal_later(out, magic, schema_id, change_types.is_none(), batch.num_rows())
}

/// Appends the record batch as one encapsulated message.
///
/// The metadata stand before the body but are known only after it. Their size, however, depends only on the number of
/// nodes and buffers: room is left for them, and filled in the end.
fn write_message(batch: &RecordBatch, compression: Compression, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let start = out.len();
    let room = room(batch, compression)?;
    out.resize(start + room, 0);
    let body_start = out.len();
    let mut body = Body {
        compression,
        start: body_start,
        metadata: metadata(batch, compression, Counts::default()),
    };
    for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
        body.write(column, out)
            .map_err(|error| error.within(field.name()))?;
    }
    let metadata = body.metadata.write(out.len() - body_start);
    if metadata.len() == room {
        patch(out, start, &metadata);
    } else {
        out.splice(start..body_start, metadata);
    }
    Ok(())
}

/// The size of the metadata of a batch with a body.
fn room(batch: &RecordBatch, compression: Compression) -> Result<usize, ValueError> {
    let schema = batch.schema_ref();
    let counts = schema.fields().iter().try_fold(Counts::default(), |sum, field| {
        let counts =
            Counts::of(field.data_type()).ok_or_else(|| not_stored(field.data_type()).within(field.name()));
        counts.map(|counts| sum.plus(counts))
    })?;
    Ok(metadata(batch, compression, counts).write(usize::MAX >> 1).len())
}

/// The metadata of a batch, with so many nodes and buffers that are still to be filled in.
fn metadata(batch: &RecordBatch, compression: Compression, counts: Counts) -> Metadata {
    Metadata {
        rows: batch.num_rows() as i64,
        nodes: vec![ipc::FieldNode::new(1, 1); counts.nodes],
        buffers: vec![ipc::Buffer::new(1, 1); counts.buffers],
        codec: match compression {
            Compression::None => None,
            Compression::Lz4Frame => Some(ipc::CompressionType::LZ4_FRAME),
            Compression::Zstd(_) => Some(ipc::CompressionType::ZSTD),
        },
    }
}

fn not_stored(column: &ArrowType) -> ValueError {
    ValueError::row(format!("Arrow type {column} cannot be stored"))
}

/// Writes the body of a message, and notes in the metadata what it has written.
struct Body {
    compression: Compression,
    /// Where the body begins in what is written.
    start: usize,
    metadata: Metadata,
}

impl Body {
    fn write(&mut self, array: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ValueError> {
        self.metadata
            .nodes
            .push(ipc::FieldNode::new(array.len() as i64, array.null_count() as i64));
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => self.buffer(&nulls.inner().sliced(), out),
            None => self.buffer(&[], out),
        }
        match array.data_type() {
            ArrowType::Boolean => self.buffer(&array.as_boolean().values().sliced(), out),
            ArrowType::FixedSizeBinary(_) => self.buffer(array.as_fixed_size_binary().value_data(), out),
            ArrowType::Utf8 => self.write_bytes(array.as_string::<i32>(), out),
            ArrowType::Binary => self.write_bytes(array.as_binary::<i32>(), out),
            ArrowType::List(_) => {
                let list = array.as_list::<i32>();
                return self.write_list(list.offsets(), list.values(), out);
            }
            ArrowType::Map(..) => {
                let map = array.as_map();
                let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
                return self.write_list(map.offsets(), &entries, out);
            }
            ArrowType::Struct(_) => {
                return array
                    .as_struct()
                    .columns()
                    .iter()
                    .try_for_each(|child| self.write(child, out));
            }
            other => match other.primitive_width() {
                Some(width) => self.buffer(&fixed_width(array, width), out),
                None => return Err(not_stored(other)),
            },
        }
        Ok(())
    }

    fn write_bytes<T: ByteArrayType<Offset = i32>>(
        &mut self,
        array: &arrow::array::GenericByteArray<T>,
        out: &mut Vec<u8>,
    ) {
        let (first, last) = self.write_offsets(array.offsets(), out);
        self.buffer(array.values().get(first..last).unwrap_or_default(), out);
    }

    fn write_list(
        &mut self,
        offsets: &OffsetBuffer<i32>,
        values: &ArrayRef,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let (first, last) = self.write_offsets(offsets, out);
        self.write(&values.slice(first, last - first), out)
    }

    /// Writes offsets that begin with 0, and returns the stretch of values that they stand for.
    fn write_offsets(&mut self, offsets: &OffsetBuffer<i32>, out: &mut Vec<u8>) -> (usize, usize) {
        let first = offsets.first().copied().unwrap_or_default();
        let last = offsets.last().copied().unwrap_or_default();
        if first == 0 {
            self.buffer(offsets.inner().inner().as_slice(), out);
        } else {
            let rebased: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
            self.buffer(Buffer::from_vec(rebased).as_slice(), out);
        }
        let at = |offset| usize::try_from(offset).unwrap_or_default();
        (at(first), at(last))
    }

    /// Appends a buffer, and zeros up to a multiple of 8 bytes.
    fn buffer(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        compress(self.compression, bytes, out);
        let length = out.len() - start;
        self.metadata
            .buffers
            .push(ipc::Buffer::new((start - self.start) as i64, length as i64));
        out.resize(start + length.next_multiple_of(8), 0);
    }
}

/// The values of an array of numbers.
fn fixed_width(array: &ArrayRef, width: usize) -> Buffer {
    let data = array.to_data();
    let values = data.buffers().first().cloned().unwrap_or_default();
    values.slice_with_length(data.offset() * width, data.len() * width)
}

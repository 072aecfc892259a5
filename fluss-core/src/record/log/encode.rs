//! From columns to the bytes of a batch (`records.md` §1.2, §1.6).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ByteArrayType, DataType as ArrowType};
use arrow::ipc;
use arrow::record_batch::RecordBatch;
use flatbuffers::FlatBufferBuilder;

use super::compression::compress;
use super::header::{CRC_AT, CRC_FROM, ChangeType, HEADER_BYTES, LENGTH_OVERHEAD, SEQUENCE_AT, WRITER_AT};
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
    mut bytes: Vec<u8>,
    schema_id: SchemaId,
    append_only: bool,
    records: usize,
) -> Result<UnsealedBatch, ValueError> {
    let too_large = |_| ValueError::row(format!("a batch of {} bytes is too large", bytes.len()));
    let length = i32::try_from(bytes.len() - LENGTH_OVERHEAD.min(bytes.len())).map_err(too_large)?;
    let records = i32::try_from(records).map_err(too_large)?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&0_i64.to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.push(0);
    header.extend_from_slice(&0_i64.to_le_bytes());
    header.extend_from_slice(&0_u32.to_le_bytes());
    header.extend_from_slice(&schema_id.get().to_le_bytes());
    header.push(u8::from(append_only));
    header.extend_from_slice(&(records - 1).max(0).to_le_bytes());
    header.extend_from_slice(&(-1_i64).to_le_bytes());
    header.extend_from_slice(&(-1_i32).to_le_bytes());
    header.extend_from_slice(&records.to_le_bytes());
    patch(&mut bytes, 0, &header);
    Ok(UnsealedBatch::new(bytes, &PLACES))
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
    let mut out = vec![0; HEADER_BYTES];
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
    with_header(out, schema_id, change_types.is_none(), batch.num_rows())
}

/// Appends the record batch as one encapsulated message.
///
/// The metadata stand before the body but are known only after it. Their size, however, depends only on the number of
/// nodes and buffers: room is left for them, and filled in the end.
fn write_message(batch: &RecordBatch, compression: Compression, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let start = out.len();
    let mut layout = Body::default();
    for column in batch.columns() {
        layout.measure(column)?;
    }
    let room = layout.metadata(batch.num_rows(), compression, usize::MAX >> 1);
    out.extend_from_slice(&room);
    let body_start = out.len();
    let mut body = Body {
        compression,
        start: body_start,
        ..Body::default()
    };
    for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
        body.write(column, out)
            .map_err(|error| error.within(field.name()))?;
    }
    let metadata = body.metadata(batch.num_rows(), compression, out.len() - body_start);
    if metadata.len() == room.len() {
        patch(out, start, &metadata);
    } else {
        out.splice(start..body_start, metadata);
    }
    Ok(())
}

/// The nodes and buffers of a message.
struct Body {
    compression: Compression,
    start: usize,
    nodes: Vec<ipc::FieldNode>,
    buffers: Vec<ipc::Buffer>,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            start: 0,
            nodes: Vec::new(),
            buffers: Vec::new(),
        }
    }
}

impl Body {
    /// The continuation mark, the size of the metadata, and the metadata.
    fn metadata(&self, rows: usize, compression: Compression, body_bytes: usize) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::with_capacity(1024);
        let nodes = builder.create_vector(&self.nodes);
        let buffers = builder.create_vector(&self.buffers);
        let codec = match compression {
            Compression::None => None,
            Compression::Lz4Frame => Some(ipc::CompressionType::LZ4_FRAME),
            Compression::Zstd(_) => Some(ipc::CompressionType::ZSTD),
        };
        let codec = codec.map(|codec| {
            let mut table = ipc::BodyCompressionBuilder::new(&mut builder);
            table.add_codec(codec);
            table.add_method(ipc::BodyCompressionMethod::BUFFER);
            table.finish()
        });
        let mut table = ipc::RecordBatchBuilder::new(&mut builder);
        table.add_length(rows as i64);
        table.add_nodes(nodes);
        table.add_buffers(buffers);
        if let Some(codec) = codec {
            table.add_compression(codec);
        }
        let header = table.finish().as_union_value();
        let mut message = ipc::MessageBuilder::new(&mut builder);
        message.add_version(ipc::MetadataVersion::V5);
        message.add_header_type(ipc::MessageHeader::RecordBatch);
        message.add_bodyLength(body_bytes as i64);
        message.add_header(header);
        let message = message.finish();
        builder.finish(message, None);
        let data = builder.finished_data();
        let padded = data.len().next_multiple_of(8);
        let mut metadata = Vec::with_capacity(8 + padded);
        metadata.extend_from_slice(&[0xFF; 4]);
        metadata.extend_from_slice(&(padded as i32).to_le_bytes());
        metadata.extend_from_slice(data);
        metadata.resize(8 + padded, 0);
        metadata
    }

    /// Counts the nodes and buffers of a column.
    fn measure(&mut self, array: &ArrayRef) -> Result<(), ValueError> {
        self.nodes.push(ipc::FieldNode::new(1, 1));
        let (buffers, children): (usize, Vec<ArrayRef>) = match array.data_type() {
            ArrowType::Struct(_) => (1, array.as_struct().columns().to_vec()),
            ArrowType::List(_) => (2, vec![array.as_list::<i32>().values().clone()]),
            ArrowType::Map(..) => (2, vec![std::sync::Arc::new(array.as_map().entries().clone())]),
            ArrowType::Utf8 | ArrowType::Binary => (3, Vec::new()),
            other if other.is_primitive() => (2, Vec::new()),
            ArrowType::Boolean | ArrowType::FixedSizeBinary(_) => (2, Vec::new()),
            other => return Err(ValueError::row(format!("Arrow type {other} cannot be stored"))),
        };
        self.buffers.extend((0..buffers).map(|_| ipc::Buffer::new(1, 1)));
        children.iter().try_for_each(|child| self.measure(child))
    }

    fn write(&mut self, array: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ValueError> {
        self.nodes
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
                None => return Err(ValueError::row(format!("Arrow type {other} cannot be stored"))),
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
        self.buffers
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

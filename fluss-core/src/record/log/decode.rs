//! From the bytes of an ARROW batch to columns (`records.md` §1.6).

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, RecordBatchOptions, make_array, new_empty_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc;
use arrow::record_batch::RecordBatch;

use super::LogBatch;
use super::compression::Stored;
use super::message::{Counts, Metadata, fault, next_node};
use crate::error::DecodeError;

/// The most bytes that the buffers of a batch have together when they are decompressed, unless somebody says otherwise.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// The columns of an ARROW batch. `schema` is that of the batch's schema id, projected as the fetch was.
///
/// Buffers that are neither compressed nor misaligned share the memory of the batch; others are copied once.
///
/// # Errors
///
/// A message that is malformed in any way, or of other columns than `schema`'s.
pub fn decode_arrow(batch: &LogBatch, schema: &SchemaRef) -> Result<RecordBatch, DecodeError> {
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    decode_arrow_columns(batch, schema, &all)
}

/// As [`decode_arrow`], but only the columns of `schema` at these positions, which ascend. The others are stepped over:
/// nothing of them is decompressed, copied or checked.
///
/// # Errors
///
/// As [`decode_arrow`]; positions that `schema` does not have.
pub fn decode_arrow_columns(
    batch: &LogBatch,
    schema: &SchemaRef,
    columns: &[usize],
) -> Result<RecordBatch, DecodeError> {
    decode_arrow_within(batch, schema, columns, MAX_BATCH_BYTES)
}

/// As [`decode_arrow_columns`], where buffers may have so many bytes together when they are decompressed.
///
/// # Errors
///
/// As [`decode_arrow_columns`]; buffers that have more.
pub fn decode_arrow_within(
    batch: &LogBatch,
    schema: &SchemaRef,
    columns: &[usize],
    max_bytes: usize,
) -> Result<RecordBatch, DecodeError> {
    let wanted = if columns.len() == schema.fields().len() {
        schema.clone()
    } else {
        Arc::new(schema.project(columns).map_err(arrow_fault)?)
    };
    if batch.record_count() == 0 {
        return Ok(RecordBatch::new_empty(wanted));
    }
    let mut walk = Walk::of(batch, max_bytes)?;
    let mut arrays = Vec::with_capacity(columns.len());
    for (position, field) in schema.fields().iter().enumerate() {
        if columns.binary_search(&position).is_ok() {
            let column = walk.column(field, Some(batch.record_count()));
            arrays.push(column.map_err(|error| error.within(field.name()))?);
        } else {
            walk.skip(field)?;
        }
    }
    if walk.nodes.next().is_some() || walk.buffers.next().is_some() {
        return Err(fault("more columns than the schema has"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.record_count()));
    RecordBatch::try_new_with_options(wanted, arrays, &options).map_err(arrow_fault)
}

/// Takes nodes and buffers in the order of the schema, depth first.
struct Walk {
    nodes: std::vec::IntoIter<ipc::FieldNode>,
    buffers: std::vec::IntoIter<ipc::Buffer>,
    codec: Option<ipc::CompressionType>,
    body: Buffer,
    /// How many bytes may still be decompressed, of how many.
    left: usize,
    max_bytes: usize,
}

impl Walk {
    /// Begins before the first column of a batch that has records.
    fn of(batch: &LogBatch, max_bytes: usize) -> Result<Self, DecodeError> {
        let (metadata, body) = Metadata::read(&batch.arrow_message()?)?;
        metadata.check_rows(batch.record_count())?;
        Ok(Self {
            nodes: metadata.nodes.into_iter(),
            buffers: metadata.buffers.into_iter(),
            codec: metadata.codec,
            body: Buffer::from(body),
            left: max_bytes,
            max_bytes,
        })
    }

    /// Steps over a column.
    fn skip(&mut self, field: &ArrowField) -> Result<(), DecodeError> {
        let counts = Counts::of(field.data_type())
            .ok_or_else(|| fault(format!("type {} is not stored", field.data_type())))?;
        let nodes = self.nodes.by_ref().take(counts.nodes).count();
        let buffers = self.buffers.by_ref().take(counts.buffers).count();
        if (Counts { nodes, buffers }) == counts {
            Ok(())
        } else {
            Err(fault("fewer columns than the schema has"))
        }
    }

    fn column(&mut self, field: &ArrowField, rows: Option<usize>) -> Result<ArrayRef, DecodeError> {
        let data = self.array(field.data_type(), rows)?;
        Ok(make_array(data))
    }

    fn array(&mut self, data_type: &ArrowType, rows: Option<usize>) -> Result<ArrayData, DecodeError> {
        let (node, length) = next_node(&mut self.nodes, rows)?;
        let validity = self.buffer(length.div_ceil(8))?;
        let nulls = nulls(validity, length, node.null_count())?;
        let mut builder = ArrayData::builder(data_type.clone())
            .len(length)
            .nulls(nulls)
            .align_buffers(true);
        match data_type {
            ArrowType::Boolean => builder = builder.add_buffer(self.exact(length.div_ceil(8))?),
            ArrowType::FixedSizeBinary(width) => {
                let width = usize::try_from(*width).unwrap_or_default();
                builder = builder.add_buffer(self.exact(product(length, width)?)?);
            }
            ArrowType::Utf8 | ArrowType::Binary => {
                let offsets = self.offsets(length)?;
                let needed = end_of(&offsets, length)?;
                builder = builder.add_buffer(offsets).add_buffer(self.buffer(needed)?);
            }
            ArrowType::List(child) | ArrowType::Map(child, _) => {
                builder = builder.add_buffer(self.offsets(length)?);
                builder = builder.add_child_data(self.array(child.data_type(), None)?);
            }
            ArrowType::Struct(fields) => {
                for child in fields {
                    builder = builder.add_child_data(self.array(child.data_type(), Some(length))?);
                }
            }
            other => {
                let width = other
                    .primitive_width()
                    .ok_or_else(|| fault(format!("type {other} is not stored")))?;
                builder = builder.add_buffer(self.exact(product(length, width)?)?);
            }
        }
        if length == 0 {
            // Its buffers may be missing altogether.
            return Ok(new_empty_array(data_type).to_data());
        }
        builder.build().map_err(arrow_fault)
    }

    fn offsets(&mut self, length: usize) -> Result<Buffer, DecodeError> {
        if length == 0 {
            return self.buffer(size_of::<i32>());
        }
        self.exact(product(length + 1, size_of::<i32>())?)
    }

    /// The next buffer, of which exactly so many bytes are needed. Arrow panics on a size that is no multiple of a
    /// value's.
    fn exact(&mut self, needed: usize) -> Result<Buffer, DecodeError> {
        let buffer = self.buffer(needed)?;
        if buffer.len() < needed {
            return Err(DecodeError::truncated("Arrow buffer", needed, buffer.len()));
        }
        Ok(buffer.slice_with_length(0, needed))
    }

    /// The next buffer. `expected` is the most that it needs to have.
    fn buffer(&mut self, expected: usize) -> Result<Buffer, DecodeError> {
        let place = self
            .buffers
            .next()
            .ok_or_else(|| fault("fewer buffers than the schema needs"))?;
        let range = usize::try_from(place.offset())
            .ok()
            .zip(usize::try_from(place.length()).ok());
        let inside = range.filter(|(offset, length)| {
            offset
                .checked_add(*length)
                .is_some_and(|end| end <= self.body.len())
        });
        let (offset, length) = inside.ok_or_else(|| fault("a buffer outside the body"))?;
        let stored = self.body.slice_with_length(offset, length);
        match self.codec {
            Some(codec) => self.decompressed(codec, &stored, expected),
            None => Ok(stored),
        }
    }

    fn decompressed(
        &mut self,
        codec: ipc::CompressionType,
        stored: &Buffer,
        limit: usize,
    ) -> Result<Buffer, DecodeError> {
        let kind = Stored::read(codec, stored, limit)?;
        if let Stored::Compressed { size } = kind {
            self.left = self.left.checked_sub(size).ok_or_else(|| {
                fault(format!(
                    "its buffers have more than the {} bytes that are allowed when they are decompressed",
                    self.max_bytes
                ))
            })?;
        }
        kind.decompress(codec, stored)
    }
}

/// How many bytes of values the offsets of so many values need.
fn end_of(offsets: &Buffer, length: usize) -> Result<usize, DecodeError> {
    let last = offsets
        .get(length * size_of::<i32>()..)
        .and_then(<[u8]>::first_chunk);
    let Some(last) = last else {
        // Without values there need be no offsets.
        return Ok(0);
    };
    usize::try_from(i32::from_le_bytes(*last)).map_err(|_| fault("a negative offset"))
}

fn nulls(validity: Buffer, length: usize, null_count: i64) -> Result<Option<NullBuffer>, DecodeError> {
    if null_count == 0 {
        return Ok(None);
    }
    if validity.len() < length.div_ceil(8) {
        return Err(DecodeError::truncated(
            "validity buffer",
            length.div_ceil(8),
            validity.len(),
        ));
    }
    Ok(Some(NullBuffer::new(BooleanBuffer::new(validity, 0, length))))
}

fn product(count: usize, width: usize) -> Result<usize, DecodeError> {
    count
        .checked_mul(width)
        .ok_or_else(|| fault(format!("{count} values")))
}

#[expect(clippy::needless_pass_by_value, reason = "called by map_err")]
fn arrow_fault(error: ArrowError) -> DecodeError {
    fault(error.to_string())
}

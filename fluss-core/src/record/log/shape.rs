//! What a batch looks like that readers get past, told without decoding its values.

use std::vec;

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, SchemaRef};
use arrow::ipc;
use bytes::Bytes;

use super::LogBatch;
use super::compression::{MAX_BUFFER_BYTES, Stored};
use super::header::ChangeType;
use super::message::{Metadata, fault, next_node};
use super::project::places;
use super::rows::decode_rows;
use crate::error::DecodeError;
use crate::row::RowFormat;
use crate::types::RowType;

/// What batches of one schema look like.
#[derive(Clone, Debug)]
pub enum BatchShape {
    /// Columns of this schema, as one Arrow message.
    Columns(SchemaRef),
    /// Rows of a format, one behind the other.
    Rows(RowFormat, RowType),
}

impl BatchShape {
    /// Checks that a batch has the records that its header says, in the shape that readers take it apart by. The
    /// checksum is not compared.
    ///
    /// Of columns the message is looked at: nodes, the places and sizes of buffers, change types, and that a projection
    /// can be made of them. What is in the buffers is not. Rows are read.
    ///
    /// # Errors
    ///
    /// What is wrong first.
    pub fn check(&self, batch: &LogBatch) -> Result<(), DecodeError> {
        if batch.record_count() == 0 {
            return Ok(());
        }
        match self {
            Self::Columns(schema) => check_columns(batch, schema),
            Self::Rows(format, row_type) => check_rows(batch, *format, row_type),
        }
    }
}

fn check_rows(batch: &LogBatch, format: RowFormat, row_type: &RowType) -> Result<(), DecodeError> {
    let mut records = decode_rows(batch, format, row_type);
    records.by_ref().try_for_each(|record| record.map(drop))?;
    match records.rest() {
        0 => Ok(()),
        rest => Err(DecodeError::new(
            "log batch",
            format!("{rest} bytes behind its {} records", batch.record_count()),
        )),
    }
}

fn check_columns(batch: &LogBatch, schema: &SchemaRef) -> Result<(), DecodeError> {
    for code in batch.change_type_codes()? {
        ChangeType::from_code(*code)?;
    }
    let (metadata, body) = Metadata::read(&batch.arrow_message()?)?;
    metadata.check_rows(batch.record_count())?;
    // Else no projection can be made.
    places(&metadata.buffers, body.len())?;
    let mut walk = Walk {
        nodes: metadata.nodes.into_iter(),
        buffers: metadata.buffers.into_iter(),
        codec: metadata.codec,
        body,
    };
    for field in schema.fields() {
        let column = walk.column(field, Some(batch.record_count()), true);
        column.map_err(|error| fault(format!("column '{}': {}", field.name(), error.reason())))?;
    }
    if walk.nodes.next().is_some() || walk.buffers.next().is_some() {
        return Err(fault("more columns than the schema has"));
    }
    Ok(())
}

/// Passes over nodes and buffers in the order of the schema, depth first.
struct Walk {
    nodes: vec::IntoIter<ipc::FieldNode>,
    buffers: vec::IntoIter<ipc::Buffer>,
    codec: Option<ipc::CompressionType>,
    body: Bytes,
}

impl Walk {
    /// Passes over a column, or a child of one. `shown` says that it is not under any null.
    fn column(&mut self, field: &ArrowField, rows: Option<usize>, shown: bool) -> Result<(), DecodeError> {
        let (node, length) = next_node(&mut self.nodes, rows)?;
        let nulls = usize::try_from(node.null_count()).ok();
        let nulls = nulls.filter(|nulls| *nulls <= length).ok_or_else(|| {
            let count = node.null_count();
            fault(format!("{count} nulls in {length} values"))
        })?;
        if nulls > 0 && shown && !field.is_nullable() {
            return Err(fault(format!("{nulls} nulls in a column that takes none")));
        }
        let bits = length.div_ceil(8);
        self.buffer(if nulls > 0 { bits } else { 0 }, bits)?;
        let shown = shown && nulls == 0;
        match field.data_type() {
            ArrowType::Boolean => self.exact(bits),
            ArrowType::FixedSizeBinary(width) => {
                self.exact(product(length, usize::try_from(*width).unwrap_or_default())?)
            }
            ArrowType::Utf8 | ArrowType::Binary => {
                self.offsets(length)?;
                self.buffer(0, MAX_BUFFER_BYTES)
            }
            ArrowType::List(child) | ArrowType::Map(child, _) => {
                self.offsets(length)?;
                self.column(child, None, false)
            }
            ArrowType::Struct(fields) => fields
                .iter()
                .try_for_each(|child| self.column(child, Some(length), shown)),
            other => {
                let width = other
                    .primitive_width()
                    .ok_or_else(|| fault(format!("type {other} is not stored")))?;
                self.exact(product(length, width)?)
            }
        }
    }

    fn offsets(&mut self, length: usize) -> Result<(), DecodeError> {
        let needed = product(length + 1, size_of::<i32>())?;
        // Of no values there need not be one.
        self.buffer(if length == 0 { 0 } else { needed }, needed)
    }

    fn exact(&mut self, needed: usize) -> Result<(), DecodeError> {
        self.buffer(needed, needed)
    }

    /// Passes over a buffer that has to have so many bytes, and at most so many where it is compressed.
    fn buffer(&mut self, least: usize, most: usize) -> Result<(), DecodeError> {
        let place = self
            .buffers
            .next()
            .ok_or_else(|| fault("fewer buffers than the schema needs"))?;
        let range = usize::try_from(place.offset())
            .ok()
            .zip(usize::try_from(place.length()).ok());
        let stored = range
            .and_then(|(offset, length)| self.body.get(offset..offset.checked_add(length)?))
            .ok_or_else(|| fault("a buffer outside the body"))?;
        let size = match self.codec {
            Some(codec) => Stored::read(codec, stored, most)?.size(),
            None => stored.len(),
        };
        if size < least {
            return Err(DecodeError::truncated("Arrow buffer", least, size));
        }
        Ok(())
    }
}

fn product(count: usize, width: usize) -> Result<usize, DecodeError> {
    count
        .checked_mul(width)
        .ok_or_else(|| fault(format!("{count} values")))
}

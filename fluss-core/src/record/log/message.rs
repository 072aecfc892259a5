//! Arrow's encapsulated record batch messages: a continuation mark, metadata, and a body (`records.md` §1.6).

use std::vec;

use arrow::buffer::Buffer;
use arrow::datatypes::DataType as ArrowType;
use arrow::ipc;
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;

use crate::error::DecodeError;

/// What precedes the metadata: the continuation mark and their size.
const PREFIX_BYTES: usize = 8;
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// How many nodes and buffers a column has, those of its children included.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub(super) nodes: usize,
    pub(super) buffers: usize,
}

impl Counts {
    /// The counts of a column; nothing for a type that no table has.
    pub(super) fn of(column: &ArrowType) -> Option<Self> {
        let own = |buffers| Self { nodes: 1, buffers };
        match column {
            ArrowType::Utf8 | ArrowType::Binary => Some(own(3)),
            ArrowType::Boolean | ArrowType::FixedSizeBinary(_) => Some(own(2)),
            ArrowType::List(child) | ArrowType::Map(child, _) => {
                Some(own(2).plus(Self::of(child.data_type())?))
            }
            ArrowType::Struct(children) => children
                .iter()
                .try_fold(own(1), |sum, child| Some(sum.plus(Self::of(child.data_type())?))),
            other => other.is_primitive().then(|| own(2)),
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            nodes: self.nodes + other.nodes,
            buffers: self.buffers + other.buffers,
        }
    }
}

/// What the metadata say of a body.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// The number of rows, not yet compared with anything.
    pub(super) rows: i64,
    /// A node for each column and child, depth first.
    pub(super) nodes: Vec<ipc::FieldNode>,
    /// The places of the buffers in the body, in the order of the nodes.
    pub(super) buffers: Vec<ipc::Buffer>,
    /// The compression of the buffers.
    pub(super) codec: Option<ipc::CompressionType>,
}

impl Metadata {
    /// Reads a message, and takes it apart.
    pub(super) fn read(message: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        let (metadata, body) = split(message)?;
        let message = ipc::root_as_message(&metadata).map_err(|error| fault(error.to_string()))?;
        let header = message
            .header_as_record_batch()
            .ok_or_else(|| fault("the message is no record batch"))?;
        let metadata = Self {
            rows: header.length(),
            nodes: header.nodes().into_iter().flatten().copied().collect(),
            buffers: header.buffers().into_iter().flatten().copied().collect(),
            codec: header.compression().map(|compression| compression.codec()),
        };
        Ok((metadata, body))
    }

    /// Checks that there are as many rows as the header of the batch says.
    pub(super) fn check_rows(&self, records: usize) -> Result<(), DecodeError> {
        if usize::try_from(self.rows).ok() == Some(records) {
            return Ok(());
        }
        Err(fault(format!("{} rows, the header says {records}", self.rows)))
    }

    /// What stands before a body of so many bytes: the continuation mark, the size of the metadata, and the metadata.
    pub(super) fn write(&self, body_bytes: usize) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::with_capacity(1024);
        let nodes = builder.create_vector(&self.nodes);
        let buffers = builder.create_vector(&self.buffers);
        let codec = self.codec.map(|codec| {
            let mut table = ipc::BodyCompressionBuilder::new(&mut builder);
            table.add_codec(codec);
            table.add_method(ipc::BodyCompressionMethod::BUFFER);
            table.finish()
        });
        let mut table = ipc::RecordBatchBuilder::new(&mut builder);
        table.add_length(self.rows);
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
        framed(builder.finished_data())
    }
}

/// Metadata behind their prefix, padded to a multiple of 8 bytes.
fn framed(metadata: &[u8]) -> Vec<u8> {
    let padded = metadata.len().next_multiple_of(8);
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + padded);
    bytes.extend_from_slice(&CONTINUATION);
    bytes.extend_from_slice(&(padded as i32).to_le_bytes());
    bytes.extend_from_slice(metadata);
    bytes.resize(PREFIX_BYTES + padded, 0);
    bytes
}

/// The metadata, moved to an address that suits them, and the body.
fn split(message: &Bytes) -> Result<(Buffer, Bytes), DecodeError> {
    let truncated = || DecodeError::truncated("Arrow message", PREFIX_BYTES, message.len());
    let prefix = message.first_chunk::<PREFIX_BYTES>().ok_or_else(truncated)?;
    let [c0, c1, c2, c3, s0, s1, s2, s3] = *prefix;
    if [c0, c1, c2, c3] != CONTINUATION {
        return Err(fault("it does not begin with the continuation mark"));
    }
    let size = usize::try_from(i32::from_le_bytes([s0, s1, s2, s3])).map_err(|_| fault("a negative size"))?;
    let body_start = PREFIX_BYTES + size;
    let metadata = message
        .get(PREFIX_BYTES..body_start)
        .ok_or_else(|| DecodeError::truncated("Arrow message", body_start, message.len()))?;
    Ok((Buffer::from_slice_ref(metadata), message.slice(body_start..)))
}

/// What is wrong with a message.
/// The next node in the order of the schema, and how many values it has: as many as the batch has `rows`, if it is asked
/// for those.
pub(super) fn next_node(
    nodes: &mut vec::IntoIter<ipc::FieldNode>,
    rows: Option<usize>,
) -> Result<(ipc::FieldNode, usize), DecodeError> {
    let node = nodes
        .next()
        .ok_or_else(|| fault("fewer columns than the schema has"))?;
    let length = usize::try_from(node.length()).map_err(|_| fault("a negative number of values"))?;
    match rows.filter(|rows| *rows != length) {
        Some(rows) => Err(fault(format!("{length} values in {rows} rows"))),
        None => Ok((node, length)),
    }
}

pub(super) fn fault(reason: impl Into<String>) -> DecodeError {
    DecodeError::new("Arrow message", reason)
}

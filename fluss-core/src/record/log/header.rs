use crate::error::DecodeError;
use crate::id::{BatchSequence, LeaderEpoch, Offset, SchemaId, WriterId};

/// Where the length stands in every magic, and the size of what precedes the part that it counts.
pub(super) const LENGTH_AT: usize = 8;
pub(super) const LENGTH_OVERHEAD: usize = 12;
/// The size of the header of magic 0, the only one that is written.
pub(super) const HEADER_BYTES: usize = 48;
/// Where what the leader fills in stands in every magic that has it.
pub(super) const COMMIT_TIMESTAMP_AT: usize = 13;
pub(super) const EPOCH_AT: usize = 21;
/// Where the checksum stands in magic 0, and where the bytes that it covers begin.
pub(super) const CRC_AT: usize = 21;
pub(super) const CRC_FROM: usize = 25;
/// Where what a seal writes stands in magic 0.
pub(super) const WRITER_AT: usize = 32;
pub(super) const SEQUENCE_AT: usize = 40;

/// What a record did to its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChangeType {
    /// It was added to a table without keys.
    AppendOnly,
    /// The key is new.
    Insert,
    /// What an update replaced.
    UpdateBefore,
    /// What an update put in its place.
    UpdateAfter,
    /// What was deleted.
    Delete,
}

impl ChangeType {
    const ALL: [Self; 5] = [
        Self::AppendOnly,
        Self::Insert,
        Self::UpdateBefore,
        Self::UpdateAfter,
        Self::Delete,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The change type of a code.
    pub fn from_code(code: u8) -> Result<Self, DecodeError> {
        let known = Self::ALL.get(usize::from(code)).copied();
        known.ok_or_else(|| DecodeError::new("change type", format!("{code} is no change type")))
    }

    /// The short form: `+A`, `+I`, `-U`, `+U`, `-D`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::AppendOnly => "+A",
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

/// The header of a log record batch (`records.md` §1.2–1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogBatchHeader {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The size of the whole batch in bytes.
    pub size: usize,
    /// The version of the layout.
    pub magic: u8,
    /// When the leader stored the batch, in milliseconds since the epoch.
    pub commit_timestamp: i64,
    /// The epoch of the leader; absent in layouts without it and where unknown.
    pub leader_epoch: Option<LeaderEpoch>,
    /// CRC-32C of everything behind it.
    pub crc: u32,
    /// The schema of the records.
    pub schema_id: SchemaId,
    /// Whether all records are [`ChangeType::AppendOnly`].
    pub append_only: bool,
    /// The offset of the last record less that of the first; 0 also without records.
    pub last_offset_delta: i32,
    /// The idempotent writer, if there is one.
    pub writer_id: Option<WriterId>,
    /// The number that the writer gave the batch.
    pub batch_sequence: Option<BatchSequence>,
    /// The number of records.
    pub record_count: usize,
    /// Where the checksum's bytes begin.
    pub(super) crc_from: usize,
    /// Whether the layout has a place for the leader's epoch.
    pub(super) has_leader_epoch: bool,
    /// The size of the statistics in front of the payload.
    pub(super) statistics_bytes: usize,
    /// Where the payload begins, behind the statistics if there are any.
    pub(super) payload_from: usize,
}

impl LogBatchHeader {
    /// Whether a magic number is known. What 0.9 calls magic 1 was never written, and is not (`v1_0.md` §7.2).
    pub fn knows(magic: u8) -> bool {
        Layout::of(magic).is_some()
    }

    /// The offset of the record behind the batch. A batch without records takes one offset too.
    pub const fn next_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.last_offset_delta as i64 + 1)
    }

    /// Reads the header off the front of `bytes`, which may end behind it.
    pub(super) fn decode(bytes: &[u8], size: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes };
        let base_offset = i64::from_le_bytes(reader.take()?);
        let _length: [u8; 4] = reader.take()?;
        let [magic] = reader.take()?;
        let commit_timestamp = i64::from_le_bytes(reader.take()?);
        let layout = Layout::of(magic)
            .ok_or_else(|| DecodeError::new("log batch header", format!("unknown magic {magic}")))?;
        let leader_epoch = if layout.epoch {
            Some(i32::from_le_bytes(reader.take()?))
        } else {
            None
        };
        let crc = u32::from_le_bytes(reader.take()?);
        let crc_from = bytes.len() - reader.rest.len();
        let schema_id = SchemaId(i16::from_le_bytes(reader.take()?));
        let [attributes] = reader.take()?;
        let last_offset_delta = i32::from_le_bytes(reader.take()?);
        let writer_id = i64::from_le_bytes(reader.take()?);
        let batch_sequence = i32::from_le_bytes(reader.take()?);
        let record_count = count(i32::from_le_bytes(reader.take()?))?;
        let statistics_bytes = if layout.statistics {
            count(i32::from_le_bytes(reader.take()?))?
        } else {
            0
        };
        let payload_from = bytes.len() - reader.rest.len() + statistics_bytes;
        if payload_from > size || last_offset_delta < 0 {
            return Err(DecodeError::new(
                "log batch header",
                "its parts contradict each other",
            ));
        }
        Ok(Self {
            base_offset,
            size,
            magic,
            commit_timestamp,
            leader_epoch: leader_epoch.filter(|epoch| *epoch >= 0).map(LeaderEpoch),
            crc,
            schema_id,
            append_only: attributes & 1 == 1,
            last_offset_delta,
            writer_id: (writer_id >= 0).then_some(WriterId(writer_id)),
            batch_sequence: (batch_sequence >= 0).then_some(BatchSequence(batch_sequence)),
            record_count,
            crc_from,
            has_leader_epoch: layout.epoch,
            statistics_bytes,
            payload_from,
        })
    }
}

/// What a magic number says about the header.
struct Layout {
    epoch: bool,
    statistics: bool,
}

impl Layout {
    fn of(magic: u8) -> Option<Self> {
        let (epoch, statistics) = match magic {
            0 => (false, false),
            1 => (false, true),
            2 => (true, true),
            _ => return None,
        };
        Some(Self { epoch, statistics })
    }
}

fn count(number: i32) -> Result<usize, DecodeError> {
    usize::try_from(number).map_err(|_| DecodeError::new("log batch header", format!("{number} is no count")))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (front, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| DecodeError::truncated("log batch header", N, self.rest.len()))?;
        self.rest = rest;
        Ok(*front)
    }
}

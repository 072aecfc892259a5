//! What a server does with the batches that it receives and stores (`records.md` §1.5).

use bytes::{Bytes, BytesMut};

use super::header::{COMMIT_TIMESTAMP_AT, EPOCH_AT, LogBatchHeader};
use super::{LogBatch, LogBatches};
use crate::error::DecodeError;
use crate::id::{LeaderEpoch, Offset};
use crate::record::unsealed::patch;

/// A stretch of a log that is not batches from end to end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The last batch is cut: so a crash leaves a file. What precedes it is good.
    #[error("a batch cut short: {bytes} bytes from byte {at} on")]
    Torn {
        /// Where the batch begins in the stretch.
        at: usize,
        /// How much of it is there.
        bytes: usize,
    },
    /// A batch that is malformed, or does not match its checksum. What precedes it is good.
    #[error("a bad batch at byte {at}")]
    Malformed {
        /// Where the batch begins in the stretch.
        at: usize,
        /// What is wrong with it.
        source: DecodeError,
    },
}

impl LogError {
    /// How many bytes of the stretch are good: where recovery cuts it off.
    pub const fn good_bytes(&self) -> usize {
        match self {
            Self::Torn { at, .. } | Self::Malformed { at, .. } => *at,
        }
    }
}

/// The batches in a stretch of a log that has to be whole: checked against their checksums, and with an error, the
/// last item, for what is cut off at the end. What was fetched is for [`LogBatches`].
#[derive(Clone, Debug)]
pub struct WholeBatches {
    batches: LogBatches,
    /// Where the rest begins.
    at: usize,
}

impl WholeBatches {
    /// The batches in `bytes`.
    pub const fn new(bytes: Bytes) -> Self {
        Self {
            batches: LogBatches::new(bytes),
            at: 0,
        }
    }

    /// Ends with an error at the batch that was to be next.
    fn end(&mut self, error: impl FnOnce(usize) -> LogError) -> LogError {
        self.batches.clear();
        error(self.at)
    }
}

impl Iterator for WholeBatches {
    type Item = Result<LogBatch, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.batches.rest().len();
        let batch = match self.batches.next() {
            Some(batch) => batch.and_then(|batch| batch.verify().map(|()| batch)),
            None if bytes == 0 => return None,
            None => return Some(Err(self.end(|at| LogError::Torn { at, bytes }))),
        };
        Some(match batch {
            Ok(batch) => {
                self.at += batch.len();
                Ok(batch)
            }
            Err(source) => Err(self.end(|at| LogError::Malformed { at, source })),
        })
    }
}

/// What a leader knows as it appends batches to its log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Append {
    /// The offset that the first record gets: the end of the log.
    pub next_offset: Offset,
    /// The time, in milliseconds since the epoch.
    pub commit_timestamp: i64,
    /// The epoch of the leader, for layouts that have a place for it: magic 0 has none.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Batches as the log has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The batches, end to end.
    pub bytes: Bytes,
    /// Their headers.
    pub headers: Vec<LogBatchHeader>,
    /// The offset behind them: the new end of the log.
    pub next_offset: Offset,
}

/// Batches as they were received from a writer: whole, and checked against their checksums.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    bytes: Bytes,
    headers: Vec<LogBatchHeader>,
}

impl Received {
    /// Checks batches.
    ///
    /// # Errors
    ///
    /// A batch that is cut, malformed, or does not match its checksum, or whose last offset is not that of its last
    /// record.
    pub fn check(bytes: Bytes) -> Result<Self, LogError> {
        let mut headers = Vec::new();
        let mut at = 0;
        for batch in WholeBatches::new(bytes.clone()) {
            let header = *batch?.header();
            check_offsets(&header).map_err(|source| LogError::Malformed { at, source })?;
            at += header.size;
            headers.push(header);
        }
        Ok(Self { bytes, headers })
    }

    /// The headers, one for each batch.
    pub fn headers(&self) -> &[LogBatchHeader] {
        &self.headers
    }

    /// Gives the batches their place in the log. The checksums stay right: what is filled in is before the bytes that
    /// they cover. It is filled in in place if nothing else refers to the bytes, or else in a copy.
    pub fn place(self, append: &Append) -> Appended {
        let Self { bytes, mut headers } = self;
        let mut bytes = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        let (mut rest, mut next_offset) = (&mut *bytes, append.next_offset);
        for header in &mut headers {
            let (batch, behind) = rest.split_at_mut(header.size.min(rest.len()));
            header.base_offset = next_offset;
            header.commit_timestamp = append.commit_timestamp;
            append.fill_in(batch, header);
            next_offset = header.next_offset();
            rest = behind;
        }
        Appended {
            bytes: bytes.freeze(),
            headers,
            next_offset,
        }
    }
}

impl Append {
    /// Gives batches, received from a writer, their place in the log: [`Received::check`] and [`Received::place`].
    ///
    /// # Errors
    ///
    /// Those of [`Received::check`]. Then none is appended.
    pub fn place(self, bytes: Bytes) -> Result<Appended, LogError> {
        Received::check(bytes).map(|received| received.place(&self))
    }

    fn fill_in(&self, batch: &mut [u8], header: &LogBatchHeader) {
        patch(batch, 0, &header.base_offset.to_le_bytes());
        patch(batch, COMMIT_TIMESTAMP_AT, &header.commit_timestamp.to_le_bytes());
        if header.has_leader_epoch {
            let epoch = self.leader_epoch.map_or(-1, LeaderEpoch::get);
            patch(batch, EPOCH_AT, &epoch.to_le_bytes());
        }
    }
}

/// A batch takes as many offsets as it has records, and one if it has none. Others would overlap with the next.
fn check_offsets(header: &LogBatchHeader) -> Result<(), DecodeError> {
    let delta = header.last_offset_delta;
    if usize::try_from(delta).ok() == Some(header.record_count.saturating_sub(1)) {
        return Ok(());
    }
    let reason = format!(
        "a last offset delta of {delta} with {} records",
        header.record_count
    );
    Err(DecodeError::new("log batch header", reason))
}

//! A batch on its way from its first row to its acknowledgement.

use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::code::Retry;
use tokio::time::Instant;

use super::handle::Delivery;
use super::layout::{Change, Layout, Rows};
use super::partitions::Target;
use super::sequences::Stamp;
use crate::error::{BRIEF_ATTEMPTS, Error, ErrorKind, retry_at_leader};
use fluss_core::ValueError;
use fluss_core::record::UnsealedBatch;
use fluss_core::types::Row;

/// Rows that more rows may join.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) rows: Rows,
    pub(super) count: u32,
    pub(super) bytes: usize,
    pub(super) opened: Instant,
    pub(super) delivery: Arc<Delivery>,
}

impl OpenBatch {
    pub(super) fn new(layout: &Layout, delivery: Delivery, now: Instant) -> Self {
        Self {
            rows: layout.open(),
            count: 0,
            bytes: 0,
            opened: now,
            delivery: Arc::new(delivery),
        }
    }

    /// Adds a row, or leaves the batch as it was. Returns by how much the batch has grown. `key` is room for a key.
    pub(super) fn push(
        &mut self,
        layout: &Layout,
        change: Change,
        row: &(impl Row + ?Sized),
        key: &mut Vec<u8>,
    ) -> Result<usize, ValueError> {
        self.rows.push(layout, change, row, key)?;
        let bytes = self.rows.estimated_bytes();
        self.count += 1;
        let growth = bytes.saturating_sub(self.bytes);
        self.bytes = self.bytes.max(bytes);
        Ok(growth)
    }
}

/// Rows that no more rows join.
#[derive(Debug)]
pub(super) struct Batch {
    /// The order of the batches of a writer.
    pub(super) id: u64,
    pub(super) stage: Stage,
    pub(super) load: Load,
    pub(super) delivery: Arc<Delivery>,
    pub(super) created: Instant,
    /// How often the batch was sent.
    pub(super) attempts: u32,
    /// Under which number the batch was sent last.
    pub(super) stamp: Option<Stamp>,
    /// Whether the batch may be stored without anybody having said so.
    pub(super) doubtful: bool,
    /// Why the batch was not stored when it was sent last.
    pub(super) last_error: Option<Error>,
    /// What a server answered last to it.
    pub(super) last_answer: Option<Error>,
    /// How often in a row that was what waiting does not change.
    pub(super) lasting: u32,
}

/// Rows of one call that go to one bucket.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) target: Target,
    /// Among how many buckets that was chosen.
    pub(super) buckets: i32,
    pub(super) stage: Stage,
    pub(super) load: Load,
    /// How many rows of the call are before those that the part is of.
    pub(super) start: usize,
}

impl Part {
    /// Rows that are not encoded yet.
    pub(super) fn raw((target, buckets): (Target, i32), rows: Rows, bytes: usize, start: usize) -> Self {
        let load = Load {
            rows: rows.count(),
            bytes,
        };
        Self {
            target,
            buckets,
            stage: Stage::Raw(rows),
            load,
            start,
        }
    }
}

/// How much a batch is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) rows: u32,
    /// What the batch holds of the writer's memory.
    pub(super) bytes: usize,
}

/// What a batch waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// Somebody to encode it.
    Raw(Rows),
    /// Its encoding, which is under way.
    Encoding,
    /// Its turn to be sent, or its answer.
    Encoded(UnsealedBatch),
}

impl Batch {
    /// Takes note of why the batch was not stored. Returns whether it never will be.
    pub(super) fn note(&mut self, error: &Error) -> bool {
        self.last_error = Some(error.clone());
        let Some(code) = error.code() else {
            return false;
        };
        self.last_answer = Some(error.clone());
        self.lasting = match retry_at_leader(code) {
            Retry::Briefly => self.lasting + 1,
            _ => 0,
        };
        self.lasting >= BRIEF_ATTEMPTS
    }

    /// What a server answered last to it, as errors say it.
    pub(super) fn last_words(&self) -> Option<String> {
        self.last_answer.as_ref().map(|answer| answer.kind().to_string())
    }

    /// Has a timeout say that the batch may be stored, if so, and what a server answered last.
    pub(super) fn in_doubt(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Timeout { after, .. } => {
                let kind = ErrorKind::Timeout {
                    after: *after,
                    outcome_unknown: self.doubtful,
                };
                let mut context = error.context().clone();
                context.last_answer = self.last_words();
                context.error(kind)
            }
            _ => error,
        }
    }

    /// The bytes to send under the batch's stamp, with its number and age.
    pub(super) fn sealed(&mut self) -> Option<(u64, Instant, Bytes)> {
        match &mut self.stage {
            Stage::Encoded(batch) => {
                let stamp = self.stamp.map(|stamp| (stamp.writer, stamp.sequence()));
                Some((self.id, self.created, batch.seal(stamp)))
            }
            _ => None,
        }
    }
}

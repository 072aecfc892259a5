//! Decoded rows, until the consumer has them.

use super::records::{Run, ScanBatch};
use fluss_core::id::{Offset, TableBucket};
use std::collections::VecDeque;

/// Decoded rows of one bucket.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) bucket: TableBucket,
    pub(super) subscription: u64,
    pub(super) rows: Rows,
}

/// Rows as a poll for records reads them, or as one for columns does.
#[derive(Clone)]
pub(super) enum Rows {
    Run(Run),
    Batch(ScanBatch),
}

impl Part {
    /// The same rows as columns.
    pub(super) fn into_batch(self) -> Self {
        let rows = match self.rows {
            Rows::Run(run) => Rows::Batch(run.into_batch(self.bucket)),
            batch @ Rows::Batch(_) => batch,
        };
        Self { rows, ..self }
    }

    /// The rows, if they are columns.
    pub(super) const fn batch(&self) -> Option<&ScanBatch> {
        match &self.rows {
            Rows::Batch(batch) => Some(batch),
            Rows::Run(_) => None,
        }
    }

    /// The offset of the first row.
    fn first_offset(&self) -> Offset {
        match &self.rows {
            Rows::Run(run) => run.offset(run.range.start),
            Rows::Batch(batch) => batch.offset(0),
        }
    }
}

/// The decoded rows that the consumer does not have yet.
#[derive(Default)]
pub(super) struct Decoded {
    /// Rows that nobody has taken, in their order.
    pub(super) left: VecDeque<Part>,
    /// Rows before those, on their way to the consumer.
    pub(super) lent: Vec<Part>,
    /// Changes whenever `left` does in another way than by [`Ahead::pass`](super::Ahead::pass).
    pub(super) version: u64,
}

impl Decoded {
    /// Whether there are rows to take.
    pub(super) fn is_ready(&self) -> bool {
        !self.left.is_empty()
    }

    /// Whether the consumer has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.lent.is_empty()
    }

    /// Takes the first rows that nobody has taken.
    pub(super) fn pop(&mut self) -> Option<Part> {
        self.version += 1;
        self.left.pop_front()
    }

    /// Puts rows before those that nobody has taken.
    pub(super) fn put_back(&mut self, parts: impl DoubleEndedIterator<Item = Part>) {
        self.version += 1;
        for part in parts.rev() {
            self.left.push_front(part);
        }
    }

    /// Drops the rows of buckets that are read no more.
    pub(super) fn forget(&mut self, is_meant: impl Fn(&TableBucket) -> bool) {
        self.version += 1;
        self.left.retain(|part| !is_meant(&part.bucket));
        self.lent.retain(|part| !is_meant(&part.bucket));
    }

    /// The first offset of each bucket, with the subscription that the row is of.
    pub(super) fn starts(&self) -> impl Iterator<Item = (TableBucket, u64, Offset)> {
        // The last one counts: rows that are lent are before those that are left.
        let parts = self.lent.iter().chain(&self.left).rev();
        parts.map(|part| (part.bucket, part.subscription, part.first_offset()))
    }
}

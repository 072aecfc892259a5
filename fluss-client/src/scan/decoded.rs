//! Decoded rows, until the consumer has them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::records::{Run, ScanBatch, ScanRecords};
use super::scanner::{Inner, LogScanner};
use fluss_core::id::{Offset, TableBucket};

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
    left: VecDeque<Part>,
    /// Rows before those, on their way to the consumer.
    lent: Vec<Part>,
    /// Changes whenever `left` does in another way than by [`Ahead::pass`].
    version: u64,
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

/// What a poll has found, for whoever passes it on to a consumer that may have gone away meanwhile: another thread, or a
/// task of another runtime.
///
/// The rows stay the scanner's until they are [taken](Self::take). If the lease is dropped before that they go back, and
/// the next poll returns them; [`positions`](LogScanner::positions) has not passed them. Other polls wait as long as there
/// is a lease.
#[must_use = "the rows go back to the scanner"]
pub struct Lease<T> {
    found: T,
    loan: Loan,
}

impl<T> Lease<T> {
    pub(super) const fn new(found: T, loan: Loan) -> Self {
        Self { found, loan }
    }

    /// What the poll has found.
    pub const fn get(&self) -> &T {
        &self.found
    }

    /// Makes something else of what was found. If that fails the rows go back.
    ///
    /// # Errors
    ///
    /// That of `make`.
    pub fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<Lease<U>, E> {
        let Self { found, loan } = self;
        Ok(Lease {
            found: make(found)?,
            loan,
        })
    }

    /// Hands the rows over. The scanner has passed them from now on.
    pub fn take(self) -> T {
        let Self { found, mut loan } = self;
        loan.is_taken = true;
        found
    }
}

/// Rows that are lent. They go back unless they are taken.
pub(super) struct Loan {
    scanner: Arc<Inner>,
    rows: usize,
    is_taken: bool,
    /// Lets no other poll take rows that are behind these.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Loan {
    /// Lends rows, so many, that were taken from `decoded`.
    pub(super) fn new(
        scanner: &Arc<Inner>,
        decoded: &mut Decoded,
        parts: Vec<Part>,
        rows: usize,
        turn: OwnedMutexGuard<()>,
    ) -> Self {
        decoded.lent = parts;
        Self {
            scanner: scanner.clone(),
            rows,
            is_taken: false,
            turn: Some(turn),
        }
    }

    /// Of a poll that has found nothing.
    pub(super) fn nothing(scanner: &Arc<Inner>) -> Self {
        Self {
            scanner: scanner.clone(),
            rows: 0,
            is_taken: true,
            turn: None,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.turn.is_none() {
            return;
        }
        let Ok(mut decoded) = self.scanner.decoded() else {
            return;
        };
        let lent = std::mem::take(&mut decoded.lent);
        if self.is_taken {
            self.scanner.shared.meters.handed_over(self.rows);
        } else {
            decoded.put_back(lent.into_iter());
        }
    }
}

/// Records that are ready, to be passed one by one: see [`LogScanner::ahead`].
pub struct Ahead {
    scanner: LogScanner,
    records: ScanRecords,
    subscription: u64,
    start: usize,
    version: u64,
}

impl Ahead {
    /// The records of one bucket, those that were passed already included.
    pub const fn records(&self) -> &ScanRecords {
        &self.records
    }

    /// Passes the next record, and returns its position among [`records`](Self::records). Nothing when all are passed, or
    /// when the scanner was polled, closed, or subscribed otherwise meanwhile: then [`LogScanner::ahead`] tells what is
    /// next.
    pub fn pass(&self) -> Option<usize> {
        let inner = &self.scanner.inner;
        // What is wrong with it is told by `LogScanner::ahead`.
        let mut decoded = inner.decoded().ok()?;
        if decoded.version != self.version
            || !decoded.lent.is_empty()
            || self.scanner.check_open("poll").is_err()
        {
            return None;
        }
        let part = decoded.left.front_mut()?;
        if inner.shared.lock().ok()?.subscription_id(&part.bucket) != Some(self.subscription) {
            return None;
        }
        let Rows::Run(run) = &mut part.rows else {
            return None;
        };
        let index = run.range.start.checked_sub(self.start)?;
        run.range.start += 1;
        if run.range.is_empty() {
            drop(decoded.pop());
        }
        inner.shared.meters.handed_over(1);
        Some(index)
    }
}

impl LogScanner {
    /// The records that are ready, to be passed one by one, so that [`positions`](Self::positions) is behind the last one
    /// that was passed and the next poll begins with the one after it. Nothing if [`fetch_ahead`](Self::fetch_ahead) has
    /// to be waited for first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the scanner or its connection is closed.
    pub fn ahead(&self) -> crate::Result<Option<Ahead>> {
        self.check_open("poll")?;
        let mut decoded = self.inner.decoded()?;
        if !decoded.lent.is_empty() {
            return Ok(None);
        }
        let Some((bucket, subscription, run)) = self.next_left(&mut decoded)? else {
            return Ok(None);
        };
        let mut records = ScanRecords::default();
        records.push(bucket, run.clone());
        let start = run.range.start;
        decoded.put_back(std::iter::once(Part {
            bucket,
            subscription,
            rows: Rows::Run(run),
        }));
        Ok(Some(Ahead {
            scanner: self.clone(),
            records,
            subscription,
            start,
            version: decoded.version,
        }))
    }
}

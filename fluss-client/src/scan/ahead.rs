//! Records that are passed one by one.

use super::decoded::{Part, Rows};
use super::records::ScanRecords;
use super::scanner::LogScanner;

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

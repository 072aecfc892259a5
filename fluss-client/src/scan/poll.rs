//! Polls: waiting for rows, and lending what there is.

use std::time::Duration;

use futures::Stream;
use tokio::sync::OwnedMutexGuard;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::decoded::{Decoded, Part, Rows};
use super::lease::{Lease, Loan};
use super::records::{ScanBatch, ScanRecords};
use super::scanner::LogScanner;
use crate::error::{ErrorKind, Result};

/// Longer than any bucket is without answer.
const FOREVER: Duration = Duration::from_hours(24);

impl LogScanner {
    /// The next records, up to [`max_poll_records`](crate::ScannerOptions::max_poll_records) and about
    /// [`max_poll_bytes`](crate::ScannerOptions::max_poll_bytes). Waits for the first one for at most `timeout`, and
    /// then returns nothing.
    ///
    /// # Errors
    ///
    /// No subscription. A bucket that cannot be read: every poll fails until it is unsubscribed, or subscribed anew; so it
    /// is with all buckets of a table that was dropped ([`ErrorCode::TABLE_NOT_EXIST`](fluss_rpc::code::ErrorCode)). Once a
    /// bucket has come no further for the request timeout, what a server said of it last, or a timeout; later polls go
    /// on. [`ErrorKind::Closed`] once the scanner or its connection is closed, also if that happens meanwhile.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no record: the next poll returns what this one would have.
    pub async fn poll(&self, timeout: Duration) -> Result<ScanRecords> {
        self.lease_records(timeout).await.map(Lease::take)
    }

    /// As [`poll`](Self::poll), for whoever passes the records on to a consumer that may have gone away meanwhile.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the lease, loses no record.
    pub async fn lease_records(&self, timeout: Duration) -> Result<Lease<ScanRecords>> {
        let collect = |parts: &[Part]| {
            let mut records = ScanRecords::default();
            for part in parts {
                if let Rows::Run(run) = &part.rows {
                    records.push(part.bucket, run.clone());
                }
            }
            (records.len(), records)
        };
        self.lease(timeout, Self::take_records, collect).await
    }

    /// All batches that have been fetched. Waits for the first one for at most `timeout`, and then returns nothing.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no record: the next poll returns what this one would have.
    pub async fn poll_arrow(&self, timeout: Duration) -> Result<Vec<ScanBatch>> {
        self.lease_batches(timeout).await.map(Lease::take)
    }

    /// As [`poll_arrow`](Self::poll_arrow), for whoever passes the batches on to a consumer that may have gone away
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the lease, loses no record.
    pub async fn lease_batches(&self, timeout: Duration) -> Result<Lease<Vec<ScanBatch>>> {
        self.lease(timeout, Self::take_batches, batches).await
    }

    /// Waits until records are ready for [`ahead`](Self::ahead), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no record.
    pub async fn fetch_ahead(&self, timeout: Duration) -> Result<()> {
        let deadline = deadline(timeout);
        let Some(_turn) = self.turn(deadline).await? else {
            return Ok(());
        };
        while self.wait(deadline).await? {
            let is_ready = {
                let mut decoded = self.inner.decoded()?;
                let parts = self.take_records(&mut decoded)?;
                decoded.put_back(parts.into_iter());
                decoded.is_ready()
            };
            if is_ready || Instant::now() >= deadline {
                break;
            }
            yield_now().await;
        }
        Ok(())
    }

    /// As [`lease_batches`](Self::lease_batches), one batch.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the lease, loses no record.
    pub async fn lease_batch(&self, timeout: Duration) -> Result<Lease<Option<ScanBatch>>> {
        let first = |parts: &[Part]| {
            let (rows, batches) = batches(parts);
            (rows, batches.into_iter().next())
        };
        self.lease(timeout, Self::take_batch, first).await
    }

    /// Waits for rows, and lends those that `take` takes. Nothing waits between the taking and the loan, so that whoever
    /// drops the future loses nothing.
    async fn lease<T>(
        &self,
        timeout: Duration,
        take: impl Fn(&Self, &mut Decoded) -> Result<Vec<Part>>,
        collect: impl Fn(&[Part]) -> (usize, T),
    ) -> Result<Lease<T>> {
        let deadline = deadline(timeout);
        if let Some(turn) = self.turn(deadline).await? {
            while self.wait(deadline).await? {
                {
                    let mut decoded = self.inner.decoded()?;
                    let parts = take(self, &mut decoded)?;
                    if !parts.is_empty() {
                        let (rows, found) = collect(&parts);
                        let loan = Loan::new(&self.inner, &mut decoded, parts, rows, turn);
                        return Ok(Lease::new(found, loan));
                    }
                }
                if Instant::now() >= deadline {
                    break;
                }
                // All were left out by the filter.
                yield_now().await;
            }
        }
        Ok(Lease::new(collect(&[]).1, Loan::nothing(&self.inner)))
    }

    /// Waits until no other poll is under way; nothing after the deadline.
    async fn turn(&self, deadline: Instant) -> Result<Option<OwnedMutexGuard<()>>> {
        self.check_open("poll")?;
        let turn = self.inner.turn.clone().lock_owned();
        Ok(timeout_at(deadline, turn).await.ok())
    }

    /// The batches as they come, without end. It yields an error as [`poll`](Self::poll) fails, and goes on; when the
    /// scanner or its connection is closed, or the scanner has failed, the error is the last item.
    ///
    /// # Cancellation
    ///
    /// Dropping a future of the next batch, or the stream, loses no record: clones of the scanner go on with the batch
    /// after the last one that was yielded.
    pub fn into_stream(self) -> impl Stream<Item = Result<ScanBatch>> + Send {
        futures::stream::unfold(Some(self), |scanner| async {
            let scanner = scanner?;
            loop {
                match scanner.lease_batch(FOREVER).await.map(Lease::take) {
                    Ok(Some(batch)) => return Some((Ok(batch), Some(scanner))),
                    Ok(None) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Defect(_)) => {
                        return Some((Err(error), None));
                    }
                    Err(error) => return Some((Err(error), Some(scanner))),
                }
            }
        })
    }

    /// Waits until there is something to take; false after the deadline, or when nothing more will be.
    async fn wait(&self, deadline: Instant) -> Result<bool> {
        let shared = &self.inner.shared;
        let silence = self.inner.cluster.request_timeout();
        loop {
            let news = shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            self.check_open("poll")?;
            if self.inner.decoded()?.is_ready() {
                return Ok(true);
            }
            let now = Instant::now();
            let (ready, error, stopped, until) = {
                let mut session = shared.lock()?;
                let (ready, error) = (session.has_fetched(), session.error(now, silence));
                (ready, error, session.has_stopped(), session.next_timeout(silence))
            };
            if ready {
                return Ok(true);
            }
            if let Some(error) = error {
                return Err(error);
            }
            if stopped || now >= deadline {
                return Ok(false);
            }
            shared.wake.notify_one();
            let until = until.map_or(deadline, |until| until.min(deadline));
            // What ends the wait is looked at anew above.
            tokio::select! {
                () = news => {}
                () = self.inner.cluster.closed() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

/// Parts that were taken as batches, with the number of their rows.
fn batches(parts: &[Part]) -> (usize, Vec<ScanBatch>) {
    let batches: Vec<_> = parts.iter().filter_map(Part::batch).cloned().collect();
    (
        batches.iter().map(|scanned| scanned.batch.num_rows()).sum(),
        batches,
    )
}

fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout)
        .unwrap_or(now + Duration::from_hours(8760))
}

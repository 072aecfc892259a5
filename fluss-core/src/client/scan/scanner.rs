use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use futures::Stream;
use tokio::task::{AbortHandle, coop::consume_budget};
use tokio::time::{Instant, timeout_at};

use super::arrivals::Fetched;
use super::decode::Decoder;
use super::fetcher::{Fetcher, Shared};
use super::records::{Run, ScanBatch, ScanRecords, bytes_of};
use super::session::Session;
use crate::client::error::{Context, Error, ErrorKind, Result};
use crate::client::meters::ScannerMeters;
use crate::client::{Connection, Table};
use crate::error::DecodeError;
use crate::filter::Predicate;
use crate::id::TableBucket;
use crate::types::TableInfo;

/// Puts a scanner together. Had from [`Table::scan`].
#[derive(Clone, Debug)]
pub struct ScanBuilder {
    table: Table,
    columns: Option<Vec<String>>,
    predicate: Option<Predicate>,
}

impl ScanBuilder {
    pub(crate) const fn new(table: Table) -> Self {
        Self {
            table,
            columns: None,
            predicate: None,
        }
    }

    /// Reads only these columns, in this order. Of a table in the ARROW format only they are fetched, but for what is in
    /// remote storage: there whole files are read, of which only they are decoded.
    #[must_use]
    pub fn project<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Reads only the rows that hold a condition; named twice, those that hold both. Of a primary-key table these are
    /// records of its changelog: an update may have only one side that holds it.
    ///
    /// The columns that it looks at need not be among those that are projected. Partitions that cannot have such rows are
    /// not read by [`subscribe_all`](LogScanner::subscribe_all).
    #[must_use]
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.predicate = Some(match self.predicate.take() {
            Some(first) => first & predicate,
            None => predicate,
        });
        self
    }

    /// A scanner of the log: of the rows of a log table, of the changes of a primary-key table.
    ///
    /// # Errors
    ///
    /// A column that the table does not have, one that is named twice, or none at all; a filter that does not fit the
    /// table, see [`Filter::new`](crate::filter::Filter::new).
    pub fn log_scanner(self) -> Result<LogScanner> {
        self.scanner(self.columns()?.as_deref(), self.predicate())
    }

    /// A scanner of the columns at these positions, of the rows that hold a condition.
    pub(in crate::client) fn scanner(
        &self,
        columns: Option<&[usize]>,
        predicate: Option<&Predicate>,
    ) -> Result<LogScanner> {
        let (info, connection) = (self.table.shared_info(), self.table.connection().clone());
        let decoder = Decoder::new(&info, columns, predicate, &connection.options().scanner);
        let decoder = decoder.map_err(|error| Context::new("scan").table(&info.path).error(error))?;
        Ok(LogScanner::new(connection, info, decoder))
    }

    pub(in crate::client) const fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    pub(in crate::client) const fn table(&self) -> &Table {
        &self.table
    }

    /// The positions of the columns to read; nothing for all.
    pub(in crate::client) fn columns(&self) -> Result<Option<Vec<usize>>> {
        let info = self.table.info();
        let context = || Context::new("scan").table(&info.path);
        let columns = self.columns.as_ref();
        let columns = columns.map(|names| info.schema().indexes_of(names)).transpose();
        let columns = columns.map_err(|error| context().error(error))?;
        if let Some(columns) = &columns {
            let twice = columns
                .iter()
                .enumerate()
                .any(|(place, column)| columns.iter().take(place).any(|c| c == column));
            if columns.is_empty() || twice {
                let reason = "a projection needs at least one column, and each only once";
                return Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
            }
        }
        Ok(columns)
    }
}

/// Reads the logs of subscribed buckets. Clones share it.
///
/// Fetches run ahead of the consumer in the background, within the limits of
/// [`ScannerOptions`](crate::client::ScannerOptions). Within a bucket records come in the order of their offsets.
/// Dropping the last clone stops the fetches.
///
/// Records have the columns that the table had when it was asked for: one that was added later is left out, one that was
/// added before is null in the records from before that.
///
/// A partition that is dropped ends quietly: what was fetched of it by then is still returned, and nothing follows. A table
/// that is dropped does not: every poll fails.
#[derive(Clone)]
pub struct LogScanner {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    /// Rows decoded by an earlier poll that had no room for them.
    pub(super) rest: tokio::sync::Mutex<Option<(TableBucket, u64, Run)>>,
    fetcher: AbortHandle,
    /// Looks for new partitions, once the whole of a partitioned table is read.
    pub(super) discovery: Mutex<Option<AbortHandle>>,
}

impl Inner {
    /// Lets a task look for new partitions, in the place of the former one.
    pub(super) fn discover(&self, task: Option<AbortHandle>) {
        let mut discovery = self.discovery.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = std::mem::replace(&mut *discovery, task) {
            former.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.fetcher.abort();
        self.discover(None);
    }
}

impl LogScanner {
    pub(super) fn new(connection: Connection, info: Arc<TableInfo>, decoder: Decoder) -> Self {
        let options = connection.options();
        let (scanner, remote) = (options.scanner.clone(), options.remote.clone());
        let session = Session::new(scanner, remote, decoder.own_forms());
        let shared = Arc::new(Shared {
            session: Mutex::new(session),
            meters: ScannerMeters::of(&info.path),
            decoder,
            info,
            wake: tokio::sync::Notify::new(),
            news: tokio::sync::Notify::new(),
        });
        let fetcher = tokio::spawn(Fetcher::new(shared.clone(), connection.clone()).run()).abort_handle();
        let rest = tokio::sync::Mutex::default();
        Self {
            inner: Arc::new(Inner {
                shared,
                connection,
                rest,
                fetcher,
                discovery: Mutex::default(),
            }),
        }
    }

    /// The table.
    pub fn table(&self) -> &TableInfo {
        &self.inner.shared.info
    }

    /// The Arrow schema of the batches that [`poll_arrow`](Self::poll_arrow) returns: of the table as it stood when it was
    /// asked for, whatever is added to it later.
    pub fn schema(&self) -> &SchemaRef {
        self.inner.shared.decoder.schema()
    }

    /// The next records, up to [`max_poll_records`](crate::client::ScannerOptions::max_poll_records) and about
    /// [`max_poll_bytes`](crate::client::ScannerOptions::max_poll_bytes). Waits for the first one for at most `timeout`, and
    /// then returns nothing.
    ///
    /// # Errors
    ///
    /// No subscription. A bucket that cannot be read: every poll fails until it is unsubscribed, or subscribed anew; so it
    /// is with all buckets of a table that was dropped ([`ErrorCode::TABLE_NOT_EXIST`](fluss_rpc::code::ErrorCode)). Once a
    /// bucket has come no further for the request timeout, what a server said of it last, or a timeout; later polls go
    /// on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no record.
    pub async fn poll(&self, timeout: Duration) -> Result<ScanRecords> {
        let mut rest = self.inner.rest.lock().await;
        let deadline = deadline(timeout);
        let mut records = ScanRecords::default();
        while rest.is_some() || self.wait(deadline).await? {
            self.take_records(&mut rest, &mut records)?;
            if !records.is_empty() || Instant::now() >= deadline {
                break;
            }
            // All were left out by the filter.
            consume_budget().await;
        }
        self.inner.shared.meters.handed_over(records.len());
        Ok(records)
    }

    /// Moves what is fetched to `records`, as far as a poll has room.
    fn take_records(
        &self,
        rest: &mut Option<(TableBucket, u64, Run)>,
        records: &mut ScanRecords,
    ) -> Result<()> {
        let options = &self.inner.connection.options().scanner;
        let (mut room, mut bytes) = (options.max_poll_records, 0);
        while room > 0 && bytes < options.max_poll_bytes {
            let (bucket, id, mut run) = match self.next_run(rest) {
                Ok(Some(next)) => next,
                // A later poll tells what is wrong with a batch, when the records before it are delivered.
                Err(error) if records.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            bytes += run.bytes();
            let taken = run.split_to(room);
            room -= taken.range.len();
            if !taken.range.is_empty() {
                records.push(bucket, taken);
            }
            if !run.range.is_empty() {
                *rest = Some((bucket, id, run));
            }
        }
        Ok(())
    }

    /// The rows left by an earlier poll, or those of the next batch. A bucket that was subscribed anew meanwhile has
    /// no rows left.
    fn next_run(
        &self,
        rest: &mut Option<(TableBucket, u64, Run)>,
    ) -> Result<Option<(TableBucket, u64, Run)>> {
        if let Some((bucket, subscription, run)) = rest.take()
            && self.inner.shared.lock().subscription_id(&bucket) == Some(subscription)
        {
            return Ok(Some((bucket, subscription, run)));
        }
        let Some(fetched) = self.inner.shared.next_fetched() else {
            return Ok(None);
        };
        let run = self
            .inner
            .shared
            .decoder
            .run(&fetched)
            .map_err(|error| self.undecodable(&fetched, error))?;
        Ok(Some((fetched.bucket, fetched.subscription, run)))
    }

    /// The batches that have been fetched, up to [`max_poll_bytes`](crate::client::ScannerOptions::max_poll_bytes). Waits for
    /// the first one for at most `timeout`, and then returns nothing.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no record.
    pub async fn poll_arrow(&self, timeout: Duration) -> Result<Vec<ScanBatch>> {
        let mut rest = self.inner.rest.lock().await;
        let deadline = deadline(timeout);
        let mut batches = Vec::new();
        while rest.is_some() || self.wait(deadline).await? {
            self.take_batches(&mut rest, &mut batches)?;
            if !batches.is_empty() || Instant::now() >= deadline {
                break;
            }
            // All were left out by the filter.
            consume_budget().await;
        }
        let rows = batches.iter().map(|scanned| scanned.batch.num_rows()).sum();
        self.inner.shared.meters.handed_over(rows);
        Ok(batches)
    }

    /// Moves all that is fetched to `batches`.
    fn take_batches(
        &self,
        rest: &mut Option<(TableBucket, u64, Run)>,
        batches: &mut Vec<ScanBatch>,
    ) -> Result<()> {
        if let Some((bucket, subscription, run)) = rest.take()
            && self.inner.shared.lock().subscription_id(&bucket) == Some(subscription)
        {
            batches.push(run.into_batch(bucket));
        }
        let most = self.inner.connection.options().scanner.max_poll_bytes;
        let mut bytes = 0;
        let mut failure = None;
        while bytes < most
            && let Some(fetched) = self.inner.shared.next_fetched()
        {
            match self.inner.shared.decoder.batch(&fetched) {
                Ok(batch) if batch.is_filtered_out() => {}
                Ok(batch) => {
                    bytes += bytes_of(&batch.batch);
                    batches.push(batch);
                }
                // What else was fetched of the bucket is dropped with it.
                Err(error) => failure = Some(self.undecodable(&fetched, error)),
            }
        }
        match failure {
            // A later poll tells it, when what was decoded is delivered.
            Some(error) if batches.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// The batches as they come, without end. It yields an error as [`poll`](Self::poll) fails, and goes on.
    pub fn into_stream(self) -> impl Stream<Item = Result<ScanBatch>> + Send {
        let forever = Duration::from_secs(60 * 60 * 24);
        futures::stream::unfold(
            (self, Vec::new().into_iter()),
            move |(scanner, mut ready)| async move {
                loop {
                    if let Some(batch) = ready.next() {
                        return Some((Ok(batch), (scanner, ready)));
                    }
                    match scanner.poll_arrow(forever).await {
                        Ok(batches) => ready = batches.into_iter(),
                        Err(error) => return Some((Err(error), (scanner, ready))),
                    }
                }
            },
        )
    }

    /// Waits until something is fetched; false after the deadline, or when nothing more will be.
    async fn wait(&self, deadline: Instant) -> Result<bool> {
        let shared = &self.inner.shared;
        let silence = self.inner.connection.options().request_timeout;
        loop {
            let news = shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            self.inner.connection.check_open("poll")?;
            let now = Instant::now();
            let (ready, error, stopped, until) = {
                let mut session = shared.lock();
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
            drop(timeout_at(until, news).await);
        }
    }

    fn undecodable(&self, fetched: &Fetched, error: DecodeError) -> Error {
        let cluster = self.inner.connection.cluster();
        let context = Context::new("poll")
            .physical(&cluster.physical(&self.table().path, &fetched.bucket))
            .schema(fetched.batch.schema_id())
            .bucket(fetched.bucket.bucket);
        let error = match &fetched.segment {
            Some(segment) => context.error(segment.damaged(error)),
            None => context.error(error),
        };
        self.inner.shared.lock().refuse(fetched, error.clone());
        error
    }
}

fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout)
        .unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365))
}

impl fmt::Debug for LogScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogScanner")
            .field("table", &self.table().path.to_string())
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use fluss_rpc::guarded::Guarded;
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::arrivals::Fetched;
use super::decode::Decoder;
use super::decoded::{Decoded, Part, Rows};
use super::fetcher::{Fetcher, Shared};
use super::inner::Inner;
use super::lease::{Lease, Loan};
use super::records::{Run, ScanBatch, ScanRecords, bytes_of};
use super::session::Session;
use crate::cluster::Cluster;
use crate::config::ScannerOptions;
use crate::error::{BatchPlace, Context, Error, ErrorKind, Result};
use crate::meters::ScannerMeters;
use fluss_core::DecodeError;
use fluss_core::id::TableBucket;
use fluss_core::types::TableInfo;

/// Reads the logs of subscribed buckets. Clones share it.
///
/// Fetches run ahead of the consumer in the background, within the limits of
/// [`ScannerOptions`]. Within a bucket records come in the order of their offsets.
/// [`close`](Self::close) stops the fetches, and so does dropping the last clone.
///
/// Records have the columns that the table had when it was asked for: one that was added later is left out, one that was
/// added before is null in the records from before that.
///
/// A partition that is dropped ends quietly: what was fetched of it by then is still returned, and nothing follows. A table
/// that is dropped does not: every poll fails.
///
/// A record is passed when a call returns it, and not before: whichever future is dropped, the next poll goes on with what
/// that one would have returned, and [`positions`](Self::positions) says so.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "people");
/// # let schema = Schema::builder().column("id", DataType::int()).column("name", DataType::string());
/// # let schema = schema.build()?;
/// # connection.admin().create_table(&path, &TableDescriptor::builder(schema).build()?, false).await?;
/// use fluss_client::StartOffset;
/// use std::time::Duration;
///
/// let table = connection.table(&path).await?;
/// table.append_writer()?.append(&[1.into(), "Ada".into()]).await?.wait().await?;
/// let scanner = table.scan().log_scanner()?;
/// scanner.subscribe_all(StartOffset::Earliest).await?;
/// let records = scanner.poll(Duration::from_secs(10)).await?;
/// for (bucket, record) in records.iter() {
///     println!("{bucket} offset {}: {:?}", record.offset, record.row);
/// }
/// assert_eq!(records.len(), 1);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LogScanner {
    pub(super) inner: Arc<Inner>,
}

impl LogScanner {
    pub(super) fn new(
        cluster: Cluster,
        info: Arc<TableInfo>,
        decoder: Decoder,
        options: ScannerOptions,
    ) -> Self {
        let remote = cluster.options().remote.clone();
        let session = Session::new(options, remote, decoder.own_forms(), cluster.random().clone());
        let wake = Arc::new(tokio::sync::Notify::new());
        let news = Arc::new(tokio::sync::Notify::new());
        let tell = {
            let (wake, news) = (wake.clone(), news.clone());
            move || {
                wake.notify_one();
                news.notify_waiters();
            }
        };
        let shared = Arc::new(Shared {
            session: Guarded::telling(session, tell),
            meters: ScannerMeters::of(&info.path),
            decoder,
            info,
            wake,
            news,
        });
        let fetcher = tokio::spawn(Fetcher::new(shared.clone(), cluster.clone()).run()).abort_handle();
        Self {
            inner: Arc::new(Inner {
                shared,
                cluster,
                turn: Arc::default(),
                decoded: Guarded::new(Decoded::default()),
                closed: AtomicBool::new(false),
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

    /// Takes the next records, as many as a poll returns.
    fn take_records(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let options = &self.inner.cluster.options().scanner;
        let (mut room, mut bytes) = (options.max_poll_records, 0);
        let mut taken = Vec::new();
        while room > 0 && bytes < options.max_poll_bytes {
            let (bucket, subscription, mut run) = match self.next_run(decoded) {
                Ok(Some(next)) => next,
                // A later poll tells what is wrong with a batch, when the records before it are delivered.
                Err(error) if taken.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            let part = |run| Part {
                bucket,
                subscription,
                rows: Rows::Run(run),
            };
            bytes += run.bytes();
            let front = run.split_to(room);
            room -= front.range.len();
            if !front.range.is_empty() {
                taken.push(part(front));
            }
            if !run.range.is_empty() {
                decoded.put_back(std::iter::once(part(run)));
            }
        }
        Ok(taken)
    }

    /// The rows left by an earlier poll, or those of the next batch.
    fn next_run(&self, decoded: &mut Decoded) -> Result<Option<(TableBucket, u64, Run)>> {
        if let Some(run) = self.next_left(decoded)? {
            return Ok(Some(run));
        }
        let Some(fetched) = self.inner.shared.next_fetched()? else {
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

    /// The rows left by an earlier poll.
    pub(super) fn next_left(&self, decoded: &mut Decoded) -> Result<Option<(TableBucket, u64, Run)>> {
        let Some(part) = self.pop_left(decoded)? else {
            return Ok(None);
        };
        let run = match part.rows {
            Rows::Run(run) => run,
            Rows::Batch(batch) => {
                let run = self.inner.shared.decoder.rows(batch);
                let context = || Context::new("poll").table(&self.table().path);
                run.map_err(|error| context().bucket(part.bucket.bucket).error(error))?
            }
        };
        Ok(Some((part.bucket, part.subscription, run)))
    }

    /// What an earlier poll has left. A bucket that was subscribed anew meanwhile has no rows left.
    fn pop_left(&self, decoded: &mut Decoded) -> Result<Option<Part>> {
        let session = self.inner.shared.lock()?;
        while let Some(part) = decoded.pop() {
            if session.subscription_id(&part.bucket) == Some(part.subscription) {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Takes what is fetched, as far as a poll has room.
    fn take_batches(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let most = self.inner.cluster.options().scanner.max_poll_bytes;
        let (mut taken, mut bytes, mut failure) = (Vec::new(), 0, None);
        while bytes < most {
            let part = match self.pop_left(decoded)? {
                Some(part) => Some(part.into_batch()),
                None => match self.inner.shared.next_fetched()? {
                    Some(fetched) => self.batch(&fetched).unwrap_or_else(|error| {
                        // What else was fetched of the bucket is dropped with it.
                        failure = Some(error);
                        None
                    }),
                    None => break,
                },
            };
            bytes += part
                .as_ref()
                .and_then(Part::batch)
                .map_or(0, |scanned| bytes_of(&scanned.batch));
            taken.extend(part);
        }
        match failure {
            // A later poll tells it, when what was decoded is delivered.
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Takes one batch.
    fn take_batch(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let left = self.pop_left(decoded)?.map(Part::into_batch);
        if let Some(part) = left {
            return Ok(vec![part]);
        }
        while let Some(fetched) = self.inner.shared.next_fetched()? {
            if let Some(part) = self.batch(&fetched)? {
                return Ok(vec![part]);
            }
        }
        Ok(Vec::new())
    }

    /// The rows of a batch; nothing if the filter leaves all out.
    fn batch(&self, fetched: &Fetched) -> Result<Option<Part>> {
        let decoded = self.inner.shared.decoder.batch(fetched);
        let batch = decoded.map_err(|error| self.undecodable(fetched, error))?;
        Ok((!batch.is_filtered_out()).then_some(Part {
            bucket: fetched.bucket,
            subscription: fetched.subscription,
            rows: Rows::Batch(batch),
        }))
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

    /// Stops reading. What was called and waits fails with [`ErrorKind::Closed`], and so does everything that is called
    /// from now on, of all clones.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.fetcher.abort();
        self.inner.discover(None);
        if let Ok(mut session) = self.inner.shared.lock() {
            session.clear();
        }
        self.inner.shared.news.notify_waiters();
    }

    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        self.inner.cluster.check_open(operation)?;
        if self.inner.closed.load(Ordering::Acquire) {
            let context = Context::new(operation).table(&self.table().path);
            return Err(context.error(ErrorKind::Closed));
        }
        Ok(())
    }

    /// Whether the consumer has all that was decoded.
    pub(super) fn has_handed_over(&self) -> Result<bool> {
        Ok(self.inner.decoded()?.is_empty())
    }

    /// Waits until there is something to take; false after the deadline, or when nothing more will be.
    async fn wait(&self, deadline: Instant) -> Result<bool> {
        let shared = &self.inner.shared;
        let silence = self.inner.cluster.options().request_timeout;
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

    fn undecodable(&self, fetched: &Fetched, error: DecodeError) -> Error {
        let topology = self.inner.cluster.topology();
        let context = Context::new("poll")
            .physical(&topology.physical(&self.table().path, &fetched.bucket))
            .schema(fetched.batch.schema_id())
            .bucket(fetched.bucket.bucket)
            .batch(place(fetched));
        let error = match &fetched.segment {
            Some(segment) => context.error(segment.damaged(error)),
            None => context.error(error),
        };
        if let Ok(mut session) = self.inner.shared.lock() {
            session.refuse(fetched, error.clone());
        }
        error
    }
}

/// Where a fetched batch is.
pub(super) fn place(fetched: &Fetched) -> BatchPlace {
    BatchPlace {
        bucket: fetched.bucket,
        first: fetched.batch.base_offset(),
        last: fetched.batch.next_offset() - 1,
    }
}

/// Longer than any bucket is without answer.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

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
        .unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365))
}

impl fmt::Debug for LogScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogScanner")
            .field("table", &self.table().path.to_string())
            .finish_non_exhaustive()
    }
}

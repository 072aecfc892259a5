//! The handle of a scanner.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use fluss_rpc::guarded::Guarded;
use fluss_rpc::sync::Mutex;

use super::decode::Decoder;
use super::decoded::Decoded;
use super::fetcher::{Fetcher, Shared};
use super::inner::Inner;
use super::session::Session;
use crate::cluster::Cluster;
use crate::config::ScannerOptions;
use crate::error::{Context, ErrorKind, Result};
use crate::meters::ScannerMeters;
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
            meters: ScannerMeters::of(cluster.owner(), &info.path),
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
}

impl fmt::Debug for LogScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogScanner")
            .field("table", &self.table().path.to_string())
            .finish_non_exhaustive()
    }
}

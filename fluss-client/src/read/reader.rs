use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use futures::Stream;

use super::bounds::{Bounds, Ranges};
use crate::error::{Context, ErrorKind, Result};
use crate::scan::{LogScanner, ScanBatch, ScanBuilder};
use fluss_core::id::{Offset, TableBucket};
use fluss_core::types::TableInfo;

impl ScanBuilder {
    /// Reads a part of the log that has an end: of the rows of a log table, of the changes of a primary-key table.
    ///
    /// # Errors
    ///
    /// Columns as of [`log_scanner`](Self::log_scanner); buckets or offsets that there are not;
    /// [`INVALID_TIMESTAMP`](fluss_rpc::code::ErrorCode::INVALID_TIMESTAMP) for a time in the future.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn read(self, bounds: Bounds) -> Result<BoundedReader> {
        let scanner = self.scanner(self.columns()?.as_deref(), self.predicate())?;
        let admin = self.table().admin();
        let ranges = bounds.resolve(&scanner, &admin).await?;
        BoundedReader::begin(scanner, &ranges)
    }
}

/// Reads parts of logs to their ends, which do not move while it reads.
///
/// Within a bucket batches come in the order of their offsets. Fetches run ahead, within the limits of
/// [`ScannerOptions`](crate::ScannerOptions). A partition that is dropped meanwhile ends early.
///
/// It is read once. What was left half-way goes on where it was; what was read to its end has nothing more to give.
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
/// use fluss_client::Bounds;
///
/// let table = connection.table(&path).await?;
/// table.append_writer()?.append(&[1.into(), "Ada".into()]).await?.wait().await?;
/// let mut reader = table.scan().read(Bounds::default()).await?;
/// let mut rows = 0;
/// while let Some(batch) = reader.next_batch().await? {
///     rows += batch.batch.num_rows();
/// }
/// assert_eq!(rows, 1);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BoundedReader {
    scanner: LogScanner,
    ends: BTreeMap<TableBucket, Offset>,
    is_empty: bool,
    ready: VecDeque<ScanBatch>,
    /// Whether somebody was told that nothing is left.
    has_ended: bool,
}

/// Longer than any bucket is without answer.
const LONG: Duration = Duration::from_hours(24);

impl BoundedReader {
    pub(super) fn begin(scanner: LogScanner, ranges: &Ranges) -> Result<Self> {
        let wanted = ranges
            .iter()
            .filter(|(_, (start, end))| start.unwrap_or(0) < *end)
            .map(|(bucket, (start, end))| (*bucket, *start, *end));
        let wanted: Vec<_> = wanted.collect();
        scanner.begin_bounded(&wanted)?;
        Ok(Self {
            scanner,
            ends: ranges.iter().map(|(bucket, (_, end))| (*bucket, *end)).collect(),
            is_empty: wanted.is_empty(),
            ready: VecDeque::new(),
            has_ended: false,
        })
    }

    /// The table.
    pub fn table(&self) -> &TableInfo {
        self.scanner.table()
    }

    /// The Arrow schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.scanner.schema()
    }

    /// Where reading ends: of each bucket, the offset behind the last record that is wanted.
    pub const fn ends(&self) -> &BTreeMap<TableBucket, Offset> {
        &self.ends
    }

    /// Whether it was read to its end: [`next_batch`](Self::next_batch) has returned nothing, or
    /// [`collect`](Self::collect) all that was left.
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns an error if it was read to its end already: whoever begins to read it would find nothing, whatever the
    /// table holds.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument).
    pub fn check_unread(&self) -> Result<()> {
        if !self.has_ended {
            return Ok(());
        }
        let context = Context::new("read").table(&self.table().path);
        Err(context.error(ErrorKind::already_read()))
    }

    /// The next batch; nothing when all are read.
    ///
    /// # Errors
    ///
    /// As [`LogScanner::poll`]: a later call goes on, where trying again can help.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: the next call returns what this one would have.
    pub async fn next_batch(&mut self) -> Result<Option<ScanBatch>> {
        loop {
            self.scanner.check_open("read")?;
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.is_empty || self.scanner.has_stopped()? {
                self.has_ended = true;
                return Ok(None);
            }
            let next = self.scanner.lease_batch(LONG).await?;
            self.ready.extend(next.take());
        }
    }

    /// All batches that are left.
    ///
    /// # Errors
    ///
    /// As [`next_batch`](Self::next_batch). What was read before the error is not lost: a later call returns it.
    /// [`check_unread`](Self::check_unread)'s if it was read to its end before.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: the next call returns what this one would have.
    pub async fn collect(&mut self) -> Result<Vec<ScanBatch>> {
        self.scanner.check_open("read")?;
        self.check_unread()?;
        while !self.is_empty && !self.scanner.has_stopped()? {
            self.ready.extend(self.scanner.poll_arrow(LONG).await?);
        }
        self.has_ended = true;
        Ok(std::mem::take(&mut self.ready).into())
    }

    /// Puts batches back that were read last, in their order: they are read again next, and so is the end.
    pub fn put_back(&mut self, batches: impl IntoIterator<Item = ScanBatch, IntoIter: DoubleEndedIterator>) {
        self.has_ended = false;
        for batch in batches.into_iter().rev() {
            self.ready.push_front(batch);
        }
    }

    /// The batches as they come. An error is the last item.
    ///
    /// # Cancellation
    ///
    /// Dropping a future of the next batch loses nothing. Dropping the stream drops the reader.
    pub fn into_stream(self) -> impl Stream<Item = Result<ScanBatch>> + Send {
        futures::stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            match reader.next_batch().await {
                Ok(batch) => batch.map(|batch| (Ok(batch), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Whether a bucket was dropped before it was read up to its end.
    pub(super) fn was_dropped(&self, bucket: &TableBucket) -> Result<bool> {
        self.scanner.was_dropped(bucket)
    }
}

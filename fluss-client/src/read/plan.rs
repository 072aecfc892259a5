//! What reading a whole table takes, bucket by bucket.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use fluss_rpc::code::ErrorCode;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::bounds::{AsOf, Bounds, Ranges};
use super::changelog::Changelogs;
use super::columns::Columns;
use super::end::End;
use super::reader::BoundedReader;
use super::scan_kv::{KvScans, is_unsupported};
use super::snapshot::Snapshot;
use crate::admin::OffsetSpec;
use crate::cluster::each_bucket;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::scan::ScanBuilder;
use fluss_core::id::{Offset, TableBucket};

impl ScanBuilder {
    /// Plans to read the whole table, or those of its rows that a filter lets pass, in all partitions that there are now:
    /// each bucket as it was at one moment. Nothing is read until the streams of the plan are polled.
    ///
    /// The rows of a primary-key table as it is now are those that its servers give out, where they do. Otherwise they are
    /// made of the latest snapshot that the cluster keeps of each bucket, unless that is of a later moment, and the
    /// changelog behind it; or of the whole changelog. Of a log table, these are the rows that are still there.
    ///
    /// # Errors
    ///
    /// Columns as of [`log_scanner`](Self::log_scanner); buckets or offsets that there are not;
    /// [`INVALID_TIMESTAMP`](ErrorCode::INVALID_TIMESTAMP) for a time in the future.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn plan(self, as_of: AsOf) -> Result<TableRead> {
        let info = self.table().shared_info();
        if !info.has_primary_key() {
            let scanner = self.scanner(self.columns()?.as_deref(), self.predicate())?;
            let ranges = Bounds::from(as_of)
                .resolve(&scanner, &self.table().admin())
                .await?;
            let (schema, way) = (scanner.schema().clone(), Way::Log(Arc::new(self)));
            return Ok(TableRead::new(schema, &way, &ranges));
        }
        let columns = Arc::new(Columns::new(&info, self.columns()?, self.predicate())?);
        let schema = columns.schema.clone();
        if as_of == AsOf::Latest {
            let buckets = self.table().admin().table_buckets(&info).await?;
            let scans = KvScans::new(self.table().cluster(), columns.clone());
            if are_given_out(&scans, &buckets).await? {
                let buckets = buckets.into_iter().map(|bucket| (bucket, None, End::default()));
                let present = Present {
                    scan: self,
                    columns,
                    scans,
                    changelogs: OnceCell::new(),
                };
                return Ok(TableRead::of(schema, &Way::Present(Arc::new(present)), buckets));
            }
        }
        let changelogs = Changelogs::find(self.clone(), columns.clone()).await?;
        let scanner = self.scanner(Some(&columns.read), None)?;
        let bounds = Bounds::from(as_of);
        let ranges = bounds.resolve(&scanner, &self.table().admin()).await?;
        let way = Way::Changelogs(Arc::new(changelogs));
        Ok(TableRead::new(schema, &way, &ranges))
    }
}

/// Whether servers give out the rows of buckets: as the leader of the first that is still there says.
async fn are_given_out(scans: &Arc<KvScans>, buckets: &[TableBucket]) -> Result<bool> {
    for bucket in buckets {
        match scans.are_offered(*bucket).await {
            Err(error) if is_of_no_partition(&error) => {}
            outcome => return outcome,
        }
    }
    Ok(true)
}

fn is_of_no_partition(error: &Error) -> bool {
    error.code() == Some(ErrorCode::PARTITION_NOT_EXISTS)
}

/// How the rows of buckets are had.
#[derive(Clone)]
enum Way {
    /// The rows of a log table.
    Log(Arc<ScanBuilder>),
    /// The rows of a primary-key table as servers give them out.
    Present(Arc<Present>),
    /// The rows that changelogs lead to.
    Changelogs(Arc<Changelogs>),
}

struct Present {
    scan: ScanBuilder,
    columns: Arc<Columns>,
    scans: Arc<KvScans>,
    /// For buckets whose leaders turn out not to give them out, as older servers of a cluster do.
    changelogs: OnceCell<Changelogs>,
}

impl Present {
    /// The rows of a bucket whose leader does not give them out, and where its log ended.
    async fn replay(&self, bucket: TableBucket, end: &End) -> Result<Option<Vec<RecordBatch>>> {
        let find = || Changelogs::find(self.scan.clone(), self.columns.clone());
        let changelogs = self.changelogs.get_or_try_init(find).await?;
        let admin = self.scan.table().admin();
        let latest = admin
            .offset(&self.columns.info, bucket, OffsetSpec::Latest)
            .await?;
        end.set(latest);
        changelogs.rows(bucket, latest).await
    }

    async fn collect(&self, bucket: TableBucket, end: &End) -> Result<Option<Vec<RecordBatch>>> {
        match self.scans.collect(bucket, end).await {
            Err(error) if is_unsupported(&error) => self.replay(bucket, end).await,
            outcome => outcome.map(Some),
        }
    }

    fn stream(self: Arc<Self>, bucket: TableBucket, end: End) -> Rows {
        let scan = self.scans.scan(bucket, end.clone());
        let rows = stream::try_unfold(
            (scan, Some((self, end))),
            move |(mut scan, mut first)| async move {
                let rows = match (scan.next().await, first.take()) {
                    (Err(error), Some((present, end))) if is_unsupported(&error) => {
                        let rows = present.replay(bucket, &end).await?;
                        rows.unwrap_or_default()
                    }
                    (rows, _) => Vec::from_iter(rows?),
                };
                Ok((!rows.is_empty()).then_some((stream::iter(rows).map(Ok), (scan, None))))
            },
        );
        rows.try_flatten().boxed()
    }
}

type Rows = BoxStream<'static, Result<RecordBatch>>;

/// A read of a whole table that is planned: of which buckets, up to where, and how. Had from [`ScanBuilder::plan`]. Clones
/// read the same again.
#[derive(Clone)]
pub struct TableRead {
    schema: SchemaRef,
    way: Way,
    buckets: Vec<BucketRead>,
}

/// How many buckets a stream reads at a time where each has to be read whole before its first row is known.
const REPLAYED_AT_ONCE: usize = 2;
/// How many bytes of logs it fetches at a time, so that the first rows come soon and few wait.
const IN_STEP_BYTES: usize = 4 << 20;
/// How many it reads at a time where rows come as they are asked for.
const SCANNED_AT_ONCE: usize = 8;

impl TableRead {
    fn new(schema: SchemaRef, way: &Way, ranges: &Ranges) -> Self {
        let buckets = ranges.iter();
        let buckets = buckets.map(|(bucket, (start, end))| (*bucket, *start, End::at(*end)));
        Self::of(schema, way, buckets)
    }

    fn of(
        schema: SchemaRef,
        way: &Way,
        buckets: impl Iterator<Item = (TableBucket, Option<Offset>, End)>,
    ) -> Self {
        let buckets = buckets.map(|(bucket, start, end)| BucketRead {
            schema: schema.clone(),
            way: way.clone(),
            bucket,
            start,
            end,
        });
        Self {
            buckets: buckets.collect(),
            way: way.clone(),
            schema,
        }
    }

    /// The Arrow schema of the rows.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The buckets, in their order.
    pub fn buckets(&self) -> &[BucketRead] {
        &self.buckets
    }

    /// The buckets, to be read one by one or side by side.
    pub fn into_buckets(self) -> Vec<BucketRead> {
        self.buckets
    }

    /// All rows, as they come: within a bucket of a log table in the order of their offsets, and in no order otherwise.
    ///
    /// A few buckets are read at a time, and a bounded amount is held, whatever the size of the table; only where the rows
    /// of a primary-key table are made of its changelog, two buckets are held whole.
    ///
    /// # Errors
    ///
    /// Those of [`BucketRead::into_stream`].
    pub fn into_stream(self) -> RowStream {
        let ends = self.buckets.iter();
        let ends = ends.map(|read| (read.bucket, read.end.clone())).collect();
        let at_once = match self.way {
            Way::Log(scan) => {
                let batches = log(scan, ranges(&self.buckets), IN_STEP_BYTES).map_ok(|(_, batch)| batch);
                return RowStream::new(self.schema, ends, batches.boxed());
            }
            Way::Present(_) => SCANNED_AT_ONCE,
            Way::Changelogs(_) => REPLAYED_AT_ONCE,
        };
        let buckets = stream::iter(self.buckets).map(BucketRead::rows);
        RowStream::new(self.schema, ends, buckets.flatten_unordered(at_once).boxed())
    }

    /// All rows, in memory.
    ///
    /// A scan of a bucket that is cut short, as when its leader is replaced, begins anew; a stream could not take back
    /// what it gave.
    ///
    /// # Errors
    ///
    /// Those of [`BucketRead::into_stream`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn collect(self) -> Result<Snapshot> {
        let Self { schema, way, buckets } = self;
        let mut batches = Vec::new();
        if let Way::Log(scan) = way {
            let mut rows = std::pin::pin!(log(scan, ranges(&buckets), usize::MAX));
            while let Some(read) = rows.try_next().await? {
                batches.push(read);
            }
            batches.sort_by_key(|(bucket, _)| *bucket);
        } else {
            let of_bucket: BTreeMap<_, _> = buckets.iter().map(|read| (read.bucket, read)).collect();
            let collect = async |bucket| match of_bucket.get(&bucket) {
                Some(read) => read.collect().await,
                None => Ok(Vec::new()),
            };
            for (bucket, rows) in each_bucket(of_bucket.keys().copied(), collect).await? {
                batches.extend(rows.into_iter().map(|rows| (bucket, rows)));
            }
        }
        let ends = buckets.iter();
        let ends = ends.filter_map(|read| Some((read.bucket, read.end_offset()?)));
        Ok(Snapshot {
            schema,
            offsets: ends.collect(),
            batches,
        })
    }
}

impl fmt::Debug for TableRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRead")
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// The read of one bucket of a [`TableRead`]. Clones read the same again.
#[derive(Clone)]
pub struct BucketRead {
    schema: SchemaRef,
    way: Way,
    bucket: TableBucket,
    start: Option<Offset>,
    end: End,
}

impl BucketRead {
    /// The bucket.
    pub const fn bucket(&self) -> TableBucket {
        self.bucket
    }

    /// The Arrow schema of the rows.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which moment of the bucket is read: the end of its log, from which a scanner goes on. Where servers give out rows as
    /// they are, it is known once the first have come; of a bucket that was dropped there is none.
    pub fn end_offset(&self) -> Option<Offset> {
        self.end.get()
    }

    /// The rows as they come. Reading begins when the stream is first polled, is never far ahead of the consumer, and stops
    /// when the stream is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the changelog of a primary-key table does not reach back to its beginning, nor to a
    /// snapshot; [`ErrorKind::Storage`] or [`ErrorKind::Malformed`] if the snapshot cannot be read. A scan that is cut
    /// short after rows were given out, as when the leader of the bucket is replaced: it is to be read anew. Otherwise as
    /// [`LogScanner::poll`](crate::LogScanner::poll). An error is the last item.
    pub fn into_stream(self) -> RowStream {
        let ends = vec![(self.bucket, self.end.clone())];
        RowStream::new(self.schema.clone(), ends, self.rows())
    }

    fn rows(self) -> Rows {
        let Self { bucket, end, .. } = self;
        let rows = match self.way {
            Way::Log(scan) => {
                let range = Ranges::from([(bucket, (self.start, end.get().unwrap_or(0)))]);
                log(scan, range, IN_STEP_BYTES).map_ok(|(_, batch)| batch).boxed()
            }
            Way::Present(present) => present.stream(bucket, end.clone()),
            Way::Changelogs(changelogs) => replayed(changelogs, bucket, end.clone()),
        };
        // A partition that is dropped before its first rows were given out has none.
        let mut is_first = true;
        let rows = rows.filter_map(move |item| {
            let was_first = std::mem::replace(&mut is_first, false);
            let is_dropped = matches!(&item, Err(error) if was_first && is_of_no_partition(error));
            if is_dropped {
                end.forget();
            }
            std::future::ready((!is_dropped).then_some(item))
        });
        rows.boxed()
    }

    /// The rows, in memory.
    async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let rows = match &self.way {
            Way::Present(present) => present.collect(self.bucket, &self.end).await,
            Way::Changelogs(changelogs) => {
                let end = self.end.get().unwrap_or(0);
                changelogs.rows(self.bucket, end).await
            }
            Way::Log(_) => self.clone().rows().try_collect().await.map(Some),
        };
        match rows {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) => {
                self.end.forget();
                Ok(Vec::new())
            }
            Err(error) => {
                if is_of_no_partition(&error) {
                    self.end.forget();
                }
                Err(error)
            }
        }
    }
}

impl fmt::Debug for BucketRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketRead")
            .field("bucket", &self.bucket)
            .field("end_offset", &self.end_offset())
            .finish_non_exhaustive()
    }
}

fn ranges(buckets: &[BucketRead]) -> Ranges {
    let range = |read: &BucketRead| Some((read.bucket, (read.start, read.end.get()?)));
    buckets.iter().filter_map(range).collect()
}

/// The rows of ranges of a log, by one scanner for all of them, which fetches at most so many bytes at a time.
fn log(
    scan: Arc<ScanBuilder>,
    ranges: Ranges,
    most_bytes: usize,
) -> impl Stream<Item = Result<(TableBucket, RecordBatch)>> + Send + 'static {
    let open = async move {
        let mut options = scan.table().cluster().options().scanner.clone();
        options.fetch_max_bytes = options.fetch_max_bytes.min(most_bytes);
        let scanner = scan.scanner_with(scan.columns()?.as_deref(), scan.predicate(), options)?;
        Ok(BoundedReader::begin(scanner, &ranges)?.into_stream())
    };
    let batches = stream::once(open).try_flatten();
    batches.map_ok(|scanned| (scanned.bucket, scanned.batch))
}

/// The rows that the changelog of a bucket leads to.
fn replayed(changelogs: Arc<Changelogs>, bucket: TableBucket, end: End) -> Rows {
    let rows = async move {
        let rows = changelogs.rows(bucket, end.get().unwrap_or(0)).await?;
        if rows.is_none() {
            end.forget();
        }
        Ok(stream::iter(rows.unwrap_or_default()).map(Ok))
    };
    stream::once(rows).try_flatten().boxed()
}

/// Rows as they are read: batches of [`schema`](Self::schema), until all have come or one cannot be read.
///
/// # Cancellation
///
/// Dropping a future of the next batch loses nothing. Dropping the stream stops reading.
pub struct RowStream {
    schema: SchemaRef,
    ends: Vec<(TableBucket, End)>,
    /// Until it has ended.
    rows: Option<Rows>,
    returned: VecDeque<RecordBatch>,
}

impl RowStream {
    const fn new(schema: SchemaRef, ends: Vec<(TableBucket, End)>, rows: Rows) -> Self {
        Self {
            schema,
            ends,
            rows: Some(rows),
            returned: VecDeque::new(),
        }
    }

    /// The Arrow schema of the batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which moment of each bucket is read, as [`BucketRead::end_offset`] tells: of all buckets, once all rows have come.
    pub fn offsets(&self) -> BTreeMap<TableBucket, Offset> {
        let ends = self.ends.iter();
        ends.filter_map(|(bucket, end)| Some((*bucket, end.get()?)))
            .collect()
    }

    /// Whether all rows have come, or one could not be read.
    pub fn has_ended(&self) -> bool {
        self.rows.is_none() && self.returned.is_empty()
    }

    /// Puts batches back that came last, in their order: they come again next.
    pub fn put_back(
        &mut self,
        batches: impl IntoIterator<Item = RecordBatch, IntoIter: DoubleEndedIterator>,
    ) {
        for batch in batches.into_iter().rev() {
            self.returned.push_front(batch);
        }
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = self.returned.pop_front() {
            return Poll::Ready(Some(Ok(batch)));
        }
        let Some(rows) = &mut self.rows else {
            return Poll::Ready(None);
        };
        let polled = rows.as_mut().poll_next(task);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rows = None;
        }
        polled
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream")
            .field("ends", &self.offsets())
            .finish_non_exhaustive()
    }
}

//! What reading a whole table takes, bucket by bucket.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use super::bounds::{AsOf, Bounds, Ranges};
use super::changelog::Changelogs;
use super::columns::Columns;
use super::end::End;
use super::snapshot::Snapshot;
use super::source::{Keyed, Present, Source, log, log_in_step};
use super::stream::{RowStream, Rows};
use crate::cluster::each_bucket;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::scan::ScanBuilder;
use fluss_core::id::{Offset, TableBucket};

impl ScanBuilder {
    /// Plans to read the whole table, or those of its rows that a filter lets pass, in all partitions that there are now and
    /// that may have such rows: each bucket as it was at one moment. Nothing is read until the streams of the plan are polled.
    ///
    /// The rows of a primary-key table as it is now are those that its servers give out, where they do. Otherwise they are
    /// made of the latest snapshot that the cluster keeps of each bucket, unless that is of a later moment, and the
    /// changelog behind it; or of the whole changelog. Of a log table, these are the rows that are still there.
    ///
    /// # Errors
    ///
    /// Columns as of [`log_scanner`](Self::log_scanner); buckets or offsets that there are not;
    /// [`INVALID_TIMESTAMP`](crate::ErrorCode::INVALID_TIMESTAMP) for a time in the future.
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
            let (schema, source) = (scanner.schema().clone(), Source::Log(Arc::new(self)));
            return Ok(TableRead::new(schema, &source, &ranges));
        }
        let columns = Arc::new(Columns::new(&info, self.columns()?, self.predicate())?);
        let schema = columns.schema.clone();
        // It reads nothing: it knows which buckets may have rows that are wanted.
        let scanner = self.scanner(Some(&columns.read), self.predicate())?;
        if as_of == AsOf::Latest {
            let buckets = scanner.wanted_buckets().await?;
            if let Some(present) = Present::find(&self, &columns, &buckets).await? {
                let source = Source::Keyed(Keyed::Present(Arc::new(present)));
                let buckets = buckets.into_iter().map(|bucket| (bucket, None, End::default()));
                return Ok(TableRead::of(schema, &source, buckets));
            }
        }
        let changelogs = Changelogs::find(self.clone(), columns.clone()).await?;
        let bounds = Bounds::from(as_of);
        let ranges = bounds.resolve(&scanner, &self.table().admin()).await?;
        let source = Source::Keyed(Keyed::Changelogs(Arc::new(changelogs)));
        Ok(TableRead::new(schema, &source, &ranges))
    }
}

/// A read of a whole table that is planned: of which buckets, up to where, and how. Had from [`ScanBuilder::plan`]. Clones
/// read the same again.
#[derive(Clone)]
pub struct TableRead {
    schema: SchemaRef,
    source: Source,
    buckets: Vec<BucketRead>,
}

impl TableRead {
    fn new(schema: SchemaRef, source: &Source, ranges: &Ranges) -> Self {
        let buckets = ranges.iter();
        let buckets = buckets.map(|(bucket, (start, end))| (*bucket, *start, End::at(*end)));
        Self::of(schema, source, buckets)
    }

    fn of(
        schema: SchemaRef,
        source: &Source,
        buckets: impl Iterator<Item = (TableBucket, Option<Offset>, End)>,
    ) -> Self {
        let buckets = buckets.map(|(bucket, start, end)| BucketRead {
            schema: schema.clone(),
            source: source.clone(),
            bucket,
            start,
            end,
        });
        Self {
            buckets: buckets.collect(),
            source: source.clone(),
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
        let rows = match self.source {
            Source::Log(scan) => log_in_step(scan, ranges(&self.buckets))
                .map_ok(|scanned| scanned.batch)
                .boxed(),
            Source::Keyed(keyed) => {
                let buckets = stream::iter(self.buckets).map(BucketRead::rows);
                buckets.flatten_unordered(keyed.at_once()).boxed()
            }
        };
        RowStream::new(self.schema, ends, rows)
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
        let Self {
            schema,
            source,
            buckets,
        } = self;
        let mut batches = Vec::new();
        match source {
            Source::Log(scan) => {
                let mut rows = std::pin::pin!(log(scan, ranges(&buckets), usize::MAX));
                while let Some(scanned) = rows.try_next().await? {
                    batches.push((scanned.bucket, scanned.batch));
                }
                batches.sort_by_key(|(bucket, _)| *bucket);
            }
            Source::Keyed(keyed) => {
                let ends: BTreeMap<_, _> = buckets.iter().map(|read| (read.bucket, &read.end)).collect();
                let collect = async |bucket| match ends.get(&bucket) {
                    Some(end) => keyed.collect(bucket, end).await,
                    None => Ok(Vec::new()),
                };
                for (bucket, rows) in each_bucket(ends.keys().copied(), collect).await? {
                    batches.extend(rows.into_iter().map(|rows| (bucket, rows)));
                }
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
    source: Source,
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

    /// All rows of the bucket as its server stores them, in all columns, whatever the scan asks for: batches of stored values
    /// (`records.md` §3.2), for a copy that keeps them so. Nothing where the servers do not give them out.
    ///
    /// # Errors
    ///
    /// As of [`into_stream`](Self::into_stream); [`ErrorKind::Unsupported`] if the leader of this bucket does not give it out.
    pub fn into_stored(self) -> Option<impl Stream<Item = Result<Bytes>> + Send + 'static> {
        match self.source {
            Source::Keyed(Keyed::Present(present)) => Some(present.stored(self.bucket, self.end)),
            _ => None,
        }
    }

    fn rows(self) -> Rows {
        self.source.rows(self.bucket, self.start, self.end)
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

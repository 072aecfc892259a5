//! Where the rows of a table come from, bucket by bucket.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::bounds::Ranges;
use super::changelog::Changelogs;
use super::columns::Columns;
use super::end::End;
use super::reader::BoundedReader;
use super::scan_kv::{KvScan, KvScans, is_unsupported};
use super::stream::Rows;
use crate::admin::OffsetSpec;
use crate::error::{Error, Result};
use crate::scan::{ScanBatch, ScanBuilder};
use fluss_core::id::{Offset, TableBucket};

/// How many bytes of logs a stream fetches at a time, so that the first rows come soon and few wait.
const IN_STEP_BYTES: usize = 4 << 20;

/// How many buckets a stream reads at a time where each has to be read whole before its first row is known.
const REPLAYED_AT_ONCE: usize = 2;

/// How many it reads at a time where rows come as they are asked for.
const SCANNED_AT_ONCE: usize = 8;

/// Where the rows of a table come from.
#[derive(Clone)]
pub(super) enum Source {
    /// The log of a log table.
    Log(Arc<ScanBuilder>),
    /// The buckets of a primary-key table.
    Keyed(Keyed),
}

/// Where the rows of a primary-key table come from.
#[derive(Clone)]
pub(super) enum Keyed {
    /// The servers, which give them out as they are.
    Present(Arc<Present>),
    /// The changelogs that lead to them.
    Changelogs(Arc<Changelogs>),
}

impl Source {
    /// The rows of a bucket as they come. A partition that is dropped before its first rows were given out has none.
    pub(super) fn rows(self, bucket: TableBucket, start: Option<Offset>, end: End) -> Rows {
        let rows = match self {
            Self::Log(scan) => {
                let range = Ranges::from([(bucket, (start, end.get().unwrap_or(0)))]);
                log_in_step(scan, range).map_ok(|scanned| scanned.batch).boxed()
            }
            Self::Keyed(keyed) => keyed.stream(bucket, end.clone()),
        };
        let mut is_first = true;
        let rows = rows.filter_map(move |item| {
            let was_first = std::mem::replace(&mut is_first, false);
            let is_dropped = matches!(&item, Err(error) if was_first && tells_drop(error, &end));
            std::future::ready((!is_dropped).then_some(item))
        });
        rows.boxed()
    }
}

impl Keyed {
    /// How many buckets a stream reads at a time.
    pub(super) const fn at_once(&self) -> usize {
        match self {
            Self::Present(_) => SCANNED_AT_ONCE,
            Self::Changelogs(_) => REPLAYED_AT_ONCE,
        }
    }

    fn stream(self, bucket: TableBucket, end: End) -> Rows {
        match self {
            Self::Present(present) => present.stream(bucket, end),
            Self::Changelogs(changelogs) => {
                let rows = async move {
                    let rows = changelogs.rows(bucket, &end).await?;
                    Ok(stream::iter(rows).map(Ok))
                };
                stream::once(rows).try_flatten().boxed()
            }
        }
    }

    /// The rows of a bucket, in memory; none if it turns out to be dropped.
    pub(super) async fn collect(&self, bucket: TableBucket, end: &End) -> Result<Vec<RecordBatch>> {
        let rows = match self {
            Self::Present(present) => present.collect(bucket, end).await,
            Self::Changelogs(changelogs) => changelogs.rows(bucket, end).await,
        };
        match rows {
            Err(error) if tells_drop(&error, end) => Ok(Vec::new()),
            rows => rows,
        }
    }
}

/// The rows of a primary-key table as servers give them out.
pub(super) struct Present {
    scan: ScanBuilder,
    columns: Arc<Columns>,
    scans: Arc<KvScans>,
    /// For buckets whose leaders turn out not to give them out, as older servers of a cluster do.
    changelogs: OnceCell<Changelogs>,
}

impl Present {
    /// Those of a table with these buckets; nothing if servers do not give them out, as the leader of the first bucket that is
    /// still there says.
    pub(super) async fn find(
        scan: &ScanBuilder,
        columns: &Arc<Columns>,
        buckets: &[TableBucket],
    ) -> Result<Option<Self>> {
        let scans = KvScans::new(scan.table().cluster(), columns.clone());
        for bucket in buckets {
            match scans.are_offered(*bucket).await {
                Ok(true) => break,
                Ok(false) => return Ok(None),
                Err(error) if is_of_no_partition(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Self {
            scan: scan.clone(),
            columns: columns.clone(),
            scans,
            changelogs: OnceCell::new(),
        }))
    }

    /// The rows of a bucket whose leader does not give them out, and where its log ended.
    async fn replay(&self, bucket: TableBucket, end: &End) -> Result<Vec<RecordBatch>> {
        let find = || Changelogs::find(self.scan.clone(), self.columns.clone());
        let changelogs = self.changelogs.get_or_try_init(find).await?;
        let admin = self.scan.table().admin();
        let latest = admin
            .offset(&self.columns.info, bucket, OffsetSpec::Latest)
            .await?;
        end.set(latest);
        changelogs.rows(bucket, end).await
    }

    async fn collect(&self, bucket: TableBucket, end: &End) -> Result<Vec<RecordBatch>> {
        match self.scans.collect(bucket, end).await {
            Err(error) if is_unsupported(&error) => self.replay(bucket, end).await,
            outcome => outcome,
        }
    }

    /// The rows of a bucket as its leader has them: batches of stored values. A partition that is dropped has none.
    pub(super) fn stored(
        &self,
        bucket: TableBucket,
        end: End,
    ) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
        let scan = self.scans.scan(bucket, end.clone());
        let values = stream::try_unfold(scan, async |mut scan: KvScan| {
            Ok(scan.next_stored().await?.map(|values| (values, scan)))
        });
        values.filter(move |item| {
            let is_dropped = matches!(item, Err(error) if tells_drop(error, &end));
            std::future::ready(!is_dropped)
        })
    }

    fn stream(self: Arc<Self>, bucket: TableBucket, end: End) -> Rows {
        let scan = self.scans.scan(bucket, end.clone());
        let rows = stream::try_unfold(
            (scan, Some((self, end))),
            move |(mut scan, mut first)| async move {
                let rows = match (scan.next().await, first.take()) {
                    (Err(error), Some((present, end))) if is_unsupported(&error) => {
                        present.replay(bucket, &end).await?
                    }
                    (rows, _) => Vec::from_iter(rows?),
                };
                Ok((!rows.is_empty()).then_some((stream::iter(rows).map(Ok), (scan, None))))
            },
        );
        rows.try_flatten().boxed()
    }
}

fn is_of_no_partition(error: &Error) -> bool {
    error.code() == Some(ErrorCode::PARTITION_NOT_EXISTS)
}

/// Whether an error tells that a bucket was dropped: then it is of no moment.
fn tells_drop(error: &Error, end: &End) -> bool {
    let is_dropped = is_of_no_partition(error);
    if is_dropped {
        end.forget();
    }
    is_dropped
}

/// The records of ranges of a log as they come.
pub(super) fn log_in_step(
    scan: Arc<ScanBuilder>,
    ranges: Ranges,
) -> impl Stream<Item = Result<ScanBatch>> + Send + 'static {
    log(scan, ranges, IN_STEP_BYTES)
}

/// The records of ranges of a log, by one scanner for all of them, which fetches at most so many bytes at a time.
pub(super) fn log(
    scan: Arc<ScanBuilder>,
    ranges: Ranges,
    most_bytes: usize,
) -> impl Stream<Item = Result<ScanBatch>> + Send + 'static {
    let open = async move {
        let mut options = scan.table().cluster().options().scanner.clone();
        options.fetch_max_bytes = options.fetch_max_bytes.min(most_bytes);
        let scanner = scan.scanner_with(scan.columns()?.as_deref(), scan.predicate(), options)?;
        Ok(BoundedReader::begin(scanner, &ranges)?.into_stream())
    };
    stream::once(open).try_flatten()
}

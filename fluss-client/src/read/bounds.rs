//! Where reads begin and end.

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use tokio::time::{Instant, sleep};

use crate::admin::{Admin, OffsetSpec};
use crate::cluster::each_bucket;
use crate::error::{Context, ErrorKind, Result};
use crate::scan::{LogScanner, StartOffset};
use fluss_core::id::{Offset, TableBucket};
use fluss_core::types::Timestamp;

/// Where reading a bucket ends. All of it is found out once, before anything is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StopOffset {
    /// Behind the last record that can be read when reading begins.
    Latest,
    /// Before this record, to which the log must reach already.
    At(Offset),
    /// Before the first batch stored at or after this time. Not one in the future.
    Before(Timestamp),
    /// Behind the last batch stored at or before this time. Not one in the future.
    AsOf(Timestamp),
}

/// What is read of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Bounds {
    /// All buckets, in all partitions that there are when reading begins and that may have rows that a filter lets pass.
    Table {
        /// Where each bucket begins.
        start: StartOffset,
        /// Where each bucket ends.
        stop: StopOffset,
    },
    /// These buckets only.
    Buckets(BTreeMap<TableBucket, (StartOffset, StopOffset)>),
}

impl Default for Bounds {
    /// All that there is when reading begins.
    fn default() -> Self {
        Self::Table {
            start: StartOffset::Earliest,
            stop: StopOffset::Latest,
        }
    }
}

/// The moment whose rows are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum AsOf {
    /// When reading begins.
    #[default]
    Latest,
    /// This time: with exactly what was stored at or before it. Not one in the future.
    Timestamp(Timestamp),
    /// When the logs of these buckets ended at these offsets. Others are left out.
    Offsets(BTreeMap<TableBucket, Offset>),
}

impl From<AsOf> for Bounds {
    /// Everything from the first record on that is still there.
    fn from(as_of: AsOf) -> Self {
        let start = StartOffset::Earliest;
        let stop = match as_of {
            AsOf::Latest => StopOffset::Latest,
            AsOf::Timestamp(time) => StopOffset::AsOf(time),
            AsOf::Offsets(ends) => {
                let bounds = ends
                    .into_iter()
                    .map(|(bucket, end)| (bucket, (start, StopOffset::At(end))));
                return Self::Buckets(bounds.collect());
            }
        };
        Self::Table { start, stop }
    }
}

/// What is read of each bucket: from an offset, or the first record that is still there, up to another.
pub(super) type Ranges = BTreeMap<TableBucket, (Option<Offset>, Offset)>;

impl Bounds {
    /// Finds out what to read. Partitions that are dropped meanwhile are left out.
    pub(super) async fn resolve(self, scanner: &LogScanner, admin: &Admin) -> Result<Ranges> {
        let bounds = match self {
            Self::Table { start, stop } => {
                let buckets = scanner.wanted_buckets().await?;
                buckets
                    .into_iter()
                    .map(|bucket| (bucket, (start, stop)))
                    .collect()
            }
            Self::Buckets(bounds) => {
                let starts = bounds.iter().map(|(bucket, (start, _))| (*bucket, *start));
                scanner.check_starts(&starts.collect::<Vec<_>>()).await?;
                bounds
            }
        };
        let range = |bucket: TableBucket| {
            let bounds = bounds.get(&bucket).copied();
            async move {
                let Some((start, stop)) = bounds else {
                    return Ok((None, 0));
                };
                let stop = stop.resolve(scanner, admin, bucket).await?;
                Ok((scanner.resolve(bucket, start).await?, stop))
            }
        };
        each_bucket(bounds.keys().copied(), range).await
    }
}

impl StopOffset {
    async fn resolve(self, scanner: &LogScanner, admin: &Admin, bucket: TableBucket) -> Result<Offset> {
        let info = scanner.table();
        match self {
            Self::Latest => admin.offset(info, bucket, OffsetSpec::Latest).await,
            Self::Before(time) => scanner.first_since(bucket, time).await,
            Self::AsOf(time) => behind(scanner, admin, bucket, time).await,
            Self::At(stop) => {
                let end = admin.offset(info, bucket, OffsetSpec::Latest).await?;
                if (0..=end).contains(&stop) {
                    return Ok(stop);
                }
                let reason = format!("the log ends at offset {end}, and cannot be read up to {stop}");
                let context = Context::new("read").table(&info.path).bucket(bucket.bucket);
                Err(context.error(ErrorKind::InvalidArgument(reason)))
            }
        }
    }
}

/// How long a moment is waited for to pass.
const PASSING: Duration = Duration::from_secs(1);

/// The offset behind the last batch stored at or before a time: that of the first one after it. As long as the time has
/// not passed at the server, more may be stored at it.
async fn behind(scanner: &LogScanner, admin: &Admin, bucket: TableBucket, time: Timestamp) -> Result<Offset> {
    let deadline = Instant::now() + PASSING;
    // Servers store batches at whole milliseconds.
    let after = Timestamp::from_millis(time.millis().saturating_add(1));
    loop {
        match scanner.first_since(bucket, after).await {
            Err(error) if error.code() == Some(ErrorCode::INVALID_TIMESTAMP) && Instant::now() < deadline => {
                // The time itself must not be in the future.
                let spec = OffsetSpec::Timestamp(Timestamp::from_millis(time.millis()));
                admin.offset(scanner.table(), bucket, spec).await?;
                sleep(Duration::from_millis(1)).await;
            }
            answer => return answer,
        }
    }
}

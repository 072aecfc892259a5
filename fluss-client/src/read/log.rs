//! What reading a log up to its end takes, bucket by bucket.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream::{self, Stream, TryStreamExt};

use super::bounds::{Bounds, Ranges};
use super::source::log_in_step;
use crate::admin::OffsetSpec;
use crate::cluster::each_bucket;
use crate::error::Result;
use crate::scan::{ScanBatch, ScanBuilder};
use fluss_core::id::{Offset, TableBucket};

impl ScanBuilder {
    /// Plans to read a part of the log that has an end: of the rows of a log table, of the changes of a primary-key table.
    /// Where each bucket ends is found out once; nothing is read until the streams of the plan are polled.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn plan_log(self, bounds: Bounds) -> Result<LogRead> {
        let scanner = self.scanner(self.columns()?.as_deref(), self.predicate())?;
        let ranges = bounds.resolve(&scanner, &self.table().admin()).await?;
        let schema = scanner.schema().clone();
        let scan = Arc::new(self);
        let part = |(bucket, (start, end))| LogPart {
            schema: schema.clone(),
            scan: scan.clone(),
            bucket,
            start,
            end,
        };
        Ok(LogRead {
            parts: ranges.into_iter().map(part).collect(),
            schema: schema.clone(),
            scan: scan.clone(),
        })
    }
}

/// A read of a part of a log that is planned. Had from [`ScanBuilder::plan_log`]. Clones read the same again.
#[derive(Clone)]
pub struct LogRead {
    schema: SchemaRef,
    scan: Arc<ScanBuilder>,
    parts: Vec<LogPart>,
}

impl LogRead {
    /// The Arrow schema of the rows.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What is read of each bucket, in the order of the buckets.
    pub fn parts(&self) -> &[LogPart] {
        &self.parts
    }

    /// What is read of each bucket, to be read one by one or side by side.
    pub fn into_parts(self) -> Vec<LogPart> {
        self.parts
    }

    /// How many records there are between the offsets at which reading begins and ends, whatever a filter lets pass: at the
    /// cost of one request for each bucket that is read from its first record on, and of none for others.
    ///
    /// # Errors
    ///
    /// A bucket that nobody answers for in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn record_count(&self) -> Result<u64> {
        let known: BTreeMap<_, _> = self.parts.iter().map(|part| (part.bucket, part)).collect();
        let table = self.scan.table();
        let admin = table.admin();
        let count = async |bucket: TableBucket| {
            let Some(part) = known.get(&bucket) else {
                return Ok(0);
            };
            let start = match part.start {
                Some(start) => start,
                None if part.end == 0 => 0,
                None => admin.offset(table.info(), bucket, OffsetSpec::Earliest).await?,
            };
            Ok(u64::try_from(part.end - start).unwrap_or(0))
        };
        let counts = each_bucket(known.keys().copied(), count).await?;
        Ok(counts.into_values().sum())
    }
}

impl fmt::Debug for LogRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRead")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

/// What a [`LogRead`] reads of one bucket. Clones read the same again.
#[derive(Clone)]
pub struct LogPart {
    schema: SchemaRef,
    scan: Arc<ScanBuilder>,
    bucket: TableBucket,
    start: Option<Offset>,
    end: Offset,
}

impl LogPart {
    /// The bucket.
    pub const fn bucket(&self) -> TableBucket {
        self.bucket
    }

    /// The Arrow schema of the rows.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where reading begins; nothing for the first record that is still there.
    pub const fn start(&self) -> Option<Offset> {
        self.start
    }

    /// The offset behind the last record that is read.
    pub const fn end(&self) -> Offset {
        self.end
    }

    /// The records as they come, in the order of their offsets. Reading begins when the stream is first polled, is never far
    /// ahead of the consumer, and stops when the stream is dropped. A partition that is dropped meanwhile ends early.
    ///
    /// # Errors
    ///
    /// As [`LogScanner::poll`](crate::LogScanner::poll). An error is the last item.
    pub fn into_stream(self) -> impl Stream<Item = Result<ScanBatch>> + Send + 'static {
        if self.start.unwrap_or(0) >= self.end {
            return futures::future::Either::Left(stream::empty());
        }
        let ranges = Ranges::from([(self.bucket, (self.start, self.end))]);
        futures::future::Either::Right(log_in_step(self.scan, ranges).into_stream())
    }
}

impl fmt::Debug for LogPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogPart")
            .field("bucket", &self.bucket)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

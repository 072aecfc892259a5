//! A few rows of a table.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::proto;
use tokio::time::Instant;

use super::arrivals::Fetched;
use super::builder::ScanBuilder;
use super::decode::Decoder;
use super::form::Form;
use super::records::ScanBatch;
use super::take::place;
use crate::cluster::Cluster;
use crate::cluster::each_bucket;
use crate::error::{Context, ErrorKind, Result};
use crate::lookup::Values;
use fluss_core::DecodeError;
use fluss_core::id::{Offset, PartitionId, TableBucket};
use fluss_core::record::log::{LogBatch, LogBatches};
use fluss_core::record::value::split_values;
use fluss_core::types::{TableInfo, Timestamp};

/// Rows up to a limit.
struct Found {
    /// The offset and the time of the first.
    base_offset: Offset,
    timestamp: Timestamp,
    rows: RecordBatch,
}

/// What the leaders of buckets have answered.
type Answers = BTreeMap<TableBucket, Bytes>;

impl ScanBuilder {
    /// At most so many rows of the table, over all its buckets and partitions, at the cost of one request a bucket.
    ///
    /// Of a primary-key table these are any rows: the first ones by their encoded keys of one bucket after another. Of a
    /// log table they are the last ones: of all rows those that were stored last, by the times of their batches, in the
    /// order of these times; within a bucket always by offset.
    ///
    /// # Errors
    ///
    /// Columns as of [`log_scanner`](Self::log_scanner); a filter, which it does not take; a bucket that nobody answers for
    /// in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn take_rows(self, rows: usize) -> Result<RecordBatch> {
        let info = self.table().shared_info();
        self.refuse_filter(&info)?;
        let buckets = self.table().admin().table_buckets(&info).await?;
        Ok(self.limited(buckets, rows).await?.rows)
    }

    /// At most so many rows of one bucket, as [`take_rows`](Self::take_rows) has them of all. Those of a primary-key table have no
    /// offsets, and are counted from 0, nor a time, for which -1 stands.
    ///
    /// # Errors
    ///
    /// As of [`take_rows`](Self::take_rows); a bucket that the table does not have.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn take_bucket_rows(self, bucket: TableBucket, rows: usize) -> Result<ScanBatch> {
        let info = self.table().shared_info();
        self.refuse_filter(&info)?;
        self.table()
            .cluster()
            .check_bucket("limit scan", &info, bucket)
            .await?;
        let found = self.limited([bucket], rows).await?;
        Ok(ScanBatch {
            bucket,
            base_offset: found.base_offset,
            kept: None,
            timestamp: found.timestamp,
            schema_id: None,
            change_types: None,
            batch: found.rows,
        })
    }

    fn refuse_filter(&self, info: &TableInfo) -> Result<()> {
        if self.predicate().is_none() {
            return Ok(());
        }
        let reason = "rows up to a limit are read whatever they hold: a filter is not taken".to_owned();
        Err(context(info).error(ErrorKind::InvalidArgument(reason)))
    }

    async fn limited(&self, buckets: impl IntoIterator<Item = TableBucket>, rows: usize) -> Result<Found> {
        let (info, cluster) = (self.table().shared_info(), self.table().cluster());
        let columns = self.columns()?;
        let answers = each_bucket(buckets, |bucket| answer(cluster, &info, bucket, rows)).await?;
        if info.has_primary_key() {
            return Ok(Found {
                base_offset: 0,
                timestamp: Timestamp::from_millis(-1),
                rows: first_rows(cluster, &info, columns.as_deref(), &answers, rows).await?,
            });
        }
        let options = &cluster.options().scanner;
        let decoder = Decoder::new(&info, columns.as_deref(), None, options)
            .map_err(|error| context(&info).error(error))?
            .skipping(self.skipped());
        let last = last_rows(decoded(cluster, &info, &decoder, answers).await?, rows);
        let rows = concat_batches(decoder.schema(), last.iter().map(|scanned| &scanned.batch));
        Ok(Found {
            base_offset: last.first().map_or(0, |first| first.base_offset),
            timestamp: last
                .first()
                .map_or(Timestamp::from_millis(-1), |first| first.timestamp),
            rows: rows.map_err(|error| context(&info).error(undecodable(&error)))?,
        })
    }
}

fn context(info: &TableInfo) -> Context {
    Context::new("limit scan").table(&info.path)
}

/// The answer of a bucket's leader: values, or batches of the log (`messages.md` 1033).
async fn answer(cluster: &Cluster, info: &TableInfo, bucket: TableBucket, rows: usize) -> Result<Bytes> {
    let physical = cluster.topology().physical(&info.path, &bucket);
    let context = Context::new("limit scan")
        .physical(&physical)
        .bucket(bucket.bucket);
    let request = |routing_bucket_count| proto::LimitScanRequest {
        table_id: bucket.table.get(),
        partition_id: bucket.partition.map(PartitionId::get),
        bucket_id: bucket.bucket.get(),
        limit: i32::try_from(rows).unwrap_or(i32::MAX),
        routing_bucket_count,
    };
    let refusal = |response: &proto::LimitScanResponse| {
        ErrorKind::refusal(response.error_code, response.error_message.clone())
    };
    let response = cluster
        .ask_leader(&context, &info.path, &bucket, request, refusal)
        .await?;
    Ok(response.records.unwrap_or_default())
}

/// The first rows of the buckets, in the columns that are asked for.
async fn first_rows(
    cluster: &Cluster,
    info: &Arc<TableInfo>,
    columns: Option<&[usize]>,
    answers: &Answers,
    rows: usize,
) -> Result<RecordBatch> {
    let mut found = Vec::new();
    for records in answers.values().filter(|records| !records.is_empty()) {
        found.extend(split_values(records).map_err(|error| context(info).error(error))?);
    }
    found.truncate(rows);
    let values = Values::new(cluster, info, "limit scan");
    let deadline = Instant::now() + cluster.request_timeout();
    values.prepare(found.iter(), deadline).await?;
    let all: Vec<usize> = (0..info.row_type().len()).collect();
    values.project(found.iter(), columns.unwrap_or(&all))
}

/// The batches of the log, under whatever schemas they were written.
async fn decoded(
    cluster: &Cluster,
    info: &TableInfo,
    decoder: &Decoder,
    answers: Answers,
) -> Result<Vec<ScanBatch>> {
    let mut known = BTreeMap::from([decoder.own_forms()]);
    let mut scanned = Vec::new();
    for (bucket, records) in answers {
        for batch in LogBatches::new(records) {
            let batch = batch.map_err(|error| context(info).error(error))?;
            if batch.record_count() == 0 {
                continue;
            }
            let id = batch.schema_id();
            if let Entry::Vacant(unknown) = known.entry(id) {
                unknown.insert(decoder.forms(&*cluster.schema(info, id).await?));
            }
            let form = known.get(&id).map(|forms| forms.whole.clone());
            let fetched = whole(bucket, batch, form);
            let undecodable = |error| {
                let physical = cluster.topology().physical(&info.path, &bucket);
                let context = context(info).physical(&physical).bucket(bucket.bucket);
                context.schema(id).batch(place(&fetched)).error(error)
            };
            scanned.push(decoder.batch(&fetched).map_err(undecodable)?);
        }
    }
    Ok(scanned)
}

fn whole(bucket: TableBucket, batch: LogBatch, form: Option<Arc<Form>>) -> Fetched {
    Fetched {
        bucket,
        subscription: 0,
        from: batch.base_offset(),
        to: Offset::MAX,
        batch,
        form,
        segment: None,
        hold: None,
    }
}

/// The rows that were stored last, in the order of their times.
fn last_rows(mut scanned: Vec<ScanBatch>, rows: usize) -> Vec<ScanBatch> {
    // Batches of one bucket keep their order where their times are the same.
    scanned.sort_by_key(|scanned| scanned.timestamp);
    let mut left = rows;
    let mut last = Vec::new();
    while let Some(mut scanned) = scanned.pop().filter(|_| left > 0) {
        let skipped = scanned.batch.num_rows().saturating_sub(left);
        let taken = scanned.batch.num_rows() - skipped;
        scanned.base_offset += skipped as Offset;
        scanned.batch = scanned.batch.slice(skipped, taken);
        left -= taken;
        last.push(scanned);
    }
    last.reverse();
    last
}

fn undecodable(error: &ArrowError) -> DecodeError {
    DecodeError::new("rows", error.to_string())
}

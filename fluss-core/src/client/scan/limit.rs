//! A few rows of a table.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use tokio::time::Instant;

use super::arrivals::Fetched;
use super::decode::{Decoder, Form};
use super::records::ScanBatch;
use super::scanner::ScanBuilder;
use crate::arrow::user_schema;
use crate::client::Connection;
use crate::client::admin::each_bucket;
use crate::client::error::{Context, ErrorKind, Result};
use crate::client::lookup::Values;
use crate::error::DecodeError;
use crate::id::{Offset, PartitionId, TableBucket};
use crate::record::log::{Generation, LogBatch, LogBatches};
use crate::record::value::split_values;
use crate::types::TableInfo;

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
    pub async fn limit(self, rows: usize) -> Result<RecordBatch> {
        let (info, connection) = (self.table().shared_info(), self.table().connection());
        if self.predicate().is_some() {
            let reason = "rows up to a limit are read whatever they hold: a filter is not taken".to_owned();
            return Err(context(&info).error(ErrorKind::InvalidArgument(reason)));
        }
        let columns = self.columns()?;
        let buckets = connection.admin().table_buckets(&info).await?;
        let answers = each_bucket(buckets, |bucket| answer(connection, &info, bucket, rows)).await?;
        if info.has_primary_key() {
            let found = first_rows(connection, &info, &answers, rows).await?;
            return show(&info, columns.as_deref(), &found).map_err(|error| context(&info).error(error));
        }
        let check_crc = connection.options().scanner.check_crc;
        let decoder = Decoder::new(&info, columns.as_deref(), None, check_crc)
            .map_err(|error| context(&info).error(error))?;
        let scanned = decoded(connection, &info, &decoder, answers).await?;
        let last = last_rows(scanned, rows);
        concat_batches(decoder.schema(), &last).map_err(|error| context(&info).error(undecodable(&error)))
    }
}

fn context(info: &TableInfo) -> Context {
    Context::new("limit scan").table(&info.path)
}

/// The answer of a bucket's leader: values, or batches of the log (`messages.md` 1033).
async fn answer(
    connection: &Connection,
    info: &TableInfo,
    bucket: TableBucket,
    rows: usize,
) -> Result<Bytes> {
    let physical = connection.cluster().physical(&info.path, &bucket);
    let context = Context::new("limit scan")
        .physical(&physical)
        .bucket(bucket.bucket);
    let request = proto::LimitScanRequest {
        table_id: bucket.table.get(),
        partition_id: bucket.partition.map(PartitionId::get),
        bucket_id: bucket.bucket.get(),
        limit: i32::try_from(rows).unwrap_or(i32::MAX),
    };
    let refusal = |response: &proto::LimitScanResponse| {
        ErrorCode::of(response.error_code).map(|code| ErrorKind::server(code, response.error_message.clone()))
    };
    let response = connection
        .ask_leader(&context, &info.path, &bucket, &request, refusal)
        .await?;
    Ok(response.records.unwrap_or_default())
}

/// The first rows of the buckets, of all columns.
async fn first_rows(
    connection: &Connection,
    info: &Arc<TableInfo>,
    answers: &Answers,
    rows: usize,
) -> Result<RecordBatch> {
    let mut found = Vec::new();
    for records in answers.values().filter(|records| !records.is_empty()) {
        found.extend(split_values(records).map_err(|error| context(info).error(error))?);
    }
    found.truncate(rows);
    let values = Values::new(connection, info, "limit scan");
    let deadline = Instant::now() + connection.options().request_timeout;
    values.prepare(found.iter(), deadline).await?;
    values.columns(found.iter().map(Some))
}

/// The batches of the log, under whatever schemas they were written.
async fn decoded(
    connection: &Connection,
    info: &TableInfo,
    decoder: &Decoder,
    answers: Answers,
) -> Result<Vec<ScanBatch>> {
    let mut known = BTreeMap::from([decoder.own_forms()]);
    let mut scanned = Vec::new();
    for (bucket, records) in answers {
        for batch in LogBatches::new(records, Generation::V0_9) {
            let batch = batch.map_err(|error| context(info).error(error))?;
            if batch.record_count() == 0 {
                continue;
            }
            let id = batch.schema_id();
            if let Entry::Vacant(unknown) = known.entry(id) {
                unknown.insert(decoder.forms(&*connection.schema(info, id).await?));
            }
            let form = known.get(&id).map(|forms| forms.whole.clone());
            let fetched = whole(bucket, batch, form);
            scanned.push(
                decoder
                    .batch(&fetched)
                    .map_err(|error| context(info).error(error))?,
            );
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
    }
}

/// The rows that were stored last, in the order of their times.
fn last_rows(mut scanned: Vec<ScanBatch>, rows: usize) -> Vec<RecordBatch> {
    // Batches of one bucket keep their order where their times are the same.
    scanned.sort_by_key(|scanned| scanned.timestamp);
    let mut left = rows;
    let mut last = Vec::new();
    for scanned in scanned.iter().rev() {
        let count = scanned.batch.num_rows();
        let taken = count.min(left);
        left -= taken;
        last.push(scanned.batch.slice(count - taken, taken));
    }
    last.reverse();
    last
}

/// The columns that are asked for, under the schema that scanners show.
fn show(
    info: &TableInfo,
    columns: Option<&[usize]>,
    batch: &RecordBatch,
) -> Result<RecordBatch, DecodeError> {
    let fault = |error| undecodable(&error);
    let all: Vec<usize> = (0..info.row_type().len()).collect();
    let columns = columns.unwrap_or(&all);
    let schema = user_schema(&info.row_type().project(columns));
    let shown = batch.project(columns).map_err(fault)?;
    crate::arrow::with_schema(&shown, &schema).map_err(fault)
}

fn undecodable(error: &ArrowError) -> DecodeError {
    DecodeError::new("rows", error.to_string())
}

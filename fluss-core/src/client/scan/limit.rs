//! A few rows of a table.

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use tokio::time::Instant;

use super::decode::Decoder;
use super::records::ScanBatch;
use super::scanner::ScanBuilder;
use super::session::Fetched;
use crate::arrow::user_schema;
use crate::client::Connection;
use crate::client::admin::each_bucket;
use crate::client::error::{Context, ErrorKind, Result};
use crate::client::lookup::Values;
use crate::error::DecodeError;
use crate::id::{Offset, PartitionId, TableBucket};
use crate::record::log::{Generation, LogBatches};
use crate::record::value::split_values;
use crate::types::TableInfo;

impl ScanBuilder {
    /// At most so many rows of the table, over all its buckets and partitions, at the cost of one request a bucket.
    ///
    /// Of a primary-key table these are any rows: the first ones by their encoded keys of one bucket after another. Of a
    /// log table they are the last ones: of all rows those that were stored last, by the times of their batches, in the
    /// order of these times; within a bucket always by offset.
    ///
    /// # Errors
    ///
    /// Columns as of [`log_scanner`](Self::log_scanner); a bucket that nobody answers for in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn limit(self, rows: usize) -> Result<RecordBatch> {
        let columns = self.columns()?;
        let (info, connection) = (self.table().shared_info(), self.table().connection());
        let buckets = connection.admin().table_buckets(&info).await?;
        let answers = each_bucket(buckets, |bucket| answer(connection, &info, bucket, rows)).await?;
        let context = || Context::new("limit scan").table(&info.path);
        let batch = if info.has_primary_key() {
            let mut found = Vec::new();
            for records in answers.values().filter(|records| !records.is_empty()) {
                found.extend(split_values(records).map_err(|error| context().error(error))?);
            }
            found.truncate(rows);
            let values = Values::new(connection, &info, "limit scan");
            let deadline = Instant::now() + connection.options().request_timeout;
            values.prepare(found.iter(), deadline).await?;
            values.columns(found.iter().map(Some))?
        } else {
            let check_crc = connection.options().scanner.check_crc;
            let decoder = Decoder::new(&info, None, check_crc);
            let last = last_rows(&decoder, answers, rows).map_err(|error| context().error(error))?;
            concat_batches(decoder.schema(), &last).map_err(|error| context().error(undecodable(&error)))?
        };
        show(&info, columns.as_deref(), &batch).map_err(|error| context().error(error))
    }
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

/// The rows that were stored last, in the order of their times.
fn last_rows(
    decoder: &Decoder,
    answers: impl IntoIterator<Item = (TableBucket, Bytes)>,
    rows: usize,
) -> Result<Vec<RecordBatch>, DecodeError> {
    let mut found: Vec<ScanBatch> = Vec::new();
    for (bucket, records) in answers {
        for batch in LogBatches::new(records, Generation::V0_9) {
            let batch = batch?;
            if batch.record_count() > 0 {
                found.push(decoder.batch(&whole(bucket, batch))?);
            }
        }
    }
    // Batches of one bucket keep their order where their times are the same.
    found.sort_by_key(|scanned| scanned.timestamp);
    let mut left = rows;
    let mut last = Vec::new();
    for scanned in found.iter().rev() {
        let count = scanned.batch.num_rows();
        let taken = count.min(left);
        left -= taken;
        last.push(scanned.batch.slice(count - taken, taken));
    }
    last.reverse();
    Ok(last)
}

fn whole(bucket: TableBucket, batch: crate::record::log::LogBatch) -> Fetched {
    Fetched {
        bucket,
        subscription: 0,
        from: batch.base_offset(),
        to: Offset::MAX,
        batch,
    }
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

fn undecodable(error: &arrow::error::ArrowError) -> DecodeError {
    DecodeError::new("rows", error.to_string())
}

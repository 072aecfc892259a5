//! Where in a log a time is.

use std::time::Duration;

use fluss_rpc::proto;

use super::decode::Decoder;
use super::scanner::LogScanner;
use crate::admin::Admin;
use crate::admin::OffsetSpec;
use crate::error::{Context, ErrorKind, Result};
use fluss_core::id::{Offset, PartitionId, TableBucket};
use fluss_core::record::log::LogBatches;
use fluss_core::types::Timestamp;

/// Longer than any bucket is without answer.
const LONG: Duration = Duration::from_hours(24);

impl LogScanner {
    /// The offset of the first batch of a bucket that was stored at or after a time; where its log ends if there is
    /// none.
    ///
    /// A server looks for it in the batches on its disk. Of a tiered segment it knows no more than an offset before it: from
    /// there on batches are read until one is late enough.
    pub(crate) async fn first_since(&self, bucket: TableBucket, time: Timestamp) -> Result<Offset> {
        let admin = Admin::new(self.inner.cluster.clone());
        let told = admin.offset(self.table(), bucket, OffsetSpec::Timestamp(time));
        let told = told.await?;
        if self
            .stored(bucket, told)
            .await?
            .is_some_and(|stored| stored >= time)
        {
            return Ok(told);
        }
        let end = admin.offset(self.table(), bucket, OffsetSpec::Latest).await?;
        self.look_on(bucket, told, end, time).await
    }

    /// When the batch at an offset was stored, if the leader has it on its disk.
    async fn stored(&self, bucket: TableBucket, offset: Offset) -> Result<Option<Timestamp>> {
        let cluster = &self.inner.cluster;
        let path = &self.table().path;
        let context = cluster.topology().bucket_context("read", path, &bucket);
        let refusal = |response: &proto::FetchLogResponse| {
            let answer = only_answer(response)?;
            ErrorKind::refusal(answer.error_code, answer.error_message.clone())
        };
        let request = |count| one_batch(bucket, offset, count);
        let response = cluster
            .ask_leader(&context, path, &bucket, request, refusal)
            .await?;
        let records = only_answer(&response).and_then(|answer| answer.records.clone());
        let batch = LogBatches::new(records.unwrap_or_default()).next();
        let batch = batch.transpose().map_err(|error| context.error(error))?;
        Ok(batch.map(|batch| Timestamp::from_millis(batch.commit_timestamp())))
    }

    /// The first batch between two offsets that was stored at or after a time, or the second offset.
    async fn look_on(
        &self,
        bucket: TableBucket,
        from: Offset,
        end: Offset,
        time: Timestamp,
    ) -> Result<Offset> {
        let (info, cluster) = (&self.inner.shared.info, &self.inner.cluster);
        let options = &cluster.options().scanner;
        // Times are all that is wanted, but there is no batch without a column.
        let decoder = Decoder::new(info, Some(&[0]), None, options)
            .map_err(|error| Context::new("read").table(&info.path).error(error))?;
        let scanner = Self::new(cluster.clone(), info.clone(), decoder, options.clone());
        scanner.begin_bounded(&[(bucket, Some(from), end)])?;
        while !scanner.has_stopped()? {
            for batch in scanner.poll_arrow(LONG).await? {
                if batch.timestamp >= time {
                    return Ok(batch.base_offset);
                }
            }
        }
        Ok(end)
    }
}

/// Asks for the batch at an offset, which comes whatever its size, and for nothing else.
fn one_batch(
    bucket: TableBucket,
    offset: Offset,
    routing_bucket_count: Option<i32>,
) -> proto::FetchLogRequest {
    let wanted = proto::PbFetchLogReqForBucket {
        partition_id: bucket.partition.map(PartitionId::get),
        bucket_id: bucket.bucket.get(),
        fetch_offset: offset,
        max_fetch_bytes: 1,
        routing_bucket_count,
    };
    proto::FetchLogRequest {
        follower_server_id: -1,
        max_bytes: 1,
        tables_req: vec![proto::PbFetchLogReqForTable {
            table_id: bucket.table.get(),
            buckets_req: vec![wanted],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn only_answer(response: &proto::FetchLogResponse) -> Option<&proto::PbFetchLogRespForBucket> {
    response.tables_resp.first()?.buckets_resp.first()
}

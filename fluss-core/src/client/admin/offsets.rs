//! Offsets and row counts, which only the leaders of buckets know.

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use futures::future::try_join_all;

use super::{Admin, ByBucket};
use crate::client::error::{Context, ErrorKind, Result};
use crate::error::DecodeError;
use crate::id::{BucketId, Offset, TableBucket};
use crate::types::{TableInfo, TablePath};

/// Which offset of a bucket is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OffsetSpec {
    /// That of the first record that is still there.
    Earliest,
    /// That after the last record that can be read.
    Latest,
    /// That of the first batch whose commit time is not before this one, in milliseconds since the epoch.
    Timestamp(i64),
}

impl OffsetSpec {
    const fn number(self) -> i32 {
        match self {
            Self::Earliest => 0,
            Self::Latest => 1,
            Self::Timestamp(_) => 2,
        }
    }
}

impl Admin {
    /// Offsets of these buckets of a table that is not partitioned. Code 38 for a time in the future.
    pub async fn list_offsets(
        &self,
        path: &TablePath,
        buckets: &[BucketId],
        spec: OffsetSpec,
    ) -> Result<ByBucket<Offset>> {
        let info = self.table_info(path).await?;
        let offsets = buckets
            .iter()
            .map(|bucket| self.offset(&info, TableBucket::new(info.id, *bucket), spec));
        let offsets = try_join_all(offsets).await?;
        Ok(buckets.iter().copied().zip(offsets).collect())
    }

    /// The offset of one bucket.
    pub(crate) async fn offset(
        &self,
        info: &TableInfo,
        bucket: TableBucket,
        spec: OffsetSpec,
    ) -> Result<Offset> {
        let context = Context::new("list offsets of")
            .table(&info.path)
            .bucket(bucket.bucket);
        let request = proto::ListOffsetsRequest {
            follower_server_id: -1,
            offset_type: spec.number(),
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(crate::id::PartitionId::get),
            bucket_id: vec![bucket.bucket.get()],
            start_timestamp: match spec {
                OffsetSpec::Timestamp(timestamp) => Some(timestamp),
                _ => None,
            },
        };
        let refusal = |response: &proto::ListOffsetsResponse| {
            let answer = response.buckets_resp.first()?;
            ErrorCode::of(answer.error_code).map(|code| ErrorKind::server(code, answer.error_message.clone()))
        };
        let response = self
            .connection
            .ask_leader(&context, &info.path, &bucket, &request, refusal)
            .await?;
        let offset = response.buckets_resp.first().and_then(|answer| answer.offset);
        offset
            .ok_or_else(|| context.error(DecodeError::new("offset list", "the bucket asked for is missing")))
    }

    /// The number of rows in a table that is not partitioned: records between the ends of a log, live rows of a
    /// primary-key table.
    pub async fn row_count(&self, path: &TablePath) -> Result<i64> {
        let info = self.table_info(path).await?;
        let buckets = (0..info.bucket_count).map(|bucket| TableBucket::new(info.id, BucketId(bucket)));
        let counts = try_join_all(buckets.map(|bucket| self.bucket_row_count(&info, bucket))).await?;
        Ok(counts.into_iter().sum())
    }

    async fn bucket_row_count(&self, info: &TableInfo, bucket: TableBucket) -> Result<i64> {
        let context = Context::new("count rows of")
            .table(&info.path)
            .bucket(bucket.bucket);
        let request = proto::GetTableStatsRequest {
            table_id: bucket.table.get(),
            buckets_req: vec![proto::PbTableStatsReqForBucket {
                partition_id: bucket.partition.map(crate::id::PartitionId::get),
                bucket_id: bucket.bucket.get(),
            }],
            target_columns: Vec::new(),
        };
        let refusal = |response: &proto::GetTableStatsResponse| {
            let answer = response.buckets_resp.first()?;
            ErrorCode::of(answer.error_code).map(|code| ErrorKind::server(code, answer.error_message.clone()))
        };
        let response = self
            .connection
            .ask_leader(&context, &info.path, &bucket, &request, refusal)
            .await?;
        let count = response.buckets_resp.first().and_then(|answer| answer.row_count);
        count.ok_or_else(|| {
            context.error(DecodeError::new(
                "table statistics",
                "the bucket asked for is missing",
            ))
        })
    }
}

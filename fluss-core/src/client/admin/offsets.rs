//! Offsets and row counts, which only the leaders of buckets know.

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use futures::future::try_join_all;

use super::{Admin, ByBucket};
use crate::client::error::{Context, ErrorKind, Result};
use crate::client::table::check_bucket;
use crate::error::DecodeError;
use crate::id::{BucketId, Offset, PartitionId, TableBucket};
use crate::types::{PartitionName, PhysicalTablePath, TableInfo, TablePath};

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
        self.offsets(&info, None, buckets, spec).await
    }

    /// Offsets of these buckets of a partition. Code 36 if there is none of this name, 38 for a time in the future.
    pub async fn list_partition_offsets(
        &self,
        path: &TablePath,
        partition: &PartitionName,
        buckets: &[BucketId],
        spec: OffsetSpec,
    ) -> Result<ByBucket<Offset>> {
        let info = self.table_info(path).await?;
        let Some(id) = self.connection.partition(path, partition).await? else {
            let table = path.clone();
            let physical = PhysicalTablePath {
                table,
                partition: Some(partition.clone()),
            };
            let missing = ErrorKind::server(ErrorCode::PARTITION_NOT_EXISTS, None);
            return Err(Context::new("list offsets of").physical(&physical).error(missing));
        };
        self.offsets(&info, Some(id), buckets, spec).await
    }

    async fn offsets(
        &self,
        info: &TableInfo,
        partition: Option<PartitionId>,
        buckets: &[BucketId],
        spec: OffsetSpec,
    ) -> Result<ByBucket<Offset>> {
        let of_table = buckets.iter().map(|bucket| TableBucket {
            table: info.id,
            partition,
            bucket: *bucket,
        });
        for bucket in of_table.clone() {
            check_bucket(info, bucket).map_err(|reason| {
                let context = self.context("list offsets of", info, bucket);
                context.error(ErrorKind::InvalidArgument(reason))
            })?;
        }
        let offsets = of_table.map(|bucket| self.offset(info, bucket, spec));
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
        let context = self.context("list offsets of", info, bucket);
        let request = proto::ListOffsetsRequest {
            follower_server_id: -1,
            offset_type: spec.number(),
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(PartitionId::get),
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

    fn context(&self, operation: &'static str, info: &TableInfo, bucket: TableBucket) -> Context {
        let physical = self.connection.cluster().physical(&info.path, &bucket);
        Context::new(operation).physical(&physical).bucket(bucket.bucket)
    }

    /// The number of rows in a table, in all of its partitions: records between the ends of a log, live rows of a
    /// primary-key table.
    pub async fn row_count(&self, path: &TablePath) -> Result<i64> {
        let info = self.table_info(path).await?;
        let partitions = if info.is_partitioned() {
            self.list_partitions(path, None).await?
        } else {
            Vec::new()
        };
        let whole = (!info.is_partitioned()).then_some(None);
        let partitions = whole
            .into_iter()
            .chain(partitions.iter().map(|info| Some(info.id)));
        let bucket = |partition, bucket| TableBucket {
            table: info.id,
            partition,
            bucket: BucketId(bucket),
        };
        let buckets = partitions
            .flat_map(|partition| (0..info.bucket_count).map(move |number| bucket(partition, number)));
        let counts = try_join_all(buckets.map(|bucket| self.bucket_row_count(&info, bucket))).await?;
        Ok(counts.into_iter().sum())
    }

    async fn bucket_row_count(&self, info: &TableInfo, bucket: TableBucket) -> Result<i64> {
        let context = self.context("count rows of", info, bucket);
        let request = proto::GetTableStatsRequest {
            table_id: bucket.table.get(),
            buckets_req: vec![proto::PbTableStatsReqForBucket {
                partition_id: bucket.partition.map(PartitionId::get),
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

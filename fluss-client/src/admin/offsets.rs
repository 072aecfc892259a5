//! Offsets and row counts, which only the leaders of buckets know.

use std::collections::BTreeMap;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use futures::future::try_join_all;

use super::{Admin, ByBucket};
use crate::cluster::{buckets_of, buckets_of_all, each_bucket};
use crate::error::{Context, ErrorKind, Result};
use fluss_core::DecodeError;
use fluss_core::id::{BucketId, Offset, PartitionId, TableBucket};
use fluss_core::types::{PartitionName, PhysicalTablePath, TableInfo, TablePath, Timestamp};

/// Which offset of a bucket is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OffsetSpec {
    /// That of the first record that is still there.
    Earliest,
    /// That after the last record that can be read.
    Latest,
    /// That of the first batch whose commit time is not before this one; of a batch in remote storage, an offset
    /// shortly before it.
    Timestamp(Timestamp),
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
    /// Offsets of these buckets of a table that is not partitioned.
    /// [`INVALID_TIMESTAMP`](crate::ErrorCode::INVALID_TIMESTAMP) for a time in the future.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_offsets(
        &self,
        path: &TablePath,
        buckets: &[BucketId],
        spec: OffsetSpec,
    ) -> Result<ByBucket<Offset>> {
        let info = self.table_info(path).await?;
        self.offsets(&info, None, buckets, spec).await
    }

    /// Offsets of these buckets of a partition. [`PARTITION_NOT_EXISTS`](crate::ErrorCode::PARTITION_NOT_EXISTS) if
    /// there is none of this name, [`INVALID_TIMESTAMP`](crate::ErrorCode::INVALID_TIMESTAMP) for a time in the
    /// future.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_partition_offsets(
        &self,
        path: &TablePath,
        partition: &PartitionName,
        buckets: &[BucketId],
        spec: OffsetSpec,
    ) -> Result<ByBucket<Offset>> {
        let info = self.table_info(path).await?;
        let Some(id) = self.cluster.partition(path, partition).await? else {
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

    /// Offsets of all buckets of a table, in all of its partitions.
    /// [`INVALID_TIMESTAMP`](crate::ErrorCode::INVALID_TIMESTAMP) for a time in the future.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_table_offsets(
        &self,
        path: &TablePath,
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TableBucket, Offset>> {
        let info = self.table_info(path).await?;
        let buckets = self.table_buckets(&info).await?;
        each_bucket(buckets, |bucket| self.offset(&info, bucket, spec)).await
    }

    /// All buckets of a table, in all of its partitions.
    pub(crate) async fn table_buckets(&self, info: &TableInfo) -> Result<Vec<TableBucket>> {
        if !info.is_partitioned() {
            return Ok(buckets_of(info.id, None, info.bucket_count).collect());
        }
        let partitions = self.partitions_of(info).await?;
        let counts = partitions
            .iter()
            .map(|partition| (partition.id, partition.bucket_count));
        buckets_of_all(info.id, counts)
            .map_err(|error| Context::new("list buckets of").table(&info.path).error(error))
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
            self.cluster.check_bucket("list offsets of", info, bucket).await?;
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
        let request = |routing_bucket_count| proto::ListOffsetsRequest {
            follower_server_id: -1,
            offset_type: spec.number(),
            table_id: bucket.table.get(),
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: vec![bucket.bucket.get()],
            start_timestamp: match spec {
                OffsetSpec::Timestamp(time) => Some(time.millis_up()),
                _ => None,
            },
            routing_bucket_count,
        };
        let refusal = |response: &proto::ListOffsetsResponse| {
            let answer = response.buckets_resp.first()?;
            ErrorKind::refusal(answer.error_code, answer.error_message.clone())
        };
        let response = self
            .cluster
            .ask_leader(&context, &info.path, &bucket, request, refusal)
            .await?;
        let offset = response.buckets_resp.first().and_then(|answer| answer.offset);
        let fault = |reason: String| DecodeError::new("offset list", reason);
        match offset {
            Some(offset @ 0..) => Ok(offset),
            Some(offset) => Err(context.error(fault(format!("offset {offset} is negative")))),
            None => Err(context.error(fault("the bucket asked for is missing".to_owned()))),
        }
    }

    fn context(&self, operation: &'static str, info: &TableInfo, bucket: TableBucket) -> Context {
        self.cluster
            .topology()
            .bucket_context(operation, &info.path, &bucket)
    }

    /// A table with the partition of a bucket, as far as its name is known.
    pub(crate) fn physical(&self, path: &TablePath, bucket: &TableBucket) -> PhysicalTablePath {
        self.cluster.topology().physical(path, bucket)
    }

    /// The number of rows in a table, in all of its partitions: records between the ends of a log, live rows of a
    /// primary-key table.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn row_count(&self, path: &TablePath) -> Result<i64> {
        let info = self.table_info(path).await?;
        let buckets = self.table_buckets(&info).await?;
        let counts = each_bucket(buckets, |bucket| self.bucket_row_count(&info, bucket)).await?;
        Ok(counts.into_values().sum())
    }

    async fn bucket_row_count(&self, info: &TableInfo, bucket: TableBucket) -> Result<i64> {
        let context = self.context("count rows of", info, bucket);
        let request = |routing_bucket_count| proto::GetTableStatsRequest {
            table_id: bucket.table.get(),
            buckets_req: vec![proto::PbTableStatsReqForBucket {
                partition_id: bucket.partition.map(PartitionId::get),
                bucket_id: bucket.bucket.get(),
                routing_bucket_count,
            }],
            target_columns: Vec::new(),
        };
        let refusal = |response: &proto::GetTableStatsResponse| {
            let answer = response.buckets_resp.first()?;
            ErrorKind::refusal(answer.error_code, answer.error_message.clone())
        };
        let response = self
            .cluster
            .ask_leader(&context, &info.path, &bucket, request, refusal)
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

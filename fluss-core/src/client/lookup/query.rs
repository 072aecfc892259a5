//! What is asked of leaders, and what they answer.

use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::net::{Connection, RequestError};
use fluss_rpc::proto;

use crate::id::{BucketId, PartitionId, TableBucket, TableId};

/// The keys to look up in a bucket.
pub(super) type BucketKeys = (TableBucket, Vec<Bytes>);

/// What was found in a bucket, for each key in the order of the request; or why nothing was looked for.
#[derive(Debug)]
pub(super) struct BucketFound<F> {
    pub(super) partition: Option<PartitionId>,
    pub(super) bucket: BucketId,
    pub(super) error_code: Option<i32>,
    pub(super) error_message: Option<String>,
    pub(super) found: Vec<F>,
}

/// What a server answers, bucket by bucket.
pub(super) type Answer<F> = Result<Vec<BucketFound<F>>, RequestError>;

/// A kind of look-up.
pub(super) trait Query: Send + Sync + 'static {
    /// What is found for a key.
    type Found: Send + 'static;

    /// The operation, as errors call it.
    const OPERATION: &'static str;

    /// Sends keys at once, and gives the future of what the leader says of each bucket.
    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        timeout: Duration,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<Self>;
}

/// `LOOKUP` (`messages.md` 1017).
#[derive(Debug)]
pub(super) struct Get {
    /// Inserts a row for a key that has none, once as many replicas have it as this number says.
    pub(super) insert: Option<i32>,
}

impl Query for Get {
    type Found = Option<Bytes>;

    const OPERATION: &'static str = "look up";

    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        timeout: Duration,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |(bucket, keys): BucketKeys| proto::PbLookupReqForBucket {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            keys,
            ..Default::default()
        };
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1);
        let request = proto::LookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
            insert_if_not_exists: self.insert.map(|_| true),
            acks: self.insert,
            timeout_ms: self.insert.map(|_| millis),
        };
        let answer = connection.send_within(&request, timeout);
        async move {
            let found = |bucket: proto::PbLookupRespForBucket| BucketFound {
                partition: bucket.partition_id.map(PartitionId),
                bucket: BucketId(bucket.bucket_id),
                error_code: bucket.error_code,
                error_message: bucket.error_message,
                found: bucket
                    .values
                    .into_iter()
                    .map(|value| value.values.filter(|bytes| !bytes.is_empty()))
                    .collect(),
            };
            Ok(answer.await?.buckets_resp.into_iter().map(found).collect())
        }
    }
}

/// `PREFIX_LOOKUP` (`messages.md` 1034).
#[derive(Debug)]
pub(super) struct GetByPrefix;

impl Query for GetByPrefix {
    type Found = Vec<Bytes>;

    const OPERATION: &'static str = "look up by prefix";

    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        timeout: Duration,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |(bucket, keys): BucketKeys| proto::PbPrefixLookupReqForBucket {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            keys,
        };
        let request = proto::PrefixLookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
        };
        let answer = connection.send_within(&request, timeout);
        async move {
            let found = |bucket: proto::PbPrefixLookupRespForBucket| BucketFound {
                partition: bucket.partition_id.map(PartitionId),
                bucket: BucketId(bucket.bucket_id),
                error_code: bucket.error_code,
                error_message: bucket.error_message,
                found: bucket.value_lists.into_iter().map(|list| list.values).collect(),
            };
            Ok(answer.await?.buckets_resp.into_iter().map(found).collect())
        }
    }
}

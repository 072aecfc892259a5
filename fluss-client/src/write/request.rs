//! What writers send to leaders, and what they hear.

use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::net::{Connection, RequestError};
use fluss_rpc::proto;

use super::shipment::Sent;
use crate::cluster::Answers;
use crate::wire::server_limit;
use fluss_core::id::{Offset, PartitionId, TableId};

/// What a writer's requests have in common.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) table: TableId,
    pub(super) acks: i32,
    pub(super) api: Api,
}

/// How rows reach the table.
#[derive(Clone, Debug)]
pub(super) enum Api {
    /// `PRODUCE_LOG` (`messages.md` 1014).
    Produce,
    /// `PUT_KV` (`messages.md` 1016).
    Put {
        /// Of a partial update; none for whole rows.
        columns: Vec<i32>,
        /// Whether the merge engine is passed over.
        overwrite: bool,
    },
}

/// What a leader says of a batch.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) error_code: Option<i32>,
    pub(super) error_message: Option<String>,
    /// The offset of the first row of a batch that was appended.
    pub(super) base_offset: Option<Offset>,
    /// Where the changelog ends with the changes of a batch that was put.
    pub(super) end_offset: Option<Offset>,
    /// How far behind the server is with a bucket that a batch was put to, 0 to 1 (`v1_0.md` §6.2).
    pub(super) pressure: f32,
}

impl Destination {
    /// Sends batches at once, and gives the future of what the leader says of each.
    pub(super) fn send(
        &self,
        connection: &Connection,
        batches: Vec<(Sent, Bytes)>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answers<Answer>, RequestError>> + Send + use<> {
        let timeout_ms = server_limit(timeout);
        match &self.api {
            Api::Produce => {
                let request = self.produce(batches, timeout_ms);
                let answer = connection.send_within(&request, timeout);
                futures::future::Either::Left(async move { Ok(produced(answer.await?)) })
            }
            Api::Put { columns, overwrite } => {
                let request = self.put(batches, timeout_ms, columns.clone(), *overwrite);
                let answer = connection.send_within(&request, timeout);
                futures::future::Either::Right(async move { Ok(put(answer.await?)) })
            }
        }
    }

    fn produce(&self, batches: Vec<(Sent, Bytes)>, timeout_ms: i32) -> proto::ProduceLogRequest {
        let bucket = |(sent, records): (Sent, Bytes)| proto::PbProduceLogReqForBucket {
            partition_id: sent.bucket.partition.map(PartitionId::get),
            bucket_id: sent.bucket.bucket.get(),
            records,
            original_partition_name: None,
            routing_bucket_count: Some(sent.buckets),
        };
        proto::ProduceLogRequest {
            acks: self.acks,
            table_id: self.table.get(),
            timeout_ms,
            buckets_req: batches.into_iter().map(bucket).collect(),
        }
    }

    fn put(
        &self,
        batches: Vec<(Sent, Bytes)>,
        timeout_ms: i32,
        target_columns: Vec<i32>,
        overwrite: bool,
    ) -> proto::PutKvRequest {
        let bucket = |(sent, records): (Sent, Bytes)| proto::PbPutKvReqForBucket {
            partition_id: sent.bucket.partition.map(PartitionId::get),
            bucket_id: sent.bucket.bucket.get(),
            records,
            original_partition_name: None,
            routing_bucket_count: Some(sent.buckets),
        };
        proto::PutKvRequest {
            acks: self.acks,
            table_id: self.table.get(),
            timeout_ms,
            target_columns,
            buckets_req: batches.into_iter().map(bucket).collect(),
            agg_mode: overwrite.then_some(OVERWRITE),
        }
    }
}

/// The `agg_mode` that passes the merge engine over.
const OVERWRITE: i32 = 1;

fn produced(response: proto::ProduceLogResponse) -> Answers<Answer> {
    let answer = |bucket: proto::PbProduceLogRespForBucket| {
        let answer = Answer {
            error_code: bucket.error_code,
            error_message: bucket.error_message,
            base_offset: bucket.base_offset.filter(|offset| *offset >= 0),
            end_offset: None,
            pressure: 0.0,
        };
        (bucket.partition_id, bucket.bucket_id, answer)
    };
    response.buckets_resp.into_iter().map(answer).collect()
}

fn put(response: proto::PutKvResponse) -> Answers<Answer> {
    let answer = |bucket: proto::PbPutKvRespForBucket| {
        let answer = Answer {
            error_code: bucket.error_code,
            error_message: bucket.error_message,
            // The changes of a row depend on what was there.
            base_offset: None,
            end_offset: bucket.log_end_offset.filter(|offset| *offset >= 0),
            pressure: bucket.pressure.unwrap_or_default(),
        };
        (bucket.partition_id, bucket.bucket_id, answer)
    };
    response.buckets_resp.into_iter().map(answer).collect()
}

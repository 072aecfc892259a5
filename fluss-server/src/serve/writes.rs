//! `PRODUCE_LOG` and `PUT_KV` (`behaviour.md` §2, §3).

use std::sync::Arc;

use bytes::Bytes;
use fluss_core::id::Offset;
use fluss_core::record::kv::KvBatch;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::session::Session;
use super::{arrivals, place};
use crate::catalog::TableEntry;
use crate::error::Failure;
use crate::kv::WriteMode;
use crate::security::Operation;

pub(super) fn produce_log(
    session: &Session,
    request: proto::ProduceLogRequest,
) -> Result<proto::ProduceLogResponse, Failure> {
    let table = writable(session, request.table_id, request.acks)?;
    let append = |bucket: proto::PbProduceLogReqForBucket| {
        let place = (bucket.partition_id, bucket.bucket_id);
        let appended = append(session, &table, place, bucket.records);
        let answer = proto::PbProduceLogRespForBucket {
            partition_id: bucket.partition_id,
            bucket_id: bucket.bucket_id,
            ..Default::default()
        };
        answer.with(appended, |answer, base| answer.base_offset = Some(base))
    };
    Ok(proto::ProduceLogResponse {
        buckets_resp: request.buckets_req.into_iter().map(append).collect(),
    })
}

fn append(
    session: &Session,
    table: &Arc<TableEntry>,
    (partition, bucket): (Option<i64>, i32),
    records: Bytes,
) -> Result<Offset, Failure> {
    if table.info().has_primary_key() {
        let message = format!("the log of {} is written by upserts", table.info().path);
        return Err(Failure::new(ErrorCode::INVALID_TABLE, message));
    }
    let bucket = place::bucket(session, table, partition, bucket)?;
    arrivals::check_log(table, &records, session.node.check)?;
    bucket.append(records)
}

pub(super) fn put_kv(
    session: &Session,
    request: proto::PutKvRequest,
) -> Result<proto::PutKvResponse, Failure> {
    let table = writable(session, request.table_id, request.acks)?;
    let mode = mode(&request)?;
    let put = |bucket: proto::PbPutKvReqForBucket| {
        let place = (bucket.partition_id, bucket.bucket_id);
        let put = put_batch(session, &table, place, bucket.records, &mode);
        let answer = proto::PbPutKvRespForBucket {
            partition_id: bucket.partition_id,
            bucket_id: bucket.bucket_id,
            ..Default::default()
        };
        answer.with(put, |answer, end| answer.log_end_offset = Some(end))
    };
    Ok(proto::PutKvResponse {
        buckets_resp: request.buckets_req.into_iter().map(put).collect(),
    })
}

/// What a request says about the batches in it (`behaviour.md` §3.1).
fn mode(request: &proto::PutKvRequest) -> Result<WriteMode, Failure> {
    /// The mode that passes the merge engine over.
    const OVERWRITE: i32 = 1;
    let columns: Result<Vec<_>, _> = request
        .target_columns
        .iter()
        .map(|column| usize::try_from(*column))
        .collect();
    let columns = columns.map_err(|_| {
        let message = "a target column is negative";
        Failure::new(ErrorCode::INVALID_TARGET_COLUMN, message)
    })?;
    Ok(WriteMode {
        columns: Some(columns).filter(|columns| !columns.is_empty()),
        overwrite: request.agg_mode == Some(OVERWRITE),
    })
}

fn put_batch(
    session: &Session,
    table: &Arc<TableEntry>,
    (partition, bucket): (Option<i64>, i32),
    records: Bytes,
    mode: &WriteMode,
) -> Result<Offset, Failure> {
    if !table.info().has_primary_key() {
        return Err(place::no_keys(table));
    }
    let batch =
        KvBatch::new(records).map_err(|error| Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string()))?;
    let bucket = place::bucket(session, table, partition, bucket)?;
    arrivals::check_keys(table, &batch, session.node.check)?;
    bucket.put(&batch, mode)
}

/// A table that the client may write to, and acknowledgements that there are.
fn writable(session: &Session, table: i64, acks: i32) -> Result<Arc<TableEntry>, Failure> {
    let table = place::table(session, table, Operation::Write)?;
    if (-1..=1).contains(&acks) {
        return Ok(table);
    }
    let message = format!("acks is {acks}, not -1, 0 or 1");
    Err(Failure::new(ErrorCode::INVALID_REQUIRED_ACKS, message))
}

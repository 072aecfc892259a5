//! `PRODUCE_LOG` and `PUT_KV` (`behaviour.md` §2, §3).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::id::Offset;
use fluss_core::record::kv::KvBatch;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::memory::Room;
use super::resolve::{Named, named};
use super::session::Session;
use super::{resolve, validate};
use crate::catalog::TableEntry;
use crate::error::Failure;
use crate::kv::WriteMode;
use crate::security::Operation;

/// The version of an API that a client speaks.
pub(super) type ApiVersion = i16;

pub(super) fn produce_log(
    session: &Session,
    request: proto::ProduceLogRequest,
    version: ApiVersion,
) -> Result<proto::ProduceLogResponse, Failure> {
    let table = writable(session, request.table_id, request.acks)?;
    let append = |bucket: proto::PbProduceLogReqForBucket| {
        let appended = append(session, &table, named!(bucket), bucket.records);
        let appended = appended.map_err(|failure| known(failure, version >= 1));
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
    named: Named,
    records: Bytes,
) -> Result<Offset, Failure> {
    if table.info().has_primary_key() {
        let message = format!("the log of {} is written by upserts", table.info().path);
        return Err(Failure::new(ErrorCode::INVALID_TABLE, message));
    }
    let bucket = resolve::bucket(session, table, named)?;
    validate::check_log(table, &records, session.node.check)?;
    Ok(bucket.append(records)?)
}

/// A `PUT_KV` on its way through its buckets. It goes on with the bucket whose changes there was no memory for.
pub(super) struct Put {
    table: Arc<TableEntry>,
    mode: WriteMode,
    version: ApiVersion,
    left: VecDeque<proto::PbPutKvReqForBucket>,
    done: Vec<proto::PbPutKvRespForBucket>,
}

impl Put {
    pub(super) fn new(
        session: &Session,
        request: proto::PutKvRequest,
        version: ApiVersion,
    ) -> Result<Self, Failure> {
        Ok(Self {
            table: writable(session, request.table_id, request.acks)?,
            mode: mode(&request)?,
            version,
            done: Vec::with_capacity(request.buckets_req.len()),
            left: request.buckets_req.into(),
        })
    }

    /// Writes to one bucket after the other. Nothing if the room is short: then it is to go on once there is more.
    pub(super) fn go_on(&mut self, session: &Session, room: &mut Room) -> Option<proto::PutKvResponse> {
        let set_aside = room.size();
        while let Some(bucket) = self.left.front() {
            let mut put = put_batch(session, &self.table, bucket, &self.mode, room);
            if put.is_err() && room.is_too_large(0) {
                put = Err(too_many_changes(room.most()));
            } else if room.short().is_some() {
                return None;
            }
            room.reset(set_aside);
            let put = put.map_err(|failure| known(failure, self.version >= 2));
            let answer = proto::PbPutKvRespForBucket {
                partition_id: bucket.partition_id,
                bucket_id: bucket.bucket_id,
                ..Default::default()
            };
            self.done
                .push(answer.with(put, |answer, end| answer.log_end_offset = Some(end)));
            self.left.pop_front();
        }
        Some(proto::PutKvResponse {
            buckets_resp: std::mem::take(&mut self.done),
        })
    }
}

/// The failure as a client knows it. Those before 1.0 have no code for a disk that is full, and try again after the one that is
/// sent instead.
fn known(mut failure: Failure, is_new: bool) -> Failure {
    if failure.code == ErrorCode::DISK_WRITE_LOCKED && !is_new {
        failure.code = ErrorCode::LOG_STORAGE_EXCEPTION;
    }
    failure
}

/// A batch of the changelog has to fit into an answer, and be some way from its limit, or nobody could read it.
fn too_many_changes(most: usize) -> Failure {
    let message = format!(
        "the changes that the batch makes have more than {} bytes, so that nobody could read them (max.answer-size); write \
         it as several batches",
        most / 4 * 3
    );
    Failure::new(ErrorCode::RECORD_TOO_LARGE, message)
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
    bucket: &proto::PbPutKvReqForBucket,
    mode: &WriteMode,
    room: &mut Room,
) -> Result<Offset, Failure> {
    if !table.info().has_primary_key() {
        return Err(resolve::no_keys(table));
    }
    let batch = KvBatch::new(bucket.records.clone())
        .map_err(|error| Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string()))?;
    let bucket = resolve::bucket(session, table, named!(bucket))?;
    validate::check_keys(table, &batch, session.node.check)?;
    Ok(bucket.put(&batch, mode, &mut |bytes| room.take(bytes + bytes / 3))?)
}

/// A table that the client may write to, and acknowledgements that there are.
fn writable(session: &Session, table: i64, acks: i32) -> Result<Arc<TableEntry>, Failure> {
    let table = resolve::table(session, table, Operation::Write)?;
    if (-1..=1).contains(&acks) {
        return Ok(table);
    }
    let message = format!("acks is {acks}, not -1, 0 or 1");
    Err(Failure::new(ErrorCode::INVALID_REQUIRED_ACKS, message))
}

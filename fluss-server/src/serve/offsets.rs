//! `LIST_OFFSETS` (`behaviour.md` §6).

use std::collections::BTreeSet;

use fluss_core::id::Offset;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::resolve::{self, Named};
use super::session::Session;
use crate::bucket::Bucket;
use crate::error::Failure;
use crate::security::Operation;

/// Which offset of a log is asked for.
#[derive(Clone, Copy)]
enum Wanted {
    Earliest,
    Latest,
    /// Of the first batch that is not older than this time, in milliseconds since the epoch.
    At(i64),
}

pub(super) fn list_offsets(
    session: &Session,
    request: proto::ListOffsetsRequest,
) -> Result<proto::ListOffsetsResponse, Failure> {
    session.caller()?;
    let wanted = wanted(session, &request)?;
    let table = resolve::find_table(session, request.table_id);
    if let Ok(table) = &table {
        session.context()?.check_table_by_id(Operation::Describe, table)?;
    }
    let named = |bucket| Named {
        partition: request.partition_id,
        bucket,
        count: request.routing_bucket_count,
    };
    let offset_of = |bucket_id: i32| {
        let table = table.as_ref().map_err(Failure::clone);
        let offset = table
            .and_then(|table| resolve::bucket(session, table, named(bucket_id)))
            .and_then(|bucket| wanted.offset_in(&bucket));
        let answer = proto::PbListOffsetsRespForBucket {
            bucket_id,
            ..Default::default()
        };
        answer.with(offset, |answer, offset| answer.offset = Some(offset))
    };
    // One that is named twice is answered once.
    let buckets: BTreeSet<i32> = request.bucket_id.iter().copied().collect();
    Ok(proto::ListOffsetsResponse {
        buckets_resp: buckets.into_iter().map(offset_of).collect(),
    })
}

fn wanted(session: &Session, request: &proto::ListOffsetsRequest) -> Result<Wanted, Failure> {
    match request.offset_type {
        0 => Ok(Wanted::Earliest),
        // The end of the log when its leader took over is the end: nobody else leads.
        1 | 3 => Ok(Wanted::Latest),
        2 => {
            let time = request.start_timestamp.unwrap_or_default();
            let now = session.node.admin.clock.now_ms();
            if time <= now {
                return Ok(Wanted::At(time));
            }
            let message = format!("{time} is in the future: it is {now}");
            Err(Failure::new(ErrorCode::INVALID_TIMESTAMP, message))
        }
        other => {
            let message = format!("{other} is no type of offset");
            Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, message))
        }
    }
}

impl Wanted {
    fn offset_in(self, bucket: &Bucket) -> Result<Offset, Failure> {
        match self {
            Self::Earliest => Ok(bucket.start_offset()?),
            Self::Latest => Ok(bucket.high_watermark()),
            Self::At(time) => Ok(bucket.offset_at(time)?),
        }
    }
}

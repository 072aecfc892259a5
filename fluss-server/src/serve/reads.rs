//! `LOOKUP`, `PREFIX_LOOKUP`, `LIMIT_SCAN` and `GET_TABLE_STATS` (`behaviour.md` §5, §6).

use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::answer::Answer;
use super::memory::Room;
use super::resolve::{self, Named, last_of_each, named};
use super::session::Session;
use crate::bucket::Bucket;
use crate::catalog::TableEntry;
use crate::error::Failure;
use crate::security::Operation;

pub(super) fn lookup(
    session: &Session,
    request: proto::LookupRequest,
    room: &mut Room,
) -> Result<proto::LookupResponse, Failure> {
    let inserts = request.insert_if_not_exists();
    let operation = if inserts {
        Operation::Write
    } else {
        Operation::Read
    };
    let table = readable(session, request.table_id, operation)?;
    let look_up = |asked: proto::PbLookupReqForBucket| {
        let found = table.as_ref().map_err(Failure::clone).and_then(|table| {
            let bucket = with_keys(session, table, named!(asked))?;
            if inserts {
                bucket.insert_missing(table, &asked.keys, &mut |bytes| room.take(bytes))?;
            }
            Ok(bucket.look_up(&asked.keys, &mut |bytes| room.take(bytes))?)
        });
        let answer = proto::PbLookupRespForBucket {
            partition_id: asked.partition_id,
            bucket_id: asked.bucket_id,
            ..Default::default()
        };
        answer.with(found, |answer, found| {
            answer.values = found
                .into_iter()
                .map(|values| proto::PbValue { values })
                .collect();
        })
    };
    Ok(proto::LookupResponse {
        buckets_resp: request.buckets_req.into_iter().map(look_up).collect(),
    })
}

pub(super) fn prefix_lookup(
    session: &Session,
    request: proto::PrefixLookupRequest,
    room: &mut Room,
) -> Result<proto::PrefixLookupResponse, Failure> {
    let table = readable(session, request.table_id, Operation::Read)?;
    let look_up = |asked: proto::PbPrefixLookupReqForBucket| {
        let found = table.as_ref().map_err(Failure::clone).and_then(|table| {
            let bucket = with_keys(session, table, named!(asked))?;
            let lists = asked
                .keys
                .iter()
                .map(|prefix| bucket.look_up_prefix(prefix, &mut |bytes| room.take(bytes)));
            Ok(lists.collect::<Result<Vec<Vec<Bytes>>, _>>()?)
        });
        let answer = proto::PbPrefixLookupRespForBucket {
            partition_id: asked.partition_id,
            bucket_id: asked.bucket_id,
            ..Default::default()
        };
        answer.with(found, |answer, found| {
            let lists = found.into_iter().map(|values| proto::PbValueList { values });
            answer.value_lists = lists.collect();
        })
    };
    Ok(proto::PrefixLookupResponse {
        buckets_resp: request.buckets_req.into_iter().map(look_up).collect(),
    })
}

pub(super) fn limit_scan(
    session: &Session,
    request: proto::LimitScanRequest,
    room: &mut Room,
) -> Result<proto::LimitScanResponse, Failure> {
    let table = resolve::table(session, request.table_id, Operation::Read)?;
    let limit = usize::try_from(request.limit).unwrap_or_default();
    let scanned = resolve::bucket(session, &table, named!(request))
        .and_then(|bucket| Ok(bucket.scan(limit, &mut |bytes| room.take(bytes))?));
    let answer = proto::LimitScanResponse {
        is_log_table: Some(!table.info().has_primary_key()),
        ..Default::default()
    };
    Ok(answer.with(scanned, |answer, records| answer.records = Some(records)))
}

pub(super) fn get_table_stats(
    session: &Session,
    request: proto::GetTableStatsRequest,
) -> Result<proto::GetTableStatsResponse, Failure> {
    let table = resolve::table(session, request.table_id, Operation::Read)?;
    let count = |asked: proto::PbTableStatsReqForBucket| {
        let counted =
            resolve::bucket(session, &table, named!(asked)).and_then(|bucket| Ok(bucket.row_count(&table)?));
        let answer = proto::PbTableStatsRespForBucket {
            partition_id: asked.partition_id,
            bucket_id: asked.bucket_id,
            ..Default::default()
        };
        answer.with(counted, |answer, count| answer.row_count = Some(count))
    };
    let key = |asked: &proto::PbTableStatsReqForBucket| (asked.partition_id, asked.bucket_id);
    let buckets = last_of_each(request.buckets_req, key).into_iter();
    Ok(proto::GetTableStatsResponse {
        buckets_resp: buckets.map(count).collect(),
    })
}

/// A table to look things up in. That the client may not is said for each bucket.
type Readable = Result<Arc<TableEntry>, Failure>;

fn readable(session: &Session, table: i64, operation: Operation) -> Result<Readable, Failure> {
    match resolve::table(session, table, operation) {
        Err(failure)
            if operation == Operation::Write || failure.code != ErrorCode::AUTHORIZATION_EXCEPTION =>
        {
            Err(failure)
        }
        readable => Ok(readable),
    }
}

/// A bucket of a primary-key table.
fn with_keys(session: &Session, table: &Arc<TableEntry>, named: Named) -> Result<Arc<Bucket>, Failure> {
    if table.info().has_primary_key() {
        return resolve::bucket(session, table, named);
    }
    Err(resolve::no_keys(table))
}

//! Producer offsets (`behaviour.md` §6).

use std::collections::BTreeMap;

use fluss_core::id::{BucketId, Offset, PartitionId, TableBucket, TableId};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use crate::Failure;
use crate::security::{Operation, Resource};

/// `result` of a registration.
const CREATED: i32 = 0;
const EXISTED: i32 = 1;

/// `REGISTER_PRODUCER_OFFSETS`.
pub fn register_producer_offsets(
    context: &Context<'_>,
    request: proto::RegisterProducerOffsetsRequest,
) -> Result<proto::RegisterProducerOffsetsResponse, Failure> {
    for table in &request.table_offsets {
        check_write(context, TableId(table.table_id))?;
    }
    let created = context.node.catalog.register_producer(
        &request.producer_id,
        request.table_offsets.into_iter().flat_map(offsets).collect(),
        request.ttl_ms,
        context.now_ms(),
    )?;
    Ok(proto::RegisterProducerOffsetsResponse {
        result: Some(if created { CREATED } else { EXISTED }),
    })
}

/// `GET_PRODUCER_OFFSETS`: of the tables that the caller may read.
pub fn get_producer_offsets(
    context: &Context<'_>,
    request: proto::GetProducerOffsetsRequest,
) -> Result<proto::GetProducerOffsetsResponse, Failure> {
    let Some(producer) = context
        .node
        .catalog
        .producer(&request.producer_id, context.now_ms())
    else {
        return Ok(proto::GetProducerOffsetsResponse::default());
    };
    let readable = producer
        .offsets
        .iter()
        .filter(|(bucket, _)| may(context, Operation::Read, bucket.table));
    Ok(proto::GetProducerOffsetsResponse {
        producer_id: Some(request.producer_id),
        expiration_time: Some(producer.expires_ms),
        table_offsets: by_table(readable),
    })
}

/// `DELETE_PRODUCER_OFFSETS`.
pub fn delete_producer_offsets(
    context: &Context<'_>,
    request: proto::DeleteProducerOffsetsRequest,
) -> Result<proto::DeleteProducerOffsetsResponse, Failure> {
    let catalog = &context.node.catalog;
    if let Some(producer) = catalog.producer(&request.producer_id, context.now_ms()) {
        for table in producer.tables() {
            if !may(context, Operation::Write, table) {
                return Err(refused(context, table));
            }
        }
    }
    catalog.delete_producer(&request.producer_id)?;
    Ok(proto::DeleteProducerOffsetsResponse {})
}

/// With an authorizer, a table has to be there to be written.
fn check_write(context: &Context<'_>, table: TableId) -> Result<(), Failure> {
    if context.node.access.is_controlled() && context.node.catalog.table(table).is_none() {
        let reason = format!("table {table} does not exist");
        return Err(Failure::new(ErrorCode::UNKNOWN_TABLE_OR_BUCKET, reason));
    }
    if may(context, Operation::Write, table) {
        Ok(())
    } else {
        Err(refused(context, table))
    }
}

/// Whether the caller may do something to a table. A table that is gone has no rights left to ask for: offsets in it
/// are anybody's.
fn may(context: &Context<'_>, operation: Operation, table: TableId) -> bool {
    let table = context.node.catalog.table(table);
    table.is_none_or(|table| context.allows(operation, &Resource::table(&table.info().path)))
}

fn refused(context: &Context<'_>, table: TableId) -> Failure {
    let reason = format!("{} may not write table {table}", context.caller.principal);
    Failure::new(ErrorCode::AUTHORIZATION_EXCEPTION, reason)
}

fn offsets(table: proto::PbProducerTableOffsets) -> impl Iterator<Item = (TableBucket, Option<Offset>)> {
    table.bucket_offsets.into_iter().map(move |offset| {
        let bucket = TableBucket {
            table: TableId(table.table_id),
            partition: offset.partition_id.map(PartitionId),
            bucket: BucketId(offset.bucket_id),
        };
        (bucket, offset.log_end_offset)
    })
}

fn by_table<'a>(
    offsets: impl Iterator<Item = &'a (TableBucket, Option<Offset>)>,
) -> Vec<proto::PbProducerTableOffsets> {
    let mut tables: BTreeMap<i64, Vec<proto::PbBucketOffset>> = BTreeMap::new();
    for (bucket, offset) in offsets {
        tables
            .entry(bucket.table.get())
            .or_default()
            .push(proto::PbBucketOffset {
                partition_id: bucket.partition.map(PartitionId::get),
                bucket_id: bucket.bucket.get(),
                log_end_offset: *offset,
            });
    }
    let table = |(table_id, bucket_offsets)| proto::PbProducerTableOffsets {
        table_id,
        bucket_offsets,
    };
    tables.into_iter().map(table).collect()
}

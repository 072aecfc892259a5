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

/// `GET_PRODUCER_OFFSETS`: of the tables that the caller may read. If it is none of them, there is no such producer.
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
    let may_read = |(bucket, _): &&(TableBucket, _)| may(context, Operation::Read, bucket.table);
    let readable: Vec<_> = producer.offsets.iter().filter(may_read).collect();
    if readable.is_empty() && !producer.offsets.is_empty() {
        return Ok(proto::GetProducerOffsetsResponse::default());
    }
    Ok(proto::GetProducerOffsetsResponse {
        producer_id: Some(request.producer_id),
        expiration_time: Some(producer.expires_ms),
        table_offsets: by_table(readable.into_iter()),
    })
}

/// `DELETE_PRODUCER_OFFSETS`.
pub fn delete_producer_offsets(
    context: &Context<'_>,
    request: proto::DeleteProducerOffsetsRequest,
) -> Result<proto::DeleteProducerOffsetsResponse, Failure> {
    let catalog = &context.node.catalog;
    if let Some(producer) = catalog.producer(&request.producer_id, context.now_ms()) {
        let tables = producer.tables();
        if !tables.iter().all(|table| may(context, Operation::Write, *table)) {
            let reason = format!(
                "{} may not write all tables of producer '{}'",
                context.caller.principal, request.producer_id
            );
            return Err(Failure::new(ErrorCode::AUTHORIZATION_EXCEPTION, reason));
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
    match context.node.catalog.table(table) {
        Some(table) => context.check_table_by_id(Operation::Write, &table),
        None => Ok(()),
    }
}

/// Whether the caller may do something to a table. Of one that is gone only those are told who may do it to any table;
/// to forget it is for anybody.
fn may(context: &Context<'_>, operation: Operation, table: TableId) -> bool {
    match context.node.catalog.table(table) {
        Some(table) => context.allows(operation, &Resource::table(&table.info().path)),
        None => operation == Operation::Write || context.allows(operation, &Resource::cluster()),
    }
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

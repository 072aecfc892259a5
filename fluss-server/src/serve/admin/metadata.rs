//! `GET_METADATA` (`behaviour.md` §1.3): one node, which is the coordinator and leads every bucket.

use std::collections::BTreeSet;

use fluss_core::id::PartitionId;
use fluss_core::types::{PartitionName, TablePath};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::convert::{path, pb_path};
use super::{Context, NODE_ID};
use crate::Failure;
use crate::catalog::{TableEntry, View};
use crate::security::{Operation, Resource};

/// The epoch of every leader: there never is another.
const EPOCH: i32 = 0;

/// `GET_METADATA`. Tables that the caller may not see are left out.
///
/// # Errors
/// `TABLE_NOT_EXIST` and `PARTITION_NOT_EXISTS`, for the whole request. A number of a partition that the caller may not see
/// is answered as one that was never given.
pub fn get_metadata(
    context: &Context<'_>,
    request: proto::MetadataRequest,
) -> Result<proto::MetadataResponse, Failure> {
    let view = context.view();
    let sees = |path: &TablePath| context.allows(Operation::Describe, &Resource::table(path));
    let mut response = proto::MetadataResponse {
        coordinator_server: Some(server(context)),
        tablet_servers: vec![server(context)],
        ..proto::MetadataResponse::default()
    };
    // What is named twice is answered once: the answer is never larger than the catalog.
    let tables: BTreeSet<_> = request.table_path.iter().map(path).collect();
    for path in tables.into_iter().filter(sees) {
        response
            .table_metadata
            .push(table_metadata(view.table_by_path(&path)?));
    }
    let partitions: BTreeSet<_> = request.partitions_path.into_iter().map(physical_path).collect();
    for (path, name) in partitions.iter().filter(|(path, _)| sees(path)) {
        response
            .partition_metadata
            .push(partition_by_name(&view, path, name)?);
    }
    let partitions: BTreeSet<_> = request.partitions_id.into_iter().map(PartitionId).collect();
    for id in partitions {
        // The answer does not reveal one that the caller may not see.
        let found = view.partition(id).filter(|(table, _)| sees(&table.info().path));
        let (table, name) = found.ok_or_else(|| missing(format!("partition {id} does not exist")))?;
        response
            .partition_metadata
            .push(partition_metadata(table, name, id));
    }
    Ok(response)
}

fn physical_path(path: proto::PbPhysicalTablePath) -> (TablePath, PartitionName) {
    let name = path.partition_name.unwrap_or_default();
    (TablePath::new(path.database_name, path.table_name), name.into())
}

fn server(context: &Context<'_>) -> proto::PbServerNode {
    proto::PbServerNode {
        node_id: NODE_ID,
        host: context.address.host.clone(),
        port: context.address.port.into(),
        listeners: None,
        rack: None,
    }
}

fn table_metadata(table: &TableEntry) -> proto::PbTableMetadata {
    let info = table.info();
    proto::PbTableMetadata {
        table_path: pb_path(&info.path),
        table_id: info.id.get(),
        schema_id: info.schema_id.get().into(),
        table_json: table.json().clone(),
        bucket_metadata: if info.is_partitioned() {
            Vec::new()
        } else {
            buckets(info.bucket_count)
        },
        created_time: info.created_time,
        modified_time: info.modified_time,
        remote_data_dir: None,
        bucket_count_epoch: Some(info.bucket_count_epoch),
    }
}

fn partition_by_name(
    view: &View,
    path: &TablePath,
    name: &PartitionName,
) -> Result<proto::PbPartitionMetadata, Failure> {
    let table = view.table_by_path(path)?;
    let partition = table.partition(name);
    let partition =
        partition.ok_or_else(|| missing(format!("partition '{name}' of table '{path}' does not exist")))?;
    Ok(partition_metadata(table, name, partition.id))
}

fn partition_metadata(
    table: &TableEntry,
    name: &PartitionName,
    id: PartitionId,
) -> proto::PbPartitionMetadata {
    let count = table.bucket_count(Some(id)).unwrap_or_default();
    proto::PbPartitionMetadata {
        table_id: table.id().get(),
        partition_name: name.as_str().to_owned(),
        partition_id: id.get(),
        bucket_metadata: buckets(count),
        bucket_count: Some(count),
    }
}

fn buckets(count: i32) -> Vec<proto::PbBucketMetadata> {
    let bucket = |bucket_id| proto::PbBucketMetadata {
        bucket_id,
        leader_id: Some(NODE_ID),
        replica_id: vec![NODE_ID],
        leader_epoch: Some(EPOCH),
        bucket_epoch: Some(EPOCH),
        isr: vec![NODE_ID],
    };
    (0..count).map(bucket).collect()
}

fn missing(reason: String) -> Failure {
    Failure::new(ErrorCode::PARTITION_NOT_EXISTS, reason)
}

use fluss_rpc::proto;

use super::Context;
use super::convert::{path, pb_spec, spec};
use crate::Failure;
use crate::catalog::Partition;
use crate::security::Operation;

/// `CREATE_PARTITION`.
pub fn create_partition(
    context: &Context<'_>,
    request: proto::CreatePartitionRequest,
) -> Result<proto::CreatePartitionResponse, Failure> {
    let path = path(&request.table_path);
    context.check_table(Operation::Write, &path)?;
    context.node.catalog.create_partition(
        &path,
        &spec(request.partition_spec),
        request.ignore_if_not_exists,
        context.now_ms(),
    )?;
    Ok(proto::CreatePartitionResponse {})
}

/// `DROP_PARTITION`.
pub fn drop_partition(
    context: &Context<'_>,
    request: proto::DropPartitionRequest,
) -> Result<proto::DropPartitionResponse, Failure> {
    let path = path(&request.table_path);
    context.check_table(Operation::Write, &path)?;
    let gone = context.node.catalog.drop_partition(
        &path,
        &spec(request.partition_spec),
        request.ignore_if_not_exists,
    )?;
    context.node.remove.remove(&gone);
    Ok(proto::DropPartitionResponse {})
}

/// `LIST_PARTITION_INFOS`.
pub fn list_partition_infos(
    context: &Context<'_>,
    request: proto::ListPartitionInfosRequest,
) -> Result<proto::ListPartitionInfosResponse, Failure> {
    let path = path(&request.table_path);
    context.check_table(Operation::Describe, &path)?;
    let filter = request.partial_partition_spec.map(spec);
    let found = context.node.catalog.list_partitions(&path, filter.as_ref())?;
    let info = |(spec, partition): (_, Partition)| proto::PbPartitionInfo {
        partition_id: partition.id.get(),
        partition_spec: pb_spec(spec),
        remote_data_dir: None,
        bucket_count: Some(partition.buckets),
    };
    Ok(proto::ListPartitionInfosResponse {
        partitions_info: found.into_iter().map(info).collect(),
        // There is no such partition; that it was asked for is understood.
        system_partitions_included: request.include_system_partitions,
    })
}

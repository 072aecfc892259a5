//! What a node without remote storage says about it: there are no snapshots, and nothing is needed to read them.

use std::sync::Arc;

use fluss_core::types::PartitionName;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use super::convert::path;
use crate::Failure;
use crate::catalog::TableEntry;
use crate::security::Operation;
use fluss_core::id::{PartitionId, TableId};

/// `GET_LATEST_KV_SNAPSHOTS`: every bucket, none with a snapshot. Readers take the changelog from its start.
pub fn get_latest_kv_snapshots(
    context: &Context<'_>,
    request: proto::GetLatestKvSnapshotsRequest,
) -> Result<proto::GetLatestKvSnapshotsResponse, Failure> {
    let table = context.described(&path(&request.table_path))?;
    check_keyed(&table)?;
    let partition = partition(&table, request.partition_name)?;
    let snapshot = |bucket_id| proto::PbKvSnapshot {
        bucket_id,
        snapshot_id: None,
        log_offset: None,
    };
    Ok(proto::GetLatestKvSnapshotsResponse {
        table_id: table.id().get(),
        partition_id: partition.map(PartitionId::get),
        latest_snapshots: (0..table.bucket_count(partition).unwrap_or_default())
            .map(snapshot)
            .collect(),
    })
}

fn check_keyed(table: &TableEntry) -> Result<(), Failure> {
    if table.info().has_primary_key() {
        return Ok(());
    }
    let reason = format!("table '{}' has no primary key", table.info().path);
    Err(Failure::new(ErrorCode::NON_PRIMARY_KEY_TABLE, reason))
}

fn partition(table: &TableEntry, name: Option<String>) -> Result<Option<PartitionId>, Failure> {
    let path = &table.info().path;
    match (name.map(PartitionName::from), table.info().is_partitioned()) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(Failure::new(
            ErrorCode::TABLE_NOT_PARTITIONED,
            format!("table '{path}' is not partitioned"),
        )),
        (None, true) => Err(Failure::new(
            ErrorCode::PARTITION_NOT_EXISTS,
            format!("table '{path}' is partitioned: a partition has to be named"),
        )),
        (Some(name), true) => match table.partition(&name) {
            Some(partition) => Ok(Some(partition.id)),
            None => Err(Failure::new(
                ErrorCode::PARTITION_NOT_EXISTS,
                format!("partition '{name}' of table '{path}' does not exist"),
            )),
        },
    }
}

/// `GET_KV_SNAPSHOT_METADATA`: no snapshot has any.
///
/// # Errors
/// `KV_SNAPSHOT_NOT_EXIST`, at best.
pub fn get_kv_snapshot_metadata(
    context: &Context<'_>,
    request: proto::GetKvSnapshotMetadataRequest,
) -> Result<proto::GetKvSnapshotMetadataResponse, Failure> {
    let id = TableId(request.table_id);
    let table = context.node.catalog.table(id).ok_or_else(|| {
        Failure::new(
            ErrorCode::UNKNOWN_TABLE_OR_BUCKET,
            format!("table {id} does not exist"),
        )
    })?;
    context.check_table_by_id(Operation::Describe, &table)?;
    check_keyed(&table)?;
    Err(Failure::new(
        ErrorCode::KV_SNAPSHOT_NOT_EXIST,
        format!(
            "there is no snapshot {} of table '{}'",
            request.snapshot_id,
            table.info().path
        ),
    ))
}

/// `LIST_KV_SNAPSHOTS`: none is kept.
pub fn list_kv_snapshots(
    context: &Context<'_>,
    request: proto::ListKvSnapshotsRequest,
) -> Result<proto::ListKvSnapshotsResponse, Failure> {
    let missing = ErrorCode::TABLE_NOT_EXIST;
    let table = described_by_id(context, request.table_id, request.partition_id, missing)?;
    check_keyed(&table)?;
    Ok(proto::ListKvSnapshotsResponse {
        table_id: request.table_id,
        partition_id: request.partition_id,
        active_snapshots: Vec::new(),
    })
}

/// `LIST_REMOTE_LOG_MANIFESTS`: nothing is in remote storage.
pub fn list_remote_log_manifests(
    context: &Context<'_>,
    request: proto::ListRemoteLogManifestsRequest,
) -> Result<proto::ListRemoteLogManifestsResponse, Failure> {
    let missing = ErrorCode::UNKNOWN_TABLE_OR_BUCKET;
    described_by_id(context, request.table_id, request.partition_id, missing)?;
    Ok(proto::ListRemoteLogManifestsResponse::default())
}

/// The table of a number, if the caller may see it, and has the partition.
fn described_by_id(
    context: &Context<'_>,
    table: i64,
    partition: Option<i64>,
    missing: ErrorCode,
) -> Result<Arc<TableEntry>, Failure> {
    let id = TableId(table);
    let table = context.node.catalog.table(id);
    let table = table.ok_or_else(|| Failure::new(missing, format!("table {id} does not exist")))?;
    context.check_table_by_id(Operation::Describe, &table)?;
    if table.bucket_count(partition.map(PartitionId)).is_some() {
        return Ok(table);
    }
    let reason = match partition {
        Some(partition) => format!("table {id} has no partition {partition}"),
        None => format!("table {id} is partitioned: a partition has to be named"),
    };
    Err(Failure::new(ErrorCode::PARTITION_NOT_EXISTS, reason))
}

/// `GET_FILESYSTEM_SECURITY_TOKEN`: local files need none. Any caller may ask.
pub fn get_file_system_security_token(
    _context: &Context<'_>,
    _request: proto::GetFileSystemSecurityTokenRequest,
) -> Result<proto::GetFileSystemSecurityTokenResponse, Failure> {
    Ok(proto::GetFileSystemSecurityTokenResponse {
        schema: "file".to_owned(),
        ..proto::GetFileSystemSecurityTokenResponse::default()
    })
}

/// `GET_LAKE_SNAPSHOT`: there is no lake.
///
/// # Errors
/// `LAKE_SNAPSHOT_NOT_EXIST`, at best.
pub fn get_lake_snapshot(
    context: &Context<'_>,
    request: proto::GetLakeSnapshotRequest,
) -> Result<proto::GetLakeSnapshotResponse, Failure> {
    let table = context.described(&path(&request.table_path))?;
    Err(Failure::new(
        ErrorCode::LAKE_SNAPSHOT_NOT_EXIST,
        format!("table '{}' has no lake snapshot", table.info().path),
    ))
}

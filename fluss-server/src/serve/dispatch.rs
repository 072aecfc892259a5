//! Which handler answers which API: one row each.

use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::Disconnect;
use fluss_rpc::proto;

use super::call::Call;
use super::memory::Held;
use super::session::Session;
use super::{admin, fetch, login, offsets, reads, scans, users, writes};
use crate::error::Failure;

/// Rows are `Request how handler;`: `quick` where the answer takes microseconds, `slow` where it waits for a disk, `read` and
/// `read_apart` where the answer may be large, which takes microseconds or waits for a disk, `write` where the order of
/// requests counts, `first` where it is waited for before anything else is read, `wait` where it waits for something to happen.
/// `look_up`, `put` and `scan` are of one API each.
macro_rules! handlers {
    ($($request:ident $how:ident $handler:expr;)*) => {
        /// The APIs that are answered, and offered to clients.
        const OFFERED: &[ApiKey] = &[$(proto::$request::API,)*];

        fn handle(api: ApiKey, call: Call) {
            match api {
                $(<proto::$request as Request>::API => call.$how($handler),)*
                _ => call.refuse(not_offered(api.name())),
            }
        }
    };
}

/// Answers a request, or has it answered. `alone` says whether nothing came behind it, so that the answer need not wait
/// for others; `memory` is given back when it is answered.
pub(super) fn begin(
    session: &Arc<Session>,
    frame: Bytes,
    memory: Held,
    alone: bool,
) -> Result<(), Disconnect> {
    let call = Call::read_from(frame, session.clone(), memory, alone)?;
    match call.excess() {
        Some(failure) => call.refuse(failure),
        None => dispatch(call),
    }
    Ok(())
}

/// Has it handled.
fn dispatch(call: Call) {
    let number = call.header.api_key;
    match call.api() {
        Some(api) if is_open_to_all(api) || call.session.caller().is_ok() => handle(api, call),
        Some(_) => {
            let failure = call.session.caller().err();
            call.refuse(failure.unwrap_or_else(|| not_offered("this")));
        }
        None => call.refuse(not_offered(&format!("API {number}"))),
    }
}

/// What is offered (`rpc.md` §4). A node is coordinator and tablet server in one, and leaves open which of them it is.
#[expect(clippy::unnecessary_wraps, reason = "it is one of the handlers")]
fn api_versions(
    session: &Session,
    request: proto::ApiVersionsRequest,
) -> Result<proto::ApiVersionsResponse, Failure> {
    session.introduced(&request.client_software_name);
    let offered = |api: &ApiKey| {
        let versions = api.versions()?;
        Some(proto::PbApiVersion {
            api_key: api.number().into(),
            min_version: (*versions.start()).into(),
            max_version: (*versions.end()).into(),
        })
    };
    Ok(proto::ApiVersionsResponse {
        api_versions: OFFERED.iter().filter_map(offered).collect(),
        server_type: None,
    })
}

/// What a client says before it says who it is.
fn is_open_to_all(api: ApiKey) -> bool {
    matches!(api, ApiKey::ApiVersions | ApiKey::Authenticate)
}

fn not_offered(what: &str) -> Failure {
    let message = format!("a single node does not answer {what}");
    Failure::new(ErrorCode::UNSUPPORTED_VERSION, message)
}

handlers! {
    ApiVersionsRequest quick api_versions;
    AuthenticateRequest first login::authenticate;
    ListDatabasesRequest quick |session, request| admin::list_databases(&session.context()?, request);
    DatabaseExistsRequest quick |session, request| admin::database_exists(&session.context()?, request);
    GetTableInfoRequest quick |session, request| admin::get_table_info(&session.context()?, request);
    ListTablesRequest quick |session, request| admin::list_tables(&session.context()?, request);
    ListPartitionInfosRequest quick |session, request| admin::list_partition_infos(&session.context()?, request);
    TableExistsRequest quick |session, request| admin::table_exists(&session.context()?, request);
    GetTableSchemaRequest quick |session, request| admin::get_table_schema(&session.context()?, request);
    MetadataRequest quick |session, request| admin::get_metadata(&session.context()?, request);
    GetDatabaseInfoRequest quick |session, request| admin::get_database_info(&session.context()?, request);
    GetLatestKvSnapshotsRequest quick |session, request| admin::get_latest_kv_snapshots(&session.context()?, request);
    GetKvSnapshotMetadataRequest quick |session, request| admin::get_kv_snapshot_metadata(&session.context()?, request);
    GetFileSystemSecurityTokenRequest quick |session, request| admin::get_file_system_security_token(&session.context()?, request);
    GetLakeSnapshotRequest quick |session, request| admin::get_lake_snapshot(&session.context()?, request);
    ListKvSnapshotsRequest quick |session, request| admin::list_kv_snapshots(&session.context()?, request);
    ListRemoteLogManifestsRequest quick |session, request| admin::list_remote_log_manifests(&session.context()?, request);
    ListAclsRequest quick |session, request| admin::list_acls(&session.context()?, request);
    DescribeClusterConfigsRequest quick |session, request| admin::describe_cluster_configs(&session.context()?, request);
    GetClusterHealthRequest quick |session, request| admin::get_cluster_health(&session.context()?, request);
    GetProducerOffsetsRequest quick |session, request| admin::get_producer_offsets(&session.context()?, request);
    CreateDatabaseRequest slow |session, request| admin::create_database(&session.context()?, request);
    AlterDatabaseRequest slow |session, request| admin::alter_database(&session.context()?, request);
    DropDatabaseRequest slow |session, request| admin::drop_database(&session.context()?, request);
    CreateTableRequest slow |session, request| admin::create_table(&session.context()?, request);
    DropTableRequest slow |session, request| admin::drop_table(&session.context()?, request);
    CreatePartitionRequest slow |session, request| admin::create_partition(&session.context()?, request);
    DropPartitionRequest slow |session, request| admin::drop_partition(&session.context()?, request);
    InitWriterRequest slow |session, request| admin::init_writer(&session.context()?, request);
    CreateAclsRequest slow |session, request| admin::create_acls(&session.context()?, request);
    DropAclsRequest slow |session, request| admin::drop_acls(&session.context()?, request);
    AlterTableRequest slow |session, request| admin::alter_table(&session.context()?, request);
    AlterClusterConfigsRequest slow |session, request| admin::alter_cluster_configs(&session.context()?, request);
    RegisterProducerOffsetsRequest slow |session, request| admin::register_producer_offsets(&session.context()?, request);
    DeleteProducerOffsetsRequest slow |session, request| admin::delete_producer_offsets(&session.context()?, request);
    ListOffsetsRequest quick offsets::list_offsets;
    FetchLogRequest wait fetch::fetch_log;
    ProduceLogRequest write writes::produce_log;
    PutKvRequest put writes::Put::new;
    LookupRequest look_up reads::lookup;
    PrefixLookupRequest read reads::prefix_lookup;
    LimitScanRequest read_apart reads::limit_scan;
    ScanKvRequest scan scans::scan_kv;
    GetTableStatsRequest quick reads::get_table_stats;
    CreateUserRequest first users::create_user;
    AlterUserRequest first users::alter_user;
    DropUserRequest slow |session, request| admin::drop_user(&session.context()?, request);
    ListUsersRequest quick |session, request| admin::list_users(&session.context()?, request);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_has_versions() {
        for api in OFFERED {
            assert!(api.versions().is_some(), "{api}");
        }
    }
}

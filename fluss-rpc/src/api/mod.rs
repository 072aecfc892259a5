//! The APIs of the protocol: one row each, `rpc.md` §3.

mod entries;
mod kind;
mod versions;

use std::fmt;
use std::ops::RangeInclusive;

use prost::Message;

pub use self::kind::ServerKind;
pub use self::versions::{Unsupported, Versions};
use crate::proto;

/// The kind of a server, as it states it in its answer to `API_VERSIONS` (`rpc.md` §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerRole {
    /// Keeps the catalog and answers what changes it.
    Coordinator,
    /// Holds buckets and answers what reads and writes them.
    Tablet,
}

impl ServerRole {
    /// Reads `server_type`; an absent or other number means that the role is unknown.
    pub fn from_server_type(server_type: Option<i32>) -> Option<Self> {
        match server_type {
            Some(1) => Some(Self::Coordinator),
            Some(2) => Some(Self::Tablet),
            _ => None,
        }
    }

    /// The number that stands for the role in `server_type`.
    pub fn server_type(self) -> i32 {
        match self {
            Self::Coordinator => 1,
            Self::Tablet => 2,
        }
    }
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coordinator => "coordinator",
            Self::Tablet => "tablet server",
        })
    }
}

/// A request message, tied to its API and to the message that answers it.
pub trait Request: Message + Default + 'static {
    /// The API that the message asks for.
    const API: ApiKey;
    /// The message that answers it.
    type Response: Message + Default + 'static;

    /// The lowest version of the API in which a server heeds all that the message says. One that speaks only lower ones
    /// would do something else, and say nothing (`v1_0.md` §1).
    fn least_version(&self) -> i16 {
        0
    }
}

/// Who answers an API: the C and T columns of `rpc.md` §3.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Servers {
    Any,
    Coordinator,
    Tablet,
    /// An embedded node, and no server of a cluster.
    Node,
}

/// Rows are `number Variant "NAME" servers [versions] Request => Response;`, with `since` and a function where the version
/// that a request needs depends on what it says. The versions are those that this crate
/// speaks. An API without versions is never offered: nobody here uses it, or (when it has no messages either) it is
/// spoken between servers only.
macro_rules! apis {
    ($($number:literal $key:ident $name:literal $servers:ident [$($versions:expr)?] $($request:ident => $response:ident $(since $least:expr)?)?;)*) => {
        /// The key of an API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!("`", $name, "` (", $number, ")")] $key = $number,)*
        }

        impl ApiKey {
            /// Every API, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$key,)*];

            /// The API with this number.
            pub fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$key),)*
                    _ => None,
                }
            }

            /// The name that the protocol gives it, such as `PUT_KV`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$key => $name,)*
                }
            }

            /// The name of the message that asks for the API, where there is one.
            fn request_name(self) -> Option<&'static str> {
                match self {
                    $($(Self::$key => Some(stringify!($request)),)?)*
                    _ => None,
                }
            }

            fn servers(self) -> Servers {
                match self {
                    $(Self::$key => Servers::$servers,)*
                }
            }

            /// The versions that this crate speaks; `None` for what it does not, such as APIs between servers.
            pub fn versions(self) -> Option<RangeInclusive<i16>> {
                match self {
                    $($(Self::$key => Some($versions),)?)*
                    _ => None,
                }
            }
        }

        $($(
            impl Request for proto::$request {
                const API: ApiKey = ApiKey::$key;
                type Response = proto::$response;
                $(
                    fn least_version(&self) -> i16 {
                        $least(self)
                    }
                )?
            }
        )?)*
    };
}

impl ApiKey {
    /// The first key that 0.9.1 does not have.
    const FIRST_OF_1_0: Self = Self::AlterDatabase;

    /// Whether the API came with 1.0; the others are in 0.9.1 too, or only the node has them.
    pub fn is_of_1_0(self) -> bool {
        self >= Self::FIRST_OF_1_0 && !self.is_of_node()
    }

    /// Whether only the embedded node has the API. Its key is from a range that Apache Fluss does not use.
    pub fn is_of_node(self) -> bool {
        self.servers() == Servers::Node
    }

    /// Whether what is asked has a password in it. It does not go to another machine in clear unless that is allowed.
    pub fn has_password(self) -> bool {
        matches!(self, Self::Authenticate | Self::CreateUser | Self::AlterUser)
    }

    /// Its place in [`ALL`](Self::ALL).
    pub fn place(self) -> usize {
        Self::ALL.partition_point(|key| *key < self)
    }

    /// The number on the wire.
    pub fn number(self) -> i16 {
        self as i16
    }

    /// Whether a server of this role answers the API.
    pub fn is_served_by(self, role: ServerRole) -> bool {
        match self.servers() {
            Servers::Any => true,
            Servers::Coordinator => role == ServerRole::Coordinator,
            Servers::Tablet => role == ServerRole::Tablet,
            Servers::Node => false,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An older server passes over what it does not know, and answers that it has altered the table.
fn of_alteration(request: &proto::AlterTableRequest) -> i16 {
    let is_aggregated = |column: &proto::PbAddColumn| column.agg_function_type.is_some();
    i16::from(request.modify_bucket_count.is_some() || request.add_columns.iter().any(is_aggregated))
}

apis! {
    1000 ApiVersions "API_VERSIONS" Any [0..=0] ApiVersionsRequest => ApiVersionsResponse;
    1001 CreateDatabase "CREATE_DATABASE" Coordinator [0..=0] CreateDatabaseRequest => CreateDatabaseResponse;
    1002 DropDatabase "DROP_DATABASE" Coordinator [0..=0] DropDatabaseRequest => DropDatabaseResponse;
    1003 ListDatabases "LIST_DATABASES" Any [0..=0] ListDatabasesRequest => ListDatabasesResponse;
    1004 DatabaseExists "DATABASE_EXISTS" Any [0..=0] DatabaseExistsRequest => DatabaseExistsResponse;
    1005 CreateTable "CREATE_TABLE" Coordinator [0..=0] CreateTableRequest => CreateTableResponse;
    1006 DropTable "DROP_TABLE" Coordinator [0..=0] DropTableRequest => DropTableResponse;
    1007 GetTableInfo "GET_TABLE_INFO" Any [0..=0] GetTableInfoRequest => GetTableInfoResponse;
    1008 ListTables "LIST_TABLES" Any [0..=0] ListTablesRequest => ListTablesResponse;
    1009 ListPartitionInfos "LIST_PARTITION_INFOS" Any [0..=0] ListPartitionInfosRequest => ListPartitionInfosResponse;
    1010 TableExists "TABLE_EXISTS" Any [0..=0] TableExistsRequest => TableExistsResponse;
    1011 GetTableSchema "GET_TABLE_SCHEMA" Any [0..=0] GetTableSchemaRequest => GetTableSchemaResponse;
    1012 GetMetadata "GET_METADATA" Any [0..=0] MetadataRequest => MetadataResponse;
    1013 UpdateMetadata "UPDATE_METADATA" Tablet [];
    1014 ProduceLog "PRODUCE_LOG" Tablet [0..=1] ProduceLogRequest => ProduceLogResponse;
    1015 FetchLog "FETCH_LOG" Tablet [0..=0] FetchLogRequest => FetchLogResponse;
    1016 PutKv "PUT_KV" Tablet [0..=3] PutKvRequest => PutKvResponse;
    1017 Lookup "LOOKUP" Tablet [0..=1] LookupRequest => LookupResponse;
    1018 NotifyLeaderAndIsr "NOTIFY_LEADER_AND_ISR" Tablet [];
    1019 StopReplica "STOP_REPLICA" Tablet [];
    1020 AdjustIsr "ADJUST_ISR" Coordinator [];
    1021 ListOffsets "LIST_OFFSETS" Tablet [0..=0] ListOffsetsRequest => ListOffsetsResponse;
    1022 CommitKvSnapshot "COMMIT_KV_SNAPSHOT" Coordinator [];
    1023 GetLatestKvSnapshots "GET_LATEST_KV_SNAPSHOTS" Any [0..=0] GetLatestKvSnapshotsRequest => GetLatestKvSnapshotsResponse;
    1024 GetKvSnapshotMetadata "GET_KV_SNAPSHOT_METADATA" Any [0..=1] GetKvSnapshotMetadataRequest => GetKvSnapshotMetadataResponse;
    1025 GetFileSystemSecurityToken "GET_FILESYSTEM_SECURITY_TOKEN" Any [0..=0] GetFileSystemSecurityTokenRequest => GetFileSystemSecurityTokenResponse;
    1026 InitWriter "INIT_WRITER" Tablet [0..=0] InitWriterRequest => InitWriterResponse;
    1027 CommitRemoteLogManifest "COMMIT_REMOTE_LOG_MANIFEST" Coordinator [];
    1028 NotifyRemoteLogOffsets "NOTIFY_REMOTE_LOG_OFFSETS" Tablet [];
    1029 NotifyKvSnapshotOffset "NOTIFY_KV_SNAPSHOT_OFFSET" Tablet [];
    1030 CommitLakeTableSnapshot "COMMIT_LAKE_TABLE_SNAPSHOT" Coordinator [];
    1031 NotifyLakeTableOffset "NOTIFY_LAKE_TABLE_OFFSET" Tablet [];
    1032 GetLakeSnapshot "GET_LAKE_SNAPSHOT" Any [0..=0] GetLakeSnapshotRequest => GetLakeSnapshotResponse;
    1033 LimitScan "LIMIT_SCAN" Tablet [0..=0] LimitScanRequest => LimitScanResponse;
    1034 PrefixLookup "PREFIX_LOOKUP" Tablet [0..=1] PrefixLookupRequest => PrefixLookupResponse;
    1035 GetDatabaseInfo "GET_DATABASE_INFO" Any [0..=0] GetDatabaseInfoRequest => GetDatabaseInfoResponse;
    1036 CreatePartition "CREATE_PARTITION" Coordinator [0..=0] CreatePartitionRequest => CreatePartitionResponse;
    1037 DropPartition "DROP_PARTITION" Coordinator [0..=0] DropPartitionRequest => DropPartitionResponse;
    1038 Authenticate "AUTHENTICATE" Any [0..=0] AuthenticateRequest => AuthenticateResponse;
    1039 CreateAcls "CREATE_ACLS" Coordinator [0..=0] CreateAclsRequest => CreateAclsResponse;
    1040 ListAcls "LIST_ACLS" Any [0..=0] ListAclsRequest => ListAclsResponse;
    1041 DropAcls "DROP_ACLS" Coordinator [0..=0] DropAclsRequest => DropAclsResponse;
    1042 LakeTieringHeartbeat "LAKE_TIERING_HEARTBEAT" Coordinator [];
    1043 ControlledShutdown "CONTROLLED_SHUTDOWN" Coordinator [];
    1044 AlterTable "ALTER_TABLE" Coordinator [0..=1] AlterTableRequest => AlterTableResponse since of_alteration;
    1045 DescribeClusterConfigs "DESCRIBE_CLUSTER_CONFIGS" Any [0..=0] DescribeClusterConfigsRequest => DescribeClusterConfigsResponse;
    1046 AlterClusterConfigs "ALTER_CLUSTER_CONFIGS" Coordinator [0..=0] AlterClusterConfigsRequest => AlterClusterConfigsResponse;
    1047 AddServerTag "ADD_SERVER_TAG" Coordinator [0..=0] AddServerTagRequest => AddServerTagResponse;
    1048 RemoveServerTag "REMOVE_SERVER_TAG" Coordinator [0..=0] RemoveServerTagRequest => RemoveServerTagResponse;
    1049 Rebalance "REBALANCE" Coordinator [0..=0] RebalanceRequest => RebalanceResponse;
    1050 ListRebalanceProgress "LIST_REBALANCE_PROGRESS" Coordinator [0..=0] ListRebalanceProgressRequest => ListRebalanceProgressResponse;
    1051 CancelRebalance "CANCEL_REBALANCE" Coordinator [0..=0] CancelRebalanceRequest => CancelRebalanceResponse;
    1052 PrepareLakeTableSnapshot "PREPARE_LAKE_TABLE_SNAPSHOT" Coordinator [];
    1053 RegisterProducerOffsets "REGISTER_PRODUCER_OFFSETS" Coordinator [0..=0] RegisterProducerOffsetsRequest => RegisterProducerOffsetsResponse;
    1054 GetProducerOffsets "GET_PRODUCER_OFFSETS" Coordinator [0..=0] GetProducerOffsetsRequest => GetProducerOffsetsResponse;
    1055 DeleteProducerOffsets "DELETE_PRODUCER_OFFSETS" Coordinator [0..=0] DeleteProducerOffsetsRequest => DeleteProducerOffsetsResponse;
    1056 AcquireKvSnapshotLease "ACQUIRE_KV_SNAPSHOT_LEASE" Coordinator [0..=0] AcquireKvSnapshotLeaseRequest => AcquireKvSnapshotLeaseResponse;
    1057 ReleaseKvSnapshotLease "RELEASE_KV_SNAPSHOT_LEASE" Coordinator [0..=0] ReleaseKvSnapshotLeaseRequest => ReleaseKvSnapshotLeaseResponse;
    1058 DropKvSnapshotLease "DROP_KV_SNAPSHOT_LEASE" Coordinator [0..=0] DropKvSnapshotLeaseRequest => DropKvSnapshotLeaseResponse;
    1059 GetTableStats "GET_TABLE_STATS" Tablet [0..=0] GetTableStatsRequest => GetTableStatsResponse;
    1060 AlterDatabase "ALTER_DATABASE" Coordinator [0..=0] AlterDatabaseRequest => AlterDatabaseResponse;
    1061 ScanKv "SCAN_KV" Tablet [0..=0] ScanKvRequest => ScanKvResponse;
    1062 GetClusterHealth "GET_CLUSTER_HEALTH" Any [0..=0] GetClusterHealthRequest => GetClusterHealthResponse;
    1063 ListRemoteLogManifests "LIST_REMOTE_LOG_MANIFESTS" Coordinator [0..=0] ListRemoteLogManifestsRequest => ListRemoteLogManifestsResponse;
    1064 ListKvSnapshots "LIST_KV_SNAPSHOTS" Coordinator [0..=0] ListKvSnapshotsRequest => ListKvSnapshotsResponse;
    1065 AddServerTagByRack "ADD_SERVER_TAG_BY_RACK" Coordinator [0..=0] AddServerTagByRackRequest => AddServerTagByRackResponse;
    1066 RemoveServerTagByRack "REMOVE_SERVER_TAG_BY_RACK" Coordinator [0..=0] RemoveServerTagByRackRequest => RemoveServerTagByRackResponse;
    9001 CreateUser "CREATE_USER" Node [0..=0] CreateUserRequest => CreateUserResponse;
    9002 AlterUser "ALTER_USER" Node [0..=0] AlterUserRequest => AlterUserResponse;
    9003 DropUser "DROP_USER" Node [0..=0] DropUserRequest => DropUserResponse;
    9004 ListUsers "LIST_USERS" Node [0..=0] ListUsersRequest => ListUsersResponse;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_keys_are_one_to_one() {
        let (of_fluss, of_node) = (1000..=1066, 9001..=9004);
        let numbers: Vec<_> = of_fluss.chain(of_node.clone()).collect();
        assert_eq!(ApiKey::ALL.len(), numbers.len());
        for (place, (number, key)) in numbers.into_iter().zip(ApiKey::ALL).enumerate() {
            assert_eq!(key.number(), number);
            assert_eq!(ApiKey::from_number(number), Some(*key));
            assert_eq!(key.place(), place);
            assert_eq!(key.is_of_node(), of_node.contains(&number), "{key}");
        }
        for none in [999, 1067, 9000, 9005] {
            assert_eq!(ApiKey::from_number(none), None);
        }
    }

    #[test]
    fn a_real_server_of_each_role_advertises_as_many_keys_as_the_table_gives_it() {
        let in_0_9_1 = ApiKey::ALL.iter().filter(|key| key.number() < 1060);
        let (coordinator, tablet) = in_0_9_1.fold((0, 0), |(c, t), key| {
            let serves = |role| u32::from(key.is_served_by(role));
            (
                c + serves(ServerRole::Coordinator),
                t + serves(ServerRole::Tablet),
            )
        });
        assert_eq!((coordinator, tablet), (45, 32));
    }

    #[test]
    fn a_request_names_its_api_and_its_answer() {
        fn api_of<R: Request<Response = proto::PutKvResponse>>() -> ApiKey {
            R::API
        }
        assert_eq!(api_of::<proto::PutKvRequest>(), ApiKey::PutKv);
        assert_eq!(ApiKey::PutKv.to_string(), "PUT_KV");
        assert_eq!(ApiKey::PutKv.versions(), Some(0..=3));
        assert_eq!(ApiKey::StopReplica.versions(), None);
        assert_eq!(ApiKey::ScanKv.versions(), Some(0..=0));
    }

    #[test]
    fn roles_survive_the_wire_and_others_are_unknown() {
        for role in [ServerRole::Coordinator, ServerRole::Tablet] {
            assert_eq!(ServerRole::from_server_type(Some(role.server_type())), Some(role));
        }
        for unknown in [None, Some(0), Some(3), Some(-1)] {
            assert_eq!(ServerRole::from_server_type(unknown), None);
        }
    }
}

//! Every message of the protocol, with any values that its description allows.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;
use protox::prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};

use crate::proto;

/// How deep messages nest: enough for all, and a bound for the predicates, which nest in themselves.
const DEPTH: u32 = 5;

/// What is checked of one message, given its encoding.
type Check = fn(&[u8]);

macro_rules! messages {
    ($($name:ident,)*) => {
        fn messages() -> Vec<(&'static str, Check, Check)> {
            vec![$((stringify!($name), round_trip::<proto::$name>, survive::<proto::$name>),)*]
        }
    };
}

messages! {
    AcquireKvSnapshotLeaseRequest, AcquireKvSnapshotLeaseResponse, AddServerTagByRackRequest,
    AddServerTagByRackResponse, AddServerTagRequest, AddServerTagResponse, AlterClusterConfigsRequest,
    AlterClusterConfigsResponse, AlterDatabaseRequest, AlterDatabaseResponse, AlterTableRequest,
    AlterTableResponse, AlterUserRequest, AlterUserResponse, ApiVersionsRequest, ApiVersionsResponse,
    AuthenticateRequest, AuthenticateResponse, CancelRebalanceRequest, CancelRebalanceResponse,
    CreateAclsRequest, CreateAclsResponse, CreateDatabaseRequest, CreateDatabaseResponse,
    CreatePartitionRequest, CreatePartitionResponse, CreateTableRequest, CreateTableResponse,
    CreateUserRequest, CreateUserResponse, DatabaseExistsRequest, DatabaseExistsResponse,
    DeleteProducerOffsetsRequest, DeleteProducerOffsetsResponse, DescribeClusterConfigsRequest,
    DescribeClusterConfigsResponse, DropAclsRequest, DropAclsResponse, DropDatabaseRequest,
    DropDatabaseResponse, DropKvSnapshotLeaseRequest, DropKvSnapshotLeaseResponse, DropPartitionRequest,
    DropPartitionResponse, DropTableRequest, DropTableResponse, DropUserRequest, DropUserResponse,
    ErrorResponse, FetchLogRequest, FetchLogResponse, GetClusterHealthRequest, GetClusterHealthResponse,
    GetDatabaseInfoRequest, GetDatabaseInfoResponse, GetFileSystemSecurityTokenRequest,
    GetFileSystemSecurityTokenResponse, GetKvSnapshotMetadataRequest, GetKvSnapshotMetadataResponse,
    GetLakeSnapshotRequest, GetLakeSnapshotResponse, GetLatestKvSnapshotsRequest,
    GetLatestKvSnapshotsResponse, GetProducerOffsetsRequest, GetProducerOffsetsResponse,
    GetTableInfoRequest, GetTableInfoResponse, GetTableSchemaRequest, GetTableSchemaResponse,
    GetTableStatsRequest, GetTableStatsResponse, InitWriterRequest, InitWriterResponse, LimitScanRequest,
    LimitScanResponse, ListAclsRequest, ListAclsResponse, ListDatabasesRequest, ListDatabasesResponse,
    ListKvSnapshotsRequest, ListKvSnapshotsResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListPartitionInfosRequest, ListPartitionInfosResponse, ListRebalanceProgressRequest,
    ListRebalanceProgressResponse, ListRemoteLogManifestsRequest, ListRemoteLogManifestsResponse,
    ListTablesRequest, ListTablesResponse, ListUsersRequest, ListUsersResponse, LookupRequest,
    LookupResponse, MetadataRequest, MetadataResponse, PbAclFilter, PbAclInfo, PbAddColumn,
    PbAlterConfig, PbApiVersion, PbBucketMetadata, PbBucketOffset, PbCompoundPredicate,
    PbCreateAclRespInfo, PbDatabaseSummary, PbDescribeConfig, PbDropAclsFilterResult,
    PbDropAclsMatchingAcl, PbDropColumn, PbFetchLogReqForBucket, PbFetchLogReqForTable,
    PbFetchLogRespForBucket, PbFetchLogRespForTable, PbKeyValue, PbKvSnapshot,
    PbKvSnapshotLeaseForBucket, PbKvSnapshotLeaseForTable, PbLakeSnapshotForBucket, PbLeafPredicate,
    PbListOffsetsRespForBucket, PbLiteralValue, PbLookupReqForBucket, PbLookupRespForBucket,
    PbModifyBucketCount, PbModifyColumn, PbPartitionInfo, PbPartitionMetadata, PbPartitionSpec,
    PbPhysicalTablePath, PbPredicate, PbPrefixLookupReqForBucket, PbPrefixLookupRespForBucket,
    PbProduceLogReqForBucket, PbProduceLogRespForBucket, PbProducerTableOffsets, PbPutKvReqForBucket,
    PbPutKvRespForBucket, PbRebalancePlanForBucket, PbRebalanceProgressForBucket,
    PbRebalanceProgressForTable, PbRemoteLogFetchInfo, PbRemoteLogManifestEntry, PbRemoteLogSegment,
    PbRemotePathAndLocalFile, PbRenameColumn, PbScanReqForBucket, PbServerNode, PbTableBucket,
    PbTableMetadata, PbTablePath, PbTableStatsReqForBucket, PbTableStatsRespForBucket, PbUserInfo,
    PbValue, PbValueList, PrefixLookupRequest, PrefixLookupResponse, ProduceLogRequest,
    ProduceLogResponse, PutKvRequest, PutKvResponse, RebalanceRequest, RebalanceResponse,
    RegisterProducerOffsetsRequest, RegisterProducerOffsetsResponse, ReleaseKvSnapshotLeaseRequest,
    ReleaseKvSnapshotLeaseResponse, RemoveServerTagByRackRequest, RemoveServerTagByRackResponse,
    RemoveServerTagRequest, RemoveServerTagResponse, ScanKvRequest, ScanKvResponse, TableExistsRequest,
    TableExistsResponse,
}

/// The generated type reads what its description says, shares the bytes, and writes them the same way.
fn round_trip<T: Message + Default>(encoded: &[u8]) {
    let decoded = T::decode(Bytes::copy_from_slice(encoded)).unwrap();
    assert_eq!(decoded.encoded_len(), encoded.len());
    assert_eq!(decoded.encode_to_vec(), encoded);
}

/// Whatever the bytes are, decoding ends; and what it accepts can be written and read again.
fn survive<T: Message + Default>(bytes: &[u8]) {
    if let Ok(decoded) = T::decode(Bytes::copy_from_slice(bytes)) {
        let encoded = decoded.encode_to_vec();
        assert_eq!(T::decode(&*encoded).unwrap().encode_to_vec(), encoded);
    }
}

fn pool() -> DescriptorPool {
    let files = protox::compile(["proto/fluss.proto", "proto/node.proto"], ["proto"]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

fn descriptor(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(&format!("fluss.{name}")).unwrap()
}

/// Any message of a type.
fn message(descriptor: &MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    let descriptor = descriptor.clone();
    let fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    let values: Vec<_> = fields.iter().map(|field| field_value(field, depth)).collect();
    let build = move |values: Vec<Option<Value>>| {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (field, value) in fields.iter().zip(values) {
            if let Some(value) = value {
                message.set_field(field, value);
            }
        }
        message
    };
    values.prop_map(build).boxed()
}

fn field_value(field: &FieldDescriptor, depth: u32) -> BoxedStrategy<Option<Value>> {
    let required = field.cardinality() == Cardinality::Required;
    if depth == 0 && !required && matches!(field.kind(), Kind::Message(_)) {
        return Just(None).boxed();
    }
    let value = single_value(&field.kind(), depth);
    if field.is_list() {
        prop::collection::vec(value, 0..3)
            .prop_map(|values| Some(Value::List(values)))
            .boxed()
    } else if required {
        value.prop_map(Some).boxed()
    } else {
        prop::option::of(value).boxed()
    }
}

fn single_value(kind: &Kind, depth: u32) -> BoxedStrategy<Value> {
    match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int32 => any::<i32>().prop_map(Value::I32).boxed(),
        Kind::Int64 => any::<i64>().prop_map(Value::I64).boxed(),
        Kind::Float => any::<f32>().prop_map(Value::F32).boxed(),
        Kind::Double => any::<f64>().prop_map(Value::F64).boxed(),
        Kind::String => ".{0,8}".prop_map(Value::String).boxed(),
        Kind::Bytes => prop::collection::vec(any::<u8>(), 0..8)
            .prop_map(|b| Value::Bytes(b.into()))
            .boxed(),
        Kind::Message(nested) => message(nested, depth.saturating_sub(1))
            .prop_map(Value::Message)
            .boxed(),
        other => panic!("the protocol has no {other:?}"),
    }
}

/// Runs a check on some encodings of every message.
fn for_every_message(cases: u32, check: impl Fn(&[u8], Check, Check)) {
    let pool = pool();
    for (name, round_trip, survive) in messages() {
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&message(&descriptor(&pool, name), DEPTH), |message| {
            check(&message.encode_to_vec(), round_trip, survive);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_message_is_covered() {
    let pool = pool();
    let mut described: Vec<String> = pool
        .all_messages()
        .map(|message| message.name().to_owned())
        .collect();
    described.sort();
    let covered: Vec<&str> = messages().iter().map(|(name, ..)| *name).collect();
    assert_eq!(covered, described);
    assert_eq!(covered.len(), 177);
}

#[test]
fn no_secret_is_printed() {
    let secret = "open sesame";
    let create = proto::CreateUserRequest {
        password: secret.to_owned(),
        ..Default::default()
    };
    let alter = proto::AlterUserRequest {
        password: secret.to_owned(),
        ..Default::default()
    };
    let log_in = proto::AuthenticateRequest {
        token: secret.into(),
        ..Default::default()
    };
    let keys = proto::GetFileSystemSecurityTokenResponse {
        token: secret.into(),
        addition_info: vec![proto::PbKeyValue {
            key: "key".to_owned(),
            value: secret.to_owned(),
        }],
        ..Default::default()
    };
    for text in [
        format!("{create:?}"),
        format!("{alter:?}"),
        format!("{log_in:?}"),
        format!("{keys:?}"),
    ] {
        assert!(text.contains("***"), "{text}");
        // Neither as it is, nor as numbers.
        assert!(!text.contains(secret) && !text.contains("111"), "{text}");
    }
}

#[test]
fn every_message_survives_the_wire() {
    for_every_message(32, |encoded, round_trip, _| round_trip(encoded));
}

#[test]
fn truncated_messages_are_harmless() {
    for_every_message(4, |encoded, _, survive| {
        for len in 0..encoded.len() {
            survive(&encoded[..len]);
        }
    });
}

#[test]
fn flipped_bits_are_harmless() {
    for_every_message(4, |encoded, _, survive| {
        let mut bytes = encoded.to_vec();
        for bit in 0..bytes.len().min(200) * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            survive(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    });
}

#[test]
fn a_message_without_its_required_fields_reads_as_zeros() {
    for (_, _, survive) in messages() {
        survive(&[]);
    }
    let table = proto::PbTableBucket::decode(Bytes::new()).unwrap();
    assert_eq!(
        (table.table_id, table.partition_id, table.bucket_id),
        (0, None, 0)
    );
    assert_eq!(
        table.encode_to_vec(),
        [8, 0, 24, 0],
        "required fields are written even then"
    );
}

#[test]
fn predicates_that_nest_without_end_are_refused() {
    let mut predicate = proto::PbPredicate::default();
    for _ in 0..200 {
        let compound = proto::PbCompoundPredicate {
            function: 0,
            children: vec![predicate],
        };
        predicate = proto::PbPredicate {
            r#type: 1,
            compound: Some(compound),
            ..Default::default()
        };
    }
    assert!(proto::PbPredicate::decode(&*predicate.encode_to_vec()).is_err());
}

proptest! {
    #[test]
    fn numbers_are_read_packed_and_unpacked(ids in prop::collection::vec(any::<i32>(), 0..9)) {
        let packed = proto::ListOffsetsRequest { bucket_id: ids.clone(), ..Default::default() };
        let without = proto::ListOffsetsRequest::default().encode_to_vec();
        let unpacked: Vec<u8> = ids.iter().flat_map(|id| {
            let mut field = vec![5 << 3];
            prost::encoding::encode_varint(i64::from(*id) as u64, &mut field);
            field
        }).collect();
        prop_assert_eq!(proto::ListOffsetsRequest::decode(&*[without, unpacked].concat()), Ok(packed));
    }

    #[test]
    fn noise_is_harmless(noise in prop::collection::vec(any::<u8>(), 0..64)) {
        for (_, _, survive) in messages() {
            survive(&noise);
        }
    }
}

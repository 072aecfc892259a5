//! `messages_1_0.json`: requests and answers with what 1.0 added, as the Java client encodes them.

use bytes::Bytes;
use fluss_rpc::proto::*;
use prost::Message;
use serde_json::Value;

use crate::vectors::{each, hex};

/// Reads the fields of a message off its vector.
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn long(&self, name: &str) -> Option<i64> {
        self.0[name].as_i64()
    }

    fn int(&self, name: &str) -> Option<i32> {
        self.long(name).map(|number| number.try_into().unwrap())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0[name].as_str().map(ToOwned::to_owned)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0[name].as_bool()
    }

    fn bytes(&self, name: &str) -> Option<Bytes> {
        self.0[name].as_str().map(|_| hex(&self.0[name]).into())
    }

    fn each<T>(&self, name: &str, make: impl Fn(Fields<'a>) -> T) -> Vec<T> {
        let parts = self.0[name].as_array().into_iter().flatten();
        parts.map(|part| make(Fields(part))).collect()
    }

    fn inner<T>(&self, name: &str, make: impl Fn(Fields<'a>) -> T) -> Option<T> {
        self.0[name].is_object().then(|| make(Fields(&self.0[name])))
    }

    fn ints(&self, name: &str) -> Vec<i32> {
        self.each(name, |number| i32::try_from(number.0.as_i64().unwrap()).unwrap())
    }

    fn path(&self) -> PbTablePath {
        PbTablePath {
            database_name: self.0["table_path"][0].as_str().unwrap().to_owned(),
            table_name: self.0["table_path"][1].as_str().unwrap().to_owned(),
        }
    }

    fn keys(&self) -> Vec<Bytes> {
        self.each("keys", |key| hex(key.0).into())
    }
}

fn produce(f: &Fields<'_>) -> ProduceLogRequest {
    ProduceLogRequest {
        acks: f.int("acks").unwrap(),
        table_id: f.long("table_id").unwrap(),
        timeout_ms: f.int("timeout_ms").unwrap(),
        buckets_req: f.each("buckets_req", |f| PbProduceLogReqForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            records: f.bytes("records").unwrap(),
            original_partition_name: f.text("original_partition_name"),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
    }
}

fn put(f: &Fields<'_>) -> PutKvRequest {
    PutKvRequest {
        acks: f.int("acks").unwrap(),
        table_id: f.long("table_id").unwrap(),
        timeout_ms: f.int("timeout_ms").unwrap(),
        target_columns: f.ints("target_columns"),
        buckets_req: f.each("buckets_req", |f| PbPutKvReqForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            records: f.bytes("records").unwrap(),
            original_partition_name: f.text("original_partition_name"),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
        agg_mode: f.int("agg_mode"),
    }
}

fn put_answer(f: &Fields<'_>) -> PutKvResponse {
    PutKvResponse {
        buckets_resp: f.each("buckets_resp", |f| PbPutKvRespForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            error_code: f.int("error_code"),
            error_message: f.text("error_message"),
            log_end_offset: f.long("log_end_offset"),
            pressure: f.text("pressure").map(|number| number.parse().unwrap()),
            original_partition_name: f.text("original_partition_name"),
        }),
    }
}

fn look_up(f: &Fields<'_>) -> LookupRequest {
    LookupRequest {
        table_id: f.long("table_id").unwrap(),
        buckets_req: f.each("buckets_req", |f| PbLookupReqForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            keys: f.keys(),
            original_partition_name: f.text("original_partition_name"),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
        ..Default::default()
    }
}

fn prefix_look_up(f: &Fields<'_>) -> PrefixLookupRequest {
    PrefixLookupRequest {
        table_id: f.long("table_id").unwrap(),
        buckets_req: f.each("buckets_req", |f| PbPrefixLookupReqForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            keys: f.keys(),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
    }
}

/// `column > number`, where the column is the first of its table.
fn above(f: &Fields<'_>) -> PbPredicate {
    assert_eq!(
        (f.text("function").unwrap(), f.text("column").unwrap()),
        (">".to_owned(), "id".to_owned())
    );
    PbPredicate {
        r#type: 0,
        leaf: Some(PbLeafPredicate {
            function: 4,
            field_id: 0,
            literals: f.each("literals", |f| PbLiteralValue {
                literal_type: 3,
                int_value: Some(f.0.as_i64().unwrap().try_into().unwrap()),
                ..Default::default()
            }),
        }),
        compound: None,
    }
}

fn fetch(f: &Fields<'_>) -> FetchLogRequest {
    FetchLogRequest {
        follower_server_id: f.int("follower_server_id").unwrap(),
        max_bytes: f.int("max_bytes").unwrap(),
        tables_req: f.each("tables_req", |f| PbFetchLogReqForTable {
            table_id: f.long("table_id").unwrap(),
            projection_pushdown_enabled: f.flag("projection_pushdown_enabled").unwrap(),
            projected_fields: f.ints("projected_fields"),
            buckets_req: f.each("buckets_req", |f| PbFetchLogReqForBucket {
                partition_id: f.long("partition_id"),
                bucket_id: f.int("bucket_id").unwrap(),
                fetch_offset: f.long("fetch_offset").unwrap(),
                max_fetch_bytes: f.int("max_fetch_bytes").unwrap(),
                routing_bucket_count: f.int("routing_bucket_count"),
            }),
            filter_predicate: f.inner("filter_predicate", |f| above(&f)),
            filter_schema_id: f.int("filter_schema_id"),
        }),
        max_wait_ms: f.int("max_wait_ms"),
        min_bytes: f.int("min_bytes"),
        read_preference: f.int("read_preference"),
    }
}

fn fetched(f: &Fields<'_>) -> FetchLogResponse {
    FetchLogResponse {
        tables_resp: f.each("tables_resp", |f| PbFetchLogRespForTable {
            table_id: f.long("table_id").unwrap(),
            buckets_resp: f.each("buckets_resp", |f| PbFetchLogRespForBucket {
                bucket_id: f.int("bucket_id").unwrap(),
                high_watermark: f.long("high_watermark"),
                log_start_offset: f.long("log_start_offset"),
                records: f.bytes("records"),
                filtered_end_offset: f.long("filtered_end_offset"),
                min_retain_offset: f.long("min_retain_offset"),
                ..Default::default()
            }),
        }),
    }
}

fn limit_scan(f: &Fields<'_>) -> LimitScanRequest {
    LimitScanRequest {
        table_id: f.long("table_id").unwrap(),
        partition_id: f.long("partition_id"),
        bucket_id: f.int("bucket_id").unwrap(),
        limit: f.int("limit").unwrap(),
        routing_bucket_count: f.int("routing_bucket_count"),
    }
}

fn scan(f: &Fields<'_>) -> ScanKvRequest {
    ScanKvRequest {
        scanner_id: f.bytes("scanner_id"),
        bucket_scan_req: f.inner("bucket_scan_req", |f| PbScanReqForBucket {
            table_id: f.long("table_id").unwrap(),
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            limit: f.long("limit"),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
        call_seq_id: f.int("call_seq_id"),
        batch_size_bytes: f.int("batch_size_bytes"),
        close_scanner: f.flag("close_scanner"),
    }
}

fn list_offsets(f: &Fields<'_>) -> ListOffsetsRequest {
    ListOffsetsRequest {
        follower_server_id: f.int("follower_server_id").unwrap(),
        offset_type: f.int("offset_type").unwrap(),
        table_id: f.long("table_id").unwrap(),
        partition_id: f.long("partition_id"),
        bucket_id: f.ints("bucket_id"),
        start_timestamp: f.long("startTimestamp"),
        routing_bucket_count: f.int("routing_bucket_count"),
    }
}

fn table_stats(f: &Fields<'_>) -> GetTableStatsRequest {
    GetTableStatsRequest {
        table_id: f.long("table_id").unwrap(),
        buckets_req: f.each("buckets_req", |f| PbTableStatsReqForBucket {
            partition_id: f.long("partition_id"),
            bucket_id: f.int("bucket_id").unwrap(),
            routing_bucket_count: f.int("routing_bucket_count"),
        }),
        target_columns: f.ints("target_columns"),
    }
}

fn alter_table(f: &Fields<'_>) -> AlterTableRequest {
    AlterTableRequest {
        table_path: f.path(),
        ignore_if_not_exists: f.flag("ignore_if_not_exists").unwrap(),
        modify_bucket_count: f.inner("modify_bucket_count", |f| PbModifyBucketCount {
            new_bucket_count: f.int("new_bucket_count").unwrap(),
        }),
        ..Default::default()
    }
}

fn list_partitions(f: &Fields<'_>) -> ListPartitionInfosRequest {
    ListPartitionInfosRequest {
        table_path: f.path(),
        include_system_partitions: f.flag("include_system_partitions"),
        ..Default::default()
    }
}

fn partitions(f: &Fields<'_>) -> ListPartitionInfosResponse {
    ListPartitionInfosResponse {
        partitions_info: f.each("partitions_info", |f| PbPartitionInfo {
            partition_id: f.long("partition_id").unwrap(),
            partition_spec: PbPartitionSpec {
                partition_key_values: f.each("partition_spec", |entry| PbKeyValue {
                    key: entry.0[0].as_str().unwrap().to_owned(),
                    value: entry.0[1].as_str().unwrap().to_owned(),
                }),
            },
            remote_data_dir: f.text("remote_data_dir"),
            bucket_count: f.int("bucket_count"),
        }),
        system_partitions_included: f.flag("system_partitions_included"),
    }
}

fn tag_by_rack(f: &Fields<'_>) -> AddServerTagByRackRequest {
    AddServerTagByRackRequest {
        racks: f.each("racks", |rack| rack.0.as_str().unwrap().to_owned()),
        server_tag: f.int("server_tag").unwrap(),
    }
}

fn metadata(f: &Fields<'_>) -> MetadataResponse {
    MetadataResponse {
        partition_metadata: f.each("partition_metadata", |f| PbPartitionMetadata {
            table_id: f.long("table_id").unwrap(),
            partition_name: f.text("partition_name").unwrap(),
            partition_id: f.long("partition_id").unwrap(),
            bucket_metadata: f.each("bucket_metadata", |f| PbBucketMetadata {
                bucket_id: f.int("bucket_id").unwrap(),
                leader_id: f.int("leader_id"),
                replica_id: f.ints("replica_id"),
                leader_epoch: f.int("leader_epoch"),
                bucket_epoch: f.int("bucket_epoch"),
                isr: f.ints("isr"),
            }),
            bucket_count: f.int("bucket_count"),
        }),
        ..Default::default()
    }
}

/// Compares a message with its bytes, both ways, and says whether they are the same to the byte: the Java client writes
/// lists without elements too, and nobody else does.
fn check<M: Message + Default + PartialEq + std::fmt::Debug>(vector: &Value, expected: &M) -> bool {
    let bytes = hex(&vector["bytes"]);
    assert_eq!(&M::decode(&*bytes).unwrap(), expected);
    let ours = expected.encode_to_vec();
    assert_eq!(&M::decode(&*ours).unwrap(), expected);
    let without_empty_lists = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != 0).count();
    assert!(ours.len() <= bytes.len() && bytes.len() - ours.len() <= 4);
    assert!(without_empty_lists(&bytes) - without_empty_lists(&ours) <= 2);
    ours == bytes
}

#[test]
fn messages_of_1_0_are_read_and_written() {
    let mut same = 0;
    each("messages_1_0.json", 21, |vector| {
        let fields = Fields(&vector["fields"]);
        same += i32::from(match vector["message"].as_str().unwrap() {
            "ProduceLogRequest" => check(vector, &produce(&fields)),
            "PutKvRequest" => check(vector, &put(&fields)),
            "PutKvResponse" => check(vector, &put_answer(&fields)),
            "LookupRequest" => check(vector, &look_up(&fields)),
            "PrefixLookupRequest" => check(vector, &prefix_look_up(&fields)),
            "FetchLogRequest" => check(vector, &fetch(&fields)),
            "FetchLogResponse" => check(vector, &fetched(&fields)),
            "LimitScanRequest" => check(vector, &limit_scan(&fields)),
            "ScanKvRequest" => check(vector, &scan(&fields)),
            "ListOffsetsRequest" => check(vector, &list_offsets(&fields)),
            "GetTableStatsRequest" => check(vector, &table_stats(&fields)),
            "AlterTableRequest" => check(vector, &alter_table(&fields)),
            "ListPartitionInfosRequest" => check(vector, &list_partitions(&fields)),
            "ListPartitionInfosResponse" => check(vector, &partitions(&fields)),
            "AddServerTagByRackRequest" => check(vector, &tag_by_rack(&fields)),
            "MetadataResponse" => check(vector, &metadata(&fields)),
            other => panic!("{other}"),
        });
    });
    println!("messages_1_0.json: {same} are the same to the byte");
    assert!(same >= 16, "{same}");
}

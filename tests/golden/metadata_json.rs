//! `metadata_json.json`: documents that servers keep beside the data. Nothing here reads them yet but as JSON; the
//! fields that a reader of remote files needs are where they are expected.

use serde_json::Value;

use crate::vectors::each;

fn check_manifest(json: &Value) {
    let segments = json["remote_log_segments"].as_array().unwrap();
    assert!(!segments.is_empty());
    for segment in segments {
        assert_eq!(segment["segment_id"].as_str().unwrap().len(), 36);
        assert!(segment["start_offset"].as_i64().unwrap() < segment["end_offset"].as_i64().unwrap());
        assert!(segment["size_in_bytes"].is_i64() && segment["max_timestamp"].is_i64());
    }
}

fn check_snapshot(json: &Value) {
    let handle = &json["kv_snapshot_handle"];
    let mut size = 0;
    for kind in ["shared_file_handles", "private_file_handles"] {
        for file in handle[kind].as_array().unwrap() {
            assert!(file["local_path"].is_string() && file["kv_file_handle"]["path"].is_string());
            size += file["kv_file_handle"]["size"].as_i64().unwrap();
        }
    }
    assert_eq!(handle["snapshot_incremental_size"], size);
    assert!(json["snapshot_location"].is_string() && json["log_offset"].is_i64());
}

#[test]
fn documents_have_their_fields() {
    each("metadata_json.json", 4, |vector| {
        let json = &vector["json"];
        assert_eq!(json["version"], 1);
        assert_eq!(json["table_id"], 12);
        assert_eq!(json["bucket_id"], 3);
        let partition = vector["partitioned"].as_bool().unwrap().then_some(77);
        assert_eq!(json["partition_id"].as_i64(), partition);
        match vector["kind"].as_str().unwrap() {
            "remote_log_manifest" => check_manifest(json),
            "kv_snapshot_metadata" => check_snapshot(json),
            kind => panic!("{kind}"),
        }
    });
}

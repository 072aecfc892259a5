//! What a client is told of a table that it names by its number, and may not see.

use super::*;

/// The name of the table that nobody is told.
const SECRET: &str = "numbers";

fn login(name: &str) -> ConnectOptions {
    ConnectOptions {
        credentials: Some(Credentials::plain(name, "secret")),
        ..ConnectOptions::default()
    }
}

/// What a refusal tells: of the whole request, or in its answer.
fn told<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> String {
    format!("{answer:?}")
}

#[tokio::test]
async fn no_request_by_number_tells_the_name_of_a_table() {
    let mut options = secured();
    let users = ["root", "eve"].map(|name| user_line(name, "secret").unwrap());
    options.users = Some(Users::parse(&users.join("\n")).unwrap());
    let (_node, address) = listening(options).await;
    let root = Connection::connect(&address, &login("root")).await.unwrap();
    let table_id = numbers(&root).await;
    let eve = Connection::connect(&address, &login("eve")).await.unwrap();
    let lookup = proto::LookupRequest {
        table_id,
        buckets_req: vec![proto::PbLookupReqForBucket {
            keys: vec![Bytes::from_static(b"k")],
            ..Default::default()
        }],
        ..Default::default()
    };
    let inserting = proto::LookupRequest {
        insert_if_not_exists: Some(true),
        ..lookup.clone()
    };
    let prefix = proto::PrefixLookupRequest {
        table_id,
        buckets_req: vec![proto::PbPrefixLookupReqForBucket::default()],
    };
    let scan = proto::ScanKvRequest {
        bucket_scan_req: Some(proto::PbScanReqForBucket {
            table_id,
            ..Default::default()
        }),
        call_seq_id: Some(0),
        batch_size_bytes: Some(1),
        ..Default::default()
    };
    let put = proto::PutKvRequest {
        acks: -1,
        table_id,
        timeout_ms: 1_000,
        buckets_req: vec![proto::PbPutKvReqForBucket::default()],
        ..Default::default()
    };
    let limit = proto::LimitScanRequest {
        table_id,
        limit: 1,
        ..Default::default()
    };
    let stats = proto::GetTableStatsRequest {
        table_id,
        buckets_req: vec![proto::PbTableStatsReqForBucket::default()],
        ..Default::default()
    };
    let offsets = proto::ListOffsetsRequest {
        table_id,
        bucket_id: vec![0],
        follower_server_id: -1,
        ..Default::default()
    };
    let snapshot = proto::GetKvSnapshotMetadataRequest {
        table_id,
        ..Default::default()
    };
    let producer = proto::RegisterProducerOffsetsRequest {
        producer_id: "p".to_owned(),
        table_offsets: vec![proto::PbProducerTableOffsets {
            table_id,
            ..Default::default()
        }],
        ttl_ms: None,
    };
    let told = [
        told(eve.request(&produce(table_id, 1)).await),
        told(eve.request(&put).await),
        told(eve.request(&fetch(table_id, 0, 1)).await),
        told(eve.request(&lookup).await),
        told(eve.request(&inserting).await),
        told(eve.request(&prefix).await),
        told(eve.request(&limit).await),
        told(eve.request(&stats).await),
        told(eve.request(&scan).await),
        told(eve.request(&offsets).await),
        told(eve.request(&snapshot).await),
        told(eve.request(&producer).await),
    ];
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
        assert!(
            text.contains(&format!("table {table_id}")) && text.contains("User:eve may not"),
            "{text}"
        );
    }
}

//! A disk that runs full is told at once, with a code, and everything goes on when there is room again.

use std::sync::Arc;

use fluss_core::record::kv::KvBatchBuilder;
use fluss_core::row::{KeyEncoder, KeyFormat};
use fluss_store::disk::faulty::FaultyDisk;

use super::*;
use crate::Sync;

/// Far less than the client would wait.
const AT_ONCE: Duration = Duration::from_secs(20);

fn keyed() -> Schema {
    let columns = Schema::builder()
        .column("id", DataType::int())
        .column("v", DataType::bytes());
    columns.primary_key(["id"]).build().unwrap()
}

fn put(table_id: i64, id: i32) -> proto::PutKvRequest {
    let schema = keyed();
    let row = [Datum::Int(id), Datum::Bytes(vec![7; 500].into())];
    let (mut key, mut bytes) = (Vec::new(), Vec::new());
    let encoder = KeyEncoder::new(KeyFormat::Fluss, schema.row_type(), &[0]).unwrap();
    encoder.encode(&row[..], &mut key).unwrap();
    RowFormat::Compacted
        .encode(schema.row_type(), &row[..], &mut bytes)
        .unwrap();
    let mut batch = KvBatchBuilder::new(SchemaId(1));
    batch.append(&key, Some(&bytes)).unwrap();
    proto::PutKvRequest {
        acks: -1,
        table_id,
        timeout_ms: 60_000,
        buckets_req: vec![proto::PbPutKvReqForBucket {
            records: batch.finish().unwrap().seal(None),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_full_disk_is_told_at_once() {
    for sync in [Sync::Always, Sync::Never] {
        let disk = FaultyDisk::new(1);
        let mut options = NodeOptions::new(Storage::Disk(Arc::new(disk.clone())));
        options.sync = sync;
        let (_node, address) = listening(options).await;
        let connection = Connection::connect(&address, &ConnectOptions::default()).await;
        let connection = connection.unwrap();
        let log = numbers(&connection).await;
        let keys = create_table(&connection, "keys", keyed(), &[]).await.unwrap();
        let stored = connection.request(&produce(log, 1)).await.unwrap();
        assert_eq!(stored.buckets_resp[0].base_offset, Some(0));
        connection.request(&put(keys, 1)).await.unwrap();
        disk.set_room(Some(10));
        let refused = async {
            let answer = connection.request(&produce(log, 2)).await.unwrap();
            let bucket = &answer.buckets_resp[0];
            let of_log = (bucket.error_code, bucket.error_message.clone());
            let answer = connection.request(&put(keys, 2)).await.unwrap();
            let bucket = &answer.buckets_resp[0];
            let of_keys = (bucket.error_code, bucket.error_message.clone());
            let created = create_table(&connection, "more", keyed(), &[]).await;
            (of_log, of_keys, created)
        };
        let (of_log, of_keys, created) = tokio::time::timeout(AT_ONCE, refused).await.unwrap();
        for (code, message) in [of_log, of_keys] {
            assert_eq!(code, Some(ErrorCode::DISK_WRITE_LOCKED.number()));
            let message = message.unwrap();
            assert!(message.contains(".log: "), "{message}");
        }
        match created {
            Err(RequestError::Server { code, message, .. }) => {
                assert_eq!(code, ErrorCode::STORAGE_EXCEPTION);
                assert!(format!("{message:?}").contains("the catalog: "), "{message:?}");
            }
            other => panic!("{other:?}"),
        }
        disk.set_room(None);
        let stored = connection.request(&produce(log, 2)).await.unwrap();
        assert_eq!(
            stored.buckets_resp[0].base_offset,
            Some(1),
            "nothing of it was stored"
        );
        let stored = connection.request(&put(keys, 2)).await.unwrap();
        assert_eq!(stored.buckets_resp[0].log_end_offset, Some(2));
        create_table(&connection, "more", keyed(), &[]).await.unwrap();
    }
}

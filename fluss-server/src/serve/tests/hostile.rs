//! Clients that ask for much with little, say nothing, or do not listen.

use fluss_core::record::kv::KvBatchBuilder;
use fluss_core::types::RowType;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn connect(address: &ServerAddress) -> Connection {
    in_time(Connection::connect(address, &ConnectOptions::default()))
        .await
        .unwrap()
}

async fn is_served(address: &ServerAddress) {
    let connection = connect(address).await;
    let request = proto::ListDatabasesRequest::default();
    in_time(connection.request(&request)).await.unwrap();
}

impl Raw {
    async fn say(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_length_alone_takes_no_memory_from_others() {
    let (_node, address) = listening(options()).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut client = Raw::connect(&address).await;
        client.say(&(100_u32 << 20).saturating_sub(4).to_be_bytes()).await;
        silent.push(client);
    }
    is_served(&address).await;
}

#[tokio::test]
async fn frames_that_share_too_little_memory_all_arrive() {
    let mut options = options();
    (options.limits.memory_bytes, options.limits.request_bytes) = (600 << 10, 300 << 10);
    let (_node, address) = listening(options).await;
    let mut message = Vec::new();
    let header = RequestHeader {
        api_key: ApiKey::ListTables.number(),
        api_version: 0,
        request_id: 7,
    };
    fluss_rpc::header::Header::encode(&header, &mut message);
    let request = proto::ListTablesRequest {
        database_name: "x".repeat(280 << 10),
    };
    message.extend_from_slice(&request.encode_to_vec());
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let (begin, end) = message.split_at(message.len() / 2);
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = Raw::connect(&address).await;
        client.say(&length).await;
        client.say(begin).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.say(end).await;
    }
    for client in &mut clients {
        let (header, code, _) = in_time(client.refusal()).await;
        assert_eq!(header, ResponseHeader::Error { request_id: 7 });
        assert_eq!(code, ErrorCode::DATABASE_NOT_EXIST);
    }
}

#[tokio::test]
async fn before_a_login_frames_are_small() {
    let (_node, address) = listening(secured()).await;
    let mut client = Raw::connect(&address).await;
    client.say(&(64_u32 << 10).to_be_bytes()).await;
    let (header, code, message) = in_time(client.refusal()).await;
    assert_eq!(
        (header, code),
        (ResponseHeader::ServerFailure, ErrorCode::RECORD_TOO_LARGE)
    );
    assert!(message.contains("limit of 65536 bytes"), "{message}");
}

#[tokio::test]
async fn a_frame_that_does_not_end_in_time_ends_the_connection_with_a_reason() {
    let mut options = options();
    options.limits.frame = Duration::from_millis(50);
    let (_node, address) = listening(options).await;
    let mut client = Raw::connect(&address).await;
    client.say(&1_000_u32.to_be_bytes()).await;
    client.say(b"begins").await;
    let (header, code, message) = in_time(client.refusal()).await;
    assert_eq!(
        (header, code),
        (ResponseHeader::ServerFailure, ErrorCode::REQUEST_TIME_OUT)
    );
    assert!(message.contains("1004 bytes"), "{message}");
    assert!(in_time(client.receive()).await.is_none());
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_that_waits_for_news_is_not() {
    let mut options = options();
    options.limits.idle = Duration::from_millis(50);
    let (_node, address) = listening(options).await;
    let connection = connect(&address).await;
    let table = numbers(&connection).await;
    let waiting = connection.send(&fetch(table, 0, 500));
    let mut idle = Raw::connect(&address).await;
    assert!(in_time(idle.receive()).await.is_none());
    in_time(waiting).await.unwrap();
    in_time(connection.closed()).await;
}

#[tokio::test]
async fn who_is_one_too_many_is_told_so() {
    let mut options = options();
    options.limits.connections = 1;
    let (_node, address) = listening(options).await;
    let _first = connect(&address).await;
    let refused = Connection::connect(&address, &ConnectOptions::default()).await;
    let error = refused.unwrap_err();
    assert!(error.is_retriable(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("too many connections: 1 are open, which is the most (max.connections)"),
        "{text}"
    );
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let mut options = options();
    options.limits.connections_of_host = 2;
    let (_node, address) = listening(options).await;
    let _connections = (connect(&address).await, connect(&address).await);
    let refused = Connection::connect(&address, &ConnectOptions::default()).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("2 are open, which is the most (max.connections-per-host)"),
        "{text}"
    );
}

#[tokio::test]
async fn logins_of_a_connection_are_checked_one_after_the_other() {
    let (_node, address) = listening(secured()).await;
    let mut client = Raw::connect(&address).await;
    let login = |password: &str| {
        let request = proto::AuthenticateRequest {
            protocol: "PLAIN".to_owned(),
            token: format!("\0root\0{password}").into_bytes().into(),
        };
        request.encode_to_vec()
    };
    let authenticate = ApiKey::Authenticate.number();
    for id in 0..3 {
        client.send(authenticate, id, &login("wrong")).await;
    }
    client.send(authenticate, 3, &login("root-secret")).await;
    // What comes behind a login waits for it.
    client.send(ApiKey::ListDatabases.number(), 4, b"").await;
    for request_id in 0..3 {
        let (header, code, _) = in_time(client.refusal()).await;
        assert_eq!(header, ResponseHeader::Error { request_id });
        assert_eq!(code, ErrorCode::AUTHENTICATE_EXCEPTION);
    }
    for request_id in 3..5 {
        let (header, _) = in_time(client.receive()).await.unwrap();
        assert_eq!(header, ResponseHeader::Success { request_id });
    }
}

/// A primary-key table with so many rows, each with so many bytes.
async fn rows(connection: &Connection, count: u8, bytes: usize) -> i64 {
    let schema = Schema::builder()
        .column("id", DataType::int().not_null())
        .column("value", DataType::string())
        .primary_key(["id"])
        .build()
        .unwrap();
    let row_type = schema.row_type().clone();
    let table_id = create_table(connection, "rows", schema, &[]).await.unwrap();
    for id in 0..count {
        let put = put(table_id, &row_type, &[(id, "x".repeat(bytes))]);
        let answer = connection.request(&put).await.unwrap();
        assert_eq!(answer.buckets_resp[0].error_message, None);
    }
    table_id
}

fn put(table_id: i64, row_type: &RowType, rows: &[(u8, String)]) -> proto::PutKvRequest {
    let mut batch = KvBatchBuilder::new(SchemaId(1));
    for (id, value) in rows {
        let row = vec![Datum::Int(i32::from(*id)), Datum::from(value.clone())];
        let written = batch.append_with(&[*id], |out| RowFormat::Compacted.encode(row_type, &row, out));
        written.unwrap();
    }
    proto::PutKvRequest {
        acks: -1,
        table_id,
        timeout_ms: 1_000,
        buckets_req: vec![proto::PbPutKvReqForBucket {
            records: batch.finish().unwrap().seal(None),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn look_up(table_id: i64, keys: Vec<Bytes>) -> proto::LookupRequest {
    proto::LookupRequest {
        table_id,
        buckets_req: vec![proto::PbLookupReqForBucket {
            keys,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn look_up_prefix(table_id: i64, keys: Vec<Bytes>) -> proto::PrefixLookupRequest {
    proto::PrefixLookupRequest {
        table_id,
        buckets_req: vec![proto::PbPrefixLookupReqForBucket {
            keys,
            ..Default::default()
        }],
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, RequestError>) -> ErrorCode {
    match result.unwrap_err() {
        RequestError::Server { code, message } => {
            assert!(message.contains("max."), "{message}");
            code
        }
        other => panic!("no answer of the server: {other}"),
    }
}

#[tokio::test]
async fn no_answer_is_larger_than_the_limit() {
    const ROW_BYTES: usize = 10_000;
    let mut options = options();
    options.limits.answer_bytes = 100_000;
    let (_node, address) = listening(options).await;
    let connection = connect(&address).await;
    let table = rows(&connection, 20, ROW_BYTES).await;
    let key = Bytes::from_static(&[0]);
    // A few fit, however often they are asked for.
    let found = connection
        .request(&look_up(table, vec![key.clone(); 5]))
        .await
        .unwrap();
    assert_eq!(found.buckets_resp[0].values.len(), 5);
    let too_many = connection
        .request(&look_up(table, vec![key.clone(); 1_000]))
        .await;
    assert_eq!(code(too_many), ErrorCode::RECORD_TOO_LARGE);
    let one = connection
        .request(&look_up_prefix(table, vec![key.clone(); 5]))
        .await
        .unwrap();
    assert_eq!(one.buckets_resp[0].value_lists.len(), 5);
    let all = connection
        .request(&look_up_prefix(table, vec![Bytes::new()]))
        .await;
    assert_eq!(code(all), ErrorCode::RECORD_TOO_LARGE);
    let scan = |limit| proto::LimitScanRequest {
        table_id: table,
        limit,
        ..Default::default()
    };
    let few = connection.request(&scan(4)).await.unwrap();
    assert!(few.records.unwrap().len() > 4 * ROW_BYTES);
    assert_eq!(
        code(connection.request(&scan(i32::MAX)).await),
        ErrorCode::RECORD_TOO_LARGE
    );
    let mut log = fetch(table, 0, 0);
    log.max_bytes = i32::MAX;
    log.tables_req[0].buckets_req[0].max_fetch_bytes = i32::MAX;
    // There is more in the log than fits: the rest is for the next fetch.
    let fetched = connection.request(&log).await.unwrap();
    let bytes = fetched.tables_resp[0].buckets_resp[0]
        .records
        .as_ref()
        .unwrap()
        .len();
    assert!((1..=100_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_bucket_that_is_named_again_and_again_is_answered_once() {
    let (_node, address) = listening(options()).await;
    let connection = connect(&address).await;
    let table = numbers(&connection).await;
    connection.request(&produce(table, 7)).await.unwrap();
    let mut request = fetch(table, 0, 0);
    let bucket = request.tables_req[0].buckets_req[0];
    request.tables_req[0].buckets_req = vec![bucket; 50_000];
    let table_again = request.tables_req[0].clone();
    request.tables_req.push(table_again);
    let fetched = in_time(connection.request(&request)).await.unwrap();
    assert_eq!(fetched.tables_resp.len(), 1);
    assert_eq!(fetched.tables_resp[0].buckets_resp.len(), 1);
    let records = fetched.tables_resp[0].buckets_resp[0].records.as_ref();
    assert_eq!(records.map(Bytes::len), Some(batch(7).len()));
    let offsets = proto::ListOffsetsRequest {
        follower_server_id: -1,
        offset_type: 1,
        table_id: table,
        bucket_id: vec![0; 50_000],
        ..Default::default()
    };
    let offsets = in_time(connection.request(&offsets)).await.unwrap();
    assert_eq!(offsets.buckets_resp.len(), 1);
    assert_eq!(offsets.buckets_resp[0].offset, Some(1));
    let stats = proto::GetTableStatsRequest {
        table_id: table,
        buckets_req: vec![proto::PbTableStatsReqForBucket::default(); 50_000],
        ..Default::default()
    };
    let stats = in_time(connection.request(&stats)).await.unwrap();
    assert_eq!(stats.buckets_resp.len(), 1);
    assert_eq!(stats.buckets_resp[0].row_count, Some(1));
}

#[tokio::test]
async fn a_request_lists_no_more_than_the_limit() {
    let mut options = options();
    options.limits.entries = 100;
    let (_node, address) = listening(options).await;
    let connection = connect(&address).await;
    let offsets = |count| proto::ListOffsetsRequest {
        table_id: 1,
        bucket_id: vec![0; count],
        ..Default::default()
    };
    assert!(connection.request(&offsets(100)).await.is_ok());
    assert_eq!(
        code(connection.request(&offsets(101)).await),
        ErrorCode::RECORD_TOO_LARGE
    );
    let keys = |count| look_up(1, vec![Bytes::new(); count]);
    assert_eq!(
        code(connection.request(&keys(100)).await),
        ErrorCode::RECORD_TOO_LARGE
    );
}

#[tokio::test]
async fn who_does_not_read_answers_does_not_keep_memory_from_others_for_long() {
    const ROW_BYTES: usize = 1 << 20;
    let mut options = options();
    options.limits.memory_bytes = 8 << 20;
    options.limits.request_bytes = 2 << 20;
    options.limits.frame = Duration::from_millis(300);
    let (_node, address) = listening(options).await;
    let connection = connect(&address).await;
    let table = rows(&connection, 1, ROW_BYTES).await;
    let key = Bytes::from_static(&[0]);
    let request = look_up(table, vec![key; 6]);
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut client = Raw::connect(&address).await;
        for id in 0..4 {
            client
                .send(ApiKey::Lookup.number(), id, &request.encode_to_vec())
                .await;
        }
        deaf.push(client);
    }
    for _ in 0..4 {
        let found = in_time(connection.request(&request)).await.unwrap();
        assert_eq!(found.buckets_resp[0].values.len(), 6);
    }
    // What is not read at all is given up.
    for mut client in deaf {
        let mut answers = 0;
        while let Ok(Some(_)) = in_time(client.inbox.next()).await {
            answers += 1;
        }
        assert!(answers < 4, "{answers}");
    }
}

#[tokio::test]
async fn scans_end_with_their_connection() {
    let (_node, address) = listening(options()).await;
    let connection = connect(&address).await;
    let table_id = rows(&connection, 3, 100).await;
    let scan = proto::ScanKvRequest {
        bucket_scan_req: Some(proto::PbScanReqForBucket {
            table_id,
            ..Default::default()
        }),
        call_seq_id: Some(0),
        batch_size_bytes: Some(1),
        ..Default::default()
    };
    for _ in 0..8 {
        let opened = connection.request(&scan).await.unwrap();
        assert_eq!(opened.has_more_results, Some(true));
    }
    let other = connect(&address).await;
    let refused = other.request(&scan).await.unwrap();
    assert_eq!(refused.error_code, Some(ErrorCode::TOO_MANY_SCANNERS.number()));
    connection.close();
    // Their places come back once the node has seen that the connection is gone.
    let again = async {
        while other.request(&scan).await.unwrap().error_code.is_some() {
            tokio::task::yield_now().await;
        }
    };
    in_time(again).await;
}

#[tokio::test]
async fn a_batch_whose_changes_nobody_could_read_is_refused_and_changes_nothing() {
    let mut options = options();
    options.limits.answer_bytes = 400_000;
    options.limits.memory_bytes = 1 << 20;
    let (_node, address) = listening(options).await;
    let connection = connect(&address).await;
    let table_id = rows(&connection, 1, 10).await;
    let row_type = RowType::new([
        fluss_core::types::Field::new("id", DataType::int().not_null()),
        fluss_core::types::Field::new("value", DataType::string()),
    ]);
    // Each replaces the one before: the changelog has both, again and again.
    let again = |count| put(table_id, &row_type, &vec![(0, "y".repeat(10_000)); count]);
    let refused = connection.request(&again(20)).await.unwrap();
    let refused = &refused.buckets_resp[0];
    assert_eq!(refused.error_code, Some(ErrorCode::RECORD_TOO_LARGE.number()));
    let message = refused.error_message.as_deref().unwrap_or_default();
    assert!(message.contains("more than 300000 bytes"), "{message}");
    let key = look_up(table_id, vec![Bytes::from_static(&[0])]);
    let found = connection.request(&key).await.unwrap();
    let value = found.buckets_resp[0].values[0].values.as_ref().unwrap();
    assert!(value.ends_with(b"xxxxxxxxxx"), "{value:?}");
    let end = fetch(table_id, 1, 0);
    let fetched = connection.request(&end).await.unwrap();
    assert_eq!(fetched.tables_resp[0].buckets_resp[0].high_watermark, Some(1));
    let taken = connection.request(&again(10)).await.unwrap();
    assert_eq!(taken.buckets_resp[0].error_message, None);
}

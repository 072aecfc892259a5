//! What clients see of a node, frame by frame.

mod full;
mod hidden;
mod hostile;
mod inside;
mod malformed;
mod tls;
mod users;

use std::time::Duration;

use bytes::Bytes;
use fluss_core::id::SchemaId;
use fluss_core::record::log::ChangeType;
use fluss_core::record::log::RowsBuilder;
use fluss_core::row::RowFormat;
use fluss_core::types::{DataType, Datum, Schema, TableDescriptor};
use fluss_rpc::api::ApiKey;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::header::{RequestHeader, ResponseHeader};
use fluss_rpc::net::{ConnectOptions, Connection, Credentials, Inbox, RequestError, ServerAddress};
use fluss_rpc::proto;
use prost::Message;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use crate::security::{Access, user_line};
use crate::{Node, NodeOptions, Storage, Users};

const LIMIT: usize = 1 << 20;

fn options() -> NodeOptions {
    NodeOptions::new(Storage::Memory)
}

async fn listening(options: NodeOptions) -> (Node, ServerAddress) {
    let node = Node::open(options).unwrap();
    let address = node.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    (node, ServerAddress::new("127.0.0.1", address.port()))
}

/// A connection that says what it wants, byte by byte.
struct Raw {
    inbox: Inbox<ReadHalf<TcpStream>>,
    writer: WriteHalf<TcpStream>,
}

impl Raw {
    async fn connect(address: &ServerAddress) -> Self {
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .unwrap();
        let (reader, writer) = tokio::io::split(stream);
        Self {
            inbox: Inbox::new(reader, LIMIT),
            writer,
        }
    }

    async fn send(&mut self, api_key: i16, request_id: i32, body: &[u8]) {
        let header = RequestHeader {
            api_key,
            api_version: 0,
            request_id,
        };
        let mut message = Vec::new();
        fluss_rpc::header::Header::encode(&header, &mut message);
        message.extend_from_slice(body);
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        self.writer.write_all(&length).await.unwrap();
        self.writer.write_all(&message).await.unwrap();
    }

    /// The next answer, or nothing when the node has closed the connection.
    async fn receive(&mut self) -> Option<(ResponseHeader, Bytes)> {
        let mut frame = self.inbox.next().await.unwrap()?;
        Some((ResponseHeader::decode(&mut frame).unwrap(), frame))
    }

    async fn refusal(&mut self) -> (ResponseHeader, ErrorCode, String) {
        let (header, body) = self.receive().await.unwrap();
        let error = proto::ErrorResponse::decode(body).unwrap();
        (
            header,
            ErrorCode::from_number(error.error_code),
            error.error_message.unwrap_or_default(),
        )
    }
}

#[tokio::test]
async fn unknown_keys_and_bad_bodies_get_an_answer() {
    let (_node, address) = listening(options()).await;
    let mut client = Raw::connect(&address).await;
    let cases = [
        (999, &b""[..], ErrorCode::UNSUPPORTED_VERSION, "API 999"),
        (
            ApiKey::StopReplica.number(),
            b"",
            ErrorCode::UNSUPPORTED_VERSION,
            "STOP_REPLICA",
        ),
        (
            ApiKey::Rebalance.number(),
            b"",
            ErrorCode::UNSUPPORTED_VERSION,
            "REBALANCE",
        ),
        (
            ApiKey::ListTables.number(),
            b"\xff",
            ErrorCode::UNKNOWN_SERVER_ERROR,
            "LIST_TABLES",
        ),
    ];
    for (id, (api_key, body, code, part)) in (0..).zip(cases) {
        client.send(api_key, id, body).await;
        let (header, found, message) = client.refusal().await;
        assert_eq!((header, found), (ResponseHeader::Error { request_id: id }, code));
        assert!(message.contains(part), "{message}");
    }
    client.send(ApiKey::ListDatabases.number(), 7, b"").await;
    let (header, body) = client.receive().await.unwrap();
    assert_eq!(header, ResponseHeader::Success { request_id: 7 });
    let databases = proto::ListDatabasesResponse::decode(body).unwrap();
    assert_eq!(databases.database_name, ["fluss"]);
}

#[tokio::test]
async fn what_is_offered_is_what_both_roles_of_a_node_answer() {
    let (_node, address) = listening(options()).await;
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    let versions = connection.negotiated();
    for api in [
        ApiKey::CreateTable,
        ApiKey::ProduceLog,
        ApiKey::PutKv,
        ApiKey::FetchLog,
        ApiKey::Lookup,
    ] {
        assert!(versions.usable(api).is_ok(), "{api}");
    }
    for api in [
        ApiKey::Rebalance,
        ApiKey::AddServerTag,
        ApiKey::AcquireKvSnapshotLease,
    ] {
        assert!(versions.usable(api).is_err(), "{api}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_ends_the_connection_with_a_reason() {
    let mut options = options();
    options.limits.request_bytes = 1_000;
    let (_node, address) = listening(options).await;
    let mut client = Raw::connect(&address).await;
    client.send(ApiKey::ListTables.number(), 1, &[0; 2_000]).await;
    let (header, code, message) = client.refusal().await;
    assert_eq!(
        (header, code),
        (ResponseHeader::ServerFailure, ErrorCode::RECORD_TOO_LARGE)
    );
    assert!(message.contains("2012 bytes"), "{message}");
    assert!(!matches!(client.inbox.next().await, Ok(Some(_))));
}

#[tokio::test]
async fn further_connections_than_allowed_are_closed_until_one_ends() {
    let mut options = options();
    options.limits.connections = 1;
    let (_node, address) = listening(options).await;
    let first = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    assert!(
        Connection::connect(&address, &ConnectOptions::default())
            .await
            .is_err()
    );
    first.close();
    // Its place comes back once the node has seen that it is gone.
    let again = async {
        while Connection::connect(&address, &ConnectOptions::default())
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
}

fn secured() -> NodeOptions {
    let mut options = options();
    let users = user_line("root", "root-secret").unwrap();
    options.users = Some(Users::parse(&users).unwrap());
    options.access = Access::Controlled {
        super_users: [crate::security::Principal::user("root")].into(),
    };
    options
}

#[tokio::test]
async fn nobody_is_served_before_a_login() {
    let (_node, address) = listening(secured()).await;
    let mut client = Raw::connect(&address).await;
    client.send(ApiKey::ListDatabases.number(), 1, b"").await;
    assert_eq!(client.refusal().await.1, ErrorCode::AUTHENTICATE_EXCEPTION);
    let login = |password: &str| {
        let credentials = Credentials::plain("root", password);
        ConnectOptions {
            credentials: Some(credentials),
            ..ConnectOptions::default()
        }
    };
    assert!(Connection::connect(&address, &login("wrong")).await.is_err());
    let connection = Connection::connect(&address, &login("root-secret"))
        .await
        .unwrap();
    connection
        .request(&proto::ListDatabasesRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_does_not_log_in_is_not_waited_for() {
    let mut options = secured();
    options.limits.login = Duration::from_millis(50);
    let (_node, address) = listening(options).await;
    let mut client = Raw::connect(&address).await;
    let closed = tokio::time::timeout(Duration::from_secs(20), client.receive()).await;
    assert!(closed.unwrap().is_none());
}

/// Creates a table with one bucket, and returns its number.
async fn create_table(
    connection: &Connection,
    name: &str,
    schema: Schema,
    properties: &[(&str, &str)],
) -> Result<i64, RequestError> {
    let mut descriptor = TableDescriptor::builder(schema).distributed_by(1, [] as [&str; 0]);
    for (key, value) in properties {
        descriptor = descriptor.property(*key, *value);
    }
    let table_path = proto::PbTablePath {
        database_name: "fluss".to_owned(),
        table_name: name.to_owned(),
    };
    let create = proto::CreateTableRequest {
        table_path: table_path.clone(),
        table_json: descriptor.build().unwrap().to_json().into(),
        ignore_if_exists: false,
    };
    connection.request(&create).await?;
    let info = proto::GetTableInfoRequest { table_path };
    Ok(connection.request(&info).await?.table_id)
}

/// A table of numbers in rows.
async fn numbers(connection: &Connection) -> i64 {
    let schema = Schema::builder().column("n", DataType::big_int());
    let properties = [("table.log.format", "INDEXED")];
    let created = create_table(connection, "numbers", schema.build().unwrap(), &properties).await;
    created.unwrap()
}

fn batch(number: i64) -> Bytes {
    let row_type = Schema::builder()
        .column("n", DataType::big_int())
        .build()
        .unwrap();
    let mut rows = RowsBuilder::new(RowFormat::Indexed, SchemaId(1), true);
    rows.append(
        row_type.row_type(),
        ChangeType::AppendOnly,
        &[Datum::BigInt(number)][..],
    )
    .unwrap();
    rows.finish().unwrap().seal(None)
}

fn produce(table_id: i64, number: i64) -> proto::ProduceLogRequest {
    proto::ProduceLogRequest {
        acks: -1,
        table_id,
        timeout_ms: 1_000,
        buckets_req: vec![proto::PbProduceLogReqForBucket {
            records: batch(number),
            ..Default::default()
        }],
    }
}

fn fetch(table_id: i64, fetch_offset: i64, max_wait_ms: i32) -> proto::FetchLogRequest {
    proto::FetchLogRequest {
        follower_server_id: -1,
        max_bytes: 1 << 20,
        max_wait_ms: Some(max_wait_ms),
        min_bytes: Some(1),
        tables_req: vec![proto::PbFetchLogReqForTable {
            table_id,
            buckets_req: vec![proto::PbFetchLogReqForBucket {
                fetch_offset,
                max_fetch_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_fetch_waits_for_news_and_holds_up_nobody() {
    let (_node, address) = listening(options()).await;
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    let table = numbers(&connection).await;
    let news = connection.send_within(&fetch(table, 0, 60_000), Duration::from_mins(1));
    // On the same connection, behind it.
    let produced = connection.request(&produce(table, 7)).await.unwrap();
    assert_eq!(produced.buckets_resp[0].base_offset, Some(0));
    let fetched = news.await.unwrap();
    let bucket = &fetched.tables_resp[0].buckets_resp[0];
    assert_eq!(bucket.high_watermark, Some(1));
    assert_eq!(bucket.records.as_ref().map(Bytes::len), Some(batch(7).len()));
    // With nothing to read it says so when its time is up.
    let fetched = connection.request(&fetch(table, 1, 1)).await.unwrap();
    assert!(
        fetched.tables_resp[0].buckets_resp[0]
            .records
            .as_ref()
            .unwrap()
            .is_empty()
    );
    // And at once that there is no such offset.
    let fetched = connection.request(&fetch(table, 9, 60_000)).await.unwrap();
    let code = fetched.tables_resp[0].buckets_resp[0].error_code;
    assert_eq!(code, Some(ErrorCode::LOG_OFFSET_OUT_OF_RANGE.number()));
}

#[tokio::test]
async fn writes_of_a_connection_are_done_in_their_order() {
    let (_node, address) = listening(options()).await;
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    let table = numbers(&connection).await;
    let answers: Vec<_> = (0..200)
        .map(|number| connection.send(&produce(table, number)))
        .collect();
    for (offset, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.unwrap().buckets_resp[0].base_offset, Some(offset));
    }
}

#[tokio::test]
async fn a_node_that_shuts_down_closes_its_connections() {
    let (node, address) = listening(options()).await;
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    node.shut_down().await;
    connection.closed().await;
    let refused = connection.request(&proto::ListDatabasesRequest::default()).await;
    assert!(matches!(refused, Err(RequestError::Disconnected { .. })));
}

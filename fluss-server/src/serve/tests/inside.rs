//! What clients in the same process see of a node.

use std::sync::Arc;

use fluss_rpc::net::{InProcess, Transport};

use super::*;

/// Connects from within the process.
async fn inside(node: &Node) -> Connection {
    let options = ConnectOptions {
        transport: Transport::in_process(node.clone()),
        ..ConnectOptions::default()
    };
    let address = ServerAddress::new("embedded", 0);
    Connection::connect(&address, &options).await.unwrap()
}

#[tokio::test]
async fn writes_are_done_in_their_order() {
    let node = Node::open(options()).unwrap();
    let connection = inside(&node).await;
    let table = numbers(&connection).await;
    let answers: Vec<_> = (0..200)
        .map(|number| connection.send(&produce(table, number)))
        .collect();
    for (offset, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.unwrap().buckets_resp[0].base_offset, Some(offset));
    }
}

#[tokio::test]
async fn requests_without_room_wait_for_it_in_their_order() {
    let mut options = options();
    options.limits.memory_bytes = 1;
    let node = Node::open(options).unwrap();
    let connection = inside(&node).await;
    let table = numbers(&connection).await;
    // It holds all the memory until there is news, or its time is up.
    let first = connection.send_within(&fetch(table, 0, 200), Duration::from_mins(1));
    let answers: Vec<_> = (0..20)
        .map(|number| connection.send(&produce(table, number)))
        .collect();
    for (offset, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.unwrap().buckets_resp[0].base_offset, Some(offset));
    }
    let fetched = first.await.unwrap();
    assert_eq!(fetched.tables_resp[0].buckets_resp[0].high_watermark, Some(0));
}

#[tokio::test]
async fn a_request_that_is_too_large_ends_the_connection_with_a_reason() {
    let mut options = options();
    options.limits.request_bytes = 1_000;
    let node = Node::open(options).unwrap();
    let connection = inside(&node).await;
    let large = proto::ListTablesRequest {
        database_name: "x".repeat(2_000),
    };
    let refused = connection.request(&large).await.unwrap_err();
    assert!(
        matches!(refused, RequestError::Server { code, .. } if code == ErrorCode::RECORD_TOO_LARGE),
        "{refused:?}"
    );
    connection.closed().await;
}

#[tokio::test]
async fn a_frame_without_a_header_ends_the_connection() {
    let node = Node::open(options()).unwrap();
    let client = Arc::new(Client::default());
    let requests = InProcess::dial(&node, &ServerAddress::new("embedded", 0), client.clone());
    requests.receive(Bytes::from_static(b"short"));
    client.ended.notified().await;
}

/// A client that waits for the end.
#[derive(Default)]
struct Client {
    ended: tokio::sync::Notify,
}

impl fluss_rpc::net::Receive for Client {
    fn receive(&self, frame: Bytes) {
        panic!("an answer: {frame:?}");
    }

    fn end(&self) {
        self.ended.notify_one();
    }
}

#[tokio::test]
async fn a_node_that_shuts_down_closes_connections_and_what_waits_there() {
    let node = Node::open(options()).unwrap();
    let connection = inside(&node).await;
    let table = numbers(&connection).await;
    let news = connection.send_within(&fetch(table, 0, 60_000), Duration::from_mins(1));
    node.shut_down().await;
    assert!(matches!(news.await, Err(RequestError::Disconnected { .. })));
    assert!(connection.is_closed());
}

#[test]
fn a_runtime_that_ends_closes_its_connections() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let node = Node::open(options()).unwrap();
    let short_lived = runtime();
    let connection = short_lived.block_on(inside(&node));
    drop(short_lived);
    assert!(connection.is_closed());
}

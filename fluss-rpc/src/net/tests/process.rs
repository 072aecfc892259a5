//! Connections to a server in the same process.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use bytes::{Buf, Bytes};
use prost::Message;

use super::server::{address, versions};
use super::{ask, reason, tell};
use crate::api::{ApiKey, Request};
use crate::frame::{FrameError, LENGTH_BYTES, encode};
use crate::header::{RequestHeader, ResponseHeader};
use crate::net::*;
use crate::proto::{ErrorResponse, ListTablesRequest};

/// A server that answers the first request of a connection, and then what the test has it answer.
#[derive(Default)]
struct Server {
    client: Mutex<Option<Arc<dyn Receive>>>,
    requests: Mutex<Vec<(RequestHeader, Bytes)>>,
    ended: Mutex<bool>,
    /// Whether requests get their own name as an answer, at once.
    echoes: bool,
}

#[derive(Clone, Debug)]
struct To(Arc<Server>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl InProcess for To {
    fn dial(&self, _: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
        *self.0.client.lock() = Some(client);
        self.0.clone()
    }
}

impl Receive for Server {
    fn receive(&self, mut frame: Bytes) {
        let header = RequestHeader::decode(&mut frame).unwrap();
        let request_id = header.request_id;
        if header.api_key == ApiKey::ApiVersions.number() {
            self.answer(ResponseHeader::Success { request_id }, &versions(None));
        } else if self.echoes {
            let name = ListTablesRequest::decode(frame).unwrap().database_name;
            self.answer(ResponseHeader::Success { request_id }, &tell(&name));
        } else {
            self.requests.lock().push((header, frame));
        }
    }

    fn end(&self) {
        *self.ended.lock() = true;
    }
}

impl Server {
    fn answer(&self, header: ResponseHeader, message: &impl Message) {
        let mut frame = encode(&header, message, usize::MAX).unwrap();
        frame.advance(LENGTH_BYTES);
        self.client().receive(frame.copy_to_bytes(frame.remaining()));
    }

    fn client(&self) -> Arc<dyn Receive> {
        self.client.lock().clone().unwrap()
    }

    /// The ids of the requests so far.
    fn ids(&self) -> Vec<i32> {
        let requests = self.requests.lock();
        requests.iter().map(|(header, _)| header.request_id).collect()
    }
}

async fn connected(server: &Arc<Server>) -> Connection {
    let options = ConnectOptions {
        max_response_bytes: 2000,
        transport: Transport::in_process(To(server.clone())),
        ..ConnectOptions::default()
    };
    Connection::connect(&address(), &options).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_is_given_at_once_is_there_at_once() {
    let server = Arc::new(Server {
        echoes: true,
        ..Server::default()
    });
    let connection = connected(&server).await;
    let answer = pin!(connection.send(&ask("db")));
    let polled = answer.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(names)) if names == tell("db")));
}

#[tokio::test]
async fn requests_come_in_order_and_answers_in_any() {
    let server = Arc::<Server>::default();
    let connection = connected(&server).await;
    let answers: Vec<_> = (0..5)
        .map(|n| connection.send(&ask(&format!("name-{n}"))))
        .collect();
    let requests = server.requests.lock().clone();
    for (n, (header, body)) in requests.iter().enumerate().rev() {
        assert_eq!(header.api_key, ListTablesRequest::API.number());
        let name = ListTablesRequest::decode(body.clone()).unwrap().database_name;
        assert_eq!(name, format!("name-{n}"));
        let request_id = header.request_id;
        server.answer(ResponseHeader::Success { request_id }, &tell(&name));
    }
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap(), tell(&format!("name-{n}")));
    }
}

#[tokio::test]
async fn a_response_that_is_too_large_is_blamed_on_its_request() {
    let server = Arc::<Server>::default();
    let connection = connected(&server).await;
    let [first, second] = ["first", "second"].map(|name| connection.send(&ask(name)));
    let request_id = server.ids()[1];
    server.answer(ResponseHeader::Success { request_id }, &tell(&"x".repeat(3000)));
    let error = second.await.unwrap_err();
    assert!(
        matches!(error, RequestError::TooLarge { limit: 2000, .. }),
        "{error:?}"
    );
    let lost = reason(first.await.unwrap_err());
    assert!(matches!(
        lost,
        Disconnect::Frame(FrameError::TooLarge { limit: 2000, .. })
    ));
    assert!(*server.ended.lock());
}

#[tokio::test]
async fn a_server_that_ends_or_gives_up_fails_all_requests() {
    let server = Arc::<Server>::default();
    let connection = connected(&server).await;
    let answer = connection.send(&ask("db"));
    server.client().end();
    assert!(matches!(
        reason(answer.await.unwrap_err()),
        Disconnect::ClosedByServer
    ));
    assert!(connection.is_closed());

    let connection = connected(&server).await;
    let answer = connection.send(&ask("db"));
    let message = ErrorResponse {
        error_code: 1,
        error_message: None,
    };
    server.answer(ResponseHeader::ServerFailure, &message);
    assert!(matches!(answer.await.unwrap_err(), RequestError::Server { .. }));
    connection.closed().await;
}

#[tokio::test]
async fn closing_fails_requests_and_lets_go_of_the_server() {
    let server = Arc::<Server>::default();
    let connection = connected(&server).await;
    let answer = connection.send(&ask("db"));
    connection.close();
    assert!(matches!(reason(answer.await.unwrap_err()), Disconnect::Closed));
    assert!(*server.ended.lock());
    drop(server.client.lock().take());
    // The connection, closed but still there, holds it no more.
    assert_eq!(Arc::strong_count(&server), 1);
}

#[tokio::test]
async fn a_server_that_ends_while_it_is_dialed_is_no_connection() {
    #[derive(Debug)]
    struct Ending(Arc<Server>);

    impl InProcess for Ending {
        fn dial(&self, _: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
            client.end();
            self.0.clone()
        }
    }

    let server = Arc::<Server>::default();
    let options = ConnectOptions {
        transport: Transport::in_process(Ending(server.clone())),
        ..ConnectOptions::default()
    };
    let refused = Connection::connect(&address(), &options).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Closed { .. }), "{refused:?}");
    assert!(*server.ended.lock());
}

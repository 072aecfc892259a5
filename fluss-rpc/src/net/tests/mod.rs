#[cfg(feature = "tls")]
mod handshake;
mod process;
mod server;
mod streams;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{DuplexStream, duplex, join};

use self::server::{Server, connected};
use super::*;
use crate::api::ApiKey;
use crate::code::ErrorCode;
use crate::frame::FrameError;
use crate::header::HeaderError;
use crate::proto::{
    GetTableInfoRequest, ListTablesRequest, ListTablesResponse, LookupRequest, LookupResponse,
    PbLookupRespForBucket, PbValue, ScanKvRequest,
};

/// Small enough to cut every header and every message.
const ONE_BYTE: usize = 1;
const ROOMY: usize = 1 << 16;

fn ask(database: &str) -> ListTablesRequest {
    ListTablesRequest {
        database_name: database.to_owned(),
    }
}

fn tell(table: &str) -> ListTablesResponse {
    ListTablesResponse {
        table_name: vec![table.to_owned()],
    }
}

fn reason(error: RequestError) -> Disconnect {
    match error {
        RequestError::Disconnected { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Two requests under way: their futures, and their ids as the server sees them.
async fn two_requests(
    connection: &Connection,
    server: &mut Server,
) -> (
    [impl Future<Output = Result<ListTablesResponse, RequestError>> + use<>; 2],
    [i32; 2],
) {
    let futures = [connection.send(&ask("first")), connection.send(&ask("second"))];
    let ids = [server.receive().await.id(), server.receive().await.id()];
    (futures, ids)
}

#[tokio::test]
async fn requests_arrive_in_order_and_answers_in_any() {
    for capacity in [ONE_BYTE, ROOMY] {
        let (connection, mut server) = connected(capacity, &ConnectOptions::default()).await;
        let names: Vec<String> = (0..20).map(|n| format!("name-{n}")).collect();
        let answers: Vec<_> = names
            .iter()
            .map(|name| tokio::spawn(connection.send(&ask(name))))
            .collect();
        let mut ids = Vec::new();
        for name in &names {
            let request = server.receive().await;
            assert_eq!(&request.body::<ListTablesRequest>().database_name, name);
            ids.push(request.id());
        }
        for (id, name) in ids.into_iter().zip(&names).rev() {
            server.reply(id, &tell(name)).await;
        }
        for (answer, name) in answers.into_iter().zip(&names) {
            assert_eq!(answer.await.unwrap().unwrap(), tell(name));
        }
        assert_eq!(connection.in_flight(), 0);
    }
}

#[tokio::test]
async fn a_request_is_queued_before_its_future_is_polled() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let later = connection.send(&ask("later"));
    let request = server.receive().await;
    server.reply(request.id(), &tell("answer")).await;
    assert_eq!(later.await.unwrap(), tell("answer"));
}

#[tokio::test]
async fn the_highest_common_version_is_sent() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let _lookup = connection.send(&LookupRequest::default());
    assert_eq!(server.receive().await.header.api_version, 1);
}

#[tokio::test]
async fn an_api_without_a_common_version_fails_at_once() {
    let (connection, _server) = connected(ROOMY, &ConnectOptions::default()).await;
    let error = connection.request(&ScanKvRequest::default()).await.unwrap_err();
    assert!(
        matches!(&error, RequestError::Unsupported(missing) if missing.api == ApiKey::ScanKv),
        "{error:?}"
    );
    assert!(!error.is_retriable());
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_at_its_deadline() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    for own in [Duration::from_secs(29), Duration::from_millis(5)] {
        let error = connection.request_within(&ask("silent"), own).await.unwrap_err();
        assert!(
            matches!(error, RequestError::Timeout { after } if after == own),
            "{error:?}"
        );
    }
    assert_eq!(connection.in_flight(), 0);

    // Late answers are passed over, and the connection still serves.
    for _ in 0..2 {
        let late = server.receive().await;
        server.reply(late.id(), &tell("late")).await;
    }
    let answer = connection.send(&ask("next"));
    let next = server.receive().await;
    server.reply(next.id(), &tell("prompt")).await;
    assert_eq!(answer.await.unwrap(), tell("prompt"));
}

#[tokio::test]
async fn an_endless_timeout_is_possible() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let answer = connection.send_within(&ask("patient"), Duration::MAX);
    let request = server.receive().await;
    server.reply(request.id(), &tell("answer")).await;
    assert_eq!(answer.await.unwrap(), tell("answer"));
}

#[tokio::test]
async fn a_caller_who_goes_away_gives_the_place_back_but_not_the_frame() {
    let (connection, mut server) = connected(ONE_BYTE, &ConnectOptions::default()).await;
    drop(connection.send(&ask("abandoned")));
    assert_eq!(connection.in_flight(), 0);
    let kept = connection.send(&ask("kept"));

    let abandoned = server.receive().await;
    assert_eq!(abandoned.body::<ListTablesRequest>(), ask("abandoned"));
    let answering = async {
        server.reply(abandoned.id(), &tell("unwanted")).await;
        let request = server.receive().await;
        server.reply(request.id(), &tell("wanted")).await;
    };
    let (answer, ()) = tokio::join!(kept, answering);
    assert_eq!(answer.unwrap(), tell("wanted"));
}

#[tokio::test]
async fn a_refused_request_names_code_and_message_and_leaves_the_connection_open() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    for (text, shown) in [
        (Some("Table t does not exist."), "Table t does not exist."),
        (None, "the table does not exist"),
    ] {
        let answer = connection.send(&ask("db"));
        let request = server.receive().await;
        server.refuse(request.id(), 7, text).await;
        let error = answer.await.unwrap_err();
        assert_eq!(error.to_string(), format!("TABLE_NOT_EXIST (7): {shown}"));
        assert!(!error.is_retriable());
    }
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_malformed_response_fails_its_request_only() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let ([first, second], ids) = two_requests(&connection, &mut server).await;
    server
        .raw(&[&[0, 0, 0, 7, 0][..], &ids[0].to_be_bytes(), &[0x0a, 0x7f]].concat())
        .await;
    server.reply(ids[1], &tell("fine")).await;
    let error = first.await.unwrap_err();
    assert!(
        matches!(
            error,
            RequestError::Malformed {
                api: ApiKey::ListTables,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.is_retriable());
    assert_eq!(second.await.unwrap(), tell("fine"));
}

#[tokio::test]
async fn a_server_that_closes_fails_all_requests_and_those_to_come() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let (futures, _) = two_requests(&connection, &mut server).await;
    drop(server);
    for future in futures {
        let error = future.await.unwrap_err();
        assert!(error.is_retriable());
        assert!(matches!(reason(error), Disconnect::ClosedByServer));
    }
    connection.closed().await;
    assert!(connection.is_closed());
    let error = connection.request(&ask("too late")).await.unwrap_err();
    assert!(matches!(reason(error), Disconnect::ClosedByServer));
}

#[tokio::test]
async fn a_cut_response_fails_all_requests() {
    let (connection, mut server) = connected(ONE_BYTE, &ConnectOptions::default()).await;
    let (futures, ids) = two_requests(&connection, &mut server).await;
    server
        .raw(&[&[0, 0, 0, 50, 0][..], &ids[0].to_be_bytes(), b"half"].concat())
        .await;
    drop(server);
    for future in futures {
        assert!(matches!(reason(future.await.unwrap_err()), Disconnect::Cut));
    }
}

#[tokio::test]
async fn a_server_that_gives_up_fails_all_requests_with_its_error() {
    let (connection, mut server) = connected(ONE_BYTE, &ConnectOptions::default()).await;
    let (futures, _) = two_requests(&connection, &mut server).await;
    server.give_up(-1).await;
    for future in futures {
        let error = future.await.unwrap_err();
        assert!(
            matches!(
                error,
                RequestError::Server {
                    code: ErrorCode::UNKNOWN_SERVER_ERROR,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    connection.closed().await;
    let error = connection.request(&ask("too late")).await.unwrap_err();
    assert!(matches!(
        reason(error),
        Disconnect::ServerFailure {
            code: ErrorCode::UNKNOWN_SERVER_ERROR,
            ..
        }
    ));
}

#[tokio::test]
async fn a_frame_that_is_no_response_closes_the_connection() {
    for (frame, expected) in [
        (&[0, 0, 0, 0][..], HeaderError::Short),
        (&[0, 0, 0, 1, 9], HeaderError::ResponseType(9)),
    ] {
        let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
        let answer = connection.send(&ask("db"));
        server.raw(frame).await;
        let error = answer.await.unwrap_err();
        assert!(!error.is_retriable());
        assert!(matches!(reason(error), Disconnect::Header(actual) if actual == expected));
    }
}

#[tokio::test]
async fn a_response_that_is_too_large_is_blamed_on_its_request() {
    let options = ConnectOptions {
        max_response_bytes: 2000,
        ..ConnectOptions::default()
    };
    let (connection, mut server) = connected(ONE_BYTE, &options).await;
    let ([first, second], ids) = two_requests(&connection, &mut server).await;
    server
        .raw(&[&2000_i32.to_be_bytes()[..], &[0], &ids[1].to_be_bytes()].concat())
        .await;
    let error = second.await.unwrap_err();
    assert!(
        matches!(
            error,
            RequestError::TooLarge {
                bytes: 2004,
                limit: 2000
            }
        ),
        "{error:?}"
    );
    assert!(!error.is_retriable());
    let too_large = FrameError::TooLarge {
        bytes: 2004,
        limit: 2000,
    };
    assert!(matches!(reason(first.await.unwrap_err()), Disconnect::Frame(error) if error == too_large));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let options = ConnectOptions {
        max_request_bytes: 100,
        ..ConnectOptions::default()
    };
    let (connection, mut server) = connected(ROOMY, &options).await;
    let error = connection.request(&ask(&"x".repeat(100))).await.unwrap_err();
    assert!(
        matches!(
            error,
            RequestError::TooLarge {
                bytes: 114,
                limit: 100
            }
        ),
        "{error:?}"
    );
    assert_eq!(connection.in_flight(), 0);
    let _next = connection.send(&ask("small"));
    assert_eq!(server.receive().await.body::<ListTablesRequest>(), ask("small"));
}

#[tokio::test]
async fn the_last_handle_closes_the_connection_but_not_before_its_requests() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let answer = connection.clone().send(&ask("db"));
    drop(connection);
    let request = server.receive().await;
    server.reply(request.id(), &tell("still here")).await;
    assert_eq!(answer.await.unwrap(), tell("still here"));
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn closing_fails_the_requests_of_all_handles() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let other = connection.clone();
    let (futures, _) = two_requests(&other, &mut server).await;
    connection.close();
    for future in futures {
        assert!(matches!(reason(future.await.unwrap_err()), Disconnect::Closed));
    }
    other.closed().await;
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_does_not_read_delays_and_loses_nothing() {
    let (connection, mut server) = connected(16, &ConnectOptions::default()).await;
    let keys = vec![Bytes::from(vec![7; 100_000])];
    let bucket = crate::proto::PbLookupReqForBucket {
        keys,
        ..Default::default()
    };
    let large = LookupRequest {
        buckets_req: vec![bucket; 3],
        ..Default::default()
    };
    let _lookup = connection.send(&large);
    let _small = connection.send(&ask("behind it"));
    assert_eq!(server.receive().await.body::<LookupRequest>(), large);
    assert_eq!(
        server.receive().await.body::<ListTablesRequest>(),
        ask("behind it")
    );
}

#[tokio::test]
async fn values_of_a_response_share_its_buffer() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let answer = connection.send(&LookupRequest::default());
    let id = server.receive().await.id();
    let values = vec![
        PbValue {
            values: Some(vec![7; 1 << 20].into())
        };
        2
    ];
    let response = LookupResponse {
        buckets_resp: vec![PbLookupRespForBucket {
            values,
            ..Default::default()
        }],
    };
    let (answer, ()) = tokio::join!(answer, server.reply(id, &response));
    let answer = answer.unwrap();
    assert_eq!(answer, response);
    let [first, second] = &answer.buckets_resp[0].values[..] else {
        panic!()
    };
    let distance =
        second.values.as_ref().unwrap().as_ptr() as usize - first.values.as_ref().unwrap().as_ptr() as usize;
    assert!(((1 << 20)..(1 << 20) + 20).contains(&distance), "{distance}");
}

#[test]
fn a_runtime_that_ends_fails_the_requests() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let short_lived = runtime();
    let (connection, _server) = short_lived.block_on(connected(ROOMY, &ConnectOptions::default()));
    let answer = connection.send(&GetTableInfoRequest::default());
    drop(short_lived);
    let error = runtime().block_on(answer).unwrap_err();
    assert!(matches!(reason(error), Disconnect::Stopped));
}

/// A connection, and the server's end of each of its two ways.
async fn halves() -> (Connection, DuplexStream, DuplexStream) {
    let (to_client, from_server) = duplex(ROOMY);
    let (to_server, from_client) = duplex(ROOMY);
    let mut server = Server::new(join(from_client, to_client));
    let (options, address) = (ConnectOptions::default(), server::address());
    let handshake = Connection::handshake(join(from_server, to_server), &address, &options);
    let (connection, ()) = tokio::join!(handshake, server.welcome(None));
    let (from_client, to_client) = server.into_inner().into_inner();
    (connection.unwrap(), from_client, to_client)
}

#[tokio::test]
async fn a_writer_that_fails_closes_the_connection() {
    let (connection, from_client, _to_client) = halves().await;
    drop(from_client);
    let error = connection.request(&ask("db")).await.unwrap_err();
    assert!(error.is_retriable());
    assert!(matches!(reason(error), Disconnect::Io(_)));
    connection.closed().await;
}

#[tokio::test]
async fn what_a_server_says_before_it_hangs_up_is_told() {
    let (connection, from_client, to_client) = halves().await;

    // More than the server has room for: the rest of it waits.
    let asked = connection.send(&ask(&"d".repeat(2 * ROOMY)));
    drop(from_client);
    tokio::task::yield_now().await;
    Server::new(join(tokio::io::empty(), to_client)).give_up(-1).await;
    let error = asked.await.unwrap_err();
    assert!(matches!(error, RequestError::Server { .. }), "{error:?}");
}

/// Silence of half a minute, as the options have it.
const SILENCE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_connection_from_which_nothing_comes_is_given_up() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let ([first, second], _) = two_requests(&connection, &mut server).await;
    let (first, second) = tokio::join!(first, second);
    let errors = [first.unwrap_err(), second.unwrap_err()];
    assert!(errors.iter().all(RequestError::is_retriable), "{errors:?}");
    let late = |error: &&RequestError| matches!(error, RequestError::Timeout { after } if *after == SILENCE);
    assert_eq!(errors.iter().filter(late).count(), 1, "{errors:?}");
    let error = connection.request(&ask("later")).await.unwrap_err();
    assert!(matches!(reason(error), Disconnect::Silent { after } if after == SILENCE));
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_anything_comes_stays() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let ([first, second], ids) = two_requests(&connection, &mut server).await;
    let serve = async {
        tokio::time::sleep(SILENCE / 2).await;
        // A part of an answer is a sign of life.
        server.raw(&[0, 0, 0, 50, 0]).await;
    };
    let (first, second, ()) = tokio::join!(first, second, serve);
    for late in [first, second] {
        assert!(matches!(late.unwrap_err(), RequestError::Timeout { .. }));
    }
    assert!(!connection.is_closed());
    let _ = ids;
}

#[tokio::test(start_paused = true)]
async fn who_can_ask_elsewhere_waits_for_less_silence() {
    let (connection, mut server) = connected(ROOMY, &ConnectOptions::default()).await;
    let begun = tokio::time::Instant::now();
    let answer = connection.send_unless_silent(&ask("db"), SILENCE, SILENCE / 3);
    server.receive().await;
    let error = answer.await.unwrap_err();
    assert!(matches!(error, RequestError::Timeout { after } if after == SILENCE / 3));
    assert_eq!(begun.elapsed(), SILENCE / 3);
    assert!(connection.is_closed());
}

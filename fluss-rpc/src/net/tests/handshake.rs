use std::time::Duration;

use bytes::Buf;

use super::server::{Server, handshake, versions};
use super::*;
use crate::api::ServerRole;
use crate::frame::encode;
use crate::header::ResponseHeader;
use crate::proto::{
    ApiVersionsResponse, AuthenticateRequest, AuthenticateResponse, CreateDatabaseRequest, ErrorResponse,
};

fn with_credentials(username: &str, password: &str) -> ConnectOptions {
    ConnectOptions {
        credentials: Some(Credentials::plain(username, password)),
        ..ConnectOptions::default()
    }
}

/// The error of a handshake with a server that does as told.
async fn failure(options: ConnectOptions, serve: impl AsyncFnOnce(&mut Server)) -> ConnectError {
    handshake(ROOMY, &options, serve).await.0.unwrap_err()
}

#[tokio::test]
async fn the_server_is_asked_for_its_versions() {
    for capacity in [ONE_BYTE, ROOMY] {
        let (connection, _server) = connected(capacity, &ConnectOptions::default()).await;
        assert_eq!(connection.negotiated().usable(ApiKey::PutKv), Ok(3));
        assert_eq!(connection.negotiated().server_role(), Some(ServerRole::Tablet));
        assert_eq!(connection.address().to_string(), "test:9123");
        assert!(!connection.is_closed());
    }
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_recognised() {
    let garbage = [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0; 64],
        &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0x0a, 0x7f],
    ];
    for bytes in garbage {
        let error = failure(ConnectOptions::default(), async |server| server.raw(bytes).await).await;
        assert!(matches!(error, ConnectError::NotFluss { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the server at test:9123 does not speak the Fluss protocol"
        );
        assert!(!error.is_retriable());
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_may_only_be_restarting() {
    let (near, far) = tokio::io::duplex(ROOMY);
    drop(far);
    let error = Connection::handshake(near, &server::address(), &ConnectOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error:?}");
    assert!(error.is_retriable());
}

#[tokio::test]
async fn a_server_that_turns_the_client_away_says_why() {
    let failure_of = ErrorResponse {
        error_code: ErrorCode::NETWORK_EXCEPTION.number(),
        error_message: Some("too many connections".to_owned()),
    };
    let mut frame = encode(&ResponseHeader::ServerFailure, &failure_of, ROOMY).unwrap();
    let frame = frame.copy_to_bytes(frame.remaining());
    // Whether it says so before or after it is asked.
    for waits in [false, true] {
        let error = failure(ConnectOptions::default(), async |server| {
            if waits {
                server.receive().await;
            }
            server.raw(&frame).await;
        })
        .await;
        assert_eq!(
            error.to_string(),
            "test:9123 refused the connection: NETWORK_EXCEPTION (1): too many connections"
        );
        assert!(error.is_retriable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_at_the_deadline() {
    let error = failure(ConnectOptions::default(), async |_| {}).await;
    assert!(
        matches!(error, ConnectError::Timeout { after, .. } if after == Duration::from_secs(10)),
        "{error:?}"
    );
    assert!(error.is_retriable());
}

#[tokio::test]
async fn a_server_of_another_role_is_refused() {
    let options = ConnectOptions {
        expected_role: Some(ServerRole::Coordinator),
        ..ConnectOptions::default()
    };
    let error = failure(options, async |server| {
        server.welcome(Some(ServerRole::Tablet)).await;
    })
    .await;
    assert_eq!(
        error.to_string(),
        "test:9123 is a tablet server, where a coordinator was expected"
    );
    assert!(error.is_retriable());
}

#[tokio::test]
async fn a_server_of_the_expected_or_an_unknown_role_is_accepted() {
    let options = ConnectOptions {
        expected_role: Some(ServerRole::Coordinator),
        ..ConnectOptions::default()
    };
    for role in [Some(ServerRole::Coordinator), None] {
        let (connection, _server) =
            handshake(ROOMY, &options, async |server| server.welcome(role).await).await;
        assert_eq!(connection.unwrap().negotiated().server_role(), role);
    }
}

#[tokio::test]
async fn what_servers_of_another_role_answer_is_not_sent() {
    let options = ConnectOptions::default();
    let serve = async |server: &mut Server| server.welcome(Some(ServerRole::Tablet)).await;
    let (connection, mut server) = handshake(ROOMY, &options, serve).await;
    let connection = connection.unwrap();
    let error = connection
        .request(&CreateDatabaseRequest::default())
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::WrongRole { .. }), "{error:?}");
    assert!(error.is_retriable());
    drop(connection);
    assert!(server.next().await.is_none(), "nothing came");
}

#[tokio::test]
async fn an_error_instead_of_versions_is_reported() {
    let error = failure(ConnectOptions::default(), async |server| {
        let request = server.receive().await;
        server.refuse(request.id(), 65, None).await;
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::Refused {
                code: ErrorCode::NOT_COORDINATOR_LEADER,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn credentials_are_sent_before_anything_else() {
    let serve = async |server: &mut Server| {
        server.welcome(None).await;
        let request = server.receive().await;
        let AuthenticateRequest { protocol, token } = request.body();
        assert_eq!(
            (protocol.as_str(), &token[..]),
            ("PLAIN", &b"\0root\0root-secret"[..])
        );
        server
            .reply(
                request.id(),
                &AuthenticateResponse {
                    challenge: Some(Bytes::new()),
                },
            )
            .await;
    };
    let (connection, _server) = handshake(ONE_BYTE, &with_credentials("root", "root-secret"), serve).await;
    assert!(connection.is_ok());
}

#[tokio::test]
async fn refused_credentials_are_reported_without_another_try() {
    let error = failure(with_credentials("root", "wrong"), async |server| {
        server.welcome(None).await;
        let request = server.receive().await;
        server
            .refuse(request.id(), 46, Some("Invalid username or password"))
            .await;
        assert!(server.next().await.is_none(), "the client closes the connection");
    })
    .await;
    assert_eq!(
        error.to_string(),
        "authentication at test:9123 failed: Invalid username or password"
    );
    assert!(!error.is_retriable());
}

#[tokio::test]
async fn hopeless_credentials_are_not_sent() {
    for (username, password) in [
        ("", "secret"),
        ("root", ""),
        ("ro\0ot", "secret"),
        ("root", "sec\0ret"),
    ] {
        let error = failure(with_credentials(username, password), async |server| {
            server.welcome(None).await;
            assert!(server.next().await.is_none());
        })
        .await;
        assert!(matches!(error, ConnectError::Authentication { .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_authenticate_for_the_moment_is_asked_again() {
    let serve = async |server: &mut Server| {
        server.welcome(None).await;
        for _ in 0..3 {
            let request = server.receive().await;
            server.refuse(request.id(), 51, None).await;
        }
        let request = server.receive().await;
        server
            .reply(request.id(), &AuthenticateResponse { challenge: None })
            .await;
    };
    let (connection, _server) = handshake(ROOMY, &with_credentials("root", "secret"), serve).await;
    assert!(connection.is_ok());
}

#[tokio::test(start_paused = true)]
async fn asking_again_ends_at_the_deadline() {
    let error = failure(with_credentials("root", "secret"), async |server| {
        server.welcome(None).await;
        while let Some(request) = server.next().await {
            server.refuse(request.id(), 51, None).await;
        }
    })
    .await;
    assert_eq!(
        error.to_string(),
        "test:9123 refused the connection: RETRIABLE_AUTHENTICATE (51): authentication failed for the moment"
    );
    assert!(error.is_retriable());
}

#[tokio::test]
async fn a_server_that_hangs_up_while_authenticating_closed_the_connection() {
    let (near, far) = tokio::io::duplex(ROOMY);
    let serve = async {
        let mut server = Server::new(far);
        server.welcome(None).await;
        server.receive().await;
    };
    let options = with_credentials("root", "secret");
    let address = server::address();
    let (connection, ()) = tokio::join!(Connection::handshake(near, &address, &options), serve);
    let error = connection.unwrap_err();
    assert!(
        matches!(error, ConnectError::Closed { .. }) && error.is_retriable(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_without_authentication_cannot_take_credentials() {
    let error = failure(with_credentials("root", "secret"), async |server| {
        let request = server.receive().await;
        let mut versions: ApiVersionsResponse = versions(None);
        versions.api_versions.retain(|version| version.api_key != 1038);
        server.reply(request.id(), &versions).await;
    })
    .await;
    assert!(
        matches!(error, ConnectError::UnsupportedVersion { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_failed_handshake_closes_the_stream() {
    let options = ConnectOptions {
        expected_role: Some(ServerRole::Coordinator),
        ..ConnectOptions::default()
    };
    let serve = async |server: &mut Server| server.welcome(Some(ServerRole::Tablet)).await;
    let (connection, mut server) = handshake(ROOMY, &options, serve).await;
    assert!(connection.is_err());
    assert!(server.next().await.is_none());
}

use tokio::net::TcpListener;

use super::server::Server;
use super::*;

async fn listen() -> (TcpListener, ServerAddress) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    (listener, address)
}

/// Answers every look-up with what it asked for.
async fn echo(listener: TcpListener) {
    let mut server = Server::new(listener.accept().await.unwrap().0);
    server.welcome(None).await;
    while let Some(request) = server.next().await {
        let keys = request.body::<LookupRequest>().buckets_req.remove(0).keys;
        let values = keys
            .into_iter()
            .map(|key| PbValue { values: Some(key) })
            .collect();
        let bucket = PbLookupRespForBucket {
            values,
            ..Default::default()
        };
        server
            .reply(
                request.id(),
                &LookupResponse {
                    buckets_resp: vec![bucket],
                },
            )
            .await;
    }
}

async fn look_up(connection: Connection, key: Bytes) {
    let bucket = crate::proto::PbLookupReqForBucket {
        keys: vec![key.clone()],
        ..Default::default()
    };
    let request = LookupRequest {
        buckets_req: vec![bucket],
        ..Default::default()
    };
    let response = connection.request(&request).await.unwrap();
    assert_eq!(response.buckets_resp[0].values[0].values, Some(key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_and_large_requests_share_a_socket() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(echo(listener));
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    let sizes = (0..200).map(|n| if n % 50 == 7 { 5 << 20 } else { n * 100 });
    let callers: Vec<_> = sizes
        .map(|size| tokio::spawn(look_up(connection.clone(), Bytes::from(vec![size as u8; size]))))
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    drop(connection);
    server.await.unwrap();
}

#[tokio::test]
async fn a_port_without_a_listener_is_unreachable() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    let expected = format!("{address} cannot be reached: no server listens on the port");
    assert_eq!(error.to_string(), expected);
    assert!(error.is_retriable());
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_as_such() {
    let address = ServerAddress::new("no-such-host.invalid", 9123);
    let error = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("the host 'no-such-host.invalid' of"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_silent_does_not_hold_up_the_next() {
    let addresses: Vec<std::net::SocketAddr> = (1..=3)
        .map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)))
        .collect();
    let begun = tokio::time::Instant::now();
    let reached = super::super::tcp::first_of(addresses.clone(), |address| async move {
        match address.port() {
            1 => std::future::pending().await,
            2 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            port => Ok(port),
        }
    });
    assert_eq!(reached.await.unwrap(), 3);
    assert_eq!(begun.elapsed().as_millis(), 250);
    let refused = super::super::tcp::first_of(addresses, |_| async {
        Err::<(), _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    let error = refused.await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_caller_may_connect_again_after_the_end() {
    let (listener, address) = listen().await;
    for _ in 0..2 {
        let serve = async {
            let mut server = Server::new(listener.accept().await.unwrap().0);
            server.welcome(None).await;
        };
        let options = ConnectOptions::default();
        let (connection, ()) = tokio::join!(Connection::connect(&address, &options), serve);
        connection.unwrap().closed().await;
    }
}

use std::sync::Arc;

use fluss_test_certificates::{Authority, CertificateParams, DnType, Files, Signed, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::Server;
use super::*;
use crate::net::tls::{Acceptor, Secured, Tls, TlsFault, TlsOptions, TlsServerOptions};

/// Where nothing listens any more: who connects there has looked too late.
async fn listener() -> (TcpListener, ServerAddress) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, ServerAddress::new("localhost", port))
}

fn acceptor(files: &Files, signed: &Signed, clients: Option<&Authority>) -> Acceptor {
    let cert_file = files.put("server.pem", &signed.certificate);
    let mut options = TlsServerOptions::new(cert_file, files.put("server.key", &signed.key));
    options.client_ca_file = clients.map(|authority| files.put("clients.pem", &authority.certificate));
    Acceptor::open(options).unwrap()
}

fn trusting(files: &Files, authority: &Authority) -> TlsOptions {
    TlsOptions {
        ca_file: Some(files.put("ca.pem", &authority.certificate)),
        ..TlsOptions::default()
    }
}

fn showing(files: &Files, authority: &Authority, signed: &Signed) -> TlsOptions {
    TlsOptions {
        cert_file: Some(files.put("user.pem", &signed.certificate)),
        key_file: Some(files.put("user.key", &signed.key)),
        ..trusting(files, authority)
    }
}

fn by_tls(options: TlsOptions) -> ConnectOptions {
    ConnectOptions {
        transport: Transport::stream(Tls::new(options)),
        ..ConnectOptions::default()
    }
}

/// Welcomes one client, and returns its stream.
async fn welcome(acceptor: &Acceptor, listener: &TcpListener) -> Option<Server<Secured<TcpStream>>> {
    let stream = listener.accept().await.unwrap().0;
    let mut server = Server::new(acceptor.accept(stream).await.ok()?.stream);
    let request = server.next().await?;
    server.reply(request.id(), &server::versions(None)).await;
    Some(server)
}

/// What comes of connecting to a server with a certificate.
async fn attempt(
    signed: &Signed,
    clients: Option<&Authority>,
    options: TlsOptions,
) -> Result<(), ConnectError> {
    let (listener, address) = listener().await;
    let files = Files::new();
    let acceptor = acceptor(&files, signed, clients);
    let options = by_tls(options);
    let connecting = Connection::connect(&address, &options);
    let (connected, _server) = tokio::join!(connecting, welcome(&acceptor, &listener));
    connected.map(drop)
}

/// What a connection failed with, in its own words: each of them is one line, and none passes by waiting.
async fn refusal(signed: &Signed, clients: Option<&Authority>, options: TlsOptions) -> (TlsFault, String) {
    let error = attempt(signed, clients, options).await.unwrap_err();
    let words = error.to_string();
    assert!(!error.is_retriable(), "{words}");
    assert!(!words.contains('\n'), "{words}");
    let ConnectError::Tls { fault, .. } = error else {
        panic!("{error:?}");
    };
    let (_, said) = words.split_once(" failed: ").expect(&words);
    (fault, said.to_owned())
}

#[tokio::test]
async fn a_client_and_a_server_speak_tls() {
    let (authority, files) = (Authority::new(), Files::new());
    let acceptor = acceptor(&files, &authority.sign(|_| {}), None);
    let options = by_tls(trusting(&files, &authority));
    for host in ["localhost", "127.0.0.1"] {
        let (listener, address) = listener().await;
        let address = ServerAddress::new(host, address.port);
        let connecting = Connection::connect(&address, &options);
        let (connected, server) = tokio::join!(connecting, welcome(&acceptor, &listener));
        let (connection, mut server) = (connected.unwrap(), server.unwrap());

        // Larger than what a socket takes at a time.
        let large = "d".repeat(8 << 20);
        let answer = connection.send(&ask(&large));
        let serve = async {
            let request = server.receive().await;
            assert_eq!(request.body::<ListTablesRequest>().database_name, large);
            server.reply(request.id(), &tell(&large)).await;
        };
        let (answer, ()) = tokio::join!(answer, serve);
        assert_eq!(answer.unwrap(), tell(&large));

        // A server that is killed says nothing more, in TLS neither.
        drop(server);
        connection.closed().await;
        let error = connection.request(&ask("db")).await.unwrap_err();
        assert!(matches!(reason(error), Disconnect::ClosedByServer));
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (authority, files) = (Authority::new(), Files::new());
    let signed = authority.sign(|_| {});
    // One of another name, and one of the same.
    for other in [Authority::named("other"), Authority::new()] {
        let (fault, words) = refusal(&signed, None, trusting(&files, &other)).await;
        assert_eq!(fault, TlsFault::UnknownAuthority);
        assert_eq!(
            words,
            "the server's certificate is signed by no authority that is trusted: name the certificate of its authority with tls-ca-file"
        );
    }
}

#[tokio::test]
async fn a_certificate_has_its_time() {
    let (authority, files) = (Authority::new(), Files::new());
    let expired = authority.sign(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let (fault, words) = refusal(&expired, None, trusting(&files, &authority)).await;
    assert_eq!(fault, TlsFault::Expired);
    assert!(
        words.starts_with("the server's certificate has expired: renew it"),
        "{words}"
    );

    let early = authority.sign(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let (fault, words) = refusal(&early, None, trusting(&files, &authority)).await;
    assert_eq!(fault, TlsFault::NotYetValid);
    assert!(
        words.starts_with("the server's certificate is not valid yet"),
        "{words}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (authority, files) = (Authority::new(), Files::new());
    let other = CertificateParams::new(["db.example.com".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    let signed = authority.sign(|params| params.subject_alt_names = other.subject_alt_names);
    let (fault, words) = refusal(&signed, None, trusting(&files, &authority)).await;
    assert!(matches!(fault, TlsFault::OtherHost { .. }));
    assert_eq!(
        words,
        "the server's certificate is not for 'localhost' but for db.example.com, 10.0.0.1: connect to a name that it is for"
    );
}

#[tokio::test]
async fn a_client_shows_its_certificate_to_a_server_that_asks() {
    let (authority, files) = (Authority::new(), Files::new());
    let alice = authority.sign(|params| params.distinguished_name.push(DnType::CommonName, "alice"));
    let acceptor = acceptor(&files, &authority.sign(|_| {}), Some(&authority));
    let options = by_tls(showing(&files, &authority, &alice));
    let (listener, address) = listener().await;
    let serve = async {
        let accepted = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut server = Server::new(accepted.stream);
        server.welcome(None).await;
        accepted.name
    };
    let (connected, name) = tokio::join!(Connection::connect(&address, &options), serve);
    connected.unwrap();
    assert_eq!(name.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_client_without_the_certificate_that_is_asked_for_is_told() {
    let (authority, files) = (Authority::new(), Files::new());
    let signed = authority.sign(|_| {});
    let (fault, words) = refusal(&signed, Some(&authority), trusting(&files, &authority)).await;
    assert_eq!(fault, TlsFault::CertificateWanted);
    assert_eq!(
        words,
        "the server asks for a client certificate: name one with user-cert-file, and its key with user-key-file"
    );
}

#[tokio::test]
async fn a_server_of_tls_1_2_asks_in_the_handshake() {
    let (authority, files) = (Authority::new(), Files::new());
    let signed = authority.sign(|_| {});
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    let pem = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap();
    clients.add(pem).unwrap();
    let asks = rustls::server::WebPkiClientVerifier::builder_with_provider(clients.into(), provider.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(asks.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let (listener, address) = listener().await;
    let serve = async {
        let stream = listener.accept().await.unwrap().0;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        acceptor.accept(stream).await.map(drop)
    };
    let options = by_tls(trusting(&files, &authority));
    let (connected, served) = tokio::join!(Connection::connect(&address, &options), serve);
    served.unwrap_err();
    let error = connected.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Tls {
                fault: TlsFault::CertificateWanted,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_refused() {
    let (authority, files) = (Authority::new(), Files::new());
    let mallory = Authority::new().sign(|_| {});
    let options = showing(&files, &authority, &mallory);
    let (fault, words) = refusal(&authority.sign(|_| {}), Some(&authority), options).await;
    assert!(matches!(fault, TlsFault::CertificateRefused(_)), "{fault:?}");
    assert!(
        words.starts_with("the server does not accept the client certificate ("),
        "{words}"
    );
}

/// What a client says of a server that answers the first bytes with others, and closes.
async fn answered_with(bytes: &[u8], options: &ConnectOptions) -> ConnectError {
    let (listener, address) = listener().await;
    let serve = async {
        let mut stream = listener.accept().await.unwrap().0;
        stream.read_u8().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        // What is not read would reset the connection, and what was said could be lost.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (connected, ()) = tokio::join!(Connection::connect(&address, options), serve);
    connected.unwrap_err()
}

#[tokio::test]
async fn a_server_without_tls_is_recognised() {
    let (authority, files) = (Authority::new(), Files::new());
    let options = by_tls(trusting(&files, &authority));
    let failure = [
        &[0, 0, 0, 7, 2, 8, 0xff, 1][..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for bytes in failure {
        let error = answered_with(bytes, &options).await;
        assert!(
            matches!(
                error,
                ConnectError::Tls {
                    fault: TlsFault::NotTls,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.is_retriable());
    }
    let error = answered_with(&[], &options).await;
    assert!(
        matches!(
            error,
            ConnectError::Tls {
                fault: TlsFault::Closed,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_retriable(), "it may only be restarting");
    let words = error.to_string();
    assert!(
        words.ends_with(
            "the server closed the connection in the handshake, as servers do that do not speak TLS"
        ),
        "{words}"
    );
}

#[tokio::test]
async fn a_plain_client_learns_that_the_server_speaks_tls() {
    let (authority, files) = (Authority::new(), Files::new());
    let acceptor = acceptor(&files, &authority.sign(|_| {}), None);
    let (listener, address) = listener().await;
    let serve = async {
        let stream = listener.accept().await.unwrap().0;
        acceptor.accept(stream).await.unwrap_err()
    };
    let options = ConnectOptions::default();
    let (connected, _) = tokio::join!(Connection::connect(&address, &options), serve);
    let error = connected.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} speaks TLS: connect with tls=true")
    );
    assert!(!error.is_retriable());

    let larger = ConnectOptions {
        max_response_bytes: usize::MAX,
        ..ConnectOptions::default()
    };
    for options in [&options, &larger] {
        let error = answered_with(&[0x15, 3, 1, 0, 2, 2, 40], options).await;
        assert!(matches!(error, ConnectError::SpeaksTls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn files_that_do_not_do_are_named() {
    let (authority, files) = (Authority::new(), Files::new());
    let (signed, other) = (authority.sign(|_| {}), authority.sign(|_| {}));
    let good = showing(&files, &authority, &signed);
    let empty = files.put("empty", "");
    let broken = files.put(
        "broken",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );
    let locked = files.put(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let (missing, other_key) = (files.path("missing"), files.put("other.key", &other.key));
    let with_ca = |file: &std::path::Path| TlsOptions {
        ca_file: Some(file.to_owned()),
        ..good.clone()
    };
    let with_key = |file: &std::path::Path| TlsOptions {
        key_file: Some(file.to_owned()),
        ..good.clone()
    };
    let cases = [
        (
            with_ca(&missing),
            "missing cannot be read: No such file or directory",
        ),
        (with_ca(&empty), "empty holds no certificate in PEM form"),
        (with_ca(&broken), "broken is not PEM: "),
        (with_key(&empty), "empty holds no key in PEM form"),
        (
            with_key(&locked),
            "locked holds a key with a password: store it without one",
        ),
        (with_key(&other_key), "other.key does not go with "),
        (
            TlsOptions {
                key_file: None,
                ..good.clone()
            },
            "user-cert-file needs user-key-file",
        ),
        (
            TlsOptions {
                cert_file: None,
                ..good.clone()
            },
            "user-key-file needs user-cert-file",
        ),
    ];
    for (options, expected) in cases {
        // Nobody has to listen: nothing is sent.
        let error = Connection::connect(&ServerAddress::new("localhost", 1), &by_tls(options)).await;
        let error = error.unwrap_err();
        assert!(
            matches!(
                error,
                ConnectError::Tls {
                    fault: TlsFault::Files(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains(expected), "{error}: {expected}");
        assert!(!error.is_retriable());
    }
}

#[tokio::test]
async fn what_both_sides_have_of_files_is_renewed() {
    let (first, second) = (Authority::new(), Authority::new());
    let (at_server, at_client, at_other) = (Files::new(), Files::new(), Files::new());
    let acceptor = acceptor(&at_server, &first.sign(|_| {}), None);
    let options = by_tls(trusting(&at_client, &first));
    let renewed = by_tls(trusting(&at_other, &second));
    let (listener, address) = listener().await;
    let connect = async |options| {
        let connecting = Connection::connect(&address, options);
        let (connected, served) = tokio::join!(connecting, welcome(&acceptor, &listener));
        connected.map(|connection| (connection, served))
    };
    let (before, mut served) = connect(&options).await.unwrap();

    let signed = second.sign(|_| {});
    at_server.put("server.pem", &signed.certificate);
    connect(&options)
        .await
        .expect("a certificate without its key, so the old ones stay");
    at_server.put("server.key", &signed.key);
    connect(&renewed).await.unwrap();
    let error = connect(&options).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Tls {
                fault: TlsFault::UnknownAuthority,
                ..
            }
        ),
        "{error:?}"
    );

    at_client.put("ca.pem", &second.certificate);
    connect(&options).await.unwrap();
    at_client.put("ca.pem", "");
    connect(&options)
        .await
        .expect("a file that does not do, so the old one stays");
    std::fs::remove_file(at_server.path("server.key")).unwrap();
    acceptor.reload();
    connect(&renewed)
        .await
        .expect("a file that is gone, so the old one stays");

    let far = served.as_mut().unwrap();
    let serve = async {
        let id = far.receive().await.id();
        far.reply(id, &tell("t")).await;
    };
    let question = ask("db");
    let (answer, ()) = tokio::join!(before.request(&question), serve);
    assert_eq!(answer.unwrap(), tell("t"), "an open connection stays");
}

#[tokio::test]
async fn a_password_is_not_sent_in_clear_to_another_machine() {
    let (listener, address) = listener().await;
    let options = |allow_insecure_password| ConnectOptions {
        credentials: Some(Credentials::plain("alice", "secret")),
        allow_insecure_password,
        ..ConnectOptions::default()
    };
    // It leads to this machine, which its text does not say.
    let elsewhere = ServerAddress::new("0.0.0.0", address.port);
    let error = Connection::connect(&elsewhere, &options(false))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the password for {elsewhere} would be sent in clear: connect with tls=true, or allow that with allow-insecure-password=true"
        )
    );
    assert!(!error.is_retriable());

    let without_login = ConnectOptions::default();
    for allowed in [false, true] {
        let options = ConnectOptions {
            allow_insecure_password: allowed,
            ..without_login.clone()
        };
        let serve = async {
            let mut server = Server::new(listener.accept().await.unwrap().0);
            server.welcome(None).await;
            server
        };
        let (connected, mut server) = tokio::join!(Connection::connect(&elsewhere, &options), serve);
        let connected = connected.unwrap();
        let create = crate::proto::CreateUserRequest {
            password: "secret".to_owned(),
            ..Default::default()
        };
        let sent = connected.send(&create);
        // What comes first is the first that may.
        let listed = connected.send(&crate::proto::ListUsersRequest {});
        let request = server.receive().await;
        if allowed {
            assert_eq!(request.header.api_key, ApiKey::CreateUser.number());
            continue;
        }
        assert_eq!(request.header.api_key, ApiKey::ListUsers.number());
        assert_eq!(
            sent.await.unwrap_err().to_string(),
            "the password in CREATE_USER would be sent in clear: connect with tls=true, or allow that with allow-insecure-password=true"
        );
        drop(listed);
    }

    // The first that comes is the first that may.
    for (server, options) in [(&elsewhere, options(true)), (&address, options(false))] {
        let serve = async {
            let mut server = Server::new(listener.accept().await.unwrap().0);
            server.welcome(None).await;
            let request = server.receive().await;
            assert_eq!(request.header.api_key, ApiKey::Authenticate.number());
        };
        let (connected, ()) = tokio::join!(Connection::connect(server, &options), serve);
        connected.unwrap_err();
    }
}

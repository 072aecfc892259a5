//! Users that are created, altered and dropped while the node runs.

use fluss_rpc::api::Request;

use super::*;
use crate::security::Principal;

const SECRET: &str = "secret";

/// A node where root of the users file may do everything.
async fn guarded() -> (Node, ServerAddress) {
    let mut options = options();
    options.users = Some(Users::parse(&user_line("root", SECRET).unwrap()).unwrap());
    options.access = Access::Controlled {
        super_users: [Principal::user("root")].into(),
    };
    listening(options).await
}

fn login(name: &str, password: &str) -> ConnectOptions {
    ConnectOptions {
        credentials: Some(Credentials::plain(name, password)),
        ..ConnectOptions::default()
    }
}

async fn log_in(address: &ServerAddress, name: &str, password: &str) -> Connection {
    Connection::connect(address, &login(name, password))
        .await
        .unwrap()
}

/// A client in the process of a node.
async fn inside(node: &Node, address: &ServerAddress) -> Connection {
    let options = ConnectOptions {
        transport: fluss_rpc::net::Transport::in_process(node.clone()),
        ..ConnectOptions::default()
    };
    Connection::connect(address, &options).await.unwrap()
}

async fn is_let_in(address: &ServerAddress, name: &str, password: &str) -> bool {
    match Connection::connect(address, &login(name, password)).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), Some(ErrorCode::AUTHENTICATE_EXCEPTION), "{error}");
            false
        }
    }
}

fn creation(name: &str) -> proto::CreateUserRequest {
    proto::CreateUserRequest {
        user_name: name.to_owned(),
        password: SECRET.to_owned(),
        ignore_if_exists: false,
    }
}

fn alteration(name: &str, password: &str) -> proto::AlterUserRequest {
    proto::AlterUserRequest {
        user_name: name.to_owned(),
        password: password.to_owned(),
        ignore_if_not_exists: false,
    }
}

fn removal(name: &str) -> proto::DropUserRequest {
    proto::DropUserRequest {
        user_name: name.to_owned(),
        ignore_if_not_exists: false,
    }
}

async fn listed(connection: &Connection) -> Vec<(String, i32)> {
    let users = connection.request(&proto::ListUsersRequest {}).await.unwrap();
    let pair = |user: proto::PbUserInfo| (user.user_name, user.source);
    users.user.into_iter().map(pair).collect()
}

fn code<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> ErrorCode {
    match answer.unwrap_err() {
        RequestError::Server { code, .. } => code,
        other => panic!("no answer of the server: {other}"),
    }
}

/// A user that has logged in, byte by byte.
async fn raw(address: &ServerAddress, token: &[u8]) -> Raw {
    let mut client = Raw::connect(address).await;
    let request = proto::AuthenticateRequest {
        protocol: "PLAIN".to_owned(),
        token: Bytes::copy_from_slice(token),
    };
    let body = request.encode_to_vec();
    client.send(ApiKey::Authenticate.number(), 1, &body).await;
    let (header, _) = client.receive().await.unwrap();
    assert_eq!(header, ResponseHeader::Success { request_id: 1 });
    client
}

/// A client is told that its login does not hold any more, and then the connection ends.
async fn is_turned_out(mut client: Raw) {
    let (header, code, message) = client.refusal().await;
    assert_eq!(header, ResponseHeader::ServerFailure);
    assert_eq!(code, ErrorCode::AUTHENTICATE_EXCEPTION);
    assert!(message.contains("does not hold any more"), "{message}");
    assert!(client.receive().await.is_none());
}

#[tokio::test]
async fn the_bytes_of_the_four_requests_are_these() {
    let (_node, address) = guarded().await;
    let mut root = raw(&address, b"\0root\0secret").await;
    let create = b"\x0a\x05alice\x12\x06secret\x18\x00";
    let alter = b"\x0a\x05alice\x12\x05other\x18\x00";
    let remove = b"\x0a\x05alice\x10\x00";
    for (id, (key, body, answer)) in (2..).zip([
        (9001, &create[..], &b""[..]),
        (
            9004,
            b"",
            b"\x0a\x09\x0a\x05alice\x10\x02\x0a\x08\x0a\x04root\x10\x01",
        ),
        (9002, alter, b""),
        (9003, remove, b""),
        (9004, b"", b"\x0a\x08\x0a\x04root\x10\x01"),
    ]) {
        root.send(key, id, body).await;
        let (header, told) = root.receive().await.unwrap();
        assert_eq!(header, ResponseHeader::Success { request_id: id }, "{key}");
        assert_eq!(told, answer, "{key}");
    }
    for (key, body, code) in [
        (9002, &alter[..], 9001),
        (9003, remove, 9001),
        (9001, b"\x0a\x04root\x12\x01x\x18\x00", 9002),
        (9001, b"\x0a\x01:\x12\x01x\x18\x00", 9003),
        (9002, b"\x0a\x04root\x12\x01x\x18\x00", 27),
        (9001, b"\xff", -1),
    ] {
        root.send(key, 20, body).await;
        let (header, found, _) = root.refusal().await;
        assert_eq!(header, ResponseHeader::Error { request_id: 20 });
        assert_eq!(found.number(), code, "{key}");
    }
    assert_eq!(proto::CreateUserRequest::API.number(), 9001);
}

#[tokio::test]
async fn users_log_in_as_soon_as_they_are_created_and_no_more_when_they_are_dropped() {
    let (node, address) = guarded().await;
    let elsewhere = node.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let elsewhere = ServerAddress::new("127.0.0.1", elsewhere.port());
    let root = log_in(&address, "root", SECRET).await;
    assert!(!is_let_in(&address, "alice", SECRET).await);
    root.request(&creation("alice")).await.unwrap();
    for listener in [&address, &elsewhere] {
        assert!(is_let_in(listener, "alice", SECRET).await);
    }
    assert_eq!(
        listed(&root).await,
        [("alice".to_owned(), 2), ("root".to_owned(), 1)]
    );
    assert_eq!(
        code(root.request(&creation("alice")).await),
        ErrorCode::USER_ALREADY_EXIST
    );
    root.request(&alteration("alice", "other")).await.unwrap();
    assert!(!is_let_in(&elsewhere, "alice", SECRET).await);
    assert!(is_let_in(&elsewhere, "alice", "other").await);
    root.request(&removal("alice")).await.unwrap();
    assert!(!is_let_in(&address, "alice", "other").await);
    assert!(is_let_in(&address, "root", SECRET).await, "others stay");
}

#[tokio::test]
async fn connections_end_with_the_login_that_they_came_by() {
    let (_node, address) = guarded().await;
    let root = log_in(&address, "root", SECRET).await;
    for name in ["alice", "bob"] {
        root.request(&creation(name)).await.unwrap();
    }
    let bob = log_in(&address, "bob", SECRET).await;
    for change in 0..3 {
        let alice = raw(&address, b"\0alice\0secret").await;
        match change {
            0 => drop(root.request(&alteration("alice", SECRET)).await.unwrap()),
            1 => drop(root.request(&removal("alice")).await.unwrap()),
            // One of the same name and password is another.
            _ => {
                root.request(&removal("alice")).await.unwrap();
                root.request(&creation("alice")).await.unwrap();
            }
        }
        is_turned_out(alice).await;
        if change == 1 {
            root.request(&creation("alice")).await.unwrap();
        }
    }
    bob.request(&proto::ListDatabasesRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wait_ends_with_the_login_too() {
    let (_node, address) = guarded().await;
    let root = log_in(&address, "root", SECRET).await;
    root.request(&creation("alice")).await.unwrap();
    let table = numbers(&root).await;
    let acl = proto::PbAclInfo::from(&crate::security::Acl::new(
        Principal::user("alice"),
        crate::security::Operation::All,
        crate::security::Resource::cluster(),
    ));
    root.request(&proto::CreateAclsRequest { acl: vec![acl] })
        .await
        .unwrap();
    let alice = log_in(&address, "alice", SECRET).await;
    let news = alice.send_within(&fetch(table, 0, 60_000), Duration::from_mins(1));
    // It is answered, so the one before it has been begun.
    alice
        .request(&proto::ListDatabasesRequest::default())
        .await
        .unwrap();
    root.request(&removal("alice")).await.unwrap();
    assert!(news.await.is_err());
    alice.closed().await;
}

#[tokio::test]
async fn ones_own_password_is_changed_and_the_connection_goes_on() {
    let (_node, address) = guarded().await;
    let root = log_in(&address, "root", SECRET).await;
    root.request(&creation("alice")).await.unwrap();
    let alice = log_in(&address, "alice", SECRET).await;
    let other = raw(&address, b"\0alice\0secret").await;
    let lists = proto::ListDatabasesRequest::default();
    for password in ["first", "second"] {
        alice.request(&alteration("alice", password)).await.unwrap();
        alice.request(&lists).await.unwrap();
    }
    is_turned_out(other).await;
    assert!(!is_let_in(&address, "alice", "first").await);
    assert!(is_let_in(&address, "alice", "second").await);
    assert_eq!(
        code(alice.request(&alteration("root", "mine")).await),
        ErrorCode::AUTHORIZATION_EXCEPTION
    );
    alice.request(&lists).await.unwrap();
    root.request(&alteration("alice", "third")).await.unwrap();
    assert!(alice.request(&lists).await.is_err());
}

#[tokio::test]
async fn a_node_without_users_asks_nobody_until_its_own_process_creates_one() {
    let (node, address) = listening(options()).await;
    let stranger = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    let refused = stranger.request(&creation("alice")).await;
    assert_eq!(code(refused), ErrorCode::SECURITY_DISABLED);
    assert_eq!(listed(&stranger).await, []);

    let inside = inside(&node, &address).await;
    inside.request(&creation("alice")).await.unwrap();
    stranger.closed().await;
    let mut nobody = Raw::connect(&address).await;
    nobody.send(ApiKey::ListDatabases.number(), 1, b"").await;
    assert_eq!(nobody.refusal().await.1, ErrorCode::AUTHENTICATE_EXCEPTION);
    assert!(is_let_in(&address, "alice", SECRET).await);
    assert!(!is_let_in(&address, "alice", "guess").await);
}

#[tokio::test]
async fn a_node_that_was_told_to_asks_for_a_login_before_there_are_users() {
    let mut options = options();
    options.login = true;
    let (node, address) = listening(options).await;
    let mut nobody = Raw::connect(&address).await;
    nobody.send(ApiKey::ListUsers.number(), 1, b"").await;
    assert_eq!(nobody.refusal().await.1, ErrorCode::AUTHENTICATE_EXCEPTION);
    assert!(!is_let_in(&address, "alice", SECRET).await);
    let inside = inside(&node, &address).await;
    inside.request(&creation("alice")).await.unwrap();
    let alice = log_in(&address, "alice", SECRET).await;
    // Without rights whoever has logged in may do all of it, but nobody drops themselves.
    alice.request(&creation("bob")).await.unwrap();
    assert_eq!(
        code(alice.request(&removal("alice")).await),
        ErrorCode::OPERATION_NOT_ATTEMPTED
    );
    alice.request(&removal("bob")).await.unwrap();
}

#[tokio::test]
async fn users_are_there_after_a_restart_and_those_of_the_file_are_others() {
    let disk = fluss_store::disk::MemoryDisk::new();
    let disk: std::sync::Arc<dyn fluss_store::disk::Disk> = std::sync::Arc::new(disk);
    let options = || NodeOptions::new(Storage::Disk(disk.clone()));
    let mut first = options();
    first.login = true;
    let (node, address) = listening(first).await;
    let inside = inside(&node, &address).await;
    inside.request(&creation("alice")).await.unwrap();
    inside.close();
    node.shut_down().await;

    // Nobody has to say again that everybody logs in: there are users.
    let (node, address) = listening(options()).await;
    assert!(is_let_in(&address, "alice", SECRET).await);
    assert!(!is_let_in(&address, "alice", "guess").await);
    node.shut_down().await;

    let mut with_file = options();
    with_file.users = Some(Users::parse(&user_line("alice", "other").unwrap()).unwrap());
    let error = Node::open(with_file).unwrap_err().to_string();
    assert!(
        error.contains(r#"user "alice" is in the users file, too"#),
        "{error}"
    );
}

#[tokio::test]
async fn only_a_node_lists_these_apis_and_it_lists_all_of_them() {
    let (_node, address) = listening(options()).await;
    let connection = Connection::connect(&address, &ConnectOptions::default())
        .await
        .unwrap();
    for api in ApiKey::ALL.iter().filter(|api| api.is_of_node()) {
        assert_eq!(connection.negotiated().usable(*api), Ok(0), "{api}");
    }
}

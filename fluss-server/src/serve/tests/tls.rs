//! A node that listens by TLS.

use fluss_rpc::net::tls::{Tls, TlsFault, TlsOptions, TlsServerOptions};
use fluss_rpc::net::{ConnectError, Transport};
use tokio::io::AsyncReadExt;

use super::*;
use crate::security::Principal;
use fluss_test_certificates::{Authority, Files};

/// Far less than a client would wait.
const SOON: Duration = Duration::from_secs(20);

/// The options of a node with a certificate.
fn certified(authority: &Authority, files: &Files) -> NodeOptions {
    let (certificate, key) = authority.sign_into(files, "node");
    let mut options = options();
    options.tls = Some(TlsServerOptions::new(certificate, key));
    options
}

/// The same, where clients have to show a certificate, and only `root` may do anything.
fn mutual(authority: &Authority, files: &Files) -> NodeOptions {
    let mut options = certified(authority, files);
    let tls = options.tls.as_mut().unwrap();
    tls.client_ca_file = Some(files.put("clients.pem", &authority.certificate));
    options.access = Access::Controlled {
        super_users: [Principal::user("root")].into(),
    };
    options
}

/// How a client connects that trusts an authority, and shows a certificate in some name.
fn client(trusted: &Authority, shown: Option<(&Authority, &str)>) -> (ConnectOptions, Files) {
    let files = Files::new();
    let mut tls = TlsOptions::default();
    tls.ca_file = Some(files.put("ca.pem", &trusted.certificate));
    if let Some((authority, name)) = shown {
        let (certificate, key) = authority.sign_into(&files, name);
        (tls.cert_file, tls.key_file) = (Some(certificate), Some(key));
    }
    let options = ConnectOptions {
        transport: Transport::stream(Tls::new(tls)),
        ..ConnectOptions::default()
    };
    (options, files)
}

async fn create(connection: &Connection, name: &str) -> Result<(), ErrorCode> {
    let schema = Schema::builder().column("id", DataType::int()).build().unwrap();
    match create_table(connection, name, schema, &[]).await {
        Ok(_) => Ok(()),
        Err(RequestError::Server { code, .. }) => Err(code),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_client_works_by_tls() {
    let (authority, files) = (Authority::new(), Files::new());
    let (_node, address) = listening(certified(&authority, &files)).await;
    let (options, _files) = client(&authority, None);
    let connection = Connection::connect(&address, &options).await.unwrap();
    let table_id = numbers(&connection).await;
    let stored = connection.request(&produce(table_id, 1)).await.unwrap();
    assert_eq!(stored.buckets_resp[0].base_offset, Some(0));
}

#[tokio::test]
async fn a_client_is_who_its_certificate_says() {
    let (authority, files) = (Authority::new(), Files::new());
    let (_node, address) = listening(mutual(&authority, &files)).await;
    let may = async |name: &str| {
        let (options, _files) = client(&authority, Some((&authority, name)));
        let connection = Connection::connect(&address, &options).await.unwrap();
        create(&connection, &format!("of_{name}")).await
    };
    assert_eq!(may("root").await, Ok(()));
    assert_eq!(may("alice").await, Err(ErrorCode::AUTHORIZATION_EXCEPTION));
}

#[tokio::test]
async fn a_client_without_a_certificate_that_is_accepted_is_told() {
    let (authority, files) = (Authority::new(), Files::new());
    let (_node, address) = listening(mutual(&authority, &files)).await;
    let refused = async |shown| {
        let (options, _files) = client(&authority, shown);
        match Connection::connect(&address, &options).await.unwrap_err() {
            ConnectError::Tls { fault, .. } => fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(None).await, TlsFault::CertificateWanted);
    let fault = refused(Some((&Authority::new(), "root"))).await;
    assert!(matches!(fault, TlsFault::CertificateRefused(_)), "{fault:?}");
}

#[tokio::test]
async fn where_users_log_in_the_login_counts() {
    let (authority, files) = (Authority::new(), Files::new());
    let mut options = mutual(&authority, &files);
    let users = user_line("root", "root-secret").unwrap();
    options.users = Some(Users::parse(&users).unwrap());
    let (_node, address) = listening(options).await;

    let (mut options, _alice) = client(&authority, Some((&authority, "alice")));
    options.credentials = Some(Credentials::plain("root", "root-secret"));
    let connection = Connection::connect(&address, &options).await.unwrap();
    assert_eq!(create(&connection, "t").await, Ok(()));

    let (options, _root) = client(&authority, Some((&authority, "root")));
    let connection = Connection::connect(&address, &options).await.unwrap();
    assert_eq!(
        create(&connection, "u").await,
        Err(ErrorCode::AUTHENTICATE_EXCEPTION)
    );
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_stay() {
    let (first, second, files) = (Authority::new(), Authority::new(), Files::new());
    let (node, address) = listening(certified(&first, &files)).await;
    let (before, _before) = client(&first, None);
    let (after, _after) = client(&second, None);
    let open = Connection::connect(&address, &before).await.unwrap();
    assert!(Connection::connect(&address, &after).await.is_err());

    second.sign_into(&files, "node");
    Connection::connect(&address, &after).await.unwrap();
    assert!(Connection::connect(&address, &before).await.is_err());
    assert_eq!(create(&open, "t").await, Ok(()));

    files.put("node.pem", "");
    Connection::connect(&address, &after).await.unwrap();
    node.reload_certificates();
    Connection::connect(&address, &after).await.unwrap();
}

#[tokio::test]
async fn a_plain_client_is_refused_at_once() {
    let (authority, files) = (Authority::new(), Files::new());
    let (_node, address) = listening(certified(&authority, &files)).await;
    let plain = ConnectOptions::default();
    let refused = tokio::time::timeout(SOON, Connection::connect(&address, &plain)).await;
    let error = refused.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::SpeaksTls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_not_waited_for_and_holds_up_nobody() {
    let (authority, files) = (Authority::new(), Files::new());
    let mut options = certified(&authority, &files);
    options.limits.login = Duration::from_millis(500);
    let (_node, address) = listening(options).await;
    let mut silent = TcpStream::connect(("127.0.0.1", address.port)).await.unwrap();
    let (options, _files) = client(&authority, None);
    Connection::connect(&address, &options).await.unwrap();
    let closed = tokio::time::timeout(SOON, silent.read(&mut [0])).await;
    assert!(matches!(closed.unwrap(), Ok(0)), "the node has closed it");
}

#[tokio::test]
async fn a_client_that_is_one_too_many_is_told_so_by_tls() {
    let (authority, files) = (Authority::new(), Files::new());
    let mut options = certified(&authority, &files);
    options.limits.connections = 1;
    let (_node, address) = listening(options).await;
    let (options, _files) = client(&authority, None);
    let _first = Connection::connect(&address, &options).await.unwrap();
    let error = Connection::connect(&address, &options).await.unwrap_err();
    assert!(error.to_string().contains("max.connections"), "{error}");
}

#[tokio::test]
async fn a_node_does_not_listen_with_files_that_do_not_do() {
    let (authority, files) = (Authority::new(), Files::new());
    let refusal = async |change: &dyn Fn(&mut TlsServerOptions)| {
        let mut options = certified(&authority, &files);
        change(options.tls.as_mut().unwrap());
        let node = Node::open(options).unwrap();
        let error = node.listen("127.0.0.1:0".parse().unwrap()).await.unwrap_err();
        error.to_string()
    };
    let told = refusal(&|tls| tls.key_file = "".into()).await;
    assert_eq!(told, "the certificate of TLS has no key that goes with it");
    let told = refusal(&|tls| tls.cert_file = tls.key_file.clone()).await;
    assert!(
        told.ends_with("node.key holds no certificate in PEM form"),
        "{told}"
    );
    let told = refusal(&|tls| tls.client_ca_file = Some("/no/such/file".into())).await;
    assert!(told.starts_with("/no/such/file cannot be read: "), "{told}");
}

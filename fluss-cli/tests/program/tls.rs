//! `fluss serve` with certificates.

use std::path::{Path, PathBuf};

use fluss_client::{Connection, ConnectionBuilder, Credentials, ErrorKind, Outcome, TlsFault};
use fluss_test_certificates::{Authority, Files};
use rustix::process::{Pid, Signal, kill_process};

use crate::{SOON, Server};

/// A client of a server that speaks TLS.
fn client_of(server: &Server, ca_file: &Path) -> ConnectionBuilder {
    Connection::builder(&server.target)
        .option("tls", "true")
        .option("tls-ca-file", ca_file.display().to_string())
}

/// Makes an authority, and puts it and what it signs into files: `ca.pem`, and for the node `node.pem` and `node.key`.
fn certify(files: &Files) -> [PathBuf; 3] {
    let authority = Authority::new();
    let (certificate, key) = authority.sign_into(files, "node");
    [files.put("ca.pem", &authority.certificate), certificate, key]
}

#[tokio::test]
async fn the_program_serves_by_tls() {
    let directory = Files::new();
    let [ca, certificate, key] = certify(&directory);
    let arguments = [
        Path::new("--tls-cert"),
        &certificate,
        Path::new("--tls-key"),
        &key,
    ];
    let server = Server::start(directory.directory(), &arguments);
    let connection = client_of(&server, &ca).connect().await.unwrap();
    assert_eq!(connection.admin().list_databases().await.unwrap(), ["fluss"]);

    let plain = Connection::builder(&server.target).connect().await.unwrap_err();
    assert!(
        plain.to_string().ends_with("speaks TLS: connect with tls=true"),
        "{plain}"
    );
    assert!(!plain.is_retriable());

    let elsewhere = Files::new();
    let [other, ..] = certify(&elsewhere);
    let unknown = client_of(&server, &other).connect().await.unwrap_err();
    assert!(
        matches!(unknown.kind(), ErrorKind::Connect(error) if error.to_string().contains("signed by no authority")),
        "{unknown}"
    );
    let nobody = client_of(&server, &ca).option("user-cert-file", "/no/such/file");
    let nobody = nobody
        .option("user-key-file", "/no/such/file")
        .connect()
        .await
        .unwrap_err();
    assert_eq!(nobody.outcome(), Outcome::InvalidArgument);
}

#[tokio::test]
async fn a_hang_up_reads_certificates_again_and_ends_nothing() {
    let directory = Files::new();
    let [ca, certificate, key] = certify(&directory);
    let config = directory.path("config");
    let lines = format!(
        "listener.tls.certificate: {}\nlistener.tls.key: {}\n",
        certificate.display(),
        key.display()
    );
    std::fs::write(&config, lines).unwrap();
    let server = Server::start(directory.directory(), &[Path::new("--config"), &config]);
    let before = client_of(&server, &ca).connect().await.unwrap();

    let [ca, ..] = certify(&directory);
    let pid = Pid::from_raw(server.process.id().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let after = async {
        while let Err(error) = client_of(&server, &ca).connect().await {
            let is_old = matches!(error.kind(), ErrorKind::Connect(error)
                if matches!(&**error, fluss_client::ConnectError::Tls { fault: TlsFault::UnknownAuthority, .. }));
            assert!(is_old, "{error}");
        }
    };
    tokio::time::timeout(SOON, after).await.unwrap();
    assert_eq!(before.admin().list_databases().await.unwrap(), ["fluss"]);
}

#[tokio::test]
async fn a_password_goes_to_another_machine_only_if_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(directory.path(), &[]);
    // It leads to this machine, which its text does not say.
    let target = server.target.replace("127.0.0.1", "0.0.0.0");
    let client = || Connection::builder(&target).credentials(Credentials::plain("alice", "secret"));
    let refused = client().connect().await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::InvalidArgument);
    assert!(
        refused.to_string().contains("would be sent in clear"),
        "{refused}"
    );

    let allowed = client().option("allow-insecure-password", "true");
    let asked = allowed.connect().await.unwrap_err();
    assert_eq!(asked.outcome(), Outcome::Unauthenticated);
    assert!(asked.to_string().contains("nobody has to log in here"), "{asked}");
}

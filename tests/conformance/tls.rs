//! A cluster behind proxies that end TLS, one before each server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use fluss_client::types::Datum;
use fluss_client::{ConnectError, Connection, ConnectionBuilder, Error, ErrorKind, StartOffset, TlsFault};
use fluss_cluster::{Front, Spec, Tls};
use fluss_test_certificates::{Authority, CertificateParams, Files, Signed, date_time_ymd};

use crate::faults::{Found, leader, numbers, restart};
use crate::{Backend, CLUSTER, create, run, start, start_alone, tests};

tests! {
    CLUSTER => [
        behind_fronts_a_killed_leader_is_replaced_and_every_row_is_there_once,
        a_front_that_is_not_to_be_trusted_is_told_apart,
    ],
}

/// What a front shows, from these files.
fn shown(files: &Files, name: &str, signed: &Signed) -> Tls {
    let (certificate, key) = signed.put(files, name);
    Tls::new(certificate, key)
}

/// How root connects by TLS, trusting the authority whose certificate is in the file `ca.pem`.
fn root(servers: &str, files: &Files) -> ConnectionBuilder {
    let string = format!("fluss://root:root-secret@{servers}?tls=true");
    Connection::builder(string).option("tls-ca-file", files.path("ca.pem").display().to_string())
}

fn behind_fronts_a_killed_leader_is_replaced_and_every_row_is_there_once(backend: Backend) {
    const ROWS: usize = 2_000;
    const ROUNDS: usize = 2;
    let (authority, files) = (Authority::new(), Files::new());
    files.put("ca.pem", &authority.certificate);
    let tls = shown(&files, "fronts", &authority.sign(|_| {}));
    let place = start_alone(backend, Spec::new().tablet_servers(3).sasl().behind_tls(tls));
    let cluster = place.cluster();
    run(async {
        let connection = root(&place.bootstrap(), &files).connect().await.unwrap();
        let table = create(&connection, numbers(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        let mut ids = 0..;
        for round in 0..ROUNDS {
            // Its front takes connections all the time, and closes them.
            let server = leader(cluster, table.info(), round);
            for half in 0..2 {
                for id in ids.by_ref().take(ROWS) {
                    writer.append(&[Datum::BigInt(id)]).await.unwrap();
                    acknowledged.insert(id);
                }
                if half == 0 {
                    server.kill().unwrap();
                }
            }
            writer.flush().await.unwrap();
            found.read_all(&scanner, &acknowledged).await;
            restart(cluster, server);
        }
        assert_eq!(found.ids.len(), 2 * ROWS * ROUNDS);
        connection.shut_down().await.unwrap();
    });
}

fn fault(error: &Error) -> Option<&TlsFault> {
    match error.kind() {
        ErrorKind::Connect(error) => match &**error {
            ConnectError::Tls { fault, .. } => Some(fault),
            _ => None,
        },
        _ => None,
    }
}

fn a_front_that_is_not_to_be_trusted_is_told_apart(backend: Backend) {
    let (authority, other) = (Authority::new(), Authority::named("other"));
    let (files, of_other) = (Files::new(), Files::new());
    let ca = files.put("ca.pem", &authority.certificate);
    of_other.put("ca.pem", &other.certificate);
    // The servers know each other as localhost, for which this is not.
    let by_address = authority.sign_for(&["127.0.0.1"], |_| {});
    let place = start(
        backend,
        Spec::new()
            .sasl()
            .behind_tls(shown(&files, "fronts", &by_address)),
    );
    let server = place.cluster().coordinator();
    let front = |name: &str, signed: &Signed| {
        Front::start(&shown(&files, name, signed), server.own_address()).unwrap()
    };
    let expired = front(
        "expired",
        &authority.sign(|params: &mut CertificateParams| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 2);
        }),
    );
    let misnamed = front("misnamed", &authority.sign_for(&["db.example.com"], |_| {}));
    let good = front("good", &authority.sign(|_| {}));
    let asks = shown(&files, "asks", &authority.sign(|_| {})).for_clients_of(&ca);
    let asks = Front::start(&asks, server.own_address()).unwrap();
    let stranger = other.sign_into(&files, "stranger");
    let as_stranger = |builder: ConnectionBuilder| {
        builder
            .option("user-cert-file", stranger.0.display().to_string())
            .option("user-key-file", stranger.1.display().to_string())
    };
    run(async {
        let through = |address: SocketAddr| root(&address.to_string(), &files);
        let refused = async |builder: ConnectionBuilder| {
            let error = builder.connect().await.unwrap_err();
            let fault = fault(&error).cloned();
            fault.unwrap_or_else(|| panic!("{error}"))
        };
        let unknown = refused(root(&good.address().to_string(), &of_other)).await;
        assert_eq!(unknown, TlsFault::UnknownAuthority);
        assert_eq!(refused(through(expired.address())).await, TlsFault::Expired);
        let elsewhere = refused(through(misnamed.address())).await;
        assert_eq!(
            elsewhere,
            TlsFault::OtherHost {
                host: "127.0.0.1".to_owned(),
                presented: vec!["db.example.com".to_owned()],
            }
        );
        assert_eq!(
            refused(through(asks.address())).await,
            TlsFault::CertificateWanted
        );
        let other_client = refused(as_stranger(through(asks.address()))).await;
        assert!(
            matches!(other_client, TlsFault::CertificateRefused(_)),
            "{other_client:?}"
        );
        // A server of Fluss takes the handshake for a frame that is too long.
        let plain = refused(through(server.internal_address())).await;
        assert!(matches!(plain, TlsFault::Closed | TlsFault::NotTls), "{plain:?}");

        let clear = Connection::builder(format!("fluss://{}", good.address()));
        let error = clear.connect().await.unwrap_err();
        // This proxy hangs up without a word of TLS.
        let told = error.to_string();
        assert!(told.contains("speaks TLS, connect with tls=true"), "{told}");

        // Each server has to prove who it is, not only the first.
        let connection = through(good.address())
            .option("request-timeout", "5 s")
            .connect()
            .await
            .unwrap();
        let error = connection.admin().list_databases().await.unwrap_err();
        assert!(
            matches!(fault(&error), Some(TlsFault::OtherHost { host, .. }) if host == "localhost"),
            "{error}"
        );
        tokio::time::timeout(Duration::from_mins(1), connection.shut_down())
            .await
            .unwrap()
            .unwrap();
    });
}

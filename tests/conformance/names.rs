//! Servers by their names, and connection strings.

use std::time::Duration;

use fluss_client::{Connection, ErrorKind};
use fluss_cluster::Spec;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::{Backend, SERVERS, run, start, tests};

tests! {
    SERVERS => [
        each_address_of_a_name_is_a_server_to_begin_with,
        a_server_that_says_nothing_is_left_for_another,
        a_name_that_leads_nowhere_is_looked_up_again_and_then_told,
    ],
}

/// The port of a server.
fn port(bootstrap: &str) -> &str {
    let first = bootstrap.split(',').next().unwrap();
    first.rsplit_once(':').unwrap().1
}

fn each_address_of_a_name_is_a_server_to_begin_with(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        // It has an address of each family on most machines, and servers listen at one of them.
        let string = format!(
            "fluss+discover://localhost:{}/shop?connectionName=conformance&gossipTimeout=20&requestTimeout=20s",
            port(&place.bootstrap())
        );
        let connection = Connection::builder(string).connect().await.unwrap();
        assert!(!connection.admin().list_databases().await.unwrap().is_empty());
        assert_eq!(connection.path("orders").unwrap().to_string(), "shop.orders");
        assert_eq!(connection.options().request_timeout, Duration::from_secs(20));
        connection.shut_down().await.unwrap();
    });
}

fn a_server_that_says_nothing_is_left_for_another(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        for first in [
            format!("{address},{}", place.bootstrap()),
            format!("{},{address}", place.bootstrap()),
        ] {
            let begun = Instant::now();
            let connection = Connection::builder(format!("fluss://{first}?connectTimeout=30s"));
            let connection = connection.connect().await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(20));
            connection.shut_down().await.unwrap();
        }
        // Where it is all that there is, it is asked for as long as it may be, and no longer.
        let string =
            format!("fluss://{address}?gossipTimeout=200ms&maxDiscoverAttempts=3&connectTimeout=300ms");
        let error = Connection::builder(string).connect().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error}");
    });
}

fn a_name_that_leads_nowhere_is_looked_up_again_and_then_told(backend: Backend) {
    // The name is the same whatever runs.
    drop(start(backend, Spec::new()));
    run(async {
        let begun = Instant::now();
        let string = "fluss+discover://nowhere.invalid:9123?maxDiscoverAttempts=3&discoveryInterval=50";
        let error = Connection::builder(string).connect().await.unwrap_err();
        assert!(error.to_string().contains("nowhere.invalid"), "{error}");
        // Two pauses, each of which may be shorter by a fifth.
        assert!(begun.elapsed() >= Duration::from_millis(110));
    });
}

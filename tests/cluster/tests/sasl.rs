//! A cluster with SASL asks clients who they are, and the Java client of the peers can tell it.

mod common;

use std::time::Duration;

use fluss_cluster::{ALICE, Cluster, Error, Peer, ROOT, Spec, User, members};
use serde_json::{Value, json};

#[test]
fn root_may_do_what_alice_may_not() {
    if common::is_left_out("root_may_do_what_alice_may_not") {
        return;
    }
    let cluster = Cluster::start(Spec::new().sasl()).expect("a cluster");
    let server = cluster.tablet_server(0).expect("the only one");
    assert!(
        members(server.address(), Duration::from_secs(10)).is_err(),
        "nobody asked who we are"
    );

    let mut peer = Peer::java().expect("a peer");
    let create = json!({"op": "create_database", "database": "secured"});
    peer.ask(&connect(&cluster, ALICE)).expect("alice is known");
    let refused = peer.ask(&create).expect_err("alice may not");
    assert!(
        matches!(&refused, Error::Peer { message } if message.contains("Authorization")),
        "{refused}"
    );

    peer.ask(&connect(&cluster, ROOT)).expect("root is known");
    peer.ask(&create).expect("root may");
}

fn connect(cluster: &Cluster, user: User) -> Value {
    json!({"op": "connect", "bootstrap": cluster.bootstrap(), "properties": {
        "client.security.protocol": "SASL",
        "client.security.sasl.mechanism": "PLAIN",
        "client.security.sasl.username": user.name,
        "client.security.sasl.password": user.password,
    }})
}

//! A node behind `fluss serve` answers, and leaves nothing behind.

use std::time::Duration;

use fluss_cluster::{Members, Served, Spec, members};

const SOON: Duration = Duration::from_secs(10);

fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_node_plays_every_role_and_nothing_is_left_after_drop() {
    let served = Served::start(&Spec::new()).expect("a node");
    let seen = members(served.address(), SOON).expect("an answer");
    let both = Members {
        coordinator: true,
        tablet_servers: [0].into(),
    };
    assert_eq!(seen, both);

    let (pid, directory) = (served.pid(), served.directory().to_owned());
    assert!(is_alive(pid) && directory.join("data").is_dir());
    drop(served);
    assert!(!is_alive(pid), "the node outlived its handle");
    assert!(!directory.exists(), "data were left behind");
}

#[test]
fn a_node_asks_who_comes() {
    let served = Served::start(&Spec::new().sasl()).expect("a node");
    members(served.address(), SOON).expect_err("nobody asked who we are");
    assert_eq!(served.users().len(), 2);
}

#[test]
fn what_a_node_does_not_take_is_told() {
    let error = Served::start(&Spec::new().property("no.such.option", "1")).expect_err("no such option");
    assert!(error.to_string().contains("no.such.option"), "{error}");
}

//! The fixture keeps its promises on the smallest cluster.

#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use fluss_cluster::{Cluster, Members, Spec, members};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn a_server_comes_back_after_a_kill_and_nothing_is_left_after_drop() {
    if common::is_left_out("a_server_comes_back_after_a_kill_and_nothing_is_left_after_drop") {
        return;
    }
    let cluster = Cluster::start(Spec::new()).expect("a cluster");
    let everyone = Members {
        coordinator: true,
        tablet_servers: [0].into(),
    };
    for server in cluster.servers() {
        assert_eq!(members(server.address(), SOON).expect("an answer"), everyone);
    }
    let server = cluster.tablet_server(0).expect("the only one");
    let first = server.pid();

    server.kill().expect("killed");
    assert!(members(server.address(), SOON).is_err(), "a dead server answers");
    server.restart().expect("restarted");
    cluster.wait_ready(SOON).expect("ready again");
    assert_ne!(server.pid(), first);
    assert_eq!(members(server.address(), SOON).expect("an answer"), everyone);

    let pids: Vec<u32> = cluster.servers().map(fluss_cluster::Server::pid).collect();
    let directory = cluster.directory().to_owned();
    drop(cluster);
    assert!(
        pids.iter().all(|&pid| !is_alive(pid)),
        "a server outlived its cluster"
    );
    assert!(!directory.exists(), "data were left behind");
}

#[test]
fn the_end_of_the_holder_is_the_end_of_the_cluster() {
    if common::is_left_out("the_end_of_the_holder_is_the_end_of_the_cluster") {
        return;
    }
    let mut holder = std::process::Command::new(env!("CARGO_BIN_EXE_fluss-cluster"))
        .args(["run", "--sasl"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let described = first_line(&mut holder);
    let pids = pids(&described);
    assert_eq!(pids.len(), 2);
    assert_eq!(described["users"][0]["name"], "root");
    assert!(pids.iter().all(|&pid| is_alive(pid)));

    holder.kill().expect("killed with SIGKILL");
    holder.wait().expect("gone");
    let directory = described["directory"].as_str().expect("a path").to_owned();
    wait_until(|| pids.iter().all(|&pid| !is_alive(pid)) && !Path::new(&directory).exists());
}

fn first_line(holder: &mut std::process::Child) -> serde_json::Value {
    let mut line = String::new();
    let output = holder.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

fn pids(described: &serde_json::Value) -> BTreeSet<u32> {
    let tablet_servers = described["tablet_servers"].as_array().expect("a list");
    let servers = tablet_servers.iter().chain([&described["coordinator"]]);
    servers
        .map(|server| server["pid"].as_u64().expect("a number") as u32)
        .collect()
}

/// A zombie counts as gone: it only waits for its parent to look.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < SOON, "the condition did not become true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! Followers that are killed at any time, lose their power, and write to a disk that fails.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use fastrand::Rng;
use fluss_client::Connection;
use fluss_client::types::TablePath;
use fluss_cluster::Spec;
use fluss_replica::{Replica, ReplicaOptions};
use tempfile::tempdir;

use super::model::Model;
use super::open;
use crate::faults::{leader, restart};
use crate::{Backend, PATIENCE, Place, SERVERS, connect, run, start, start_alone, tests};

tests! {
    SERVERS => [
        a_follower_outlives_servers_that_are_killed,
        followers_are_killed,
        followers_lose_their_power,
        a_disk_fails,
    ],
}

fn a_follower_outlives_servers_that_are_killed(backend: Backend) {
    let place = start_alone(backend, Spec::new().tablet_servers(3));
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 3, 10).await;
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        for _ in 0..3 {
            model.change(20).await;
            if backend == Backend::Cluster {
                let server = leader(place.cluster(), model.table.info(), 0);
                server.kill().unwrap();
                restart(place.cluster(), server);
            } else {
                place.served().kill().unwrap();
                // What there is is read, whoever is there.
                let there = replica.count().unwrap();
                assert!(there <= model.rows.len() as u64 + 20);
                place.served().restart(PATIENCE).unwrap();
            }
            let last = model.change(20).await;
            replica.wait_until_written(&last, Some(PATIENCE)).await.unwrap();
            replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
            model.check(&replica).await;
        }
        replica.shut_down().await;
    });
}

/// Tells this program that it follows, and what.
const VARIABLE: &str = "FLUSS_REPLICA_FOLLOWER";
const PAGE_BYTES: usize = 4096;

/// Follows, if this program is told to.
pub fn follow_if_told() -> Option<ExitCode> {
    let told = std::env::var(VARIABLE).ok()?;
    let words: Vec<&str> = told.split(' ').collect();
    let [bootstrap, table, directory] = words[..] else {
        panic!("{told}");
    };
    let path: TablePath = table.parse().unwrap();
    run(async {
        let connection = fluss_client::connect(&format!("fluss://{bootstrap}"))
            .await
            .unwrap();
        let options = ReplicaOptions::default();
        let replica = Replica::open(&connection, &path, Path::new(directory), options)
            .await
            .unwrap();
        replica.start(None).await.unwrap();
        std::future::pending::<()>().await;
    });
    Some(ExitCode::FAILURE)
}

/// A follower in a process of its own.
struct Follower(Child);

impl Follower {
    fn start(place: &Place, table: &TablePath, directory: &Path, disk: &[(&str, String)]) -> Self {
        let told = format!("{} {table} {}", place.bootstrap(), directory.display());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env(VARIABLE, told)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.envs(disk.iter().map(|(name, value)| (*name, value.as_str())));
        Self(command.spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), None, "it has ended by itself");
    }
}

/// Has followers die again and again, at any time, while the table is changed. What they leave is always right.
async fn die(place: &Place, deaths: usize, seed: u64, disk: &[(&str, String)], after: impl Fn(&Path)) {
    let connection = connect(place).await;
    let directory = tempdir().unwrap();
    let mut model = Model::create(&connection, 3, seed).await;
    let mut rng = Rng::with_seed(seed);
    model.change(40).await;
    for death in 0..deaths {
        let follower = Follower::start(place, &model.table.info().path, directory.path(), disk);
        // Any time at all: before it has begun, while it copies, while it follows.
        let until = tokio::time::Instant::now() + Duration::from_millis(rng.u64(0..160));
        while tokio::time::Instant::now() < until {
            model.change(2).await;
        }
        follower.kill();
        after(directory.path());
        if death % 10 == 9 {
            check(&connection, &model, directory.path()).await;
        }
    }
    check(&connection, &model, directory.path()).await;
}

/// Whether what is left in a directory leads to what the table has.
async fn check(connection: &Connection, model: &Model, directory: &Path) {
    let replica = open(connection, model, directory).await;
    replica.start(Some(PATIENCE)).await.unwrap();
    model.check(&replica).await;
    replica.shut_down().await;
}

fn followers_are_killed(backend: Backend) {
    let place = start(backend, Spec::new());
    let deaths = if backend == Backend::Cluster { 20 } else { 100 };
    run(die(&place, deaths, 11, &[], |_| {}));
}

/// Builds the disk that remembers and fails.
fn disk(scratch: &Path) -> String {
    let (source, library) = (scratch.join("disk.c"), scratch.join("disk.so"));
    fs::write(&source, include_str!("disk.c")).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library.to_str().unwrap().to_owned()
}

/// The machine boots again, and each page that was written since the disk was last synced is as it was then, or as it was
/// written last.
fn lose_power(directory: &Path, journal: &Path, rng: &mut Rng) {
    let written = fs::read(journal).unwrap_or_default();
    fs::write(journal, b"").unwrap();
    let copies = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let copies: Vec<PathBuf> = copies.filter(|path| path.is_dir()).collect();
    // Which file is meant is not told: a copy that is not finished is of no use anyway.
    let [copy] = &copies[..] else {
        return;
    };
    let mark = copy.join("written");
    if fs::read(&mark).is_ok_and(|mark| mark != b"clean") {
        fs::write(mark, "another boot").unwrap();
    }
    let Ok(file) = fs::OpenOptions::new().write(true).open(copy.join("data.mdb")) else {
        return;
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut rest = &written[..];
    while let Some((head, tail)) = rest.split_first_chunk::<24>() {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let (offset, length) = (number(0), usize::try_from(number(8)).unwrap());
        // The last one may be cut.
        let Some((before, next)) = tail.split_at_checked(length) else {
            return;
        };
        for (place, page) in before.chunks(PAGE_BYTES).enumerate() {
            let at = offset + (place * PAGE_BYTES) as u64;
            if seen.insert(at) && rng.bool() {
                file.write_all_at(page, at).unwrap();
            }
        }
        rest = next;
    }
}

fn followers_lose_their_power(backend: Backend) {
    let place = start(backend, Spec::new());
    let scratch = tempdir().unwrap();
    let journal = scratch.path().join("journal");
    let told = [
        ("LD_PRELOAD", disk(scratch.path())),
        ("DISK_JOURNAL", journal.to_str().unwrap().to_owned()),
    ];
    let rng = std::cell::RefCell::new(Rng::with_seed(12));
    let deaths = if backend == Backend::Cluster { 10 } else { 50 };
    let after = |directory: &Path| lose_power(directory, &journal, &mut rng.borrow_mut());
    run(die(&place, deaths, 12, &told, after));
}

fn a_disk_fails(backend: Backend) {
    let place = start(backend, Spec::new());
    let scratch = tempdir().unwrap();
    let told = [
        ("LD_PRELOAD", disk(scratch.path())),
        ("DISK_FAILS", "100".to_owned()),
    ];
    let deaths = if backend == Backend::Cluster { 5 } else { 20 };
    run(die(&place, deaths, 13, &told, |_| {}));
}

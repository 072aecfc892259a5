//! `fluss serve` that dies under its clients and is started again.

use std::collections::BTreeSet;

use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{Lookuper, StartOffset, UpsertWriter};
use fluss_cluster::{Served, Spec};
use tokio::task::block_in_place;

use super::{Found, numbers};
use crate::{Backend, PATIENCE, SERVE, connect, create, run, start_alone, tests};

tests! {
    SERVE => [
        appends_go_on_after_it_was_killed_and_every_row_is_there_once,
        upserts_and_look_ups_go_on_after_it_was_killed,
    ],
}

/// How often it is killed in a row.
const ROUNDS: i64 = 5;
const ROWS: usize = 2_000;

fn kill(served: &Served) {
    block_in_place(|| served.kill()).unwrap();
}

/// Starts it again on the same directory and port, while clients go on.
fn restart(served: &Served) {
    block_in_place(|| served.restart(PATIENCE)).unwrap();
}

fn appends_go_on_after_it_was_killed_and_every_row_is_there_once(backend: Backend) {
    let place = start_alone(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, numbers(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Found::default(), BTreeSet::new());
        let mut ids = 0..;
        for _ in 0..ROUNDS {
            for id in ids.by_ref().take(ROWS) {
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            // Of those rows some are on their way now, and some in the writer.
            kill(place.served());
            restart(place.served());
            for id in ids.by_ref().take(ROWS) {
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            writer.flush().await.unwrap();
            found.read_all(&scanner, &acknowledged).await;
        }
    });
}

fn versions() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int().not_null())
        .column("version", DataType::big_int())
        .primary_key(["id"])
        .build()
        .unwrap()
}

const KEYS: i64 = 50;

fn upserts_and_look_ups_go_on_after_it_was_killed(backend: Backend) {
    let place = start_alone(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, versions(), 3, &[]).await;
        let writer = table.upsert().writer().unwrap();
        let lookuper = table.lookup().lookuper().unwrap();
        write(&writer, 0).await;
        writer.flush().await.unwrap();
        for round in 1..=ROUNDS {
            write(&writer, round).await;
            kill(place.served());
            // Writes are on their way, and look-ups begin, while nobody is there.
            let looking = tokio::spawn(find(lookuper.clone()));
            restart(place.served());
            for version in looking.await.unwrap() {
                assert!(
                    (round - 1..=round).contains(&version),
                    "{version} in round {round}"
                );
            }
            writer.flush().await.unwrap();
            assert_eq!(find(lookuper.clone()).await, vec![round; KEYS as usize]);
        }
    });
}

/// Writes a version of every key.
async fn write(writer: &UpsertWriter, version: i64) {
    for id in 0..KEYS {
        writer.upsert(&[id.into(), version.into()]).await.unwrap();
    }
}

/// The version of every key.
async fn find(lookuper: Lookuper) -> Vec<i64> {
    let mut found = Vec::new();
    for id in 0..KEYS {
        let row = lookuper.lookup(&[Datum::BigInt(id)]).await.unwrap().unwrap();
        let Datum::BigInt(version) = row[1] else {
            panic!("{row:?}")
        };
        found.push(version);
    }
    found
}

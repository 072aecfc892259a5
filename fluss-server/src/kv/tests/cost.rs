//! What writes and look-ups cost. The figures are for people, and depend on the machine and the profile: nothing is
//! asserted of them.
//!
//! ```text
//! KEYS=2000000 cargo test --release -p fluss-server kv::tests::cost -- --nocapture
//! ```

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use fluss_core::record::kv::KvBatch;
use fluss_core::types::{DataType, Datum, OwnedRow, Schema};

use super::world::{World, Write, table};
use crate::kv::{WriteMode, free};

const BATCH: usize = 500;
const COLUMNS: [(&str, &str); 8] = [
    ("id", "BIGINT"),
    ("name", "STRING"),
    ("city", "STRING"),
    ("age", "INT"),
    ("score", "DOUBLE"),
    ("since", "TIMESTAMP(3)"),
    ("note", "STRING"),
    ("active", "BOOLEAN"),
];

/// The processor's time that this thread has had, in microseconds.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Every number below `count` once, in no order.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    // A prime that divides no count that anybody would choose.
    (0..count).map(move |index| index.wrapping_mul(7_368_787) % count)
}

fn row(key: usize, round: usize) -> OwnedRow {
    vec![
        Datum::BigInt((key as i64) << 20),
        Datum::from(format!("user-{key:012}")),
        Datum::from("Amsterdam"),
        Datum::Int((key % 90) as i32),
        Datum::Double(key as f64 / 7.0 + round as f64),
        Datum::Timestamp(fluss_core::types::Timestamp::from_millis(
            1_700_000_000_000 + key as i64,
        )),
        Datum::from(format!(
            "note {} of round {round}, with some more text",
            key * 31 % 1_000
        )),
        Datum::Boolean(key.is_multiple_of(3)),
    ]
}

fn batches(world: &mut World, keys: usize, round: usize) -> Vec<KvBatch> {
    let keys: Vec<usize> = shuffled(keys).collect();
    let writes =
        |keys: &[usize]| -> Vec<_> { keys.iter().map(|key| Write::Upsert(row(*key, round))).collect() };
    let latest = world.table.latest();
    keys.chunks(BATCH)
        .map(|keys| world.batch(latest, &writes(keys)))
        .collect()
}

/// Writes batches, `together` of them with each commit: microseconds for a row, to merge and to commit.
fn write(world: &World, batches: &[KvBatch], together: usize) -> (f64, f64, usize) {
    let (mut merge, mut commit, mut bytes) = (0.0, 0.0, 0);
    let mode = WriteMode::default();
    for group in batches.chunks(together) {
        let begun = now();
        let mut draft = world.tablet.draft().unwrap();
        for batch in group {
            let log = world
                .tablet
                .prepare(&mut draft, batch, &mode, (&mut || unreachable!(), &mut free))
                .unwrap();
            bytes += log.len();
        }
        let merged = now();
        let end = world.tablet.applied().unwrap() + 1;
        world.tablet.commit(draft, end).unwrap();
        (merge, commit) = (merge + (merged - begun), commit + (now() - merged));
    }
    let rows = (batches.len() * BATCH) as f64;
    (merge / rows, commit / rows, bytes)
}

fn look_up(world: &World, keys: &[Vec<u8>], at_once: usize) -> f64 {
    let begun = now();
    let mut found = 0;
    for some in keys.chunks(at_once) {
        found += world
            .tablet
            .lookup(some, &mut free)
            .unwrap()
            .iter()
            .flatten()
            .count();
    }
    assert_eq!(found, keys.len());
    (now() - begun) / keys.len() as f64
}

#[test]
fn rows_cost_so_much() {
    let keys: usize = std::env::var("KEYS").map_or(5_000, |keys| keys.parse().unwrap());
    let schema = COLUMNS
        .iter()
        .fold(Schema::builder(), |schema, (name, data_type)| {
            schema.column(*name, data_type.parse::<DataType>().unwrap())
        });
    let schema = schema.primary_key(["id", "name"]).build().unwrap();
    for compression in ["ZSTD", "NONE"] {
        let table = table(
            std::slice::from_ref(&schema),
            &[("table.log.arrow.compression.type", compression)],
        );
        for real in [false, true] {
            let mut world = World::new(&table, real);
            println!("{compression}, {}", if real { "LMDB" } else { "memory" });
            for (round, together) in [1, 1, 10].into_iter().enumerate() {
                let batches = batches(&mut world, keys, round);
                let (merge, commit, bytes) = write(&world, &batches, together);
                println!(
                    "  round {round}, {together} together: {merge:.2} + {commit:.2} us a row, {bytes} bytes of log"
                );
            }
            assert_eq!(world.tablet.count().unwrap(), keys as u64);
            let asked: Vec<_> = shuffled(keys).map(|key| world.key(&row(key, 0))).collect();
            let (single, many) = (look_up(&world, &asked, 1), look_up(&world, &asked, 128));
            println!("  look-ups: {single:.2} us alone, {many:.2} us of 128");
        }
    }
}

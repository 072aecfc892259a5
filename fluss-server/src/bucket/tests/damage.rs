use std::path::PathBuf;
use std::sync::Arc;

use fluss_store::OpenError;
use fluss_store::disk::faulty::FaultyDisk;

use super::world::{Events, HOUR_MS, Opened, Rows, create_tables, described};
use crate::Failure;
use crate::clock::ManualClock;

/// A node that has written, dropped old changes, and stopped.
fn node(seed: u64, closed: bool) -> (FaultyDisk, Arc<ManualClock>, Rows, Events) {
    let disk = FaultyDisk::new(seed);
    create_tables(&disk);
    let clock = Arc::new(ManualClock::at(1));
    let mut dice = fastrand::Rng::with_seed(seed);
    let node = Opened::new(&disk, &clock, false).unwrap();
    let (mut rows, mut events) = (Rows::new(), Events::new());
    for _ in 0..4 {
        for _ in 0..8 {
            rows.write(&node.bucket("rows").unwrap(), &mut dice).unwrap();
            events.write(&node.bucket("events").unwrap()).unwrap();
        }
        node.buckets.sync();
        clock.advance(HOUR_MS / 2);
        node.buckets.expire();
    }
    if closed {
        node.buckets.close();
    }
    (disk, clock, rows, events)
}

/// Changes a byte of a file, or cuts it, or does nothing to an empty one.
fn damage(disk: &FaultyDisk, dice: &mut fastrand::Rng) -> PathBuf {
    let path = dice.choice(disk.paths()).unwrap();
    disk.alter(&path, |bytes| {
        if bytes.is_empty() {
        } else if dice.u8(..4) == 0 {
            bytes.truncate(dice.usize(..bytes.len()));
        } else {
            let at = dice.usize(..bytes.len());
            bytes[at] ^= 1 << dice.u8(..8);
        }
    });
    path
}

/// What came of a damage.
#[derive(Debug)]
enum Refused {
    AtOpening(OpenError),
    OfBucket(Failure),
}

fn read(disk: &FaultyDisk, clock: &Arc<ManualClock>, rows: &Rows, events: &Events) -> Result<(), Refused> {
    let node = Opened::new(disk, clock, false).map_err(Refused::AtOpening)?;
    let of_rows = node.bucket("rows").and_then(|bucket| rows.check_read(&bucket));
    let of_events = node
        .bucket("events")
        .and_then(|bucket| events.check_read(&bucket));
    of_rows.and(of_events).map_err(Refused::OfBucket)
}

#[test]
#[expect(clippy::print_stdout, reason = "what it has come to")]
fn a_damaged_file_is_told_by_its_name_or_does_no_harm() {
    let (mut refused, mut harmless) = (0, 0);
    for seed in 0..20 {
        let (disk, clock, rows, events) = node(seed, seed % 2 == 0);
        read(&disk.copy(), &clock, &rows, &events).unwrap();
        let mut dice = fastrand::Rng::with_seed(seed);
        for _ in 0..50 {
            let disk = disk.copy();
            let path = damage(&disk, &mut dice);
            let (name, directory) = (
                path.file_name().unwrap().to_str().unwrap(),
                path.parent().unwrap(),
            );
            let message = match read(&disk, &clock, &rows, &events) {
                Ok(()) => {
                    harmless += 1;
                    continue;
                }
                Err(Refused::AtOpening(error)) => described(&error),
                Err(Refused::OfBucket(failure)) => failure.message,
            };
            refused += 1;
            let is_named = message.contains(name) || message.contains(&directory.display().to_string());
            assert!(is_named, "{}: {message}", path.display());
        }
    }
    println!("{refused} times refused, {harmless} times without harm");
    assert!(refused > 100 && harmless > 100);
}

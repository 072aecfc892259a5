use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fluss_core::types::TablePath;
use fluss_rpc::code::ErrorCode;
use fluss_store::disk::faulty::FaultyDisk;

use super::world::{Events, Opened, Rows, create_tables};
use crate::Failure;
use crate::bucket::{Bucket, Error};
use crate::catalog::Remove;
use crate::clock::ManualClock;
use crate::kv::free;

fn new(seed: u64, waits: bool) -> (FaultyDisk, Arc<ManualClock>, Opened) {
    let disk = FaultyDisk::new(seed);
    create_tables(&disk);
    let clock = Arc::new(ManualClock::at(1));
    let node = Opened::new(&disk, &clock, waits).unwrap();
    (disk, clock, node)
}

#[test]
fn a_full_disk_refuses_writes_and_takes_them_when_there_is_room_again() {
    let mut refused = 0;
    for seed in 0..40 {
        let (disk, clock, mut node) = new(seed, seed % 2 == 0);
        let mut dice = fastrand::Rng::with_seed(seed);
        let (mut known_rows, mut known_events) = (Rows::new(), Events::new());
        for _ in 0..10 {
            let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
            disk.set_room(Some(dice.u64(..4000)));
            loop {
                let row = known_rows.write(&rows, &mut dice);
                let event = known_events.write(&events);
                let codes: Vec<_> = [row, event]
                    .into_iter()
                    .filter_map(Result::err)
                    .map(|failure| failure.code)
                    .collect();
                for code in &codes {
                    assert_eq!(*code, ErrorCode::DISK_WRITE_LOCKED);
                }
                if !codes.is_empty() {
                    break;
                }
            }
            refused += 1;
            known_rows.check_read(&rows).unwrap();
            disk.set_room(None);
            if dice.bool() {
                drop((rows, events));
                node = Opened::new(&disk, &clock, seed % 2 == 0).unwrap();
            }
            let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
            known_rows.write(&rows, &mut dice).unwrap();
            known_events.write(&events).unwrap();
            known_rows.check(&rows).unwrap();
            known_events.check(&events).unwrap();
        }
    }
    assert_eq!(refused, 400);
}

#[test]
fn a_write_that_could_not_be_synced_is_not_acknowledged_when_it_comes_again() {
    let (disk, clock, node) = new(1, true);
    let mut dice = fastrand::Rng::with_seed(1);
    let (mut known_rows, mut known_events) = (Rows::new(), Events::new());
    let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
    disk.fail_syncs(true);
    for _ in 0..2 {
        known_rows.write(&rows, &mut dice).unwrap_err();
        known_events.write(&events).unwrap_err();
        assert_eq!((rows.high_watermark(), events.high_watermark()), (0, 0));
        assert_eq!(
            rows.scan(usize::MAX, &mut free).unwrap(),
            fluss_core::record::value::encode_values(&[])
        );
    }
    disk.fail_syncs(false);
    // The system may have dropped what it could not write: nothing is believed before it was read again.
    known_rows.write(&rows, &mut dice).unwrap_err();
    drop((rows, events));
    let node = Opened::new(&disk, &clock, true).unwrap();
    let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
    known_rows.write(&rows, &mut dice).unwrap();
    known_events.write(&events).unwrap();
    known_rows.check(&rows).unwrap();
    known_events.check(&events).unwrap();
}

#[test]
fn what_a_killed_process_left_is_durable_before_it_is_read() {
    let (disk, clock, node) = new(1, false);
    let mut known = Rows::new();
    known
        .write(&node.bucket("rows").unwrap(), &mut fastrand::Rng::with_seed(1))
        .unwrap();
    drop(node);
    let node = Opened::new(&disk, &clock, true).unwrap();
    let rows = node.bucket("rows").unwrap();
    assert_eq!(rows.log().unwrap().synced_offset(), rows.high_watermark());
}

/// Ends a change of a bucket half-way.
fn panic_in(bucket: &Bucket) {
    let change = || {
        let _log = bucket.log().unwrap();
        panic!("half-way");
    };
    assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
}

#[test]
fn a_bucket_is_not_used_on_when_a_change_has_ended_half_way() {
    let (disk, clock, node) = new(1, true);
    let mut dice = fastrand::Rng::with_seed(1);
    let (mut known_rows, mut known_events) = (Rows::new(), Events::new());
    let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
    known_rows.write(&rows, &mut dice).unwrap();
    known_events.write(&events).unwrap();
    panic_in(&rows);
    let table = node.table("rows");
    let failures = [
        rows.sync().unwrap_err(),
        rows.look_up(&[], &mut free).map(drop).unwrap_err(),
        rows.look_up_prefix(&[], &mut free).map(drop).unwrap_err(),
        rows.scan(1, &mut free).map(drop).unwrap_err(),
        rows.row_count(&table).map(drop).unwrap_err(),
        rows.find(0, usize::MAX, true).map(drop).unwrap_err(),
        rows.start_offset().map(drop).unwrap_err(),
        rows.expire(i64::MAX).unwrap_err(),
    ];
    for failure in failures {
        assert!(
            matches!(failure, Error::Poisoned(id) if id == rows.id()),
            "{failure}"
        );
        let failure = Failure::from(failure);
        assert_eq!(failure.code, ErrorCode::UNKNOWN_SERVER_ERROR);
        assert!(failure.message.contains("half-way"), "{failure}");
    }
    // The others go on, until they are opened anew with this one.
    known_events.write(&events).unwrap();
    known_events.check(&events).unwrap();
    panic_in(&events);
    events.start_offset().unwrap_err();
    node.buckets.close();
    drop((node, rows, events));
    let node = Opened::new(&disk, &clock, true).unwrap();
    let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
    known_rows.check(&rows).unwrap();
    known_events.check(&events).unwrap();
    known_rows.write(&rows, &mut dice).unwrap();
}

#[test]
fn a_closed_node_takes_no_writes() {
    let (_, _, node) = new(1, false);
    let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
    node.buckets.close();
    let refused = Events::new().write(&events).unwrap_err();
    assert_eq!(refused.code, ErrorCode::LOG_STORAGE_EXCEPTION);
    Rows::new()
        .write(&rows, &mut fastrand::Rng::with_seed(1))
        .unwrap_err();
}

#[test]
fn a_bucket_of_a_dropped_table_is_not_opened_again() {
    let (disk, _, node) = new(1, false);
    let table = node
        .catalog
        .table_by_path(&TablePath::new("fluss", "events"))
        .unwrap();
    let bucket = node.bucket("events").unwrap();
    Events::new().write(&bucket).unwrap();
    let gone = node.catalog.drop_table(&table.info().path, false).unwrap();
    node.buckets.remove(&gone);
    let refused = node.buckets.get(bucket.id, &table).unwrap_err();
    assert!(matches!(refused, Error::Unknown(_)), "{refused}");
    let left = disk.paths();
    assert!(
        !left
            .iter()
            .any(|path| path.starts_with(format!("buckets/{}", table.id()))),
        "{left:?}"
    );
}

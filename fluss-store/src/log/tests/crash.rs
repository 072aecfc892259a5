//! Power cuts, torn ends, full disks.

use super::*;

fn open_after_power_cut(disk: &FaultyDisk) -> BucketLog {
    let options = LogOptions {
        after_power_cut: true,
        ..options()
    };
    BucketLog::open(Arc::new(disk.clone()), directory(), options).unwrap()
}

/// Appends the next batch of writer 1, which is its number too.
fn append_numbered(log: &mut BucketLog, number: i32) -> Result<Appended, Error> {
    let rows = number as usize % 3 + 1;
    log.append(batch(rows, 150, stamp(1, number)), i64::from(number))
}

fn append_all(log: &mut BucketLog, numbers: std::ops::Range<i32>) {
    for number in numbers {
        append_numbered(log, number).unwrap();
    }
}

/// The numbers of all batches, which have to be 0, 1, 2 and so on; and so how many there are.
fn count_numbered(log: &BucketLog) -> i32 {
    let batches = read_all(log, 0).unwrap();
    let numbers = batches
        .iter()
        .map(|batch| batch.header().batch_sequence.unwrap().get());
    let count = batches.len() as i32;
    assert!(numbers.eq(0..count));
    count
}

/// Appends so many batches with failures in between, and syncs that are begun before they are run; returns the offset
/// up to which the log has been said to be durable.
fn append_and_sync(log: &mut BucketLog, disk: &FaultyDisk, dice: &mut fastrand::Rng) -> Offset {
    let found = count_numbered(log);
    let mut pending = None;
    for number in found..found + dice.i32(0..30) {
        if dice.u8(..8) == 0 {
            disk.fail_write_after(dice.usize(..2));
        }
        while append_numbered(log, number).is_err() {
            pending = log.begin_sync();
        }
        if dice.u8(..4) == 0 {
            pending = log.begin_sync();
        }
        if dice.u8(..4) == 0 {
            disk.close_idle();
        }
        if dice.u8(..16) == 0 {
            pending = Some(log.sync(true));
        }
        if let Some(sync) = pending.take_if(|_| dice.bool()) {
            let end = sync.end_offset();
            sync.run().unwrap();
            assert!(log.synced_offset() >= end);
        }
    }
    log.synced_offset()
}

#[test]
fn what_was_synced_survives_power_cuts() {
    for seed in 0..500 {
        let disk = FaultyDisk::new(seed);
        let mut dice = fastrand::Rng::with_seed(seed);
        for _ in 0..4 {
            let mut log = open_after_power_cut(&disk);
            assert_eq!(log.damage(), [], "seed {seed}");
            let synced = append_and_sync(&mut log, &disk, &mut dice);
            let appended = log.end_offset();
            drop(log);
            disk.cut_power();
            let log = open_after_power_cut(&disk);
            assert!((synced..=appended).contains(&log.end_offset()), "seed {seed}");
        }
    }
}

/// What has been promised when the power was cut.
#[derive(Default)]
struct Promised {
    /// The first batch that may not be there any more.
    appended: i32,
    /// The first batch that may have to be there.
    synced: i32,
    /// The batches before may have expired.
    expired: i32,
}

/// Appends, syncs and expires until the disk fails.
fn work(log: &mut BucketLog, disk: &FaultyDisk, promised: &mut Promised) -> Result<(), Error> {
    for number in promised.appended..promised.appended + 24 {
        promised.appended = number + 1;
        append_numbered(log, number)?;
        if number % 3 == 2 {
            disk.close_idle();
        }
        if number % 5 == 4 {
            log.sync(number % 2 == 0).run()?;
            promised.synced = promised.appended;
        }
        if number % 11 == 10 {
            promised.expired = promised.expired.max(number - 6);
            log.expire(i64::from(number) - 6, log.end_offset())?;
        }
    }
    Ok(())
}

#[test]
fn the_power_can_be_cut_at_any_moment() {
    for fuse in 0..400 {
        let disk = FaultyDisk::new(fuse);
        let mut promised = Promised::default();
        for round in 0..3 {
            disk.cut_power_after(fuse as usize >> round);
            let mut closed = false;
            let options = LogOptions {
                after_power_cut: true,
                ..options()
            };
            if let Ok(mut log) = BucketLog::open(Arc::new(disk.clone()), directory(), options) {
                let done = work(&mut log, &disk, &mut promised).and_then(|()| log.close());
                closed = done.is_ok() && !disk.is_down();
                promised.synced = if done.is_ok() {
                    promised.appended
                } else {
                    promised.synced
                };
            }
            disk.cut_power();
            let log = open_after_power_cut(&disk);
            assert_eq!(log.damage(), [], "fuse {fuse}, round {round}");
            assert!(
                !closed || log.synced_offset() == log.end_offset(),
                "fuse {fuse}, round {round}"
            );
            let batches = read_all(&log, log.start_offset()).unwrap();
            let numbers: Vec<_> = batches
                .iter()
                .map(|batch| batch.header().batch_sequence.unwrap().get())
                .collect();
            let (first, next) = (
                numbers.first().copied(),
                numbers.last().map_or(0, |last| last + 1),
            );
            assert!(
                first.is_none_or(|first| first <= promised.expired),
                "fuse {fuse}, round {round}"
            );
            assert!(numbers.iter().copied().eq(first.unwrap_or(0)..next));
            assert!(
                (promised.synced..=promised.appended).contains(&next),
                "fuse {fuse}, round {round}"
            );
            promised.appended = next;
        }
    }
}

#[test]
fn a_torn_end_is_cut_off_wherever_it_is_torn() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    append_all(&mut log, 0..12);
    let last = log.active.clone();
    drop(log);
    let batches = count_numbered(&open(&disk));
    for len in 0..last.size {
        let disk = disk.copy();
        disk.alter(&last.path(&directory()), |bytes| bytes.truncate(len as usize));
        let mut log = open(&disk);
        let found = count_numbered(&log);
        assert!(found < batches && log.end_offset() >= last.base);
        append_numbered(&mut log, found).unwrap();
        assert_eq!(count_numbered(&open(&disk)), found + 1);
    }
}

#[test]
fn garbage_behind_the_last_batch_is_cut_off() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    append_all(&mut log, 0..12);
    let path = log.active.path(&directory());
    for garbage in [vec![0; 5000], vec![0xff; 100], b"hello".repeat(1000)] {
        let disk = disk.copy();
        disk.alter(&path, |bytes| bytes.extend_from_slice(&garbage));
        let log = open(&disk);
        assert_eq!(log.damage(), []);
        assert_eq!(count_numbered(&log), 12);
    }
}

#[test]
fn a_write_that_fails_leaves_the_log_as_it_was() {
    for seed in 0..100 {
        let disk = FaultyDisk::new(seed);
        let mut log = open(&disk);
        let mut dice = fastrand::Rng::with_seed(seed);
        let (mut next, mut failures) = (0, 0);
        while next < 40 {
            match dice.u8(..4) {
                0 => disk.fail_write_after(0),
                1 => disk.set_room(Some(dice.u64(..700))),
                _ => disk.set_room(None),
            }
            let before = log.end_offset();
            match append_numbered(&mut log, next) {
                Ok(_) => next += 1,
                Err(failure) => {
                    assert!(matches!(failure, Error::Storage { .. }), "{failure}");
                    assert_eq!(log.end_offset(), before);
                    failures += 1;
                }
            }
            if dice.u8(..8) == 0 {
                drop(log);
                log = open(&disk);
                assert_eq!(log.damage(), []);
            }
            assert_eq!(count_numbered(&log), next);
        }
        assert!(failures > 0);
    }
}

#[test]
fn what_a_failed_write_has_left_is_never_taken_for_batches() {
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let mut log = open(&disk);
        log.append(batch(1, 10, None), 0).unwrap();
        disk.fail_write_after(0);
        log.append(batch(1, 10, None).repeat(4).into(), 0).unwrap_err();
        log.append(batch(1, 10, None), 0).unwrap();
        drop(log);
        assert_eq!(read_all(&open(&disk), 0).unwrap().len(), 2);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    append_numbered(&mut log, 0).unwrap();
    let another = log.begin_sync().unwrap();
    disk.fail_syncs(true);
    assert!(matches!(sync(&mut log), Err(Error::Storage { .. })));
    disk.fail_syncs(false);
    another.run().unwrap_err();
    let failure = append_numbered(&mut log, 1).unwrap_err();
    assert!(matches!(failure, Error::Storage { .. }), "{failure}");
    assert_eq!(log.synced_offset(), 0);
    assert_eq!(count_numbered(&log), 1, "it can still be read");
}

#[test]
fn retention_survives_power_cuts() {
    for seed in 0..500 {
        let disk = FaultyDisk::new(seed);
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut log = open(&disk);
        let numbers = dice.i32(1..40);
        append_all(&mut log, 0..numbers);
        let expired = log.expire(dice.i64(0..45), log.end_offset()).unwrap();
        let start = log.start_offset();
        let synced = log.synced_offset();
        assert_eq!(expired == 0, start == 0);
        drop(log);
        disk.cut_power();
        let mut log = open_after_power_cut(&disk);
        assert_eq!(log.damage(), []);
        assert_eq!(log.start_offset(), start);
        assert!(log.end_offset() >= synced);
        if log.end_offset() == synced && synced > 0 {
            assert!(matches!(
                append_numbered(&mut log, numbers - 1).unwrap(),
                Appended::Duplicate(_)
            ));
        }
        read_all(&log, start).unwrap();
    }
}

#[test]
fn the_newest_timestamp_is_known_after_all_batches_have_expired() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk);
    log.append(batch(1, 10, None), 27).unwrap();
    log.close().unwrap();
    drop(log);
    let mut log = open(&disk);
    assert_eq!(log.expire(28, Offset::MAX).unwrap(), 1);
    drop(log);
    let log = open(&disk);
    assert_eq!((log.start_offset(), log.max_timestamp()), (1, Some(27)));
}

#[test]
fn a_log_for_which_there_is_no_descriptor_goes_on_when_there_is_one() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk);
    append_all(&mut log, 0..20);
    log.close().unwrap();
    append_all(&mut log, 20..30);
    disk.close_idle();
    disk.fail_opens_after(Some(0));
    let refused = [
        append_numbered(&mut log, 30).unwrap_err(),
        sync(&mut log).unwrap_err(),
        read_all(&log, 0).unwrap_err(),
    ];
    for failure in refused {
        assert!(matches!(failure, Error::Storage { .. }), "{failure}");
        assert!(failure.to_string().contains("Too many open files"), "{failure}");
    }
    disk.fail_opens_after(None);
    append_all(&mut log, 30..40);
    sync(&mut log).unwrap();
    assert_eq!(log.synced_offset(), log.end_offset());
    assert_eq!(count_numbered(&log), 40);
}

/// What could not be read is not taken for missing: without its checkpoint a log does not know its writers.
#[test]
fn a_log_is_not_opened_in_part_for_want_of_descriptors() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk);
    append_all(&mut log, 0..20);
    log.close().unwrap();
    let end = log.end_offset();
    log.expire(1_000, end).unwrap();
    drop(log);
    let open_again = || BucketLog::open(Arc::new(disk.clone()), directory(), options());
    // For the names in the directory, the list of segments, the checkpoint, the segment.
    for opens in 0..4 {
        disk.fail_opens_after(Some(opens));
        let refused = open_again();
        assert!(
            matches!(refused, Err(OpenError::Io { .. })),
            "after {opens}: {refused:?}"
        );
    }
    disk.fail_opens_after(None);
    let mut log = open_again().unwrap();
    assert_eq!(log.damage(), []);
    assert_eq!(append_numbered(&mut log, 20).unwrap(), stored(end, end + 3));
}

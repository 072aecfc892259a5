//! Bytes that changed, files that are gone.

use super::*;

/// A small log with all kinds of files, and what is in it.
fn small_log(close: bool) -> (FaultyDisk, Vec<Bytes>) {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    for number in 0..9 {
        log.append(
            batch(number as usize % 4, 130, stamp(1, number)),
            1000 + i64::from(number),
        )
        .unwrap();
        if number == 4 {
            log.sync(true).run().unwrap();
        }
    }
    let batches = read_all(&log, 0).unwrap();
    if close {
        log.close().unwrap();
    }
    (disk, batches.iter().map(|batch| batch.bytes().clone()).collect())
}

/// What can be read, from offset to offset; reads that fail have to say where.
fn read_around_damage(log: &BucketLog) -> (Vec<Bytes>, usize) {
    let (mut batches, mut failures, mut from) = (Vec::new(), 0, log.start_offset());
    while from < log.end_offset() {
        match log.read(from, limits(log, 500)).and_then(|slice| slice.load()) {
            Ok(bytes) => {
                let read = whole(bytes);
                from = read.last().unwrap().next_offset();
                batches.extend(read.iter().map(|batch| batch.bytes().clone()));
            }
            Err(failure) => {
                assert!(matches!(failure, Error::Damaged { .. }), "{failure}");
                assert!(
                    failure.to_string().contains(".log is damaged at byte "),
                    "{failure}"
                );
                failures += 1;
                from += 1;
            }
        }
    }
    (batches, failures)
}

/// A batch without its commit timestamp.
fn timeless(batch: &Bytes) -> Bytes {
    [&batch[..13], &batch[21..]].concat().into()
}

#[test]
fn a_flipped_bit_in_a_closed_log_is_found_or_does_no_harm() {
    let (disk, stored) = small_log(true);
    let mut found = 0;
    for (path, at) in all_bytes(&disk) {
        let disk = flipped(&disk, &path, at);
        let mut log = open(&disk);
        let (read, failures) = read_around_damage(&log);
        let unharmed = stored.iter().filter(|batch| read.contains(batch));
        assert!(read.iter().eq(unharmed), "{} at {at}", path.display());
        assert!(
            failures > 0 || read.len() == stored.len(),
            "{} at {at}",
            path.display()
        );
        found += usize::from(failures > 0);
        log.append(batch(1, 10, None), 0).unwrap();
    }
    assert!(found > 1000, "{found}");
}

#[test]
fn a_flipped_bit_in_a_log_that_was_not_closed_costs_no_more_than_the_last_batch() {
    let (disk, stored) = small_log(false);
    for (path, at) in all_bytes(&disk) {
        let mut log = open(&flipped(&disk, &path, at));
        let (read, failures) = read_around_damage(&log);
        // What is behind the checkpoint has nothing that covers its commit timestamps.
        let (read, stored): (Vec<_>, Vec<_>) = (
            read.iter().map(timeless).collect(),
            stored.iter().map(timeless).collect(),
        );
        let unharmed = stored.iter().filter(|batch| read.contains(batch));
        assert!(read.iter().eq(unharmed), "{} at {at}", path.display());
        let cut = log.end_offset() < 15;
        assert!(
            failures > 0 || read.len() == stored.len() - usize::from(cut),
            "{} at {at}",
            path.display()
        );
        log.append(batch(1, 10, None), 0).unwrap();
    }
}

fn all_bytes(disk: &FaultyDisk) -> impl Iterator<Item = (PathBuf, usize)> {
    disk.paths().into_iter().flat_map(|path| {
        let len = disk.open_existing(&path).unwrap().len().unwrap() as usize;
        (0..len).map(move |at| (path.clone(), at))
    })
}

fn flipped(disk: &FaultyDisk, path: &Path, at: usize) -> FaultyDisk {
    let disk = disk.copy();
    disk.alter(path, |bytes| bytes[at] ^= 1 << (at % 8));
    disk
}

#[test]
fn batches_behind_a_damaged_one_are_served() {
    let (disk, stored) = small_log(false);
    let path = segment::log_path(&directory(), 0);
    disk.alter(&path, |bytes| bytes[100] ^= 1);
    let mut log = open(&disk);
    assert_eq!(log.end_offset(), 15);
    let (read, failures) = read_around_damage(&log);
    assert_eq!((read.len(), failures), (stored.len() - 1, 1));
    assert!(
        log.batches(0)
            .any(|batch| batch.is_err_and(|failure| failure.to_string().contains("at byte 48")))
    );
    assert_eq!(log.append(batch(1, 1, stamp(1, 9)), 0).unwrap(), stored_at(15));
}

fn stored_at(offset: Offset) -> Appended {
    super::stored(offset, offset + 1)
}

#[test]
fn indexes_and_checkpoints_are_rebuilt() {
    let garbage: [fn(&mut Vec<u8>); 3] = [Vec::clear, |bytes| bytes.fill(0xff), |bytes| bytes.truncate(30)];
    for (kind, spoil) in ["index", "checkpoint"]
        .iter()
        .flat_map(|kind| garbage.map(|spoil| (kind, spoil)))
    {
        let (disk, stored) = small_log(true);
        let paths = disk.paths();
        for path in paths.iter().filter(|path| path.extension().unwrap() == *kind) {
            disk.alter(path, spoil);
        }
        let mut log = open(&disk);
        assert_eq!(read_around_damage(&log), (stored, 0));
        assert!(matches!(
            log.append(batch(0, 0, stamp(1, 8)), 0).unwrap(),
            Appended::Duplicate(_)
        ));
    }
}

#[test]
fn files_that_are_gone_are_missed() {
    let (disk, _) = small_log(true);
    for path in disk.paths() {
        let disk = disk.copy();
        disk.remove(&path).unwrap();
        let log = open(&disk);
        assert_eq!(log.end_offset(), 15, "{}", path.display());
        let is_log = path.extension().unwrap() == "log";
        let failed = (0..15).any(|from| {
            log.read(from, limits(&log, 9))
                .and_then(|slice| slice.load())
                .is_err()
        });
        assert_eq!(failed, is_log, "{}", path.display());
    }
}

/// A log of several segments, and its end. The middle of it may be known by a checkpoint.
fn long_log(close: bool, checkpoint: bool) -> (FaultyDisk, Offset) {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    for number in 0..30 {
        log.append(batch(2, 130, stamp(1, number)), 1000 + i64::from(number))
            .unwrap();
        if checkpoint && number == 14 {
            log.sync(true).run().unwrap();
        }
    }
    if close {
        log.close().unwrap();
    }
    (disk, log.end_offset())
}

/// Reads from the beginning to an offset: the offsets that were read, and the failures.
fn read_from_the_beginning(log: &BucketLog, end: Offset) -> (Vec<Offset>, Vec<Error>) {
    let (mut read, mut failures, mut from) = (Vec::new(), Vec::new(), log.start_offset());
    while from < end {
        match log.read(from, limits(log, 500)).and_then(|slice| slice.load()) {
            Ok(bytes) => {
                for batch in whole(bytes) {
                    read.push(batch.base_offset());
                    from = batch.next_offset();
                }
            }
            Err(failure) => {
                failures.push(failure);
                from += 1;
            }
        }
    }
    (read, failures)
}

/// The first, one in the middle, and the last, whether the node was closed or killed, and again after more was written.
#[test]
fn a_segment_that_is_gone_is_never_less_rows() {
    for (close, checkpoint) in [(true, false), (false, true), (false, false)] {
        let (disk, end) = long_log(close, checkpoint);
        let bases = segment::bases(&disk.list(&directory()).unwrap());
        assert!(bases.len() > 3, "{bases:?}");
        for base in bases {
            let (disk, path) = (disk.copy(), segment::log_path(&directory(), base));
            disk.remove(&path).unwrap();
            for round in 0..3 {
                let mut log = open(&disk);
                assert!(
                    round > 0
                        || log.damage().iter().any(|damage| damage.path == path)
                        || !log.damage().is_empty(),
                    "{base}"
                );
                assert_eq!(log.start_offset(), 0, "{base}");
                assert!(log.end_offset() >= end, "{base}");
                let (read, failures) = read_from_the_beginning(&log, end);
                assert!(!failures.is_empty(), "{base}: {read:?}");
                for failure in failures {
                    assert!(matches!(failure, Error::Damaged { .. }), "{base}");
                    assert!(
                        failure.to_string().contains(".log is damaged at byte "),
                        "{failure}"
                    );
                }
                assert!(log.batches(0).any(|batch| batch.is_err()), "{base}");
                // What was there is not dropped for being of an unknown age.
                assert_eq!(log.expire(0, Offset::MAX).unwrap(), 0, "{base}");
                log.append(batch(2, 100, None), 5000).unwrap();
                if close {
                    log.close().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_segment_that_is_gone_expires_with_the_next() {
    let (disk, _) = long_log(false, false);
    disk.remove(&segment::log_path(&directory(), 0)).unwrap();
    let mut log = open(&disk);
    assert_eq!(
        log.offset_for_time(1000).unwrap(),
        Some(0),
        "it may have been in it"
    );
    let second = segment::bases(&disk.list(&directory()).unwrap())[0];
    let in_second = log.batches(second).next().unwrap().unwrap().commit_timestamp();
    assert_eq!(log.expire(in_second, Offset::MAX).unwrap(), 0);
    assert!(log.expire(i64::MAX, Offset::MAX).unwrap() > 1);
    assert_eq!(open(&disk).damage(), []);
}

/// Retention strikes segments off before it removes them.
#[test]
fn what_has_expired_is_not_missed() {
    let (disk, _) = long_log(false, true);
    let mut log = open(&disk);
    let before = disk.copy();
    assert!(log.expire(1015, Offset::MAX).unwrap() > 0);
    let start = log.start_offset();
    drop(log);
    let log = open(&disk);
    assert_eq!((log.damage(), log.start_offset()), (&[][..], start));
    // Nor does it come back, if a crash came before the files were removed.
    let first = segment::log_path(&directory(), 0);
    let file = before.open_existing(&first).unwrap();
    let bytes = file.read_at(0, usize::MAX).unwrap();
    disk.open(&first).unwrap().write_at(0, bytes).unwrap();
    let log = open(&disk);
    assert_eq!((log.damage(), log.start_offset()), (&[][..], start));
    assert!(!disk.paths().contains(&first));
}

/// A log of an earlier version, or one whose list is damaged, is served as it is found.
#[test]
fn a_log_without_a_list_of_its_segments_gets_one() {
    let (disk, stored) = small_log(true);
    let list = directory().join("segments.list");
    disk.remove(&list).unwrap();
    let mut log = open(&disk);
    assert_eq!(read_around_damage(&log), (stored, 0));
    log.append(batch(1, 1, None), 5000).unwrap();
    drop(log);
    assert!(disk.paths().contains(&list));
    disk.remove(&segment::log_path(&directory(), 0)).unwrap();
    assert_eq!(open(&disk).damage().len(), 1);
}

#[test]
fn a_segment_that_is_empty_is_named() {
    let (disk, _) = small_log(false);
    let bases = segment::bases(&disk.list(&directory()).unwrap());
    // The last may as well be new.
    for base in &bases[..bases.len() - 1] {
        let (disk, path) = (disk.copy(), segment::log_path(&directory(), *base));
        disk.alter(&path, Vec::clear);
        let log = open(&disk);
        let read = log.read(*base, limits(&log, 9)).and_then(|slice| slice.load());
        let failure = read.unwrap_err();
        assert!(
            failure.to_string().starts_with(&path.display().to_string()),
            "{failure}"
        );
    }
}

#[test]
fn a_segment_that_is_cut_short_is_missed() {
    let (disk, _) = small_log(true);
    for base in segment::bases(&disk.list(&directory()).unwrap()) {
        let disk = disk.copy();
        disk.alter(&segment::log_path(&directory(), base), |bytes| bytes.truncate(10));
        let mut log = open(&disk);
        assert_eq!(log.end_offset(), 15);
        let failure = log.read(base, limits(&log, 9)).unwrap().load().unwrap_err();
        assert!(matches!(failure, Error::Damaged { .. }), "{failure}");
        log.append(batch(1, 1, stamp(1, 9)), 0).unwrap();
        assert_eq!(read_all(&log, 15).unwrap().len(), 1);
    }
}

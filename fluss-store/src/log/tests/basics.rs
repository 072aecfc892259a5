use super::*;

#[test]
fn batches_are_read_as_they_were_appended() {
    let mut log = open_memory();
    assert_eq!(log.append(batch(3, 10, None), 100).unwrap(), stored(0, 3));
    assert_eq!(log.append(batch(2, 10, None), 90).unwrap(), stored(3, 5));
    let read = read_all(&log, 0).unwrap();
    let places: Vec<_> = read
        .iter()
        .map(|batch| (batch.base_offset(), batch.commit_timestamp()))
        .collect();
    assert_eq!(places, [(0, 100), (3, 100)], "time does not go back");
}

#[test]
fn a_read_begins_with_the_batch_that_contains_the_offset() {
    let mut log = open_memory();
    for _ in 0..10 {
        log.append(batch(3, 10, None), 0).unwrap();
    }
    let read = read_all(&log, 13).unwrap();
    assert_eq!(read.first().unwrap().base_offset(), 12);
    assert_eq!(read.len(), 6);
}

#[test]
fn an_offset_outside_of_the_log_is_refused() {
    let mut log = open_memory();
    log.append(batch(3, 10, None), 0).unwrap();
    for offset in [-2, -1, 4] {
        let failure = log.read(offset, limits(&log, 10)).unwrap_err();
        assert!(matches!(failure, Error::OutOfRange { .. }), "{failure}");
    }
    assert!(log.read(3, limits(&log, 10)).unwrap().is_empty());
}

#[test]
fn a_duplicate_is_told_where_it_is() {
    let mut log = open_memory();
    for sequence in 0..6 {
        log.append(batch(2, 1, stamp(7, sequence)), 0).unwrap();
    }
    let span = Span {
        base_offset: 2,
        next_offset: 4,
    };
    assert_eq!(
        log.append(batch(2, 1, stamp(7, 1)), 0).unwrap(),
        Appended::Duplicate(span)
    );
    let known = log.check_writer(Some(WriterId(7)), Some(BatchSequence(1)), 0);
    assert_eq!(known.unwrap(), Some(span));
    for wrong in [0, 7, 8] {
        let failure = log.append(batch(2, 1, stamp(7, wrong)), 0).unwrap_err();
        assert!(matches!(failure, Error::OutOfOrder { .. }), "sequence {wrong}");
    }
    assert_eq!(log.end_offset(), 12);
}

#[test]
fn what_is_no_batch_is_nothing_or_refused() {
    let mut log = open_memory();
    let good = batch(2, 1, None);
    for cut in [0, 5, 30, good.len() - 1] {
        assert_eq!(log.append(good.slice(..cut), 0).unwrap(), Appended::Nothing);
    }
    let refused_with = |at: usize, log: &mut BucketLog| {
        let mut bad = good.to_vec();
        bad[at] ^= 0x40;
        log.append(bad.into(), 0).unwrap_err()
    };
    assert!(matches!(refused_with(12, &mut log), Error::UnknownMagic(_)));
    assert!(matches!(refused_with(50, &mut log), Error::BadBatch(_)));
    assert_eq!(log.end_offset(), 0);
}

#[test]
fn a_closed_log_is_the_same_when_it_is_opened_again() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk);
    for sequence in 0..50 {
        log.append(batch(3, 50, stamp(1, sequence)), i64::from(sequence))
            .unwrap();
    }
    let before = read_all(&log, 0).unwrap();
    log.close().unwrap();
    let mut log = open(&disk);
    assert_eq!(
        (log.start_offset(), log.end_offset(), log.max_timestamp()),
        (0, 150, Some(49))
    );
    assert_eq!(log.synced_offset(), 150);
    let same = |a: &LogBatch, b: &LogBatch| a.bytes() == b.bytes();
    let after = read_all(&log, 0).unwrap();
    assert!(before.iter().zip(&after).all(|(a, b)| same(a, b)) && before.len() == after.len());
    let replayed: Vec<_> = log.batches(70).collect::<Result<_, _>>().unwrap();
    assert!(before.iter().skip(23).zip(&replayed).all(|(a, b)| same(a, b)) && replayed.len() == 27);
    assert!(matches!(
        log.append(batch(3, 50, stamp(1, 49)), 0).unwrap(),
        Appended::Duplicate(_)
    ));
    assert_eq!(
        log.append(batch(3, 50, stamp(1, 50)), 0).unwrap(),
        stored(150, 153)
    );
}

#[test]
fn a_writer_begins_with_zero_and_goes_on_with_zero_after_the_last_number() {
    let mut log = open_memory();
    let refused = |log: &mut BucketLog, sequence| log.append(batch(1, 1, stamp(1, sequence)), 0).unwrap_err();
    assert!(matches!(refused(&mut log, 1), Error::OutOfOrder { .. }));
    log.append(batch(1, 1, stamp(1, 0)), 0).unwrap();
    let mut last = whole(read_all(&log, 0).unwrap()[0].bytes().clone())
        .remove(0)
        .header()
        .to_owned();
    last.batch_sequence = Some(BatchSequence(i32::MAX));
    log.writers.note(&last);
    assert!(matches!(refused(&mut log, 1), Error::OutOfOrder { .. }));
    assert_eq!(log.append(batch(1, 1, stamp(1, 0)), 0).unwrap(), stored(1, 2));
}

#[test]
fn a_writer_without_numbers_is_refused() {
    let log = open_memory();
    let failure = log.check_writer(Some(WriterId(1)), None, 0).unwrap_err();
    assert!(matches!(failure, Error::OutOfOrder { .. }), "{failure}");
    assert_eq!(log.check_writer(None, None, 0).unwrap(), None);
}

#[test]
fn a_writer_is_forgotten_after_a_week_without_writes() {
    let day = 24 * 60 * 60 * 1000;
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    log.append(batch(1, 1, stamp(1, 0)), 0).unwrap();
    log.append(batch(1, 1, stamp(1, 1)), 6 * day).unwrap();
    assert!(matches!(
        log.append(batch(1, 1, stamp(1, 1)), 12 * day).unwrap(),
        Appended::Duplicate(_)
    ));
    drop(log);
    for mut log in [open(&disk), open(&disk.copy())] {
        let failure = log.append(batch(1, 1, stamp(1, 2)), 13 * day).unwrap_err();
        assert!(matches!(failure, Error::OutOfOrder { .. }), "{failure}");
        assert_eq!(
            log.append(batch(1, 1, stamp(1, 0)), 13 * day).unwrap(),
            stored(2, 3)
        );
    }
}

#[test]
fn a_slice_can_be_loaded_after_its_segment_has_expired() {
    let root = tempfile::tempdir().unwrap();
    let directory_disk: Arc<dyn Disk> = Arc::new(crate::disk::DirectoryDisk::open(root.path()).unwrap());
    for disk in [directory_disk, Arc::new(MemoryDisk::new())] {
        let mut log = BucketLog::open(disk, directory(), options()).unwrap();
        for _ in 0..20 {
            log.append(batch(3, 100, None), 0).unwrap();
        }
        let slice = log.read(0, limits(&log, 10)).unwrap();
        assert!(log.expire(1, log.end_offset()).unwrap() > 1);
        assert_eq!(
            (log.start_offset(), log.end_offset(), log.size_bytes()),
            (60, 60, 0)
        );
        assert_eq!(whole(slice.load().unwrap()).len(), 1);
        assert_eq!(log.append(batch(3, 100, None), 0).unwrap(), stored(60, 63));
    }
}

#[test]
fn a_sync_covers_what_is_there_when_it_is_run() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    assert!(log.begin_sync().is_none());
    log.append(batch(3, 10, None), 0).unwrap();
    let first = log.begin_sync().unwrap();
    log.append(batch(3, 10, None), 0).unwrap();
    let second = log.begin_sync().unwrap();
    assert_eq!((first.end_offset(), second.end_offset()), (3, 6));
    first.run().unwrap();
    assert_eq!(log.synced_offset(), 6);
    disk.cut_power_after(0);
    second.run().unwrap();
    assert!(log.begin_sync().is_none());
}

#[test]
fn a_sync_does_not_cover_a_segment_that_was_begun_since() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    log.append(batch(1, 900, None), 0).unwrap();
    let first = log.begin_sync().unwrap();
    log.append(batch(1, 900, None), 0).unwrap();
    log.append(batch(1, 900, None), 0).unwrap();
    first.run().unwrap();
    assert_eq!((log.synced_offset(), log.sealed.len()), (2, 1));
}

#[test]
fn a_sync_does_not_cover_a_segment_that_was_empty() {
    let disk = FaultyDisk::new(0);
    let mut log = open(&disk);
    for _ in 0..2 {
        log.append(batch(1, 900, None), 0).unwrap();
        sync(&mut log).unwrap();
    }
    log.append(batch(1, 1, None), 0).unwrap();
    disk.fail_write_after(1);
    log.append(batch(1, 900, None), 0).unwrap_err();
    let first = log.begin_sync().unwrap();
    log.append(batch(1, 900, None), 0).unwrap();
    first.run().unwrap();
    assert_eq!((log.synced_offset(), log.active.base), (3, 3));
    sync(&mut log).unwrap();
    disk.cut_power();
    assert_eq!(open(&disk).end_offset(), 4);
}

#[test]
fn bytes_that_nobody_else_has_are_not_copied() {
    let mut log = open_memory();
    let batch = batch(3, 100_000, None).to_vec();
    let at = batch.as_ptr();
    log.append(batch.into(), 0).unwrap();
    let read = log.read(0, limits(&log, 10)).unwrap().load().unwrap();
    assert_eq!(read.as_ptr(), at);
}

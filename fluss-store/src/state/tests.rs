use std::collections::BTreeMap;
use std::fs::File as StdFile;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tempfile::TempDir;

use super::lmdb::Lmdb;
use super::memory::Memory;
use super::{About, Change, Checkpoints, Snapshot, State};
use crate::disk::faulty::FaultyDisk;
use crate::disk::{DirectoryDisk, Disk, OpenFiles, Trust};
use crate::error::Unusable;
use crate::tree::data_file;

const PLACE: &str = "state";

/// A disk in a directory that goes when it is dropped.
fn real() -> (Arc<dyn Disk>, TempDir) {
    let root = tempfile::tempdir().unwrap();
    let disk = DirectoryDisk::open_with(root.path(), OpenFiles::within(usize::MAX));
    (Arc::new(disk.unwrap()), root)
}

/// A disk without a place in the file system.
fn placeless() -> Arc<dyn Disk> {
    Arc::new(FaultyDisk::new(0))
}

fn lmdb(disk: &Arc<dyn Disk>) -> Lmdb {
    let trust = Trust::open(disk, Path::new("")).unwrap();
    disk.create_dir(Path::new(PLACE)).unwrap();
    Lmdb::open(
        &disk.real_path(Path::new(PLACE)).unwrap(),
        trust,
        disk.open_files(),
    )
    .unwrap()
}

fn all(snapshot: &dyn Snapshot, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    };
    snapshot.scan(prefix, &mut visit).unwrap();
    found
}

fn change(key: &[u8], value: Option<&[u8]>) -> Change {
    Change {
        key: Bytes::copy_from_slice(key),
        value: value.map(Bytes::copy_from_slice),
    }
}

fn about(applied: i64) -> About {
    About {
        applied,
        numbers: applied + 5..applied + 9,
    }
}

/// Keys of all lengths, many of which begin alike, around the places where they are cut.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0_usize..4, 507_usize..515, 1_010_usize..1_016, 1_512_usize..1_518];
    (length, 0_u8..3, vec(0_u8..3, 0..3)).prop_map(|(length, fill, end)| {
        let mut key = vec![fill; length];
        key.extend(end);
        key
    })
}

type Commits = Vec<BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

fn commits() -> impl Strategy<Value = Commits> {
    let value = prop_oneof![
        2 => Just(None),
        3 => vec(any::<u8>(), 0..40).prop_map(Some),
        1 => (1_usize..20_000).prop_map(|length| Some(vec![7; length])),
    ];
    vec(btree_map(key(), value, 0..12), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_state_is_an_ordered_map(commits in commits(), prefixes in vec(key(), 4)) {
        let (disk, _root) = real();
        let mut model = BTreeMap::new();
        let (memory, mut tree) = (Memory::default(), lmdb(&disk));
        for (index, commit) in commits.iter().enumerate() {
            let changes: Vec<_> = commit.iter().map(|(key, value)| change(key, value.as_deref())).collect();
            for (key, value) in commit {
                match value {
                    Some(value) => drop(model.insert(key.clone(), value.clone())),
                    None => drop(model.remove(key)),
                }
            }
            let about = about(index as i64);
            memory.commit(&changes, &about).unwrap();
            tree.commit(&changes, &about).unwrap();
            prop_assert!(tree.kept_to_its_room());
            prop_assert!(Lmdb::check(&disk.real_path(Path::new(PLACE)).unwrap(), None).is_ok());
            if index % 3 == 2 {
                drop(tree);
                tree = lmdb(&disk);
            }
            for state in [&memory as &dyn State, &tree] {
                let snapshot = state.snapshot().unwrap();
                prop_assert_eq!(snapshot.about().unwrap(), about.clone());
                prop_assert_eq!(snapshot.count().unwrap(), model.len() as u64);
                for prefix in prefixes.iter().chain(commit.keys()).chain([&Vec::new()]) {
                    let expected = model.iter().filter(|(key, _)| key.starts_with(prefix));
                    let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(all(&*snapshot, prefix), expected);
                    let value = model.get(prefix).map(|value| &**value);
                    prop_assert_eq!(snapshot.get(prefix).unwrap(), value);
                }
            }
        }
    }
}

#[test]
fn a_snapshot_stays_as_it_is_while_others_commit() {
    let (disk, _root) = real();
    let state = lmdb(&disk);
    state.commit(&[change(b"a", Some(b"1"))], &about(1)).unwrap();
    let before = state.snapshot().unwrap();
    state
        .commit(&[change(b"a", Some(b"2")), change(b"b", Some(b""))], &about(2))
        .unwrap();
    assert_eq!(before.get(b"a").unwrap(), Some(&b"1"[..]));
    assert_eq!((before.count().unwrap(), before.about().unwrap()), (1, about(1)));
    let after = state.snapshot().unwrap();
    assert_eq!(after.get(b"b").unwrap(), Some(&b""[..]));
}

#[test]
fn branches_of_long_keys_go_with_the_last_of_them() {
    let (disk, _root) = real();
    let state = lmdb(&disk);
    let keys = [vec![1; 2_000], vec![1; 2_001], vec![1; 510]];
    let puts: Vec<_> = keys.iter().map(|key| change(key, Some(b"v"))).collect();
    state.commit(&puts, &about(1)).unwrap();
    let removes: Vec<_> = keys.iter().map(|key| change(key, None)).collect();
    state.commit(&removes, &about(2)).unwrap();
    assert_eq!(state.entries(), 1, "nothing but what stands beside the rows");
}

#[test]
fn room_is_taken_for_every_page_before_it_is_written() {
    let (disk, _root) = real();
    let state = lmdb(&disk);
    let mut key = 1_u64;
    for round in 0..120_usize {
        // Batches of all sizes, with keys here and there, that grow, shrink and go.
        let changes = (0..1 << (round % 10)).map(|_| {
            key = key
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = vec![7; (key >> 40) as usize % [40, 400, 3_000][round % 3]];
            let stays = round < 80 || !key.is_multiple_of(3);
            (((key >> 33) % 3_000).to_be_bytes(), stays.then_some(value))
        });
        let changes: BTreeMap<_, _> = changes.collect();
        let changes: Vec<_> = changes
            .iter()
            .map(|(key, value)| change(key, value.as_deref()))
            .collect();
        state.commit(&changes, &about(round as i64)).unwrap();
        assert!(state.kept_to_its_room(), "round {round}");
    }
}

#[test]
fn a_state_outgrows_its_map() {
    let (disk, _root) = real();
    let state = lmdb(&disk);
    let value = vec![5; 40 << 20];
    for key in 0_u8..8 {
        state
            .commit(&[change(&[key], Some(&value))], &about(key.into()))
            .unwrap();
    }
    let snapshot = state.snapshot().unwrap();
    assert_eq!(snapshot.count().unwrap(), 8);
    assert!(snapshot.get(&[7]).unwrap() == Some(&value));
}

/// How much there is on the disk.
static ROOM: AtomicU64 = AtomicU64::new(u64::MAX);

fn take_some(_file: &StdFile, _from: u64, to: u64) -> io::Result<()> {
    if to <= ROOM.load(Ordering::SeqCst) {
        Ok(())
    } else {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_full_disk_refuses_a_commit_and_harms_nothing() {
    let (disk, _root) = real();
    let path = disk.real_path(Path::new("")).unwrap();
    let trust = || Trust::open(&disk, Path::new("")).unwrap();
    let state = Lmdb::on(&path, trust(), None, take_some).unwrap();
    let value = vec![1; 1_000];
    let put = |state: &Lmdb, key: u32| {
        state.commit(&[change(&key.to_be_bytes(), Some(&value))], &about(key.into()))
    };
    put(&state, 0).unwrap();
    ROOM.store(2 << 20, Ordering::SeqCst);
    let refused = (1..).find_map(|key| put(&state, key).err().map(|error| (key, error)));
    let (key, error) = refused.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let used = state.used_bytes();
    assert!(
        used <= 2 << 20 && used > 1 << 20,
        "{used} bytes of 2 MiB are used"
    );
    assert_eq!(
        state.snapshot().unwrap().about().unwrap(),
        about(i64::from(key) - 1)
    );
    assert_eq!(state.snapshot().unwrap().count().unwrap(), u64::from(key));
    ROOM.store(u64::MAX, Ordering::SeqCst);
    put(&state, key).unwrap();
    drop(state);
    let state = Lmdb::on(&path, trust(), None, take_some).unwrap();
    assert_eq!(state.snapshot().unwrap().count().unwrap(), u64::from(key) + 1);
}

/// A state with blocks of several records.
fn filled() -> Memory {
    let state = Memory::default();
    let value = vec![9; 100];
    let changes: Vec<_> = (0_u16..40)
        .map(|key| change(&key.to_be_bytes(), Some(&value)))
        .collect();
    state.commit(&changes, &about(41)).unwrap();
    state
}

fn checkpoint(disk: &Arc<dyn Disk>) -> (Checkpoints, PathBuf) {
    let checkpoints = Checkpoints::new(disk, Path::new(""));
    let offset = checkpoints.write(&*filled().snapshot().unwrap()).unwrap();
    (Checkpoints::new(disk, Path::new("")), checkpoints.path(offset))
}

#[test]
fn a_checkpoint_restores_what_there_was() {
    let (disk, _root) = real();
    let (checkpoints, _) = checkpoint(&disk);
    let (restored, before) = (lmdb(&disk), filled());
    checkpoints.restore(41, &restored).unwrap();
    let (restored, before) = (restored.snapshot().unwrap(), before.snapshot().unwrap());
    assert_eq!(all(&*restored, &[]), all(&*before, &[]));
    assert_eq!(restored.about().unwrap(), about(41));
}

#[test]
fn the_last_two_checkpoints_are_kept() {
    let disk = placeless();
    let checkpoints = Checkpoints::new(&disk, Path::new(""));
    let state = filled();
    for offset in [41, 50, 60, 60, 1_000] {
        state.commit(&[], &about(offset)).unwrap();
        assert_eq!(checkpoints.write(&*state.snapshot().unwrap()).unwrap(), offset);
    }
    assert_eq!(checkpoints.offsets().unwrap(), [60, 1_000]);
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_checkpoint_is_found() {
    let disk = placeless();
    let (checkpoints, path) = checkpoint(&disk);
    let file = disk.open(&path).unwrap();
    let whole = file.read_at(0, file.len().unwrap() as usize).unwrap();
    let check = || match checkpoints.restore(41, &Memory::default()) {
        Err(Unusable::Damaged { at, source }) => (at, source),
        other => panic!("{other:?}"),
    };
    for place in 0..whole.len() {
        let mut flipped = whole.to_vec();
        flipped[place] ^= 1 << (place % 8);
        file.write_at(0, flipped.into()).unwrap();
        let (at, _) = check();
        assert!(at <= place as u64, "byte {place} is bad, {at} was named");
    }
    file.write_at(0, whole.clone()).unwrap();
    for length in (0..whole.len()).step_by(13) {
        file.set_len(length as u64).unwrap();
        check();
        file.set_len(0).unwrap();
        file.write_at(0, whole.clone()).unwrap();
    }
    file.write_at(whole.len() as u64, Bytes::from_static(b"x"))
        .unwrap();
    check();
}

#[test]
fn a_state_is_closed_for_others_and_opened_again() {
    let (disk, _root) = real();
    let files = OpenFiles::within(usize::MAX);
    disk.create_dir(Path::new(PLACE)).unwrap();
    let path = disk.real_path(Path::new(PLACE)).unwrap();
    let trust = Trust::open(&disk, Path::new("")).unwrap();
    let state = Lmdb::open(&path, trust, Some(files.clone())).unwrap();
    let open = || descriptors(&path);
    assert_eq!(open(), 3);
    for round in 0..20 {
        state
            .commit(&[change(b"a", Some(&[round]))], &about(round.into()))
            .unwrap();
        let before = state.snapshot().unwrap();
        assert!(!files.close_one(), "a snapshot needs it");
        assert_eq!(before.get(b"a").unwrap(), Some(&[round][..]));
        drop(before);
        assert!(files.close_one());
        assert_eq!(open(), 0);
        let after = state.snapshot().unwrap();
        assert_eq!(
            (after.get(b"a").unwrap(), after.count().unwrap()),
            (Some(&[round][..]), 1)
        );
    }
    // Room on the disk is taken anew.
    let large = vec![7; 4 << 20];
    while files.close_one() {}
    state
        .commit(&[change(b"large", Some(&large))], &about(20))
        .unwrap();
    assert!(state.kept_to_its_room());
    while files.close_one() {}
    assert!(state.snapshot().unwrap().get(b"large").unwrap() == Some(&large));
    // It is synced all the same, and is trusted then.
    while files.close_one() {}
    state.sync().unwrap();
    assert!(Trust::open(&disk, Path::new("")).unwrap().is_clean());
}

#[test]
fn rows_that_are_gone_while_they_are_closed_are_not_taken_for_none() {
    let (disk, _root) = real();
    let state = lmdb(&disk);
    state.commit(&[change(b"a", Some(b"1"))], &about(1)).unwrap();
    let file = data_file(&disk.real_path(Path::new(PLACE)).unwrap());
    let files = disk.open_files().unwrap();
    for length in [9_000, 5_000, 0] {
        while files.close_one() {}
        StdFile::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(length)
            .unwrap();
        let error = state.snapshot().map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = state.snapshot().map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(!file.exists());
}

/// How many descriptors of this process lead into a directory.
fn descriptors(directory: &Path) -> usize {
    let directory = directory.canonicalize().unwrap();
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|file| file.starts_with(&directory))
        .count()
}

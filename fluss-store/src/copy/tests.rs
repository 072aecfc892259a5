use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use fastrand::Rng;
use tempfile::{TempDir, tempdir};

use super::*;

fn begun() -> (TempDir, Arc<CopyFile>) {
    let directory = tempdir().unwrap();
    let file = CopyFile::begin(directory.path()).unwrap();
    (directory, file)
}

fn rows(file: &CopyFile, prefix: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let view = file.view().unwrap();
    let mut take = |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    view.scan(prefix, &mut take).unwrap();
    rows
}

#[test]
fn it_is_as_a_map_is_whatever_the_keys() {
    let (directory, file) = begun();
    let (mut rng, mut model) = (Rng::with_seed(7), BTreeMap::new());
    for round in 0..60_u32 {
        let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..rng.usize(0..40))
            .map(|_| {
                let length = *rng.choice(&[0, 1, 3, 509, 510, 511, 1500]).unwrap();
                let key = (0..length).map(|_| rng.u8(0..2)).collect();
                (key, rng.bool().then(|| vec![rng.u8(..); rng.usize(0..5000)]))
            })
            .collect();
        let about = round.to_le_bytes().to_vec();
        let fails = rng.u8(0..5) == 0;
        let before = model.clone();
        let written = file.write(|batch| {
            for (key, value) in &changes {
                if let Some(value) = value {
                    batch.put(key, value)?;
                    model.insert(key.clone(), value.clone());
                } else {
                    batch.remove(key)?;
                    model.remove(key);
                }
            }
            if fails {
                Err(io::Error::other("no"))
            } else {
                Ok(about.clone())
            }
        });
        assert_eq!(written.is_err(), fails);
        if fails {
            model = before;
        } else {
            assert_eq!(file.view().unwrap().about().unwrap(), about);
        }
        assert_eq!(rows(&file, &[]), model);
        assert_eq!(file.view().unwrap().count().unwrap(), model.len() as u64);
        let prefix: Vec<u8> = (0..rng.usize(0..4)).map(|_| rng.u8(0..2)).collect();
        let found = model.iter().filter(|(key, _)| key.starts_with(&prefix));
        let found: BTreeMap<_, _> = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(rows(&file, &prefix), found);
        for key in model.keys() {
            let view = file.view().unwrap();
            assert_eq!(view.get(key).unwrap(), model.get(key).map(Vec::as_slice));
        }
    }
    file.sync().unwrap();
    drop(file);
    let again = CopyFile::open(directory.path()).unwrap();
    assert_eq!(rows(&again, &[]), model);
}

#[test]
fn rows_are_loaded_in_any_order_and_others_are_put_behind_them() {
    let (_directory, file) = begun();
    let (mut rng, mut model) = (Rng::with_seed(11), BTreeMap::new());
    for round in 0..30_u8 {
        let mut loaded: Vec<(Vec<u8>, Vec<u8>)> = (0..rng.usize(0..2_000))
            .map(|_| {
                let length = *rng.choice(&[0, 1, 8, 8, 8, 62, 63, 64, 509, 510, 1100]).unwrap();
                let key = (0..length).map(|_| rng.u8(..)).collect();
                (key, vec![round; rng.usize(0..100)])
            })
            .collect();
        if rng.bool() {
            loaded.sort();
        }
        let put = (vec![round], vec![round; 10]);
        let written: io::Result<()> = file.write(|batch| {
            batch.load(|load| loaded.iter().try_for_each(|(key, value)| load.put(key, value)))?;
            batch.put(&put.0, &put.1)?;
            Ok(Vec::new())
        });
        written.unwrap();
        model.extend(loaded);
        model.extend([put]);
        assert_eq!(rows(&file, &[]), model);
        assert_eq!(file.view().unwrap().count().unwrap(), model.len() as u64);
    }
}

#[test]
fn pages_become_full_that_are_loaded_in_order() {
    let (_directory, file) = begun();
    let written: io::Result<()> = file.write(|batch| {
        batch.load(|load| {
            let mut numbers = 0..100_000_u64;
            numbers.try_for_each(|number| load.put(&number.to_be_bytes(), &[7; 32]))
        })?;
        Ok(Vec::new())
    });
    written.unwrap();
    // A head, a key with what marks it as a row's, and a value.
    let row_bytes = 8 + 9 + 32 + 2;
    assert!(file.bytes() < 100_000 * row_bytes * 11 / 10, "{}", file.bytes());
}

#[test]
fn those_of_one_process_share_it_and_a_view_does_not_change() {
    let (directory, file) = begun();
    let put = |key: &[u8]| {
        let written: io::Result<()> = file.write(|batch| {
            batch.put(key, b"value")?;
            Ok(Vec::new())
        });
        written.unwrap();
    };
    put(b"one");
    let other = CopyFile::open(directory.path()).unwrap();
    assert!(Arc::ptr_eq(&file, &other));
    std::thread::scope(|scope| {
        let view = file.view().unwrap();
        scope.spawn(|| put(b"two")).join().unwrap();
        assert_eq!(view.count().unwrap(), 1);
        drop(view);
        assert_eq!(file.view().unwrap().count().unwrap(), 2);
    });
}

#[test]
fn what_lmdb_has_not_written_is_told_from_what_it_has() {
    let (directory, file) = begun();
    let written: io::Result<()> = file.write(|batch| {
        for number in 0..10_000_u32 {
            batch.put(&number.to_be_bytes(), &[7; 100])?;
        }
        Ok(Vec::new())
    });
    written.unwrap();
    file.sync().unwrap();
    drop(file);
    let path = data_file(directory.path());
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        CopyFile::open(directory.path()).unwrap_err().to_string()
    };
    for damaged in [&whole[..whole.len() / 2], &whole[..100], &[1; 9000], &[]] {
        assert!(refused(damaged).contains("data.mdb"), "{}", damaged.len());
    }
    fs::remove_file(&path).unwrap();
    assert!(CopyFile::open(directory.path()).is_err());
    fs::write(&path, &whole).unwrap();
    assert_eq!(
        CopyFile::open(directory.path())
            .unwrap()
            .view()
            .unwrap()
            .count()
            .unwrap(),
        10_000
    );
}

#[test]
fn what_was_not_synced_in_an_earlier_boot_is_not_used() {
    let (directory, file) = begun();
    let put = |file: &CopyFile| {
        let written: io::Result<()> = file.write(|batch| {
            batch.put(b"key", b"value")?;
            Ok(Vec::new())
        });
        written.unwrap();
    };
    put(&file);
    drop(file);
    let reboot = || {
        let path = directory.path().join("written");
        if fs::read_to_string(&path).unwrap() != "clean" {
            fs::write(&path, "another boot").unwrap();
        }
    };
    let file = CopyFile::open(directory.path()).unwrap();
    file.sync().unwrap();
    drop(file);
    reboot();
    let file = CopyFile::open(directory.path()).unwrap();
    put(&file);
    drop(file);
    reboot();
    let refused = CopyFile::open(directory.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}
